// How long training stands still for a save in the background, beside a copy of the same bytes in memory.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <trainstate/trainstate.hpp>
#include <vector>

#include "measure.hpp"

namespace {

namespace ts = trainstate;
using bench::file, bench::Net;

std::shared_ptr<Net>& net() {
  static auto made = bench::make_net(bench::large_bytes());
  return made;
}

// The first saves fill the memory of the snapshots, so they are not timed; nor is the wait for the file.
template <class Prepare>
void add_stall(const char* name, bool reuse_unchanged, Prepare prepare) {
  const auto run = [=, warm = 2](benchmark::State& state) mutable {
    const ts::SaveOptions options{.sync = false, .reuse_unchanged = reuse_unchanged};
    for (; warm != 0; --warm) ts::save_async(net(), file("async.safetensors"), options).wait();
    for ([[maybe_unused]] auto _ : state) {
      prepare();
      bench::settle();
      const auto start = std::chrono::steady_clock::now();
      auto pending = ts::save_async(net(), file("async.safetensors"), options);
      state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      pending.wait();
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * bench::large_bytes());
  };
  benchmark::RegisterBenchmark(name, run)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);
}

[[maybe_unused]] const bool registered = [] {
  add_stall("async/large/trainstate", false, [] {});
  add_stall("async_frozen/large/trainstate", true, [] {
    const torch::NoGradGuard no_grad;
    const auto parameters = net()->parameters();
    for (std::size_t i = 0; i < parameters.size() / 10 + 1; ++i) parameters[i].add_(1);  // 7 of 64
  });
  const auto copy = [] {
    static std::vector<std::byte> to(static_cast<std::size_t>(bench::large_bytes()));
    raw::copy(bench::pieces_of(*net()), to);
  };
  bench::once("async/large/limit", bench::large_bytes(), copy, bench::settle);
  return true;
}();

}  // namespace
