#!/usr/bin/env bash
# A 1 GiB .pt file into live parameters: this library, LibTorch and Python in one run, all from the page cache.
#   pt.sh BUILD_DIR [MIB]   BUILD_DIR has bench/pt_bench; PYTHON (default: python3) may have torch
set -euo pipefail
build=$1 mib=${2:-1024} repetitions=7
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
echo "$(date +%F), $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs), $(nproc) cores, $mib MiB"
grep -E 'CMAKE_BUILD_TYPE:|CMAKE_CXX_FLAGS:|CMAKE_CXX_COMPILER:' "$build/CMakeCache.txt" | sed 's/:[A-Z]*=/ = /'
python=${PYTHON:-python3}
if "$python" "$here/pt_python.py" "$folder/python.pt" write "$mib" 2>/dev/null; then
  export TRAINSTATE_BENCH_PYTHON_PT=$folder/python.pt
fi
TRAINSTATE_BENCH_MIB=$mib TRAINSTATE_BENCH_PT=$folder/model.pt "$build/bench/pt_bench" \
  --benchmark_repetitions="$repetitions" --benchmark_report_aggregates_only=true --benchmark_enable_random_interleaving=true |
  grep -E '^Benchmark|median|SKIPPED|ERROR'
"$python" "$here/pt_python.py" "$folder/model.pt" "$repetitions" || echo "no Python with torch: not compared"
