// A checkpoint of a model and its optimizer to a file and back, beside LibTorch's own archives of the model alone and
// the bare copy of its bytes in memory.
#include <benchmark/benchmark.h>
#include <torch/torch.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <trainstate/trainstate.hpp>

namespace {

namespace ts = trainstate;
using namespace ts::literals;

// As many linear layers of 1 MiB as the benchmark's argument says.
torch::nn::Sequential make_model(std::int64_t layers) {
  torch::nn::Sequential model;
  for (std::int64_t i = 0; i < layers; ++i) {
    model->push_back(torch::nn::Linear(torch::nn::LinearOptions(512, 512).bias(false)));
  }
  return model;
}

std::int64_t bytes_of(const torch::nn::Sequential& model) {
  std::int64_t bytes = 0;
  for (const auto& parameter : model->parameters()) bytes += static_cast<std::int64_t>(parameter.nbytes());
  return bytes;
}

class File {
 public:
  explicit File(const char* extension)
      : path_(std::filesystem::temp_directory_path() / ("trainstate_bench_" + std::to_string(getpid()) + extension)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void set_throughput(benchmark::State& state, const torch::nn::Sequential& model) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * bytes_of(model));
}

void copy_bytes(benchmark::State& state) {
  const auto from = make_model(state.range(0)), to = make_model(state.range(0));
  const torch::NoGradGuard no_grad;
  for ([[maybe_unused]] auto _ : state) {
    for (std::size_t i = 0; i < from->parameters().size(); ++i) to->parameters()[i].copy_(from->parameters()[i]);
  }
  set_throughput(state, from);
}

void save(benchmark::State& state) {
  const auto model = make_model(state.range(0));
  const File file(".safetensors");
  const auto checkpoint = ts::checkpoint("model"_key = model);
  for ([[maybe_unused]] auto _ : state) ts::save(checkpoint, file.path(), {.sync = false});
  set_throughput(state, model);
}

void load(benchmark::State& state) {
  auto model = make_model(state.range(0));
  const File file(".safetensors");
  auto checkpoint = ts::checkpoint("model"_key = model);
  ts::save(checkpoint, file.path(), {.sync = false});
  for ([[maybe_unused]] auto _ : state) ts::load(checkpoint, file.path());
  set_throughput(state, model);
}

void libtorch_save(benchmark::State& state) {
  const auto model = make_model(state.range(0));
  const File file(".archive");
  for ([[maybe_unused]] auto _ : state) torch::save(model, file.path().string());
  set_throughput(state, model);
}

void libtorch_load(benchmark::State& state) {
  auto model = make_model(state.range(0));
  const File file(".archive");
  torch::save(model, file.path().string());
  for ([[maybe_unused]] auto _ : state) torch::load(model, file.path().string());
  set_throughput(state, model);
}

BENCHMARK(copy_bytes)->Arg(1)->Arg(64)->UseRealTime();
BENCHMARK(save)->Arg(1)->Arg(64)->UseRealTime();
BENCHMARK(libtorch_save)->Arg(1)->Arg(64)->UseRealTime();
BENCHMARK(load)->Arg(1)->Arg(64)->UseRealTime();
BENCHMARK(libtorch_load)->Arg(1)->Arg(64)->UseRealTime();

}  // namespace
