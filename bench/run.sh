#!/usr/bin/env bash
# Measures everything: results/results.json, results/speed.svg and the tables in the README.
#   run.sh BUILD_DIR [quick]   `quick` is for trying out: small, few repetitions, into BUILD_DIR/bench/quick instead
# BUILD_DIR has bench/trainstate_bench, built from this checkout. The environment, besides what measure.hpp names:
#   PYTHON        a python3 with torch, to compare with (default: the build's, or one that has it)
#   REPETITIONS   of what takes least; what takes long is repeated 5 times (default: 9)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) quick=${2:-}
if [[ $quick ]]; then
  export TRAINSTATE_BENCH_MIB=${TRAINSTATE_BENCH_MIB:-64} TRAINSTATE_BENCH_TENSORS=${TRAINSTATE_BENCH_TENSORS:-500}
  repetitions=2 few=2 rounds=1 seconds=0.01 results=$build/bench/quick readme=$build/bench/quick/tables.md
else
  repetitions=${REPETITIONS:-9} few=5 rounds=3 seconds=0.2 results=$here/results readme=$here/../README.md
fi
mkdir -p "$results"
TRAINSTATE_BENCH_DIR=$(TMPDIR=${TRAINSTATE_BENCH_DIR:-${TMPDIR:-/tmp}} mktemp -d)
export TRAINSTATE_BENCH_DIR
trap 'rm -rf "$TRAINSTATE_BENCH_DIR"' EXIT
parts=$TRAINSTATE_BENCH_DIR/parts
mkdir "$parts"

# A python3 that has torch, if there is one.
python=''
configured=$(sed -n 's/^TRAINSTATE_PYTHON:[A-Z]*=//p' "$build/CMakeCache.txt")
for candidate in "${PYTHON:-}" "$configured" python3 /usr/bin/python3; do
  if [[ $candidate ]] && "$candidate" -c 'import torch' 2>/dev/null; then python=$candidate && break; fi
done
if [[ $python ]]; then
  echo "Python's torch" >&2
  "$python" "$here/peers.py" "$TRAINSTATE_BENCH_DIR" "${TRAINSTATE_BENCH_MIB:-1024}" \
    "${TRAINSTATE_BENCH_TENSORS:-50000}" "$few" >"$parts/python.jsonl"
  export TRAINSTATE_BENCH_PYTHON_PT=$TRAINSTATE_BENCH_DIR/python.pt
else
  echo "no python3 with torch: not compared with" >&2
fi

# measure NAME FILTER REPETITIONS: one process, in random order
measure() {
  "$build/bench/trainstate_bench" --benchmark_filter="$2" --benchmark_repetitions="$3" --benchmark_min_time="$seconds" \
    --benchmark_enable_random_interleaving=true --benchmark_display_aggregates_only=true \
    --benchmark_out="$parts/$1.json" --benchmark_out_format=json >"$parts/$1.log" 2>&1 ||
    { cat "$parts/$1.log" >&2 && exit 1; }
}
# in_turns NAME FILTER REPETITIONS: what allocates much, in rounds of a process for each who measures, for the memory
# that one has freed makes others faster, or slower.
in_turns() {
  local round who
  for ((round = 1; round <= rounds; ++round)); do
    for who in trainstate limit libtorch; do
      measure "$1-$who-$round" "$2$who/" $((($3 + rounds - 1) / rounds))
    done
  done
}
# one_each NAME FILTER REPETITIONS: a process for each call.
one_each() {
  local benchmarks benchmark repetition
  benchmarks=$("$build/bench/trainstate_bench" --benchmark_list_tests --benchmark_filter="$2" | cut -d/ -f1-3)
  for ((repetition = 1; repetition <= $3; ++repetition)); do
    for benchmark in $benchmarks; do
      measure "$1-${benchmark//\//-}-$repetition" "^$benchmark/" 1
    done
  done
}
echo "saves" >&2
in_turns save "^(pt_)?save(_sync)?/(large|32_mib|1_mib)/" "$repetitions"
echo "loads" >&2
one_each load "^(pt_)?load(_unverified|_of_python)?/large/" "$repetitions"
in_turns load_again "^((pt_)?load_again(_unverified)?/large|load(_unverified)?/(32_mib|1_mib)|hash/large)/" "$repetitions"
in_turns cold "^load_cold/large/" "$few"
echo "many tensors" >&2
in_turns many "/many/" "$few"
echo "small components, asynchronous saves" >&2
measure async "^async" "$repetitions"
measure small "^(component|migrate|state_dict|load_state_dict|read)" "$repetitions"

echo "compile time" >&2
"$here/compile_time.sh" "$build" 3 ${quick:+quick} >"$parts/compile_time.jsonl"
df --output=fstype "$TRAINSTATE_BENCH_DIR" | tail -n 1 >"$parts/filesystem"
python3 -B "$here/report.py" "$parts" "$results" "$readme"
