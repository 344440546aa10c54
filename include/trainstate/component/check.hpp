// Every mistake that a description can hold, as a compile error that names the component and the remedy.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include "trainstate/component/arguments.hpp"
#include "trainstate/component/completeness.hpp"
#include "trainstate/component/concept.hpp"
#include "trainstate/component/description.hpp"
#include "trainstate/component/field.hpp"
#include "trainstate/component/listed_members.hpp"
#include "trainstate/component/migration.hpp"
#include "trainstate/component/reflection/completeness.hpp"
#include "trainstate/component/types.hpp"

namespace trainstate::detail {

template <class T>
concept ConstantDescription = requires {
  typename std::bool_constant<(static_cast<void>(detail::describe<T>()), true)>;
};

template <class T, class... Members>
constexpr bool are_members_of(Types<Members...>) {
  return (std::is_base_of_v<typename Members::owner_type, T> && ...);
}

template <class T, class Argument>
constexpr bool is_base_if_any = true;
template <class T, class B>
constexpr bool is_base_if_any<T, Base<B>> = Component<B>&& std::is_base_of_v<B, T> && !std::is_same_v<B, T>;

template <class T, class... Arguments>
constexpr bool are_bases_of(Types<Arguments...>) {
  return (is_base_if_any<T, Arguments> && ...);
}

template <class... F>
constexpr bool has_empty_key(Types<F...>) {
  return (F::name().empty() || ...);
}

/// The index of a field whose key another field has, too; the number of fields if there is none.
template <class... F>
constexpr std::size_t find_repeated_key(Types<F...>) {
  std::array<std::pair<std::string_view, std::size_t>, sizeof...(F)> keys{};
  std::size_t i = 0;
  ((keys[i] = {F::name(), i}, ++i), ...);
  std::sort(keys.begin(), keys.end());
  const auto repeated =
      std::adjacent_find(keys.begin(), keys.end(), [](auto& a, auto& b) { return a.first == b.first; });
  return repeated == keys.end() ? keys.size() : repeated->second;
}

/// Its name in the compiler's message shows the key.
template <class T, class Key>
constexpr bool assert_no_repeated_key() {
  static_assert(std::is_void_v<Key>,
                "trainstate: two fields of this component have the same key: give each field a key of its own");
  return true;
}

template <class T, class... F>
constexpr bool assert_keys(Types<F...>) {
  static_assert(!detail::has_empty_key(Types<F...>{}),
                "trainstate: a field's key is empty: write the name under which the field stands in a file");
  constexpr std::size_t repeated = detail::find_repeated_key(Types<F...>{});
  if constexpr (repeated != sizeof...(F)) {
    return detail::assert_no_repeated_key<T, std::remove_const_t<decltype(Element<repeated, F...>::key)>>();
  } else {
    return true;
  }
}

template <class Member>
constexpr const volatile void* address_unless_abstract() {
  if constexpr (std::is_abstract_v<typename Member::owner_type>) {
    return nullptr;
  } else {
    return detail::address_of<Member>();
  }
}

template <class M>
inline constexpr char type_tag{};

template <class... Members>
constexpr bool is_one_listed_twice(Types<Members...>) {
  constexpr std::size_t count = sizeof...(Members);
  const std::array<const volatile void*, count> addresses{detail::address_unless_abstract<Members>()...};
  const std::array<const char*, count> types{
      &type_tag<typename Members::value_type>...};  // a union's share the address
  // Not by comparing addresses with null, which is no constant where g++ sanitizes.
  const std::array<bool, count> known{!std::is_abstract_v<typename Members::owner_type>...};
  for (std::size_t i = 0; i != count; ++i) {
    for (std::size_t j = 0; j != i; ++j) {
      if (known[i] && known[j] && addresses[i] == addresses[j] && types[i] == types[j]) return true;
    }
  }
  return false;
}

/// The first version from which a hook is missing, 0 if none is: a chain may start late, but then has to be whole.
template <std::size_t N>
constexpr int find_missing_hook(const std::array<int, N>& starts, int version) {
  int next = starts.empty() ? version : starts.front();
  for (int start : starts) {
    if (start > next) break;
    next = start + 1;
  }
  return next < version ? next : 0;
}

/// Its name in the compiler's message shows the version.
template <class T, int MissingFrom>
constexpr bool assert_no_missing_hook() {
  static_assert(MissingFrom == 0,
                "trainstate: the migration chain of this component has a gap: a chain may start late, but then needs a "
                "ts::migrate<K> for every K up to the version before ts::version");
  return true;
}

template <class T>
constexpr bool assert_versions() {
  static_assert(detail::find_versions<T>().size <= 1,
                "trainstate: this component has two versions: keep one ts::version<N>");
  static_assert(declared_version<T> >= 1, "trainstate: versions start at 1: write ts::version<1>, or leave it out");
  constexpr auto starts = [] {
    auto numbers = detail::versions_of(detail::find_migrations<T>());
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }();
  if constexpr (!starts.empty()) {
    static_assert(starts.front() >= 1, "trainstate: versions start at 1: no record of version 0 is there to migrate");
    static_assert(std::adjacent_find(starts.begin(), starts.end()) == starts.end(),
                  "trainstate: two migration hooks of this component start from the same version: keep one of them");
    static_assert(starts.back() < declared_version<T>,
                  "trainstate: a migration hook of this component starts at or past its version: raise ts::version<N> "
                  "above the hook's, or remove the hook");
  }
  return detail::assert_no_missing_hook<T, detail::find_missing_hook(starts, declared_version<T>)>();
}

template <class T>
constexpr bool assert_fields() {
  static_assert(detail::are_members_of<T>(listed_members<T>),
                "trainstate: a pointer to a member of another class: list members of this component and of its bases");
  static_assert(detail::are_bases_of<T>(detail::types_of_arguments(description<T>)),
                "trainstate: ts::base<B> takes a described base: B has to be a base of this component that has a "
                "describe() of its own");
  if constexpr (detail::are_members_of<T>(listed_members<T>) &&
                detail::are_bases_of<T>(detail::types_of_arguments(description<T>))) {
    static_assert(!detail::is_one_listed_twice(listed_members<T>),
                  "trainstate: a member of this component is listed twice: keep one of ts::hyper, ts::state and "
                  "ts::transient for it");
    static_assert(detail::assert_keys<T>(field_types<T>));
#ifdef TRAINSTATE_REFLECTION
    static_assert(detail::reflection_error<T>().empty(), detail::reflection_error<T>());
#else
    static_assert(detail::is_complete<T>(),
                  "trainstate: a member of this aggregate is forgotten: list it with ts::hyper, ts::state or "
                  "ts::transient (ts::unchecked, if it is one that cannot be listed: a bit-field, an anonymous union; "
                  "or if there are more than 16 bases or 32 references)");
#endif
  }
  return true;
}

template <class T>
constexpr bool assert_description() {
  static_assert(ConstantDescription<T>, "trainstate: describe() has to be static constexpr");
  if constexpr (ConstantDescription<T>) {
    static_assert(!description<T>.name.view().empty(),
                  "trainstate: a component's name is empty: it stands in every file");
    static_assert(detail::assert_versions<T>());
    static_assert(detail::assert_fields<T>());
  }
  return true;
}

/// Refuses to compile unless T is a component without mistakes. Every entry point that takes a component calls it.
template <class T>
constexpr bool assert_component() {
  static_assert(!inherits_describe<T>,
                "trainstate: this class inherits describe() from a base, which knows nothing of its own members: give "
                "it a describe() of its own that lists ts::base<B> and them");
  static_assert(inherits_describe<T> || Component<T>,
                "trainstate: this type is no component: give it a public static constexpr describe() that returns "
                "ts::component<T>(...), or specialise ts::describe_for<T>");
  if constexpr (Described<T>) {
    return detail::assert_description<T>();
  } else {
    return true;
  }
}

}  // namespace trainstate::detail
