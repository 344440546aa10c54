// The options of an optimizer's parameter groups, which are its hyperparameters, as values and back.
#pragma once

#include <boost/hana/for_each.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/scalar.hpp"
#include "trainstate/codec/sequence.hpp"
#include "trainstate/torch/optimizer/group_notes.hpp"
#include "trainstate/torch/optimizer/kinds.hpp"

namespace trainstate::detail {

/// std::optional, or the c10::optional of older LibTorch versions.
template <class T>
concept OptionalOption = requires(const T& x) {
  typename T::value_type;
  { x.has_value() } -> std::same_as<bool>;
};

template <class T>
Value option_value(const T& x, SaveContext& context) {
  if constexpr (OptionalOption<T>) {
    return x.has_value() ? option_value(*x, context) : Value();
  } else {
    return StandardCodec<T>::save(x, context);
  }
}

/// Nothing (and a mismatch) if the value is not of the option's type.
template <class T>
std::optional<T> read_option(const Value& value, LoadContext& context) {
  if constexpr (OptionalOption<T>) {
    if (value.is<None>()) return T();
    auto inner = read_option<typename T::value_type>(value, context);
    return inner ? std::optional<T>(T(*std::move(inner))) : std::nullopt;
  } else {
    return StandardCodec<T>::build(value, context);
  }
}

/// What a step of LBFGS relies on without looking; nothing if the options keep to it.
template <class Options>
std::optional<std::string> why_unusable(std::string_view key, const Options& options) {
  if constexpr (std::is_same_v<Options, torch::optim::LBFGSOptions>) {
    if (key == "max_eval" && !options.max_eval().has_value()) return "an integer";
    if (key == "history_size" && options.history_size() < 1) return "at least 1";
    if (key == "line_search_fn" && options.line_search_fn().has_value() && *options.line_search_fn() != "strong_wolfe")
      return "None or \"strong_wolfe\"";
  }
  return std::nullopt;
}

/// One parameter group without its `params`: the options of both LibTorch and Python, in Python's order.
template <class Kind>
StateDict save_options(const typename Kind::Options& options, SaveContext& context) {
  StateDict group;
  boost::hana::for_each(Kind::options(), [&]<class O>(const O& option) {
    Value& value = group[std::string(option.key)];
    if constexpr (O::in_libtorch) {
      value = option_value(option.get(options), context);
    } else if (option.value) {
      value = *option.value;
    }
  });
  return group;
}

/// What Python's learning rate schedulers leave in the groups for their own use (see optimizer/group_notes.hpp), and
/// what else stands there that is no option.
inline bool is_no_option(const Key& key) {
  static constexpr std::array<std::string_view, 9> known = {"params",       "param_names",  "initial_lr",
                                                            "max_lr",       "min_lr",       "base_momentum",
                                                            "max_momentum", "min_momentum", "swa_lr"};
  const auto* text = std::get_if<std::string>(&key);
  return text && std::find(known.begin(), known.end(), *text) != known.end();
}

/// Adds the notes of schedulers on one group, as Python has them among the options.
inline void save_notes(const GroupNotes& notes, StateDict& group) {
  for (const auto& [key, note] : group_note_keys) {
    if (const auto& value = notes.*note) group[std::string(key)] = *value;
  }
}

/// Plans the notes on one live group from the file's, by the policy. Without live notes there is no scheduler that
/// would use them; those that the file lacks stay.
inline void plan_notes(const std::shared_ptr<OptimizerNotes>& notes, std::size_t live_group, const StateDict& group,
                       LoadContext& context) {
  if (!notes) return;
  const HyperPolicy policy = context.hyper_policy(HyperPolicy::file);
  GroupNotes next = (*notes)[live_group];
  for (const auto& [name, note] : group_note_keys) {
    const Key key = std::string(name);
    const auto scope = context.enter(key);
    auto& live = next.*note;
    const Value* value = group.find_key(key);
    if (!value) {
      if (live) context.warn("the file lacks this value of a learning rate scheduler; the live one is kept");
      continue;
    }
    const auto theirs = read_option<double>(*value, context);
    if (!theirs || live == theirs) continue;
    const std::string ours = live ? Value(*live).describe() : "none";
    if (live && policy == HyperPolicy::match) {
      context.mismatch("hyperparameter " + ours, value->describe());
      continue;
    }
    context.report.hyper_changes.push_back({context.path, ours, value->describe()});
    if (policy != HyperPolicy::code) live = theirs;
  }
  context.plan->assign([notes, live_group, next]() noexcept { (*notes)[live_group] = next; });
}

/// Plans the options of one live group from the file's, by the policy. Returns the options that will hold then.
template <class Kind>
typename Kind::Options plan_options(typename Kind::Options& live, const StateDict& group, LoadContext& context) {
  using Options = typename Kind::Options;
  const HyperPolicy policy = context.hyper_policy(HyperPolicy::file);
  Options next = live;
  bool changed = false;
  const auto plan_one = [&](const auto& option) {
    const Key key = std::string(option.key);
    const auto scope = context.enter(key);
    const Value* value = group.find_key(key);
    using T = std::remove_cvref_t<decltype(option.get(next))>;
    if (!value && policy == HyperPolicy::file) return context.missing();
    if (!value) return context.warn("the file lacks this hyperparameter; the live one is kept");
    auto theirs = read_option<T>(*value, context);
    if (!theirs) return;
    SaveContext unused;
    const Value ours = option_value(option.get(live), unused);
    if (ours == option_value(*theirs, unused)) return;
    if (policy == HyperPolicy::match) return context.mismatch("hyperparameter " + ours.describe(), value->describe());
    context.report.hyper_changes.push_back({context.path, ours.describe(), value->describe()});
    if (policy != HyperPolicy::file) return;
    option.get(next) = *std::move(theirs);
    changed = true;
    if (const auto usable = why_unusable(option.key, next)) context.mismatch(*usable, value->describe());
  };
  boost::hana::for_each(Kind::options(), [&]<class O>(const O& option) {
    if constexpr (O::in_libtorch) {
      plan_one(option);
    } else if (const Value* value = group.find_key(std::string(option.key)); value && !option.harmless) {
      const Value only = option.value ? Value(*option.value) : Value();
      if (*value == only) return;
      const auto scope = context.enter(std::string(option.key));
      context.mismatch(
          only.describe() + ", since LibTorch's " + std::string(Kind::name.substr(12)) + " can do no other",
          value->describe());
    }
  });
  for (const auto& [key, value] : group) {
    bool known = is_no_option(key);
    boost::hana::for_each(Kind::options(), [&, &name = key](const auto& option) {
      known = known || name == Key(std::string(option.key));
    });
    if (!known) context.unexpected(key);
  }
  if (changed) {
    context.plan->assign([&live, held = next]() mutable noexcept {
      boost::hana::for_each(Kind::options(), [&]<class O>(const O& option) {
        if constexpr (O::in_libtorch) option.get(live) = std::move(option.get(held));
      });
    });
  }
  return next;
}

}  // namespace trainstate::detail
