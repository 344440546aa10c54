// A .pt file of TRAINSTATE_BENCH_MIB MiB (default 1024) into the live parameters of a model, beside LibTorch's own
// archive of the same model. `bench/pt.sh` runs this and Python's loader in one go.
#include <benchmark/benchmark.h>
#include <torch/torch.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <trainstate/trainstate.hpp>

namespace {

namespace ts = trainstate;

// Linear layers of 16 MiB.
torch::nn::Sequential make_model() {
  const char* const wanted = std::getenv("TRAINSTATE_BENCH_MIB");
  const std::int64_t layers = (wanted ? std::atoll(wanted) : 1024) / 16;
  const torch::NoGradGuard no_grad;
  torch::nn::Sequential model;
  for (std::int64_t i = 0; i < layers; ++i) {
    model->push_back(torch::nn::Linear(torch::nn::LinearOptions(2048, 2048).bias(false)));
    model->parameters().back().fill_(static_cast<float>(i));
  }
  return model;
}

struct Files {
  Files() {
    const char* const given = std::getenv("TRAINSTATE_BENCH_PT");  // kept for Python
    keep = given != nullptr;
    const auto folder = std::filesystem::temp_directory_path();
    const std::string name = "trainstate_bench_" + std::to_string(getpid());
    pt = keep ? std::filesystem::path(given) : folder / (name + ".pt");
    archive = folder / (name + ".archive");
    const auto model = make_model();
    ts::save(model, pt, {.sync = false});
    torch::save(model, archive.string());
  }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  ~Files() {
    std::error_code ignored;
    if (!keep) std::filesystem::remove(pt, ignored);
    std::filesystem::remove(archive, ignored);
  }
  bool keep = false;
  std::filesystem::path pt, archive;
};

const Files& files() {
  static const Files made;
  return made;
}

torch::nn::Sequential& live_model() {
  static torch::nn::Sequential model = make_model();
  return model;
}

template <class F>
void measure(benchmark::State& state, const F& f) {
  auto& model = live_model();
  std::int64_t bytes = 0;
  for (const auto& parameter : model->parameters()) bytes += static_cast<std::int64_t>(parameter.nbytes());
  files();
  for ([[maybe_unused]] auto _ : state) f(model);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * bytes);
}

void load(benchmark::State& state) {
  measure(state, [](auto& model) { ts::load(model, files().pt); });
}

void load_unverified(benchmark::State& state) {
  measure(state, [](auto& model) { ts::load(model, files().pt, {.verify = false}); });
}

// A file that Python wrote has no checksums but CRC-32.
void load_of_python(benchmark::State& state) {
  const char* const given = std::getenv("TRAINSTATE_BENCH_PYTHON_PT");
  if (!given) return state.SkipWithError("no file of Python's");
  measure(state, [&](auto& model) { ts::load(model, given); });
}

void libtorch_load(benchmark::State& state) {
  measure(state, [](auto& model) { torch::load(model, files().archive.string()); });
}

void save(benchmark::State& state) {
  measure(state, [](auto& model) { ts::save(model, files().pt, {.sync = false}); });
}

void libtorch_save(benchmark::State& state) {
  measure(state, [](auto& model) { torch::save(model, files().archive.string()); });
}

BENCHMARK(load)->UseRealTime();
BENCHMARK(load_unverified)->UseRealTime();
BENCHMARK(load_of_python)->UseRealTime();
BENCHMARK(libtorch_load)->UseRealTime();
BENCHMARK(save)->UseRealTime();
BENCHMARK(libtorch_save)->UseRealTime();

}  // namespace
