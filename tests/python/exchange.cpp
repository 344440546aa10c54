// exchange OPTIMIZER make MIDDLE END: trains ten steps, saves, trains ten more, saves.
// exchange OPTIMIZER go IN OUT: loads, trains ten steps, saves.
// exchange OPTIMIZER model IN OUT: loads the model alone, saves it alone.
// The same training as exchange.py's, down to every number.
#include <torch/nn/functional/loss.h>
#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/linear.h>
#include <torch/optim.h>
#include <torch/types.h>

#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/checkpoint.hpp"
#include "trainstate/schedulers.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;

// Numbers that both languages compute alike, without a generator of random ones.
torch::Tensor numbers(std::int64_t seed, torch::IntArrayRef shape) {
  auto count = std::int64_t{1};
  for (const auto d : shape) count *= d;
  const auto integers = torch::arange(count, torch::kInt64) * 37 + seed * 11;
  return ((integers % 101).to(torch::kFloat64) / 101 - 0.5).to(torch::kFloat32).reshape(shape);
}

torch::nn::Sequential make_net() {
  torch::nn::Sequential net(torch::nn::Linear(6, 8), torch::nn::Tanh(), torch::nn::Linear(8, 3));
  const torch::NoGradGuard no_grad;
  std::int64_t seed = 0;
  for (auto& parameter : net->parameters()) parameter.copy_(numbers(seed++, parameter.sizes()));
  return net;
}

template <class Options>
std::vector<torch::optim::OptimizerParamGroup> groups(const torch::nn::Sequential& net, const Options& options) {
  std::vector<torch::optim::OptimizerParamGroup> made;
  auto head = std::make_unique<Options>(options);
  head->lr(0.02).weight_decay(0.01);
  made.emplace_back(net->ptr(2)->parameters(), std::move(head));
  made.emplace_back(net->ptr(0)->parameters(), std::make_unique<Options>(options));
  return made;
}

std::unique_ptr<torch::optim::Optimizer> make_optimizer(std::string_view name, const torch::nn::Sequential& net) {
  using namespace torch::optim;
  if (name == "sgd") {
    const auto options = SGDOptions(0.05).momentum(0.9).nesterov(true);
    return std::make_unique<SGD>(groups(net, options), options);
  }
  if (name == "adam") {
    const auto options = AdamOptions(0.05).amsgrad(true).betas({0.8, 0.95});
    return std::make_unique<Adam>(groups(net, options), options);
  }
  if (name == "adamw") return std::make_unique<AdamW>(groups(net, AdamWOptions(0.05)), AdamWOptions(0.05));
  if (name == "rmsprop") {
    const auto options = RMSpropOptions(0.05).centered(true).momentum(0.5);
    return std::make_unique<RMSprop>(groups(net, options), options);
  }
  if (name == "adagrad") {
    const auto options = AdagradOptions(0.05).lr_decay(0.1);
    return std::make_unique<Adagrad>(groups(net, options), options);
  }
  return std::make_unique<LBFGS>(net->parameters(), LBFGSOptions(0.5).max_iter(4).history_size(3));
}

struct Training {
  explicit Training(std::string_view name)
      : net(make_net()), optimizer(make_optimizer(name, net)), scheduler(*optimizer, 3, 0.5) {}

  auto checkpoint() {
    return ts::checkpoint("model"_key = net, "optimizer"_key = *optimizer, "scheduler"_key = scheduler,
                          "step"_key = step);
  }

  void train(int steps) {
    for (; steps > 0; --steps, ++step) {
      const auto x = numbers(step, {5, 6}), y = numbers(step + 50, {5, 3});
      optimizer->step([&] {
        optimizer->zero_grad();
        auto loss = torch::nn::functional::mse_loss(net->forward(x), y);
        loss.backward();
        return loss;
      });
      scheduler.step();
    }
  }

  torch::nn::Sequential net;
  std::unique_ptr<torch::optim::Optimizer> optimizer;
  ts::StepLR scheduler;
  std::int64_t step = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  Training training(argv[1]);
  if (std::string_view(argv[2]) == "model") {
    ts::load(training.net, argv[3]);
    ts::save(training.net, argv[4]);
    return 0;
  }
  auto checkpoint = training.checkpoint();
  if (std::string_view(argv[2]) == "make") {
    training.train(10);
    ts::save(checkpoint, argv[3]);
  } else {
    std::cout << ts::load(checkpoint, argv[3]);
  }
  training.train(10);
  ts::save(checkpoint, argv[4]);
}
