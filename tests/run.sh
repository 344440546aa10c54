#!/usr/bin/env bash
# Builds everything and runs every test; installs Debian packages that are missing. Arguments go to ctest.
#   BUILD_DIR   where to build (default: build/tests in the repository)
#   JOBS        how many compilers at once (default: 2; each needs about 3 GB)
#   HEADERS     which headers are also compiled alone: all (default), or core, those without LibTorch, which take seconds
#   FUZZ_SECONDS  how long each fuzzer runs (default: 30)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source .ci/packages.sh
need "${build_packages[@]}" "${test_packages[@]}"
need "${faster_packages[@]}" || echo "zlib computes CRC-32" >&2
need "${python_packages[@]}" || echo "tests that compare with PyTorch are left out" >&2

build=${BUILD_DIR:-$PWD/build/tests}
jobs=${JOBS:-2}

if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
headers=trainstate_core_verify_interface_header_sets
if [[ ${HEADERS:-all} == all ]]; then headers=all_verify_interface_header_sets; fi
cmake -S . -B "$build" -G Ninja --log-level=WARNING -DTRAINSTATE_BUILD_BENCH=OFF \
  -DTRAINSTATE_FUZZ_SECONDS="${FUZZ_SECONDS:-30}"
cmake --build "$build" --parallel "$jobs" --target all
cmake --build "$build" --parallel "$jobs" --target "$headers"
ctest --test-dir "$build" --parallel "$jobs" --output-on-failure --no-tests=error "$@"
