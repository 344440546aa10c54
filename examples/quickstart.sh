#!/usr/bin/env bash
# Trains on handwritten digits without interruption; trains again, killed twice, the second time within the epoch that it
# had resumed; and compares. Installs Debian packages that are missing.
#   BUILD_DIR   where to build (default: build/quickstart in the repository)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source .ci/packages.sh
need "${build_packages[@]}"
need "${faster_packages[@]}" || echo "zlib computes CRC-32" >&2

build=${BUILD_DIR:-$PWD/build/quickstart}
cmake -S . -B "$build" -G Ninja --log-level=WARNING --compile-no-warning-as-error \
  -DTRAINSTATE_BUILD_TESTS=OFF -DTRAINSTATE_BUILD_BENCH=OFF
cmake --build "$build" --parallel 2 --target digits
digits=$build/examples/digits
run=$build/run
rm -rf "$run"
mkdir -p "$run"

# killed ARGUMENT…: runs the example, which must end by SIGKILL.
killed() {
  local status=0
  "$digits" "$@" || status=$?
  ((status == 137)) || { echo "expected the run to be killed, but its exit status is $status" >&2; exit 1; }
}

echo; echo "== Without interruption"
"$digits" --run "$run/whole" --save-as "$run/whole.safetensors" --require-accuracy 0.95 | tee "$run/whole.txt"

# An epoch has 45 steps and a checkpoint is saved every 10, so both kills are in the fourth epoch (steps 136 to 180).
echo; echo "== Killed at step 157, resumed and killed at step 168, resumed"
killed --run "$run/killed" --die-at 157
killed --run "$run/killed" --resume --die-at 168
"$digits" --run "$run/killed" --resume --save-as "$run/killed.safetensors" | tee "$run/killed.txt"

echo; echo "== What the last checkpoint holds"
"$digits" --inspect "$run/killed.safetensors"

echo; echo "== Compared"
whole=$(grep '^digest' "$run/whole.txt") && killed=$(grep '^digest' "$run/killed.txt")
echo "without interruption: $whole"
echo "killed twice:         $killed"
[[ $whole == "$killed" ]] || { echo "the digests differ" >&2; exit 1; }
cmp "$run/whole.safetensors" "$run/killed.safetensors"
echo "The digests agree, and so do the two last checkpoints, byte for byte."
