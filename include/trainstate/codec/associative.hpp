// map and unordered_map: a dict where the keys are strings, integers or enums, else a list of [key, value].
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/scalar.hpp"
#include "trainstate/codec/sequence.hpp"

namespace trainstate::detail {

template <class K>
concept DictKey = std::same_as<K, std::string> || std::is_enum_v<K> ||(std::integral<K> && !std::same_as<K, bool>);

template <class M>
struct MapCodec {
  using K = typename M::key_type;
  using T = typename M::mapped_type;
  static constexpr bool is_value = IsValue<T>;

  static Value save(const M& x, SaveContext& context) {
    std::vector<const typename M::value_type*> sorted;
    for (const auto& entry : x) sorted.push_back(&entry);
    std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->first < b->first; });
    if constexpr (DictKey<K>) {
      StateDict dict;
      dict.reserve(sorted.size());
      for (const auto* entry : sorted) {
        const Key key = to_key(entry->first, context);
        const auto scope = context.enter(key);
        dict[key] = Codec<T>::save(entry->second, context);
      }
      return dict;
    } else {
      List list;
      for (const auto* entry : sorted) {
        const auto scope = context.enter(index_key(list.size()));
        list.push_back(List{save_at<K>(0, entry->first, context), save_at<T>(1, entry->second, context)});
      }
      return list;
    }
  }

  /// In place if the keys are the same; else the map is replaced.
  static void plan(M& live, const Value& value, LoadContext& context) {
    if constexpr (DictKey<K> && !IsValue<T>) {
      const auto* dict = value.get_if<StateDict>();
      SaveContext unused;
      const auto has = [&](const auto& entry) { return dict->find_key(to_key(entry.first, unused)) != nullptr; };
      if (dict && dict->size() == live.size() && std::all_of(live.begin(), live.end(), has)) {
        for (auto& [k, item] : live) {
          const Key key = to_key(k, unused);
          const auto scope = context.enter(key);
          Codec<T>::plan(item, dict->at_key(key), context);
        }
        return;
      }
    }
    if constexpr (Buildable<T>) {
      plan_by_building(live, value, context);
    } else {
      context.mismatch("a dict of the same keys (its values cannot be built)", value.describe());
    }
  }

  static std::optional<M> build(const Value& value, LoadContext& context) requires Buildable<T> {
    M fresh;
    bool complete = true;
    const auto add = [&](std::optional<K> key, std::optional<T> item) {
      if (key && item && !fresh.emplace(*std::move(key), *std::move(item)).second) {
        context.mismatch("a key that differs from those before it", "the same key again");
        complete = false;
      }
      complete = complete && key && item;
    };
    if constexpr (DictKey<K>) {
      const auto* dict = value.get_if<StateDict>();
      if (!dict) return context.mismatch("a dict", value.describe()), std::nullopt;
      for (const auto& [key, item] : *dict) {
        const auto scope = context.enter(key);
        const Value key_value = std::visit([](const auto& k) { return Value(k); }, key);
        auto k = Codec<K>::build(key_value, context);
        add(std::move(k), Codec<T>::build(item, context));
      }
    } else {
      const List* list = expect_list(value, context);
      if (!list) return std::nullopt;
      for (std::size_t i = 0; i < list->size(); ++i) {
        const auto scope = context.enter(index_key(i));
        const List* pair = expect_list((*list)[i], context, 2);
        if (!pair) return std::nullopt;
        auto k = build_at<K>(0, *pair, context);
        add(std::move(k), build_at<T>(1, *pair, context));
      }
    }
    return complete ? std::optional(std::move(fresh)) : std::nullopt;
  }

  static void migrate(const M* live, Value& value, LoadContext& context) {
    if constexpr (DictKey<K> && !IsValue<T>) {
      auto* dict = value.get_if<StateDict>();
      if (!dict) return;
      restore_dict(*dict, context);
      for (auto& [key, item] : *dict) {
        const auto scope = context.enter(key);
        migrate_value<T>(live ? find(*live, key) : nullptr, item, context);
      }
    } else if constexpr (!IsValue<T>) {
      auto* list = value.get_if<List>();
      for (std::size_t i = 0; list && i < list->size(); ++i) {
        auto* pair = (*list)[i].template get_if<List>();
        if (!pair || pair->size() != 2) continue;
        const auto outer = context.enter(index_key(i));
        const auto inner = context.enter(index_key(1));
        migrate_value<T>(nullptr, (*pair)[1], context);
      }
    } else {
      restore_plain(value, context);
    }
  }

  static void collect(const M& x, NamesContext& context) {
    if constexpr (DictKey<K> && !IsValue<T>) {
      SaveContext unused;
      for (const auto& [key, item] : x) {
        const auto scope = context.enter(to_key(key, unused));
        collect_names(item, context);
      }
    }
  }

 private:
  template <class X>
  static Value save_at(std::size_t i, const X& x, SaveContext& context) {
    const auto scope = context.enter(index_key(i));
    return Codec<X>::save(x, context);
  }
  template <class X>
  static std::optional<X> build_at(std::size_t i, const List& list, LoadContext& context) {
    const auto scope = context.enter(index_key(i));
    return Codec<X>::build(list[i], context);
  }

  static const T* find(const M& live, const Key& key) {
    SaveContext unused;
    for (const auto& [k, item] : live) {
      if (to_key(k, unused) == key) return &item;
    }
    return nullptr;
  }

  static Key to_key(const K& key, SaveContext& context) {
    if constexpr (std::same_as<K, std::string>) {
      return key;
    } else {
      return Codec<K>::save(key, context).template as<std::int64_t>();
    }
  }
};

template <class K, class T, class C, class A>
struct StandardCodec<std::map<K, T, C, A>> : MapCodec<std::map<K, T, C, A>> {};
template <class K, class T, class H, class E, class A>
struct StandardCodec<std::unordered_map<K, T, H, E, A>> : MapCodec<std::unordered_map<K, T, H, E, A>> {};

}  // namespace trainstate::detail
