#!/usr/bin/env bash
# matrix.sh MATRIX: for each optimizer with each scheduler, all steps at once must end with the same bits, and save the
# same bytes, as steps that were interrupted twice, in three processes.
set -euo pipefail
matrix=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/at_once" "$folder/in_parts"

"$matrix" whole "$folder/at_once" >"$folder/at_once.txt"
"$matrix" first "$folder/in_parts"
"$matrix" second "$folder/in_parts"
"$matrix" third "$folder/in_parts" >"$folder/in_parts.txt"

# 36 runs, no two of them the same.
[[ $(wc -l <"$folder/at_once.txt") == 36 ]]
[[ $(awk '{print $NF}' "$folder/at_once.txt" | sort -u | wc -l) == 36 ]]
diff "$folder/at_once.txt" "$folder/in_parts.txt"
for file in "$folder"/at_once/*; do cmp "$file" "$folder/in_parts/${file##*/}"; done
echo "36 runs, interrupted twice, end with the same bits"
