// Schedulers as components. What a file says is read into a copy of the live scheduler first, and counts only if a step
// can go on from there. No optimizer is touched: its learning rates are its own state.
#pragma once

#include <boost/hana/for_each.hpp>
#include <boost/hana/unpack.hpp>

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

/// Whether what a load would write to in place is of its own in a copy of a T. (A copy of a tensor, a pointer or a
/// module refers to the same memory.)
template <class T>
constexpr bool copies_apart() {
  if constexpr (IsValue<T>) {
    return true;
  } else if constexpr (Component<T> && std::same_as<Codec<T>, ComponentCodec<T>>) {
    return boost::hana::unpack(fields<T>, []<class... F>(F...) { return (copies_apart<FieldType<F>>() && ...); });
  } else if constexpr (
      requires { typename T::value_type; } && !requires { typename T::mapped_type; }) {
    return copies_apart<typename T::value_type>();
  } else {
    return false;
  }
}

/// As `copies_apart`, of the fields that T lists.
template <class T>
constexpr bool fields_copy_apart() {
  return boost::hana::unpack(fields<T>, []<class... F>(F...) { return (copies_apart<FieldType<F>>() && ...); });
}

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
    if constexpr (fields_copy_apart<T>()) {
      if (!context.build_now([&] { ComponentCodec<T>::plan(next, value, context); })) return;
      if (accept(next, context)) plan_replacement(live, std::move(next), context);
    } else {
      const std::size_t problems = context.count_problems();
      ComponentCodec<T>::plan(live, value, context);
      if (context.count_problems() != problems) return;
      plan_values(next, value, context);
      accept(next, context);
    }
  }

 private:
  /// Whether a step can go on with it; else a mismatch is noted.
  static bool accept(T& next, LoadContext& context) {
    auto fault = SchedulerAccess::find_fault(next);
    if (!fault) return true;
    const auto scope = context.enter(fault->key);
    context.mismatch(std::move(fault->expected), std::move(fault->found));
    return false;
  }

  /// Loads into a copy what it does not share with the live scheduler. What there is to say was said before.
  static void plan_values(T& next, const Value& value, LoadContext& context) {
    Report ignored;
    Plan own;
    LoadContext trial(context.options, context.names, ignored, own);
    trial.path = context.path;
    const StateDict* record = value.get_if<StateDict>();
    boost::hana::for_each(fields<T>, [&]<class F>(F) {
      if constexpr (copies_apart<FieldType<F>>()) {
        const auto* values = ComponentCodec<T>::section_of(*record, F::role);
        plan_field<F>(next, values, context.hyper_policy(HyperPolicy::file), trial);
      }
    });
    own.apply();
  }
};

}  // namespace detail
}  // namespace trainstate
