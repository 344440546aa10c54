// Types with `state_dict()` and `load_state_dict()` members of their own.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "trainstate/codec/codec.hpp"

namespace trainstate::detail {

template <class T>
concept HasStateDictMembers = requires(T& live, const T& x, const StateDict& d) {
  { x.state_dict() } -> std::convertible_to<StateDict>;
  live.load_state_dict(d);
};

/// What `load_state_dict` does cannot be planned, so it is attempted when all else is known to fit, and undone through
/// the object's own `load_state_dict` of a snapshot taken just before (adapter.hpp tells the user).
template <HasStateDictMembers T>
struct MembersCodec<T> {
  static constexpr bool is_object = true;

  static Value save(const T& x, SaveContext& context) {
    return call_foreign(context.path, [&] { return StateDict(x.state_dict()); });
  }

  static void plan(T& live, const Value& value, LoadContext& context) {
    const auto* dict = value.get_if<StateDict>();
    if (!dict) return context.mismatch("a dict", value.describe());
    auto snapshot = std::make_shared<std::optional<StateDict>>();
    context.plan->attempt(
        context.path,
        [&live, snapshot, own = dict->clone(), path = context.path] {
          call_foreign(path, [&] {
            *snapshot = StateDict(std::as_const(live).state_dict()).clone();
            live.load_state_dict(own);
          });
        },
        [&live, snapshot] {
          if (*snapshot) live.load_state_dict(std::as_const(**snapshot));
        });
  }

  static std::optional<T> build(const Value& value,
                                LoadContext& context) requires std::default_initializable<T> && std::movable<T> {
    T fresh{};
    if (!context.build_now([&] { plan(fresh, value, context); })) return std::nullopt;
    return fresh;
  }
};

}  // namespace trainstate::detail
