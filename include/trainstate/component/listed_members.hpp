// The members that a description lists, fields and transient ones alike, in the order in which they lie in memory.
#pragma once

#include <algorithm>
#include <array>
#include <boost/hana/at.hpp>
#include <boost/hana/flatten.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/unpack.hpp>
#include <cstddef>
#include <memory>
#include <trainstate/component/concept.hpp>
#include <trainstate/component/field.hpp>
#include <type_traits>
#include <utility>

namespace trainstate::detail {

template <class... E>
struct Types {};

template <class T>
union Site {
  char nothing;
  T object;

  Site() : nothing{} {}
  ~Site() {}
};

/// Where a T might stand, so that its members have addresses to compare. Never read or written.
template <class T>
inline Site<T> site;

/// An order of addresses that holds at compile time. The standard leaves it unspecified across types; g++ computes it all
/// the same, and clang does once __builtin_constant_p tells it to fold what it can.
inline constexpr auto lies_before = [](const volatile void* a, const volatile void* b) {
#ifdef __clang__
  return __builtin_constant_p(true) ? (const volatile char*)a < (const volatile char*)b : false;
#else
  return a < b;
#endif
};

template <class T, std::size_t I, class Argument>
constexpr auto members_in(const Argument&) {
  return boost::hana::tuple<>{};
}
template <class T, std::size_t I, Role R, std::size_t N, class Pointer>
constexpr auto members_in(const Declared<R, N, Pointer>&) {
  return boost::hana::tuple<Field<T, I>>{};
}
template <class T, std::size_t I, class... Pointers>
constexpr auto members_in(const Transient<Pointers...>& transient) {
  return detail::transients_in<T, I>(transient);
}

template <class T>
constexpr auto find_listed_members() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return boost::hana::flatten(boost::hana::make_tuple(detail::members_in<T, I>(argument<T, I>)...));
  }(argument_indices<T>{});
}

/// What T lists by itself, without the fields of a ts::base.
template <class T>
inline constexpr auto listed_members = detail::find_listed_members<T>();

template <class... Members>
constexpr auto types_in_memory_order(boost::hana::tuple<Members...> members) {
  constexpr auto order = [] {
    std::array<const volatile void*, sizeof...(Members)> places{
        std::addressof(site<typename Members::owner_type>.object.*Members::pointer)...};
    std::array<std::size_t, sizeof...(Members)> indices{};
    for (std::size_t i = 0; i != indices.size(); ++i) indices[i] = i;
    std::sort(indices.begin(), indices.end(),
              [&](std::size_t a, std::size_t b) { return lies_before(places[a], places[b]); });
    return indices;
  }();
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return Types<typename std::remove_cvref_t<decltype(boost::hana::at_c<order[I]>(members))>::value_type...>{};
  }(std::index_sequence_for<Members...>{});
}

template <class Owner, class Member>
constexpr auto only_of_class(Member member) {
  if constexpr (std::is_same_v<typename Member::owner_type, Owner>) {
    return boost::hana::make_tuple(member);
  } else {
    return boost::hana::tuple<>{};
  }
}

/// The types of the members of class Owner that T lists; Owner is T or a base of it.
template <class T, class Owner>
constexpr auto listed_types() {
  return boost::hana::unpack(listed_members<T>, [](auto... members) {
    return detail::types_in_memory_order(
        boost::hana::flatten(boost::hana::make_tuple(detail::only_of_class<Owner>(members)...)));
  });
}

}  // namespace trainstate::detail
