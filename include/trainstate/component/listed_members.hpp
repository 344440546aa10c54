// The members that a description lists, fields and transient ones alike, in the order in which they lie in memory.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "trainstate/component/aggregate.hpp"
#include "trainstate/component/arguments.hpp"
#include "trainstate/component/concept.hpp"
#include "trainstate/component/field.hpp"
#include "trainstate/component/types.hpp"

#ifdef __clang__
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundefined-var-template"
#pragma clang diagnostic ignored "-Wundefined-internal"
#endif

namespace trainstate::detail {

template <class T>
union Site {
  char nothing;
  T object;

  Site();
  ~Site();
};

/// Where a T might stand, so that its members have addresses to compare at compile time. Never defined.
template <class T>
extern Site<T> site;

template <class Member>
constexpr const volatile void* address_of() {
  return __builtin_addressof(site<typename Member::owner_type>.object.*Member::pointer);
}

/// An order of addresses that holds at compile time. The standard leaves it unspecified across types; g++ computes it
/// all the same, and clang does once __builtin_constant_p tells it to fold what it can.
inline constexpr auto lies_before = [](const volatile void* a, const volatile void* b) {
#ifdef __clang__
  return __builtin_constant_p(true) ? (const volatile char*)a < (const volatile char*)b : false;
#else
  return a < b;
#endif
};

template <class T, std::size_t I, class Argument>
constexpr Types<> members_in(const Argument&) {
  return {};
}
template <class T, std::size_t I, Role R, std::size_t N, class Pointer>
constexpr Types<Field<T, I>> members_in(const Declared<R, N, Pointer>&) {
  return {};
}
template <class T, std::size_t I, class... Pointers>
constexpr auto members_in(const Transient<Pointers...>& transient) {
  return detail::transients_in<T, I>(transient);
}

/// The descriptors of what T lists by itself, without the members of a ts::base.
template <class T>
inline constexpr auto listed_members = detail::collect<T>([]<class Index>(Index, const auto& argument) {
  return detail::members_in<T, Index::value>(argument);
});

template <class... Members>
constexpr auto memory_order() {
  std::array<const volatile void*, sizeof...(Members)> places{detail::address_of<Members>()...};
  std::array<std::size_t, sizeof...(Members)> indices{};
  for (std::size_t i = 0; i != indices.size(); ++i) indices[i] = i;
  std::sort(indices.begin(), indices.end(),
            [&](std::size_t a, std::size_t b) { return lies_before(places[a], places[b]); });
  return indices;
}

template <class... Members>
constexpr auto in_memory_order(Types<Members...>) {
  [[maybe_unused]] constexpr auto order = detail::memory_order<Members...>();
  return detail::with_indices<sizeof...(Members)>([=]<std::size_t... I>(std::index_sequence<I...>) {
    return Types<Element<order[I], Members...>...>{};
  });
}

template <class Owner, class Member>
using OnlyOfClass = std::conditional_t<std::is_same_v<typename Member::owner_type, Owner>, Types<Member>, Types<>>;

template <class Owner, class... Members>
constexpr auto members_of_class(Types<Members...>) {
  return (Types<>{} + ... + OnlyOfClass<Owner, Members>{});
}

/// The members of class Owner that T lists, as they lie in memory; Owner is T or a base of it.
template <class T, class Owner>
constexpr auto listed_of() {
  return detail::in_memory_order(detail::members_of_class<Owner>(listed_members<T>));
}

template <class... Members>
constexpr auto types_of_members(Types<Members...>) {
  return Types<typename Members::value_type...>{};
}

/// Which members lie in memory at a place that says nothing about where they are declared: an empty one with
/// [[no_unique_address]] shares the address of any other one.
template <class... Members>
constexpr auto are_adrift() {
  constexpr std::size_t count = sizeof...(Members);
  const std::array<const volatile void*, count> places{detail::address_of<Members>()...};
  const std::array<bool, count> empty{std::is_empty_v<typename Members::value_type>...};
  std::array<bool, count> adrift{};
  for (std::size_t i = 0; i != count; ++i) {
    for (std::size_t j = 0; j != count; ++j) {
      if (i != j && empty[i] && places[i] == places[j]) adrift[i] = true;
    }
  }
  return adrift;
}

/// The types of the members that are adrift, or of those that are not.
template <bool Adrift, class... Members>
constexpr auto types_adrift(Types<Members...>) {
  [[maybe_unused]] constexpr auto adrift = detail::are_adrift<Members...>();
  return detail::with_indices<sizeof...(Members)>([=]<std::size_t... I>(std::index_sequence<I...>) {
    return (Types<>{} + ... + std::conditional_t<adrift[I] == Adrift, Types<typename Members::value_type>, Types<>>{});
  });
}

}  // namespace trainstate::detail

#ifdef __clang__
#pragma clang diagnostic pop
#endif
