// Lists of types and of indices: what a description is taken apart into before it becomes Hana tuples.
#pragma once

#include <boost/hana/at.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace trainstate::detail {

template <class... E>
struct Types {
  static constexpr std::size_t size = sizeof...(E);
};

template <class... A, class... B>
constexpr Types<A..., B...> operator+(Types<A...>, Types<B...>) {
  return {};
}

template <std::size_t I, class... E>
using Element = typename std::remove_cvref_t<decltype(boost::hana::at_c<I>(boost::hana::tuple_t<E...>))>::type;

template <class... E>
constexpr boost::hana::tuple<E...> tuple_of(Types<E...>) {
  return {};
}

/// Calls `f(std::index_sequence<0, ..., N - 1>{})`.
template <std::size_t N, class F>
constexpr auto with_indices(F f) {
  return f(std::make_index_sequence<N>{});
}

}  // namespace trainstate::detail
