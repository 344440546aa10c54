// from_python DATA FILE: goes on with what train.py began, and saves it so that train.py can go on from there.
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <numbers>
#include <sstream>
#include <string>
#include <trainstate/trainstate.hpp>
#include <utility>
#include <vector>

#include "../support.hpp"

namespace ts = trainstate;
using namespace ts::literals;

// The scheduler of train.py. Its Python class writes {"version": 1, "params": {…}, "state": {…}}, and so does
// describe().
class WarmupCosine {
 public:
  WarmupCosine(torch::optim::Optimizer& optimizer, double base_lr, std::int64_t warmup_steps, std::int64_t total_steps)
      : optimizer_(optimizer), base_lr_(base_lr), warmup_steps_(warmup_steps), total_steps_(total_steps) {}

  static constexpr auto describe() {
    return ts::component<WarmupCosine>("warmup_cosine", ts::version<1>, ts::hyper("base_lr", &WarmupCosine::base_lr_),
                                       ts::hyper("warmup_steps", &WarmupCosine::warmup_steps_),
                                       ts::hyper("total_steps", &WarmupCosine::total_steps_),
                                       ts::state("step_num", &WarmupCosine::step_num_));
  }

  void step() {
    const auto step = static_cast<double>(++step_num_);
    const auto warmup = static_cast<double>(warmup_steps_), total = static_cast<double>(total_steps_);
    double lr = base_lr_ * step / warmup;
    if (step > warmup) {
      const double done = std::min(1.0, (step - warmup) / (total - warmup));
      lr = base_lr_ * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
    }
    for (auto& group : optimizer_.param_groups()) group.options().set_lr(lr);
  }

  [[nodiscard]] std::int64_t step_num() const { return step_num_; }

 private:
  torch::optim::Optimizer& optimizer_;
  double base_lr_;
  std::int64_t warmup_steps_, total_steps_;
  std::int64_t step_num_ = 0;
};

std::pair<torch::Tensor, torch::Tensor> read_digits(const char* path) {
  std::vector<float> numbers;
  std::ifstream file(path);
  for (std::string line, cell; std::getline(file, line);) {
    if (line.empty() || line[0] < '0' || line[0] > '9') continue;
    for (std::istringstream cells(line); std::getline(cells, cell, ',');) numbers.push_back(std::stof(cell));
  }
  const auto table = torch::tensor(numbers).reshape({-1, 65});
  return {table.slice(1, 0, 64) / 16, table.select(1, 64).to(torch::kInt64)};
}

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: from_python DATA FILE\n";
    return 2;
  }
  const auto [images, labels] = read_digits(argv[1]);
  torch::nn::Sequential model(torch::nn::Linear(64, 32), torch::nn::ReLU(), torch::nn::Linear(32, 10));
  torch::optim::AdamW optimizer(model->parameters(), torch::optim::AdamWOptions(1.0));
  WarmupCosine scheduler(optimizer, 1.0, 1, 2);  // the file's hyperparameters will hold
  std::int64_t epoch = 0;
  double loss = 0;

  // The parts are named as the Python script names them.
  auto checkpoint =
      ts::checkpoint("epoch"_key = epoch, "model_state_dict"_key = model, "optimizer_state_dict"_key = optimizer,
                     "scheduler_state_dict"_key = scheduler, "loss"_key = loss);
  std::cout << ts::load(checkpoint, argv[2]);

  const auto loss_now = [&, &images = images, &labels = labels] {
    const torch::NoGradGuard no_grad;
    return torch::nn::functional::cross_entropy(model->forward(images), labels).item<double>();
  };
  std::cout << "C++ goes on from epoch " << epoch << ", loss " << loss << '\n';
  claim(std::abs(loss_now() - loss) < 1e-5, "the network is the one that Python saved");
  claim(scheduler.step_num() == epoch, "the scheduler stands where Python left it");

  const double before = loss;
  for (const std::int64_t end = epoch + 50; epoch < end; ++epoch) {
    scheduler.step();
    optimizer.zero_grad();
    torch::nn::functional::cross_entropy(model->forward(images), labels).backward();
    optimizer.step();
  }
  loss = loss_now();
  std::cout << "C++, epoch " << epoch << ": loss " << loss << '\n';
  claim(loss < before, "training went on");
  ts::save(checkpoint, argv[2]);
}
