// Schedulers as components. What a file says is read into a copy of the live scheduler, and replaces it only if a step
// can go on from there. No optimizer is touched: its learning rates are its own state.
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/component.hpp"
#include "trainstate/codec/scalar.hpp"
#include "trainstate/codec/sequence.hpp"
#include "trainstate/schedulers/base.hpp"

namespace trainstate {

class ReduceLROnPlateau;

namespace detail {

struct SchedulerAccess {
  template <class T>
  static std::optional<SchedulerFault> find_fault(T& scheduler) {
    using Owner = std::conditional_t<std::derived_from<T, LRScheduler>, LRScheduler, T>;
    return static_cast<Owner&>(scheduler).find_fault();
  }

  /// Brings a record as another release of PyTorch writes it into the form of today's: 2.6 and older ones have
  /// `verbose` and lack `_is_initial`. Does nothing to a record of today's.
  template <class T>
  static void adopt(StateDict& record) {
    if (!has_field<T>(std::string("verbose"))) record.erase_key("verbose");
    if constexpr (std::derived_from<T, LRScheduler>) {
      for (const char* key : {"_is_initial", "_get_lr_called_within_step"}) {
        if (!record.find_key(key)) record[key] = false;
      }
    }
    if constexpr (requires { T::adopt(record); }) T::adopt(record);
  }

  /// Takes out what Python would not have written.
  template <class T>
  static void trim(const T& scheduler, StateDict& record) {
    if constexpr (requires { scheduler.trim(record); }) scheduler.trim(record);
  }
};

template <class T>
concept SingleScheduler = std::derived_from<T, LRScheduler> || std::same_as<T, ReduceLROnPlateau>;

template <class T>
requires(SingleScheduler<T>&& Component<T>) struct TorchCodec<T> : ComponentCodec<T> {
  static_assert(!std::is_abstract_v<T>,
                "trainstate: a base of schedulers knows but a part of one; pass the scheduler by its own class");
  static constexpr bool takes_description = true;

  static Value save(const T& x, SaveContext& context) {
    Value value = ComponentCodec<T>::save(x, context);
    if (auto* record = value.get_if<StateDict>()) SchedulerAccess::trim(x, *record);
    return value;
  }

  static void migrate(const T* live, Value& value, LoadContext& context) {
    if constexpr (ComponentCodec<T>::layout == Layout::flat) {
      if (auto* record = value.get_if<StateDict>()) SchedulerAccess::adopt<T>(*record);
    }
    ComponentCodec<T>::migrate(live, value, context);
  }

  static void plan(T& live, const Value& value, LoadContext& context) {
    T next(live);
    if (!context.build_now([&] { ComponentCodec<T>::plan(next, value, context); })) return;
    if (auto fault = SchedulerAccess::find_fault(next)) {
      const auto scope = context.enter(fault->key);
      return context.mismatch(std::move(fault->expected), std::move(fault->found));
    }
    context.plan->assign([&live, held = std::move(next)]() mutable { live = std::move(held); });
  }
};

}  // namespace detail
}  // namespace trainstate
