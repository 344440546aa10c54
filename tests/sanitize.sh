#!/usr/bin/env bash
# Builds and runs all tests with AddressSanitizer and UndefinedBehaviorSanitizer, then those without LibTorch with
# ThreadSanitizer (LibTorch was built without, so that every lock of its own would look like a race). Any report is a
# failed test. By hand; takes about an hour. Arguments go to ctest.
#   BUILD_DIR   where to build (default: build/sanitize in the repository)
#   JOBS        how many compilers at once (default: 2; each needs about 3 GB)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source .ci/packages.sh
need "${build_packages[@]}" "${test_packages[@]}"
need "${faster_packages[@]}" || echo "zlib computes CRC-32" >&2
need "${python_packages[@]}" || echo "tests that compare with PyTorch are left out" >&2

build=${BUILD_DIR:-$PWD/build/sanitize}
jobs=${JOBS:-2}
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
# Benchmarks and installed copies are no tests of memory.
configure() {
  cmake -S . -B "$build/$1" -G Ninja --log-level=WARNING -DTRAINSTATE_SANITIZE="$2" -DCMAKE_BUILD_TYPE= \
    -DCMAKE_CXX_FLAGS=-g1 -DTRAINSTATE_BUILD_BENCH=OFF -DTRAINSTATE_INSTALL=OFF
}
# What is compiled only to fail is no program; fuzzers have sanitizers of their own.
left_out='^compile_fail/|_smoke$'

configure memory address,undefined
cmake --build "$build/memory" --parallel "$jobs"
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:allocator_may_return_null=1
export LSAN_OPTIONS=suppressions=$PWD/tests/support/leaks.supp:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1
ctest --test-dir "$build/memory" --parallel "$jobs" --output-on-failure --no-tests=error \
  --exclude-regex "$left_out" "$@"

configure threads thread
cmake --build "$build/threads" --parallel "$jobs" --target trainstate_core_tests
"$build/threads/tests/trainstate_core_tests"
