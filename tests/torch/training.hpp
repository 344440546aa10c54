// A small network, the six optimizers over it, and deterministic training, for the tests of optimizers and schedulers.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "support/torch_doctest.hpp"
#include "trainstate/checkpoint.hpp"

namespace training {

namespace optim = torch::optim;

struct NetImpl : torch::nn::Module {
  explicit NetImpl(std::uint64_t seed = 1) {
    torch::manual_seed(seed);
    first = register_module("first", torch::nn::Linear(4, 5));
    second = register_module("second", torch::nn::Linear(5, 2));
  }
  torch::Tensor forward(const torch::Tensor& x) { return second(torch::tanh(first(x))); }

  torch::nn::Linear first{nullptr}, second{nullptr};
};
TORCH_MODULE(Net);

inline torch::Tensor loss_of(Net& net, double shift) {
  const auto x = torch::linspace(-1, 1, 24).view({6, 4}) + shift;
  const auto y = torch::linspace(2, -2, 12).view({6, 2});
  return torch::mse_loss(net(x), y);
}

/// Steps whose data depend on their number only.
inline void train(Net& net, optim::Optimizer& optimizer, int from, int to) {
  for (int step = from; step < to; ++step) {
    const auto closure = [&] {
      optimizer.zero_grad();
      auto loss = loss_of(net, 0.01 * step);
      loss.backward();
      return loss;
    };
    if (dynamic_cast<optim::LBFGS*>(&optimizer)) {
      optimizer.step(closure);
    } else {
      closure();
      optimizer.step();
    }
  }
}

/// One optimizer class: how to make it with no option at its default (`tuned`), and with nearly all of them there.
template <class O>
struct Maker;

template <>
struct Maker<optim::SGD> {
  using Options = optim::SGDOptions;
  static Options plain() { return Options(0.5); }
  static Options tuned(double lr) { return Options(lr).momentum(0.9).dampening(0).weight_decay(0.01).nesterov(true); }
};
template <>
struct Maker<optim::Adam> {
  using Options = optim::AdamOptions;
  static Options plain() { return Options(0.5); }
  static Options tuned(double lr) { return Options(lr).betas({0.8, 0.95}).eps(1e-6).weight_decay(0.02).amsgrad(true); }
};
template <>
struct Maker<optim::AdamW> {
  using Options = optim::AdamWOptions;
  static Options plain() { return Options(0.5); }
  static Options tuned(double lr) { return Options(lr).betas({0.85, 0.97}).eps(1e-7).weight_decay(0.03).amsgrad(true); }
};
template <>
struct Maker<optim::RMSprop> {
  using Options = optim::RMSpropOptions;
  static Options plain() { return Options(0.5); }
  static Options tuned(double lr) {
    return Options(lr).alpha(0.9).eps(1e-6).weight_decay(0.01).momentum(0.7).centered(true);
  }
};
template <>
struct Maker<optim::Adagrad> {
  using Options = optim::AdagradOptions;
  static Options plain() { return Options(0.5); }
  static Options tuned(double lr) {
    return Options(lr).lr_decay(0.1).weight_decay(0.01).initial_accumulator_value(0.2).eps(1e-8);
  }
};
template <>
struct Maker<optim::LBFGS> {
  using Options = optim::LBFGSOptions;
  static Options plain() { return Options(0.5); }
  static Options tuned(double lr) {
    return Options(lr)
        .max_iter(3)
        .max_eval(9)
        .tolerance_grad(1e-10)
        .tolerance_change(1e-12)
        .history_size(4)
        .line_search_fn("strong_wolfe");
  }
};

/// The first layer (lr 0.03) and the second layer (lr 0.02) in a group each, the other way round and back to front if
/// `reversed`; LBFGS takes one group only.
template <class O>
std::unique_ptr<O> make(Net& net, bool tuned, bool reversed = false) {
  using Options = typename Maker<O>::Options;
  auto one = net->first->parameters(), two = net->second->parameters();
  const auto options = [&](double lr) { return tuned ? Maker<O>::tuned(lr) : Maker<O>::plain(); };
  if constexpr (std::is_same_v<O, optim::LBFGS>) {
    one.insert(one.end(), two.begin(), two.end());
    if (reversed) std::reverse(one.begin(), one.end());
    return std::make_unique<O>(one, options(0.2));
  } else {
    std::vector<optim::OptimizerParamGroup> groups;
    groups.emplace_back(one, std::make_unique<Options>(options(0.03)));
    groups.emplace_back(two, std::make_unique<Options>(options(0.02)));
    if (reversed) {
      std::vector<optim::OptimizerParamGroup> turned;
      for (const std::size_t g : {std::size_t{1}, std::size_t{0}}) {
        auto parameters = groups[g].params();
        std::reverse(parameters.begin(), parameters.end());
        turned.emplace_back(parameters, groups[g].options().clone());
      }
      return std::make_unique<O>(turned, options(0.03));
    }
    return std::make_unique<O>(groups, options(0.03));
  }
}

/// A tree and its manifest, to be looked at and edited between a save and a load.
struct Stored {
  trainstate::StateDict tree, components;
};

template <class T>
Stored store(const T& x) {
  auto saved = trainstate::detail::save_object(x);
  return {saved.tree.clone(), saved.components.clone()};
}

template <class T>
trainstate::Report restore(T& x, const Stored& stored, const trainstate::LoadOptions& options = {}) {
  trainstate::detail::Source source;
  source.tree = stored.tree;
  source.components = stored.components;
  source.has_manifest = !stored.components.empty();
  return trainstate::detail::load_object(x, std::move(source), options, "", true);
}

/// The report of a load that has to be refused.
template <class T>
trainstate::Report refused(T& x, const Stored& stored, const trainstate::LoadOptions& options = {}) {
  try {
    restore(x, stored, options);
  } catch (const trainstate::MismatchError& e) {
    return e.report();
  }
  FAIL("the load was not refused");
  return {};
}

}  // namespace training

TYPE_TO_STRING(torch::optim::SGD);
TYPE_TO_STRING(torch::optim::Adam);
TYPE_TO_STRING(torch::optim::AdamW);
TYPE_TO_STRING(torch::optim::RMSprop);
TYPE_TO_STRING(torch::optim::Adagrad);
TYPE_TO_STRING(torch::optim::LBFGS);
