// Adds to Google Benchmark's own account of the machine what the figures depend on besides.
#include <benchmark/benchmark.h>
#include <torch/version.h>

#include <string>

int main(int argc, char** argv) {
#if defined(__clang__)
  benchmark::AddCustomContext("compiler", "clang " __clang_version__);
#else
  benchmark::AddCustomContext("compiler", "g++ " __VERSION__);
#endif
  benchmark::AddCustomContext("flags", TRAINSTATE_BENCH_FLAGS);
  benchmark::AddCustomContext("libtorch", TORCH_VERSION);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
