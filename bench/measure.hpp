// How everything here is measured. A benchmark's name is `what/size/who`, such as "save/large/libtorch"; report.py
// reads those names. The environment says how large things are and where files go:
//   TRAINSTATE_BENCH_MIB      the large state, in MiB (1024)
//   TRAINSTATE_BENCH_TENSORS  how many tensors of 1 KiB (50000)
//   TRAINSTATE_BENCH_DIR      an existing folder (default: one of our own among the temporary files)
#pragma once

#include <benchmark/benchmark.h>
#include <torch/torch.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "raw.hpp"

namespace bench {

inline std::int64_t number_from(const char* variable, std::int64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text ? std::atoll(text) : otherwise;
}

inline std::int64_t large_bytes() { return number_from("TRAINSTATE_BENCH_MIB", 1024) << 20; }
inline std::int64_t many_tensors() { return number_from("TRAINSTATE_BENCH_TENSORS", 50'000); }

/// Where files go; what this program put there goes when it ends.
class Folder {
 public:
  static const Folder& instance() {
    static const Folder folder;
    return folder;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  Folder() {
    const char* const given = std::getenv("TRAINSTATE_BENCH_DIR");
    path_ = given ? std::filesystem::path(given) : std::filesystem::temp_directory_path();
    path_ /= "trainstate_bench_" + std::to_string(::getpid());
    std::filesystem::create_directory(path_);
  }
  std::filesystem::path path_;
};

inline std::filesystem::path file(const std::string& name) { return Folder::instance().path() / name; }

/// A flat module of parameters p0, p1, …, all of one size.
class Net : public torch::nn::Module {
 public:
  Net(std::int64_t count, std::int64_t bytes) {
    const torch::NoGradGuard no_grad;
    const auto elements = bytes / count / static_cast<std::int64_t>(sizeof(float));
    for (std::int64_t i = 0; i < count; ++i) {
      register_parameter("p" + std::to_string(i), torch::full({elements}, static_cast<double>(i)));
    }
  }
};

inline constexpr std::int64_t large_tensors = 64;
inline std::shared_ptr<Net> make_net(std::int64_t bytes) { return std::make_shared<Net>(large_tensors, bytes); }
inline std::shared_ptr<Net> make_many() { return std::make_shared<Net>(many_tensors(), many_tensors() * 1024); }

inline raw::Pieces pieces_of(const torch::nn::Module& module) {
  raw::Pieces pieces;
  for (const auto& parameter : module.parameters()) {
    pieces.emplace_back(static_cast<std::byte*>(parameter.data_ptr()), parameter.nbytes());
  }
  return pieces;
}

/// For `prepare`: what was written before does not reach the disk while something else is measured, and the memory that
/// a file or a model's new tensors take is there.
inline void settle() {
  ::sync();
  raw::touch_free_memory(3 * static_cast<std::uint64_t>(large_bytes()));
}

/// One call a repetition, for what takes milliseconds or more. `prepare` is not timed.
template <class F, class Prepare>
void each(const std::string& name, std::int64_t bytes, F f, Prepare prepare) {
  const auto run = [f, prepare, bytes](benchmark::State& state) mutable {
    for ([[maybe_unused]] auto _ : state) {
      prepare();
      const auto start = std::chrono::steady_clock::now();
      f();
      state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * bytes);
  };
  benchmark::RegisterBenchmark(name.c_str(), run)->Iterations(1)->UseManualTime()->Unit(benchmark::kMillisecond);
}

/// The same after a call that is not timed, which makes files exist and memory warm.
template <class F, class Prepare>
void once(const std::string& name, std::int64_t bytes, F f, Prepare prepare) {
  each(name, bytes, f, [f, prepare, warm = false]() mutable {
    prepare();
    if (std::exchange(warm, true)) return;
    f();
    prepare();
  });
}

template <class F>
void once(const std::string& name, std::int64_t bytes, F f) {
  once(name, bytes, std::move(f), [] {});
}

/// As many calls as a stable mean takes, for what is short.
template <class F, class Prepare>
void often(const std::string& name, std::int64_t bytes, F f, Prepare prepare) {
  const auto run = [f, prepare, bytes, warm = false](benchmark::State& state) mutable {
    prepare();
    if (!std::exchange(warm, true)) f();
    for ([[maybe_unused]] auto _ : state) f();
    if (bytes != 0) state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * bytes);
  };
  benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

template <class F>
void often(const std::string& name, std::int64_t bytes, F f) {
  often(name, bytes, std::move(f), [] {});
}

}  // namespace bench
