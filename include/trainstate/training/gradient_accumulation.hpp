// Gradients that are summed up over several batches before the optimizer steps.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/GradMode.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>

#include "trainstate/codec/codec.hpp"
#include "trainstate/component.hpp"
#include "trainstate/error.hpp"
#include "trainstate/torch/tensor.hpp"

namespace trainstate {
namespace detail {

/// The gradients of a module's parameters.
struct Gradients {
  const torch::nn::Module* module;
};

/// A dict of the gradients that there are, by the parameter's name. A load leaves those that the file has and no other.
template <>
struct TorchCodec<Gradients> {
  static Value save(const Gradients& x, SaveContext&) {
    StateDict dict;
    for (const auto& item : x.module->named_parameters()) {
      if (item.value().grad().defined()) dict[item.key()] = item.value().grad().detach();
    }
    return dict;
  }

  static void plan(Gradients& live, const Value& value, LoadContext& context) {
    const auto* dict = value.get_if<StateDict>();
    if (!dict) return context.mismatch("the gradients of a module, a dict", value.describe());
    const auto parameters = live.module->named_parameters();
    std::unordered_set<std::string> present;
    for (const auto& [key, gradient] : *dict) {
      const std::string name = context.tracks.name_today(to_string(key));
      const at::Tensor* parameter = std::holds_alternative<std::string>(key) ? parameters.find(name) : nullptr;
      if (!parameter || !present.insert(name).second) {
        context.unexpected(key);
        continue;
      }
      const auto scope = context.enter(key);
      plan_gradient(*parameter, gradient, context);
    }
    for (const auto& item : parameters) {
      if (present.contains(item.key()) || !item.value().grad().defined()) continue;
      context.plan->assign([parameter = item.value()]() noexcept { parameter.mutable_grad().reset(); });
    }
  }

 private:
  static void plan_gradient(const at::Tensor& parameter, const Value& value, LoadContext& context) {
    const at::Tensor live = parameter.grad();
    const auto from = tensor_for(live.defined() ? live : parameter, value, context);
    if (!from) return;
    if (live.defined()) return plan_copy(live, *from, context);
    if (!parameter.requires_grad() || !parameter.is_leaf()) {
      return context.mismatch("no gradient, as the parameter does not require one", value.describe());
    }
    if (parameter.scalar_type() != from->scalar_type() || parameter.sizes() != from->sizes() || !holds_values(*from)) {
      return context.mismatch(tensor_text(parameter), value.describe());
    }
    const c10::NoGradGuard no_grad;
    context.report.bytes += from->nbytes();
    context.plan->assign([parameter, fresh = at::empty_like(parameter.detach()).copy_(*from)]() mutable noexcept {
      parameter.mutable_grad() = std::move(fresh);
    });
  }
};

}  // namespace detail

/// Counts the batches whose gradients are summed up until the optimizer steps, and saves these gradients with the
/// count: `.grad` of the module's parameters, by name. A run that is resumed between two steps loses no batch.
///
///     ts::GradientAccumulation accumulation(*net, 4);             // "accumulation"_key = accumulation
///     for (…) {
///       (loss(batch) / accumulation.steps()).backward();
///       if (accumulation.step()) { optimizer.step(); optimizer.zero_grad(); }
///     }
///
/// The module is held by reference: it has to outlive this and to stay where it is.
class GradientAccumulation {
 public:
  /// Throws Error if `steps` is below 1.
  GradientAccumulation(const torch::nn::Module& module, std::int64_t steps) : steps_(steps), gradients_{&module} {
    if (steps < 1) throw Error("GradientAccumulation: steps should be at least 1, not " + std::to_string(steps));
  }

  /// To be called after each `backward()`. True if the optimizer has to step now.
  bool step() {
    if (++micro_step_ < steps_) return false;
    micro_step_ = 0;
    return true;
  }

  /// How many batches make one step of the optimizer.
  [[nodiscard]] std::int64_t steps() const noexcept { return steps_; }
  /// How many batches there were since the optimizer's last step.
  [[nodiscard]] std::int64_t micro_step() const noexcept { return micro_step_; }

  static constexpr auto describe() {
    using T = GradientAccumulation;
    return component<T>("gradient_accumulation", version<1>, hyper("steps", &T::steps_),
                        state("micro_step", &T::micro_step_), state("grad", &T::gradients_));
  }

 private:
  std::int64_t steps_;
  std::int64_t micro_step_ = 0;
  detail::Gradients gradients_;
};

}  // namespace trainstate
