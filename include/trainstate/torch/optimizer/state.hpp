// The state that an optimizer keeps for one parameter: a step count and tensors shaped like the parameter.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <torch/optim/optimizer.h>
#include <boost/hana/for_each.hpp>

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "trainstate/codec/scalar.hpp"
#include "trainstate/torch/compat.hpp"
#include "trainstate/torch/optimizer/kinds.hpp"
#include "trainstate/torch/tensor.hpp"

namespace trainstate::detail {

using OptimizerStates = std::remove_cvref_t<decltype(std::declval<torch::optim::Optimizer&>().state())>;

/// The state that a live optimizer has for a parameter; nullptr if none. Throws Error if it is of another class than
/// the optimizer's own.
template <class State>
State* live_state(const torch::optim::Optimizer& optimizer, const at::Tensor& parameter) {
  const auto& states = optimizer.state();
  const auto at = states.find(optimizer_state_key<OptimizerStates>(parameter.unsafeGetTensorImpl()));
  if (at == states.end() || !at->second) return nullptr;
  auto& held = *at->second;
  if (auto* state = dynamic_cast<State*>(&held)) return state;
  throw Error("an optimizer of class " + c10::demangle(typeid(optimizer).name()) + " holds a state of class " +
              c10::demangle(typeid(held).name()));
}

/// As Python keeps it: a zero-dim float32, or float64 where float32 could not count on.
inline at::Tensor step_tensor(std::int64_t step) {
  const bool exact = static_cast<std::int64_t>(static_cast<float>(step)) == step;
  return at::scalar_tensor(static_cast<double>(step), at::TensorOptions().dtype(exact ? at::kFloat : at::kDouble));
}

/// A count from an integer, or from a float or zero-dim tensor that holds one. Nothing (and a mismatch) if it is
/// neither.
inline std::optional<std::int64_t> read_count(const Value& value, LoadContext& context) {
  const Number number(value);
  auto count = number.as_integer();
  if (!count && number.kind == Number::Kind::floating && std::trunc(number.floating) == number.floating &&
      std::abs(number.floating) < 9.2e18) {
    count = static_cast<std::int64_t>(number.floating);
  }
  if (count && *count >= 0) return count;
  context.mismatch("a count: an integer, 0 or more", value.describe());
  return std::nullopt;
}

/// The state of one parameter. Undefined tensors are absent, as in Python.
template <class Kind>
StateDict save_state(const typename Kind::State& state) {
  StateDict dict;
  boost::hana::for_each(Kind::state(), [&](const auto& entry) {
    const auto& value = entry.get(state);
    if constexpr (std::is_same_v<decltype(value), const std::int64_t&>) {
      dict[std::string(entry.key)] = step_tensor(value);
    } else if (value.defined()) {
      dict[std::string(entry.key)] = value.detach();
    }
  });
  return dict;
}

/// Plans a copy of the file's tensor into the live one's memory, or, where that does not fit, into `make()`. Returns
/// the tensor that will hold the values.
template <class Make>
at::Tensor plan_into(const at::Tensor& live, const at::Tensor& from, const Make& make, LoadContext& context) {
  const bool in_place = live.defined() && live.scalar_type() == from.scalar_type() && live.sizes() == from.sizes() &&
                        !why_not_writable(live);
  at::Tensor target;
  if (in_place) {
    target = live;
  } else {
    const c10::NoGradGuard no_grad;
    target = make();
  }
  context.report.bytes += from.nbytes();
  context.plan->copy(target, from, context.path);
  return target;
}

/// A tensor of the file that has to have the parameter's sizes and dtype. Nothing (and a mismatch) if it has not.
inline std::optional<at::Tensor> state_tensor(const at::Tensor& parameter, const Value& value, const std::string& name,
                                              LoadContext& context) {
  const auto* tensor = value.get_if<at::Tensor>();
  if (tensor && tensor->defined() && tensor->scalar_type() == parameter.scalar_type() &&
      tensor->sizes() == parameter.sizes() && holds_values(*tensor)) {
    return *tensor;
  }
  context.mismatch(tensor_text(parameter) + (name.empty() ? "" : ", for parameter " + name), value.describe());
  return std::nullopt;
}

/// Python writes states that hold nothing, too.
inline bool holds_nothing(const StateDict& state) {
  return std::all_of(state.begin(), state.end(), [](const auto& entry) { return entry.second.template is<None>(); });
}

/// Plans the state of one parameter, into the tensors of the live state where there are any. Returns the state that
/// will hold, or nullptr if something (noted) is wrong.
template <class Kind>
std::unique_ptr<typename Kind::State> plan_state(const typename Kind::State* live, const at::Tensor& parameter,
                                                 const std::string& name, const StateDict& file,
                                                 const typename Kind::Options& options, LoadContext& context) {
  auto state = std::make_unique<typename Kind::State>();
  bool complete = true;
  boost::hana::for_each(Kind::state(), [&](const auto& entry) {
    const Key key = std::string(entry.key);
    const auto scope = context.enter(key);
    const Value* value = file.find_key(key);
    auto& target = entry.get(*state);
    const bool absent = !value || value->is<None>();
    if (absent && entry.needed(options)) context.missing();
    if constexpr (std::is_same_v<decltype(target), std::int64_t&>) {
      if (absent) {
        target = live ? entry.get(*live) : 0;
      } else if (const auto step = read_count(*value, context)) {
        target = *step;
      } else {
        complete = false;
      }
    } else if (!absent) {
      const auto from = state_tensor(parameter, *value, name, context);
      complete = complete && from;
      if (from) {
        target = plan_into(
            live ? entry.get(*live) : at::Tensor(), *from, [&] { return at::empty_like(parameter.detach()); }, context);
      }
    } else if (entry.needed(options)) {
      target = live && entry.get(*live).defined() ? entry.get(*live) : at::zeros_like(parameter.detach());
    }
  });
  for (const auto& [key, value] : file) {
    bool known = false;
    boost::hana::for_each(Kind::state(), [&, &name_in_file = key](const auto& entry) {
      known = known || name_in_file == Key(std::string(entry.key));
    });
    if (!known) context.unexpected(key);
  }
  return complete ? std::move(state) : nullptr;
}

/// Exchanges what two states hold; never throws, as an assignment of LibTorch's states might (1.13 copies deques).
template <class Kind>
void swap_states(typename Kind::State& a, typename Kind::State& b) noexcept {
  boost::hana::for_each(Kind::state(), [&](const auto& entry) {
    using std::swap;
    swap(entry.get(a), entry.get(b));
  });
}

/// Plans that `fresh` becomes all of the optimizer's state. The live state objects stay where they are and take over
/// the new contents, so that references to them stay valid. `exchange(live, fresh)` must not throw.
template <class State, class Exchange>
void plan_states(torch::optim::Optimizer& optimizer, OptimizerStates fresh, const Exchange& exchange,
                 LoadContext& context) {
  context.plan->assign([&optimizer, states = std::move(fresh), exchange]() mutable noexcept {
    auto& live = optimizer.state();
    for (auto& [key, state] : states) {
      const auto at = live.find(key);
      if (at == live.end() || !at->second) continue;
      exchange(static_cast<State&>(*at->second), static_cast<State&>(*state));
      std::swap(at->second, state);
    }
    live.swap(states);
  });
}

}  // namespace trainstate::detail
