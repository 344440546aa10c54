#!/usr/bin/env bash
# from_python.sh PYTHON PROGRAM: Python trains, C++ goes on, Python goes on from there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=$1 program=$2 data=$here/../digits/digits.csv
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$python" "$here/train.py" "$data" "$folder/run.pt"
"$program" "$data" "$folder/run.pt"
"$python" "$here/train.py" "$data" "$folder/run.pt" --resume
