// A component's version, and its migration hooks in the order in which they run.
#pragma once

#include <algorithm>
#include <array>
#include <boost/hana/at.hpp>
#include <boost/hana/flatten.hpp>
#include <boost/hana/length.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/unpack.hpp>
#include <cstddef>
#include <trainstate/component/concept.hpp>
#include <trainstate/component/field.hpp>
#include <type_traits>
#include <utility>

namespace trainstate::detail {

template <class Argument>
constexpr int version_in(const Argument&) {
  return 0;
}
template <int N>
constexpr int version_in(const Version<N>&) {
  return N;
}

template <class T>
constexpr int find_version() {
  if constexpr (Described<T>) {
    return boost::hana::unpack(description<T>.arguments, [](const auto&... arguments) {
      constexpr bool written = (is_version<std::remove_cvref_t<decltype(arguments)>> || ...);
      return written ? (detail::version_in(arguments) + ... + 0) : 1;
    });
  } else {
    return 1;
  }
}

/// The version that T declares, 1 where it declares none.
template <class T>
inline constexpr int declared_version = detail::find_version<T>();

template <class Argument>
constexpr auto migrations_in(const Argument&) {
  return boost::hana::tuple<>{};
}
template <int From, class Hook, class Old>
constexpr auto migrations_in(const Migration<From, Hook, Old>& migration) {
  return boost::hana::tuple<Migration<From, Hook, Old>>{migration};
}

template <class T>
constexpr auto find_migrations() {
  if constexpr (Described<T>) {
    return boost::hana::unpack(description<T>.arguments, [](const auto&... arguments) {
      return boost::hana::flatten(boost::hana::make_tuple(detail::migrations_in(arguments)...));
    });
  } else {
    return boost::hana::tuple<>{};
  }
}

template <class T>
inline constexpr auto written_migrations = detail::find_migrations<T>();

template <class... Migrations>
constexpr auto sorted_indices(const boost::hana::tuple<Migrations...>&) {
  constexpr std::array<int, sizeof...(Migrations)> from{Migrations::from_version...};
  std::array<std::size_t, sizeof...(Migrations)> order{};
  for (std::size_t i = 0; i != order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return from[a] < from[b]; });
  return order;
}

template <class T>
constexpr auto sort_migrations() {
  constexpr auto order = detail::sorted_indices(written_migrations<T>);
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return boost::hana::make_tuple(boost::hana::at_c<order[I]>(written_migrations<T>)...);
  }(std::make_index_sequence<order.size()>{});
}

template <class T>
inline constexpr auto sorted_migrations = detail::sort_migrations<T>();

}  // namespace trainstate::detail
