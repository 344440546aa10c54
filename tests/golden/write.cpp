// Adds the files of this release to a folder of golden files: `golden_write tests/golden`. A file that exists is never
// touched: what was released stays what it was.
#include <torch/nn/functional/loss.h>
#include <torch/optim/adamw.h>
#include <torch/utils.h>

#include <filesystem>
#include <fstream>
#include <iostream>

#include "golden/dump.hpp"
#include "golden/subjects.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;

template <class T>
void add(const T& x, const std::filesystem::path& path) {
  if (std::filesystem::exists(path)) return;
  ts::save(x, path);
  auto text = path;
  std::ofstream(text.replace_extension(".txt")) << golden::dump(ts::read(path));
  std::cout << "added " << path << '\n';
}

// The same objects in either format.
void add_all(const std::filesystem::path& folder, const std::string& extension) {
  std::filesystem::create_directories(folder);
  add(extension == ".pt" ? golden::pt_values() : golden::values(), folder / ("values" + extension));
  add(golden::v1::Scheduler(), folder / ("scheduler_1" + extension));
  add(golden::v2::Scheduler{.base_lr = 0.75, .warmup = 40, .step = 19}, folder / ("scheduler_2" + extension));

  torch::manual_seed(1);
  golden::Net net;
  torch::optim::AdamW optimizer(
      {torch::optim::OptimizerParamGroup(net->in->parameters()),
       torch::optim::OptimizerParamGroup(net->out->parameters(), std::make_unique<torch::optim::AdamWOptions>(0.05))},
      torch::optim::AdamWOptions(0.01).weight_decay(0.1));
  for (int i = 0; i < 3; ++i) {
    optimizer.zero_grad();
    const auto x = torch::rand({8, 2});
    torch::mse_loss(net->forward(x), x.sum(1, true)).backward();
    optimizer.step();
  }
  golden::v2::Scheduler scheduler;
  add(ts::checkpoint("model"_key = net, "optimizer"_key = optimizer, "scheduler"_key = scheduler,
                     "rng"_key = ts::Rng{}),
      folder / ("training" + extension));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: golden_write FOLDER\n";
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  add_all(folder / "safetensors_1", ".safetensors");
  add_all(folder / "pt_1", ".pt");
}
