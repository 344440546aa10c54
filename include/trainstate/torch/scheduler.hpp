// LibTorch's own learning rate schedulers as components. They say themselves neither what they hold nor where it is.
// A scheduler of your own derives from torch::optim::LRScheduler and describes itself; the base's `step_count_` is
// listed like any other member: `ts::state("step_count", &Mine::step_count_)`.
//
// Restoring a scheduler touches no optimizer: the learning rates are part of the optimizer's own state.
#pragma once

#include <torch/optim/schedulers/lr_scheduler.h>
#include <torch/optim/schedulers/step_lr.h>

#include <concepts>
#include <string>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/component.hpp"
#include "trainstate/codec/scalar.hpp"
#include "trainstate/codec/sequence.hpp"
#include "trainstate/component.hpp"
#include "trainstate/torch/compat.hpp"
#include "trainstate/torch/private_access.hpp"

#ifdef TRAINSTATE_HAS_REDUCE_ON_PLATEAU
#include <torch/optim/schedulers/reduce_on_plateau_scheduler.h>
#endif

namespace trainstate {
namespace detail {

using torch::optim::StepLR;
template struct Reveal<PrivateMember<StepLR, "step_count">, &StepLR::step_count_>;
template struct Reveal<PrivateMember<StepLR, "step_size">, &StepLR::step_size_>;
template struct Reveal<PrivateMember<StepLR, "gamma">, &StepLR::gamma_>;

}  // namespace detail

/// Its step size and gamma are const, so a file with others is refused.
template <>
struct describe_for<torch::optim::StepLR> {
  static constexpr auto describe() {
    using T = torch::optim::StepLR;
    return component<T>("torch.optim.StepLR", version<1>, hyper("step_size", detail::reveal<T, "step_size">),
                        hyper("gamma", detail::reveal<T, "gamma">),
                        state("step_count", detail::reveal<T, "step_count">));
  }
};

#ifdef TRAINSTATE_HAS_REDUCE_ON_PLATEAU
namespace detail {

using Plateau = torch::optim::ReduceLROnPlateauScheduler;
template struct Reveal<PrivateMember<Plateau, "mode">, &Plateau::mode>;
template struct Reveal<PrivateMember<Plateau, "mode_worse">, &Plateau::mode_worse>;
template struct Reveal<PrivateMember<Plateau, "factor">, &Plateau::factor>;
template struct Reveal<PrivateMember<Plateau, "patience">, &Plateau::patience>;
template struct Reveal<PrivateMember<Plateau, "threshold">, &Plateau::threshold>;
template struct Reveal<PrivateMember<Plateau, "threshold_mode">, &Plateau::threshold_mode>;
template struct Reveal<PrivateMember<Plateau, "cooldown">, &Plateau::cooldown>;
template struct Reveal<PrivateMember<Plateau, "cooldown_counter">, &Plateau::cooldown_counter>;
template struct Reveal<PrivateMember<Plateau, "min_lrs">, &Plateau::min_lrs>;
template struct Reveal<PrivateMember<Plateau, "eps">, &Plateau::eps>;
template struct Reveal<PrivateMember<Plateau, "best">, &Plateau::best>;
template struct Reveal<PrivateMember<Plateau, "verbose">, &Plateau::verbose>;
template struct Reveal<PrivateMember<Plateau, "last_epoch">, &Plateau::last_epoch>;
template struct Reveal<PrivateMember<Plateau, "num_bad_epochs">, &Plateau::num_bad_epochs>;

}  // namespace detail

/// Under Python's names, where Python has them.
template <>
struct describe_for<torch::optim::ReduceLROnPlateauScheduler> {
  static constexpr auto describe() {
    using T = torch::optim::ReduceLROnPlateauScheduler;
    return component<T>(
        "torch.optim.ReduceLROnPlateau", version<1>, hyper("mode", detail::reveal<T, "mode">),
        hyper("mode_worse", detail::reveal<T, "mode_worse">), hyper("factor", detail::reveal<T, "factor">),
        hyper("patience", detail::reveal<T, "patience">), hyper("threshold", detail::reveal<T, "threshold">),
        hyper("threshold_mode", detail::reveal<T, "threshold_mode">), hyper("cooldown", detail::reveal<T, "cooldown">),
        hyper("min_lrs", detail::reveal<T, "min_lrs">), hyper("eps", detail::reveal<T, "eps">),
        hyper("verbose", detail::reveal<T, "verbose">), state("best", detail::reveal<T, "best">),
        state("cooldown_counter", detail::reveal<T, "cooldown_counter">),
        state("num_bad_epochs", detail::reveal<T, "num_bad_epochs">),
        state("last_epoch", detail::reveal<T, "last_epoch">));
  }
};

namespace detail {

/// As any component, but it has one minimum for each parameter group, and reads past the end if there are fewer.
template <std::same_as<Plateau> Only>
struct TorchCodec<Only> : ComponentCodec<Plateau> {
  static constexpr bool takes_description = true;

  static void plan(Plateau& live, const Value& value, LoadContext& context) {
    ComponentCodec<Plateau>::plan(live, value, context);
    const auto* record = value.get_if<StateDict>();
    const Value* minima = record ? record->find("params/min_lrs") : nullptr;
    const auto* list = minima ? minima->get_if<List>() : nullptr;
    const std::size_t groups = (live.*reveal<Plateau, "min_lrs">).size();
    if (!list || list->size() == groups) return;
    const auto scope = context.enter("params");
    const auto inner = context.enter("min_lrs");
    context.mismatch("one for each parameter group, " + std::to_string(groups), minima->describe());
  }
};

}  // namespace detail
#endif

}  // namespace trainstate
