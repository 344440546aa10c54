// A component's version, and its migration hooks in the order in which they run.
#pragma once

#include <boost/hana/tuple.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "trainstate/component/arguments.hpp"
#include "trainstate/component/concept.hpp"
#include "trainstate/component/description.hpp"
#include "trainstate/component/types.hpp"

namespace trainstate::detail {

/// The I-th argument of a description, which has to do with this version.
template <std::size_t I, int V>
struct VersionAt {
  static constexpr std::size_t index = I;
  static constexpr int version = V;
};

template <std::size_t I, class Argument>
constexpr Types<> version_in(const Argument&) {
  return {};
}
template <std::size_t I, int N>
constexpr Types<VersionAt<I, N>> version_in(const Version<N>&) {
  return {};
}

template <std::size_t I, class Argument>
constexpr Types<> migration_in(const Argument&) {
  return {};
}
template <std::size_t I, int From, class Hook, class Old>
constexpr Types<VersionAt<I, From>> migration_in(const Migration<From, Hook, Old>&) {
  return {};
}

/// Every ts::version that T's description holds: one, or none.
template <class T>
constexpr auto find_versions() {
  return detail::collect<T>([]<class Index>(Index, const auto& a) { return detail::version_in<Index::value>(a); });
}

/// Every hook that T's description holds.
template <class T>
constexpr auto find_migrations() {
  return detail::collect<T>([]<class Index>(Index, const auto& a) { return detail::migration_in<Index::value>(a); });
}

template <class... Found>
constexpr std::array<int, sizeof...(Found)> versions_of(Types<Found...>) {
  return {Found::version...};
}

template <class T>
constexpr int find_version() {
  if constexpr (Described<T>) {
    constexpr auto versions = detail::versions_of(detail::find_versions<T>());
    if constexpr (!versions.empty()) return versions.front();
  }
  return 1;
}

/// The version that T declares; 1 where it declares none.
template <class T>
inline constexpr int declared_version = detail::find_version<T>();

template <class T, class... Found>
constexpr auto sort_migrations(Types<Found...>) {
  [[maybe_unused]] constexpr auto order = [] {
    std::array<std::pair<int, std::size_t>, sizeof...(Found)> found{std::pair{Found::version, Found::index}...};
    std::sort(found.begin(), found.end());
    return found;
  }();
  return detail::with_indices<sizeof...(Found)>([=]<std::size_t... I>(std::index_sequence<I...>) {
    return boost::hana::make_tuple(argument<T, order[I].second>...);
  });
}

/// T's hooks, by the version that each starts from, as a hana::tuple of ts::Migration.
template <class T>
constexpr auto migrations_in_order() {
  if constexpr (Described<T>) {
    return detail::sort_migrations<T>(detail::find_migrations<T>());
  } else {
    return boost::hana::tuple<>{};
  }
}

}  // namespace trainstate::detail
