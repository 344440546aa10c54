// The optimizers that the example can train with. Weights and the rest (biases, norms) are two groups: only weights
// decay.
#pragma once

#include <torch/torch.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace digits {

template <class Optimizer, class Options>
std::unique_ptr<torch::optim::Optimizer> in_two_groups(const torch::nn::Module& net, const Options& options) {
  std::vector<torch::Tensor> weights, others;
  for (const auto& parameter : net.parameters()) (parameter.dim() > 1 ? weights : others).push_back(parameter);
  auto decayed = std::make_unique<Options>(options);
  decayed->weight_decay(1e-2);
  auto plain = std::make_unique<Options>(options);
  plain->weight_decay(0);
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(std::move(weights), std::move(decayed));
  groups.emplace_back(std::move(others), std::move(plain));
  return std::make_unique<Optimizer>(std::move(groups), options);
}

struct NamedOptimizer {
  std::unique_ptr<torch::optim::Optimizer> optimizer;
  double lr = 0;
};

inline NamedOptimizer make_optimizer(const std::string& name, const torch::nn::Module& net) {
  using namespace torch::optim;
  if (name == "adamw") return {in_two_groups<AdamW>(net, AdamWOptions(3e-3)), 3e-3};
  if (name == "adam") return {in_two_groups<Adam>(net, AdamOptions(2e-3).amsgrad(true)), 2e-3};
  if (name == "sgd") return {in_two_groups<SGD>(net, SGDOptions(0.05).momentum(0.9)), 0.05};
  if (name == "rmsprop") {
    return {in_two_groups<RMSprop>(net, RMSpropOptions(1e-3).centered(true).momentum(0.9)), 1e-3};
  }
  if (name == "adagrad") return {in_two_groups<Adagrad>(net, AdagradOptions(1e-2)), 1e-2};
  // LBFGS takes one group and knows no weight decay.
  if (name == "lbfgs") {
    return {std::make_unique<LBFGS>(net.parameters(), LBFGSOptions(0.1).max_iter(4).history_size(5)), 0.1};
  }
  throw std::invalid_argument("no optimizer is called " + name);
}

}  // namespace digits
