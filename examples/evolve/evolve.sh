#!/usr/bin/env bash
# Three releases of one scheduler, three programs: each reads the files of those before it.
#   evolve.sh RELEASE_1 RELEASE_2 RELEASE_3   the programs
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# expect TEXT PROGRAM COMMAND FILE: what the program prints must be exactly this.
expect() {
  local expected=$1 found
  shift
  found=$("$@" || true)
  echo "$(basename "$1") $2 $(basename "$3")"
  echo "$found" | sed 's/^/  /'
  [[ $found == "$expected" ]] || { echo "expected: $expected" >&2; exit 1; }
}

"$1" save "$folder/first.safetensors"
"$2" save "$folder/second.safetensors"
"$3" save "$folder/third.safetensors"

expect "lr 0.25, step 1234" "$1" load "$folder/first.safetensors"
expect "scheduler: version 1 -> 2
base_lr 0.25, warmup_steps 0, step 1234" "$2" load "$folder/first.safetensors"
expect "base_lr 0.5, warmup_steps 20, step 567" "$2" load "$folder/second.safetensors"
expect "scheduler: version 1 -> 2
scheduler: version 2 -> 3
base_lrs 0.25, warmup_steps 0, epoch 12, batch 34" "$3" load "$folder/first.safetensors"
expect "scheduler: version 2 -> 3
base_lrs 0.5, warmup_steps 20, epoch 5, batch 67" "$3" load "$folder/second.safetensors"
expect "base_lrs 0.75 0.125, warmup_steps 30, epoch 8, batch 9" "$3" load "$folder/third.safetensors"

# An older program refuses a newer file, by name.
expect "$folder/third.safetensors: scheduler: component 'decay': the file has version 3, newer than this program's version 2" \
  "$2" load "$folder/third.safetensors"

# Upgraded in place, the first file needs no migration any more.
"$3" upgrade "$folder/first.safetensors"
expect "base_lrs 0.25, warmup_steps 0, epoch 12, batch 34" "$3" load "$folder/first.safetensors"
