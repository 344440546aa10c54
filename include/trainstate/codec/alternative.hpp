// What may or may not be there, or be one of several: optional, variant, unique_ptr and shared_ptr.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "trainstate/codec/codec.hpp"

namespace trainstate::detail {

/// None or the value; a value that may itself be None is wrapped in a list of one.
template <class T>
struct StandardCodec<std::optional<T>> {
  static constexpr bool is_value = IsValue<T>;
  static constexpr bool may_be_none = true;
  static constexpr bool wrapped = MayBeNone<T>;

  static Value save(const std::optional<T>& x, SaveContext& context) {
    if (!x) return None();
    [[maybe_unused]] const auto scope = enter(context);
    Value value = Codec<T>::save(*x, context);
    if constexpr (wrapped) return List{std::move(value)};
    if (value.is<None>()) throw context.error("an optional whose value is saved as None");
    return value;
  }

  static void plan(std::optional<T>& live, const Value& value, LoadContext& context) {
    if (value.is<None>()) {
      context.plan->assign([&live]() noexcept { live.reset(); });
      return;
    }
    if constexpr (!IsValue<T>) {
      if (live) {
        const Value* inner = unwrap(value, context);
        [[maybe_unused]] const auto scope = enter(context);
        if (inner) Codec<T>::plan(*live, *inner, context);
        return;
      }
    }
    if constexpr (Buildable<T>) {
      plan_by_building(live, value, context);
    } else {
      context.mismatch("None (the optional is empty, and its type cannot be built)", value.describe());
    }
  }

  static std::optional<std::optional<T>> build(const Value& value, LoadContext& context) requires Buildable<T> {
    if (value.is<None>()) return std::optional<T>();
    const Value* inner = unwrap(value, context);
    if (!inner) return std::nullopt;
    [[maybe_unused]] const auto scope = enter(context);
    auto built = Codec<T>::build(*inner, context);
    if (!built) return std::nullopt;
    return std::optional<T>(*std::move(built));
  }

  static void migrate(const std::optional<T>* live, Value& value, LoadContext& context) {
    Value* inner = &value;
    if constexpr (wrapped) {
      auto* list = value.get_if<List>();
      inner = list && list->size() == 1 ? list->data() : nullptr;
    }
    if (!inner || inner->is<None>()) return;
    [[maybe_unused]] const auto scope = enter(context);
    migrate_value<T>(live && *live ? &**live : nullptr, *inner, context);
  }

  static void collect(const std::optional<T>& x, NamesContext& context) {
    [[maybe_unused]] const auto scope = enter(context);
    if (x) collect_names(*x, context);
  }

 private:
  template <class Context>
  static auto enter(Context& context) {
    if constexpr (wrapped) {
      return context.enter(std::int64_t{0});
    } else {
      return nullptr;
    }
  }

  static const Value* unwrap(const Value& value, LoadContext& context) {
    if constexpr (wrapped) {
      const auto* list = value.get_if<List>();
      if (list && list->size() == 1) return list->data();
      context.mismatch("None or a list of one", value.describe());
      return nullptr;
    } else {
      return &value;
    }
  }
};

template <>
struct StandardCodec<std::monostate> {
  static constexpr bool is_value = true;
  static constexpr bool may_be_none = true;
  static Value save(std::monostate, SaveContext&) { return None(); }
  static std::optional<std::monostate> build(const Value& value, LoadContext& context) {
    if (value.is<None>()) return std::monostate();
    context.mismatch("None", value.describe());
    return std::nullopt;
  }
  static void plan(std::monostate&, const Value& value, LoadContext& context) { build(value, context); }
};

/// `{"index": i, "value": …}`.
template <class... Ts>
struct StandardCodec<std::variant<Ts...>> {
  using T = std::variant<Ts...>;
  static constexpr bool is_value = (IsValue<Ts> && ...);

  static Value save(const T& x, SaveContext& context) {
    if (x.valueless_by_exception()) throw context.error("a variant that is valueless by exception");
    return std::visit(
        [&]<class A>(const A& alternative) -> Value {
          const auto scope = context.enter("value");
          return StateDict{{"index", Value(x.index())}, {"value", Codec<A>::save(alternative, context)}};
        },
        x);
  }

  static void plan(T& live, const Value& value, LoadContext& context) {
    if constexpr (!is_value) {
      const auto [index, inner] = open(value, context);
      if (!inner) return;
      if (index == live.index()) {
        const auto scope = context.enter("value");
        std::visit([&]<class A>(A& alternative) { Codec<A>::plan(alternative, *inner, context); }, live);
        return;
      }
    }
    if constexpr ((Buildable<Ts> && ...)) {
      plan_by_building(live, value, context);
    } else {
      context.mismatch("alternative " + std::to_string(live.index()) + " (another cannot be built)", value.describe());
    }
  }

  static std::optional<T> build(const Value& value, LoadContext& context) requires(Buildable<Ts>&&...) {
    const auto [index, inner] = open(value, context);
    if (!inner) return std::nullopt;
    const auto scope = context.enter("value");
    std::optional<T> built;
    [&, at = index, item = inner ]<std::size_t... I>(std::index_sequence<I...>) {
      const auto try_one = [&]<std::size_t J>(std::integral_constant<std::size_t, J>) {
        if (at != J) return;
        if (auto one = Codec<std::variant_alternative_t<J, T>>::build(*item, context)) {
          built.emplace(std::in_place_index<J>, *std::move(one));
        }
      };
      (try_one(std::integral_constant<std::size_t, I>()), ...);
    }
    (std::index_sequence_for<Ts...>());
    return built;
  }

  static void migrate(const T* live, Value& value, LoadContext& context) {
    auto* dict = value.get_if<StateDict>();
    auto* inner = dict ? dict->find_key("value") : nullptr;
    const auto* index = dict ? dict->find_key("index") : nullptr;
    if (!inner || !index || !index->is<std::int64_t>()) return;
    const auto scope = context.enter("value");
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((index->as<std::int64_t>() == static_cast<std::int64_t>(I)
            ? migrate_value<std::variant_alternative_t<I, T>>(live ? std::get_if<I>(live) : nullptr, *inner, context)
            : void()),
       ...);
    }
    (std::index_sequence_for<Ts...>());
  }

  static void collect(const T& x, NamesContext& context) {
    if (x.valueless_by_exception()) return;
    const auto scope = context.enter("value");
    std::visit([&](const auto& alternative) { collect_names(alternative, context); }, x);
  }

 private:
  /// The index and the value; no value (and a mismatch) if they are not there.
  static std::pair<std::size_t, const Value*> open(const Value& value, LoadContext& context) {
    const auto* dict = value.get_if<StateDict>();
    const auto* index = dict ? dict->find_key("index") : nullptr;
    const auto* inner = dict ? dict->find_key("value") : nullptr;
    const auto* number = index ? index->get_if<std::int64_t>() : nullptr;
    if (inner && number && *number >= 0 && *number < static_cast<std::int64_t>(sizeof...(Ts))) {
      return {static_cast<std::size_t>(*number), inner};
    }
    context.mismatch("a dict of index (below " + std::to_string(sizeof...(Ts)) + ") and value", value.describe());
    return {0, nullptr};
  }
};

/// unique_ptr and shared_ptr: None or the pointee, loaded in place where there is one.
template <class P>
struct PointerCodec {
  using T = std::remove_cv_t<typename P::element_type>;
  static constexpr bool is_object = IsObject<T>;
  static constexpr bool may_be_none = true;

  static Value save(const P& x, SaveContext& context) { return x ? Codec<T>::save(*x, context) : Value(); }

  static void plan(P& live, const Value& value, LoadContext& context) {
    if (value.is<None>()) {
      context.plan->assign([&live]() noexcept { live.reset(); });
    } else if (live) {
      Codec<T>::plan(*live, value, context);
    } else if constexpr (can_build) {
      plan_by_building(live, value, context);
    } else {
      context.mismatch("None (the pointer is null, and its type cannot be built)", value.describe());
    }
  }

  static constexpr bool can_build = std::default_initializable<T> || Buildable<T>;

  static std::optional<P> build(const Value& value, LoadContext& context) requires can_build {
    if (value.is<None>()) return P();
    if constexpr (std::default_initializable<T>) {
      P fresh(new T{});
      if (!context.build_now([&] { Codec<T>::plan(*fresh, value, context); })) return std::nullopt;
      return fresh;
    } else {
      auto built = Codec<T>::build(value, context);
      if (!built) return std::nullopt;
      return P(new T(*std::move(built)));
    }
  }

  static void migrate(const P* live, Value& value, LoadContext& context) {
    if (!value.is<None>()) migrate_value<T>(live ? live->get() : nullptr, value, context);
  }

  static void assemble(const P* live, Value& value, LoadContext& context) {
    if (!value.is<None>()) assemble_value<T>(live ? live->get() : nullptr, value, context);
  }

  static void collect(const P& x, NamesContext& context) {
    if (x) collect_names(*x, context);
  }
};

template <class T>
struct StandardCodec<std::unique_ptr<T>> : PointerCodec<std::unique_ptr<T>> {};
template <class T>
struct StandardCodec<std::shared_ptr<T>> : PointerCodec<std::shared_ptr<T>> {};

}  // namespace trainstate::detail
