#!/usr/bin/env bash
# killed_twice.sh DIGITS OPTIMIZER: a run that is killed twice, the second time within the epoch that it had resumed, must
# end with the same tensors, and save the same bytes, as one that ran through. Every run is a process of its own.
set -euo pipefail
digits=$1 optimizer=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# An epoch has 23 steps: both kills are in the second, and the last step is in the third.
train() { "$digits" --optimizer "$optimizer" --steps 60 --batch 64 --every 4 --checkpoint "$folder/$1.safetensors" "${@:2}"; }
killed() {
  local status=0
  train "$@" || status=$?
  ((status == 137)) || { echo "expected the run to be killed, but its exit status is $status"; exit 1; }
}

train whole --list-tensors >"$folder/whole.txt"
killed killed --die-at 31
killed killed --resume --die-at 38
train killed --resume --list-tensors >"$folder/killed.txt"

grep -q '^resumed from step 36 of epoch 2' "$folder/killed.txt" || { cat "$folder/killed.txt"; exit 1; }
for run in whole killed; do grep -E '^(tensor|digest)' "$folder/$run.txt" >"$folder/$run.digests"; done
tail -n 1 "$folder/whole.digests"
# The network alone has 16 tensors, and each of these optimizers keeps some of its own.
(($(grep -c '^tensor' "$folder/whole.digests") > 16))
grep -q '^tensor optimizer' "$folder/whole.digests"
diff "$folder/whole.digests" "$folder/killed.digests"
cmp "$folder/whole.safetensors" "$folder/killed.safetensors"
