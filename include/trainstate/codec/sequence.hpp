// Sequences become lists: vector, deque, list, array, C arrays, pair, tuple, set and unordered_set.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <list>
#include <ranges>
#include <set>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include "trainstate/codec/codec.hpp"

namespace trainstate::detail {

/// The list that `value` is, if it has `size` items (any number without it); else a mismatch is noted.
inline const List* expect_list(const Value& value, LoadContext& context,
                               std::optional<std::size_t> size = std::nullopt) {
  const auto* list = value.get_if<List>();
  if (list && (!size || list->size() == *size)) return list;
  context.mismatch(size ? "a list of " + std::to_string(*size) : "a list", value.describe());
  return nullptr;
}

inline Key index_key(std::size_t i) { return static_cast<std::int64_t>(i); }

/// Numbers whose saving cannot fail, so that no path is needed for an error.
template <class T>
inline constexpr bool saves_always = std::is_floating_point_v<T> ? sizeof(T) <= sizeof(double)
                                                                 : std::is_integral_v<T> && !std::is_unsigned_v<T>;

template <class Range>
Value save_list(const Range& range, SaveContext& context) {
  using T = std::remove_cvref_t<decltype(*std::begin(range))>;
  List list;
  [[maybe_unused]] std::size_t i = 0;
  for (const auto& item : range) {
    if constexpr (saves_always<T>) {
      list.push_back(Codec<T>::save(item, context));
    } else {
      const auto scope = context.enter(index_key(i++));
      list.push_back(Codec<T>::save(item, context));
    }
  }
  return list;
}

template <class T, class Range>
void plan_list(Range& live, const List& list, LoadContext& context) {
  std::size_t i = 0;
  for (auto& item : live) {
    const auto scope = context.enter(index_key(i));
    Codec<T>::plan(item, list[i++], context);
  }
}

template <class T, class Range>
void migrate_list(const Range* live, Value& value, LoadContext& context) {
  auto* list = value.get_if<List>();
  if (!list) return;
  auto item = live ? std::begin(*live) : decltype(std::begin(*live))();
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto scope = context.enter(index_key(i));
    const bool has_live = live && item != std::end(*live);
    migrate_value<T>(has_live ? &*item++ : nullptr, (*list)[i], context);
  }
}

template <class Range>
void collect_list(const Range& range, NamesContext& context) {
  std::size_t i = 0;
  for (const auto& item : range) {
    const auto scope = context.enter(index_key(i++));
    collect_names(item, context);
  }
}

/// Items built one by one; nothing if one of them does not fit (all of them are looked at).
template <class T, class Emit>
bool build_items(const List& list, LoadContext& context, const Emit& emit) {
  bool complete = true;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto scope = context.enter(index_key(i));
    auto item = Codec<T>::build(list[i], context);
    complete = complete && item.has_value();
    if (complete) emit(*std::move(item));
  }
  return complete;
}

/// Sequences that grow: of equal length they are loaded item by item, in place; else they are replaced.
template <class S, class T>
struct GrowingCodec {
  static constexpr bool is_value = IsValue<T>;

  static Value save(const S& x, SaveContext& context) {
    if constexpr (std::same_as<T, bool>) {
      return List(x.begin(), x.end());
    } else {
      return save_list(x, context);
    }
  }

  static void plan(S& live, const Value& value, LoadContext& context) {
    const List* list = expect_list(value, context);
    if (!list) return;
    if constexpr (!IsValue<T>) {
      if (list->size() == live.size()) return plan_list<T>(live, *list, context);
    }
    if constexpr (Buildable<T>) {
      plan_by_building(live, value, context);
    } else {
      context.mismatch("a list of " + std::to_string(live.size()) + " (its items cannot be built)", value.describe());
    }
  }

  static std::optional<S> build(const Value& value, LoadContext& context) requires Buildable<T> {
    const List* list = expect_list(value, context);
    S fresh;
    if (!list || !build_items<T>(*list, context, [&](T item) { fresh.push_back(std::move(item)); }))
      return std::nullopt;
    return fresh;
  }

  static void migrate(const S* live, Value& value, LoadContext& context) {
    if constexpr (!IsValue<T>) {
      migrate_list<T>(live, value, context);
    } else {
      restore_plain(value, context);
    }
  }

  static void collect(const S& x, NamesContext& context) {
    if constexpr (!IsValue<T>) collect_list(x, context);
  }
};

template <class T, class A>
struct StandardCodec<std::vector<T, A>> : GrowingCodec<std::vector<T, A>, T> {};
template <class T, class A>
struct StandardCodec<std::deque<T, A>> : GrowingCodec<std::deque<T, A>, T> {};
template <class T, class A>
struct StandardCodec<std::list<T, A>> : GrowingCodec<std::list<T, A>, T> {};

/// A list of fixed length of which every item has the same type, so that a long one costs no more to compile.
template <class T, std::size_t N>
struct StandardCodec<std::array<T, N>> {
  using Array = std::array<T, N>;
  static constexpr bool is_value = IsValue<T>;

  static Value save(const Array& x, SaveContext& context) { return save_list(x, context); }

  static void plan(Array& live, const Value& value, LoadContext& context) {
    if (const List* list = expect_list(value, context, N)) plan_list<T>(live, *list, context);
  }

  static std::optional<Array> build(const Value& value,
                                    LoadContext& context) requires Buildable<T> && std::default_initializable<T> {
    const List* list = expect_list(value, context, N);
    Array fresh{};
    std::size_t i = 0;
    if (!list || !build_items<T>(*list, context, [&](T item) { fresh[i++] = std::move(item); })) return std::nullopt;
    return fresh;
  }

  static void migrate(const Array* live, Value& value, LoadContext& context) {
    if constexpr (!IsValue<T>) migrate_list<T>(live, value, context);
  }
  static void collect(const Array& x, NamesContext& context) {
    if constexpr (!IsValue<T>) collect_list(x, context);
  }
};

template <class T, std::size_t N>
struct StandardCodec<T[N]> {
  static Value save(const T (&x)[N], SaveContext& context) { return save_list(x, context); }
  static void plan(T (&live)[N], const Value& value, LoadContext& context) {
    if (const List* list = expect_list(value, context, N)) plan_list<T>(live, *list, context);
  }
  static void migrate(const T (*live)[N], Value& value, LoadContext& context) { migrate_list<T>(live, value, context); }
  static void collect(const T (&x)[N], NamesContext& context) { collect_list(x, context); }
};

/// pair and tuple: a list of fixed length, each item with its own type.
template <class Tuple>
struct TupleCodec {
  static constexpr std::size_t size = std::tuple_size_v<Tuple>;
  template <std::size_t I>
  using Item = std::tuple_element_t<I, Tuple>;
  static constexpr bool is_value = []<std::size_t... I>(std::index_sequence<I...>) { return (IsValue<Item<I>> && ...); }
  (std::make_index_sequence<size>());

  static Value save(const Tuple& x, SaveContext& context) {
    List list;
    list.reserve(size);
    each([&]<std::size_t I>(Index<I>) {
      const auto scope = context.enter(index_key(I));
      list.push_back(Codec<Item<I>>::save(std::get<I>(x), context));
    });
    return list;
  }

  static void plan(Tuple& live, const Value& value, LoadContext& context) {
    const List* list = expect_list(value, context, size);
    if (!list) return;
    each([&]<std::size_t I>(Index<I>) {
      const auto scope = context.enter(index_key(I));
      Codec<Item<I>>::plan(std::get<I>(live), (*list)[I], context);
    });
  }

  static std::optional<Tuple> build(const Value& value,
                                    LoadContext& context) requires([]<std::size_t... I>(std::index_sequence<I...>) {
    return (Buildable<Item<I>> && ...);
  }(std::make_index_sequence<size>())) {
    const List* list = expect_list(value, context, size);
    if (!list) return std::nullopt;
    return [&]<std::size_t... I>(std::index_sequence<I...>)->std::optional<Tuple> {
      const auto item = [&]<std::size_t J>(Index<J>) {
        const auto scope = context.enter(index_key(J));
        return Codec<Item<J>>::build((*list)[J], context);
      };
      std::tuple<std::optional<Item<I>>...> items{item(Index<I>())...};
      if (!(std::get<I>(items) && ...)) return std::nullopt;
      return Tuple{*std::move(std::get<I>(items))...};
    }
    (std::make_index_sequence<size>());
  }

  static void migrate(const Tuple* live, Value& value, LoadContext& context) {
    auto* list = value.get_if<List>();
    if (!list || list->size() != size) return;
    each([&]<std::size_t I>(Index<I>) {
      const auto scope = context.enter(index_key(I));
      migrate_value<Item<I>>(live ? &std::get<I>(*live) : nullptr, (*list)[I], context);
    });
  }

  static void collect(const Tuple& x, NamesContext& context) {
    each([&]<std::size_t I>(Index<I>) {
      const auto scope = context.enter(index_key(I));
      collect_names(std::get<I>(x), context);
    });
  }

 private:
  template <std::size_t I>
  struct Index {};
  template <class F>
  static void each(const F& f) {
    [&]<std::size_t... I>(std::index_sequence<I...>) { (f(Index<I>()), ...); }
    (std::make_index_sequence<size>());
  }
};

template <class A, class B>
struct StandardCodec<std::pair<A, B>> : TupleCodec<std::pair<A, B>> {};
template <class... Ts>
struct StandardCodec<std::tuple<Ts...>> : TupleCodec<std::tuple<Ts...>> {};

/// set and unordered_set: a list; an unordered one is written sorted, so that equal sets are equal bytes.
template <class S, bool Sorted>
struct SetCodec {
  using T = typename S::key_type;
  static constexpr bool is_value = true;

  static Value save(const S& x, SaveContext& context) {
    if constexpr (Sorted) {
      return save_list(x, context);
    } else {
      static_assert(
          requires(const T& a) { a < a; },
          "trainstate: an unordered container is written sorted, so its keys need operator<");
      std::vector<const T*> sorted;
      for (const T& item : x) sorted.push_back(&item);
      std::sort(sorted.begin(), sorted.end(), [](const T* a, const T* b) { return *a < *b; });
      return save_list(sorted | std::views::transform([](const T* item) -> const T& { return *item; }), context);
    }
  }
  static std::optional<S> build(const Value& value, LoadContext& context) {
    const List* list = expect_list(value, context);
    S fresh;
    if (!list || !build_items<T>(*list, context, [&](T item) { fresh.insert(std::move(item)); })) return std::nullopt;
    return fresh;
  }
  static void plan(S& live, const Value& value, LoadContext& context) { plan_by_building(live, value, context); }
  static void migrate(const S*, Value& value, LoadContext& context) {
    if constexpr (!IsValue<T>) migrate_list<T, S>(nullptr, value, context);
  }
};

template <class T, class C, class A>
struct StandardCodec<std::set<T, C, A>> : SetCodec<std::set<T, C, A>, true> {};
template <class T, class H, class E, class A>
struct StandardCodec<std::unordered_set<T, H, E, A>> : SetCodec<std::unordered_set<T, H, E, A>, false> {};

}  // namespace trainstate::detail
