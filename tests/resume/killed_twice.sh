#!/usr/bin/env bash
# killed_twice.sh DIGITS OPTIMIZER: a run that is killed twice, the second time within the epoch that it had resumed, and
# then interrupted by Ctrl-C, must end with the same tensors, and save the same bytes, as one that ran through. Every run
# is a process of its own.
set -euo pipefail
digits=$1 optimizer=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# An epoch has 23 steps: both kills are in the second, and so is Ctrl-C; the last step is in the third.
train() { "$digits" --optimizer "$optimizer" --steps 60 --batch 64 --every 4 --run "$folder/$1" "${@:2}"; }
ends_with() {
  local expected=$1 status=0
  train "${@:2}" || status=$?
  ((status == expected)) || { echo "expected the exit status $expected, found $status"; exit 1; }
}
# finds PATTERN FILE: the file has such a line.
finds() { grep -qE "$1" "$2" || { echo "expected a line $1 in:"; cat "$2"; exit 1; }; }

train whole --list-tensors --save-as "$folder/whole.safetensors" >"$folder/whole.txt"
ends_with 137 killed --die-at 31
ends_with 137 killed --resume --die-at 38
ends_with 130 killed --resume --interrupt-at 42 >"$folder/interrupted.txt"
train killed --resume --list-tensors --save-as "$folder/killed.safetensors" >"$folder/killed.txt"

# The saves that the kills cut off were of steps 28 and 36; Ctrl-C waits for its own.
finds '^resumed from step (28|32|36) of epoch 2' "$folder/interrupted.txt"
finds '^interrupted after step 42' "$folder/interrupted.txt"
finds '^resumed from step 42 of epoch 2' "$folder/killed.txt"
# 42 was the latest then; at the end it is 60, and the best is that of an epoch.
finds '^ +60 .*the latest ' "$folder/killed.txt"
finds '^ +(23|46) .* the best accuracy' "$folder/killed.txt"
for run in whole killed; do grep -E '^(tensor|digest)' "$folder/$run.txt" >"$folder/$run.digests"; done
tail -n 1 "$folder/whole.digests"
# The network alone has 16 tensors, and each of these optimizers keeps some of its own.
(($(grep -c '^tensor' "$folder/whole.digests") > 16))
grep -q '^tensor optimizer' "$folder/whole.digests"
diff "$folder/whole.digests" "$folder/killed.digests"
cmp "$folder/whole.safetensors" "$folder/killed.safetensors"
