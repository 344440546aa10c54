#!/usr/bin/env bash
# Runs a fuzzer from a corpus of its own, which begins empty and stays beside it with all that it finds.
#   fuzz.sh FUZZER SECONDS [LIBFUZZER_OPTION…]
#   CORPUS   further folders of inputs, joined with colons
# A file that breaks a promise is left in FUZZER.found/; once its fault is mended it belongs into tests/fuzz/regressions.
set -euo pipefail
fuzzer=$1 seconds=$2
shift 2
IFS=: read -r -a seeds <<<"${CORPUS:-}"
rm -rf "$fuzzer.corpus"
mkdir -p "$fuzzer.corpus" "$fuzzer.found"
export ASAN_OPTIONS=quarantine_size_mb=16
exec "$fuzzer" "$fuzzer.corpus" "${seeds[@]}" -max_total_time="$seconds" -artifact_prefix="$fuzzer.found/" \
  -max_len=16384 -malloc_limit_mb=16 -rss_limit_mb=1024 -timeout=20 -verbosity=0 -print_final_stats=1 "$@"
