// LibTorch's six optimizers: their options and states in the order and under the names of PyTorch 2.14's
// `optimizer.state_dict()`, which has some options that LibTorch lacks.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/full_like.h>
#include <c10/util/Type.h>
#include <torch/optim/adagrad.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/lbfgs.h>
#include <torch/optim/optimizer.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>
#include <boost/hana/for_each.hpp>
#include <boost/hana/tuple.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>

#include "trainstate/error.hpp"
#include "trainstate/path.hpp"

namespace trainstate::detail {

/// What LibTorch's options and states have, by the names of their accessors: references, const as the object is.
namespace get {

inline constexpr auto lr = [](auto& x) -> auto& { return x.lr(); };
inline constexpr auto momentum = [](auto& x) -> auto& { return x.momentum(); };
inline constexpr auto dampening = [](auto& x) -> auto& { return x.dampening(); };
inline constexpr auto weight_decay = [](auto& x) -> auto& { return x.weight_decay(); };
inline constexpr auto nesterov = [](auto& x) -> auto& { return x.nesterov(); };
inline constexpr auto betas = [](auto& x) -> auto& { return x.betas(); };
inline constexpr auto eps = [](auto& x) -> auto& { return x.eps(); };
inline constexpr auto amsgrad = [](auto& x) -> auto& { return x.amsgrad(); };
inline constexpr auto alpha = [](auto& x) -> auto& { return x.alpha(); };
inline constexpr auto centered = [](auto& x) -> auto& { return x.centered(); };
inline constexpr auto lr_decay = [](auto& x) -> auto& { return x.lr_decay(); };
inline constexpr auto initial_accumulator_value = [](auto& x) -> auto& { return x.initial_accumulator_value(); };
inline constexpr auto max_iter = [](auto& x) -> auto& { return x.max_iter(); };
inline constexpr auto max_eval = [](auto& x) -> auto& { return x.max_eval(); };
inline constexpr auto tolerance_grad = [](auto& x) -> auto& { return x.tolerance_grad(); };
inline constexpr auto tolerance_change = [](auto& x) -> auto& { return x.tolerance_change(); };
inline constexpr auto history_size = [](auto& x) -> auto& { return x.history_size(); };
inline constexpr auto line_search_fn = [](auto& x) -> auto& { return x.line_search_fn(); };
inline constexpr auto momentum_buffer = [](auto& x) -> auto& { return x.momentum_buffer(); };
inline constexpr auto step = [](auto& x) -> auto& { return x.step(); };
inline constexpr auto exp_avg = [](auto& x) -> auto& { return x.exp_avg(); };
inline constexpr auto exp_avg_sq = [](auto& x) -> auto& { return x.exp_avg_sq(); };
inline constexpr auto max_exp_avg_sq = [](auto& x) -> auto& { return x.max_exp_avg_sq(); };
inline constexpr auto square_avg = [](auto& x) -> auto& { return x.square_avg(); };
inline constexpr auto grad_avg = [](auto& x) -> auto& { return x.grad_avg(); };
inline constexpr auto sum = [](auto& x) -> auto& { return x.sum(); };

}  // namespace get

/// An option that LibTorch has. `get(options)` is a reference to it, const as the options are.
template <class Get>
struct LibTorchOption {
  static constexpr bool in_libtorch = true;
  std::string_view key;
  Get get;
};
template <class Get>
constexpr LibTorchOption<Get> option(std::string_view key, Get get) {
  return {key, get};
}

/// An option that only Python has. One that is not harmless changes what a step computes: LibTorch can stand in for
/// Python only where it has its default.
struct PythonOption {
  static constexpr bool in_libtorch = false;
  std::string_view key;
  std::optional<bool> value;  ///< the default; nothing is None
  bool harmless;
};
constexpr PythonOption harmless(std::string_view key, std::optional<bool> value) { return {key, value, true}; }
constexpr PythonOption decisive(std::string_view key, bool value) { return {key, value, false}; }

/// One entry of a parameter's state: the step, or a tensor shaped like the parameter. `needed(options)` says whether a
/// step would fail without it.
template <class Get, class Needed>
struct StateEntry {
  std::string_view key;
  Get get;
  Needed needed;
};
template <class Get, class Needed>
constexpr StateEntry<Get, Needed> entry(std::string_view key, Get get, Needed needed) {
  return {key, get, needed};
}

inline constexpr auto always = [](const auto&) { return true; };
inline constexpr auto never = [](const auto&) { return false; };

/// What the library knows of one optimizer class: Python's name for it, the one key of its groups that no other class
/// has, its types, and its tables. `starts_with_state`: its constructor makes the state, and a step fails without.
template <class Optimizer>
struct OptimizerKind;

template <std::same_as<torch::optim::SGD> Only>
struct OptimizerKind<Only> {
  static constexpr std::string_view name = "torch.optim.SGD", signature = "nesterov";
  static constexpr bool starts_with_state = false;
  using Options = torch::optim::SGDOptions;
  using State = torch::optim::SGDParamState;

  static constexpr auto options() {
    return boost::hana::make_tuple(
        option("lr", get::lr), option("momentum", get::momentum), option("dampening", get::dampening),
        option("weight_decay", get::weight_decay), option("nesterov", get::nesterov), decisive("maximize", false),
        harmless("foreach", std::nullopt), harmless("differentiable", false), harmless("fused", std::nullopt));
  }
  static constexpr auto state() {
    return boost::hana::make_tuple(entry("momentum_buffer", get::momentum_buffer, never));
  }
};

template <class OptionsType, class StateType, bool Decoupled>
struct AdamKind {
  static constexpr std::string_view signature = "amsgrad";
  static constexpr bool starts_with_state = false;
  static constexpr bool decoupled = Decoupled;
  using Options = OptionsType;
  using State = StateType;

  static constexpr auto options() {
    return boost::hana::make_tuple(option("lr", get::lr), option("betas", get::betas), option("eps", get::eps),
                                   option("weight_decay", get::weight_decay), option("amsgrad", get::amsgrad),
                                   decisive("maximize", false), harmless("foreach", std::nullopt),
                                   harmless("capturable", false), harmless("differentiable", false),
                                   harmless("fused", std::nullopt), decisive("decoupled_weight_decay", Decoupled));
  }
  static constexpr auto state() {
    return boost::hana::make_tuple(
        entry("step", get::step, always), entry("exp_avg", get::exp_avg, always),
        entry("exp_avg_sq", get::exp_avg_sq, always),
        entry("max_exp_avg_sq", get::max_exp_avg_sq, [](const auto& o) { return o.amsgrad(); }));
  }
};
template <std::same_as<torch::optim::Adam> Only>
struct OptimizerKind<Only> : AdamKind<torch::optim::AdamOptions, torch::optim::AdamParamState, /*Decoupled=*/false> {
  static constexpr std::string_view name = "torch.optim.Adam";
};
template <std::same_as<torch::optim::AdamW> Only>
struct OptimizerKind<Only> : AdamKind<torch::optim::AdamWOptions, torch::optim::AdamWParamState, /*Decoupled=*/true> {
  static constexpr std::string_view name = "torch.optim.AdamW";
};

template <std::same_as<torch::optim::RMSprop> Only>
struct OptimizerKind<Only> {
  static constexpr std::string_view name = "torch.optim.RMSprop", signature = "centered";
  static constexpr bool starts_with_state = false;
  using Options = torch::optim::RMSpropOptions;
  using State = torch::optim::RMSpropParamState;

  static constexpr auto options() {
    return boost::hana::make_tuple(
        option("lr", get::lr), option("momentum", get::momentum), option("alpha", get::alpha), option("eps", get::eps),
        option("centered", get::centered), option("weight_decay", get::weight_decay), harmless("capturable", false),
        harmless("foreach", std::nullopt), decisive("maximize", false), harmless("differentiable", false));
  }
  static constexpr auto state() {
    return boost::hana::make_tuple(
        entry("step", get::step, always), entry("square_avg", get::square_avg, always),
        entry("momentum_buffer", get::momentum_buffer, [](const auto& o) { return o.momentum() > 0; }),
        entry("grad_avg", get::grad_avg, [](const auto& o) { return o.centered(); }));
  }
};

template <std::same_as<torch::optim::Adagrad> Only>
struct OptimizerKind<Only> {
  static constexpr std::string_view name = "torch.optim.Adagrad", signature = "initial_accumulator_value";
  static constexpr bool starts_with_state = true;
  using Options = torch::optim::AdagradOptions;
  using State = torch::optim::AdagradParamState;

  static constexpr auto options() {
    return boost::hana::make_tuple(option("lr", get::lr), option("lr_decay", get::lr_decay), option("eps", get::eps),
                                   option("weight_decay", get::weight_decay),
                                   option("initial_accumulator_value", get::initial_accumulator_value),
                                   harmless("foreach", std::nullopt), decisive("maximize", false),
                                   harmless("differentiable", false), harmless("fused", std::nullopt));
  }
  static constexpr auto state() {
    return boost::hana::make_tuple(entry("step", get::step, always), entry("sum", get::sum, always));
  }
  /// What the constructor makes.
  static std::unique_ptr<State> initial_state(const at::Tensor& parameter, const Options& o) {
    auto state = std::make_unique<State>();
    state->sum(at::full_like(parameter.detach(), o.initial_accumulator_value(), at::MemoryFormat::Preserve));
    return state;
  }
};

/// Its state is one for all parameters, so it has no table here: see optimizer/lbfgs.hpp.
template <std::same_as<torch::optim::LBFGS> Only>
struct OptimizerKind<Only> {
  static constexpr std::string_view name = "torch.optim.LBFGS", signature = "max_iter";
  using Options = torch::optim::LBFGSOptions;
  using State = torch::optim::LBFGSParamState;

  static constexpr auto options() {
    return boost::hana::make_tuple(option("lr", get::lr), option("max_iter", get::max_iter),
                                   option("max_eval", get::max_eval), option("tolerance_grad", get::tolerance_grad),
                                   option("tolerance_change", get::tolerance_change),
                                   option("history_size", get::history_size),
                                   option("line_search_fn", get::line_search_fn), decisive("maximize", false));
  }
};

inline constexpr auto known_optimizers =
    boost::hana::tuple<std::type_identity<torch::optim::SGD>, std::type_identity<torch::optim::Adam>,
                       std::type_identity<torch::optim::AdamW>, std::type_identity<torch::optim::RMSprop>,
                       std::type_identity<torch::optim::Adagrad>, std::type_identity<torch::optim::LBFGS>>{};

/// Calls `f(std::type_identity<O>())` with the dynamic class of an optimizer. Throws Error if it is none of LibTorch's
/// own: a class derived from one of them may keep more than its base does.
template <class F>
void with_optimizer_kind(const torch::optim::Optimizer& optimizer, const std::string& path, const F& f) {
  bool known = false;
  boost::hana::for_each(known_optimizers, [&]<class O>(std::type_identity<O> kind) {
    if (known || typeid(optimizer) != typeid(O)) return;
    known = true;
    f(kind);
  });
  if (!known) {
    throw Error((path.empty() ? "" : path + ": ") + "an optimizer of class " + c10::demangle(typeid(optimizer).name()) +
                ", whose state only its author knows: give it a describe(), or specialise ts::adapter<T> for it");
  }
}

}  // namespace trainstate::detail
