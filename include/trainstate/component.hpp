// A training component says once, at compile time, which of its fields are hyperparameters and which are state.
//
// To declare one: component, version, hyper, state, transient, base, migrate, migrate_from, flat, unchecked
// (component/description.hpp), and describe_for for a class that cannot be edited (component/concept.hpp). To work with
// one: Component, fields and what follows here; every component is a hana::Struct, too.
#pragma once

#include <boost/hana/bool.hpp>
#include <boost/hana/filter.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/transform.hpp>

#include <string_view>
#include <type_traits>

#include "trainstate/component/check.hpp"
#include "trainstate/component/concept.hpp"
#include "trainstate/component/description.hpp"
#include "trainstate/component/field.hpp"
#include "trainstate/component/hana.hpp"
#include "trainstate/component/migration.hpp"
#include "trainstate/component/types.hpp"

namespace trainstate {
namespace detail {

template <class T>
constexpr std::string_view find_name() {
  static_assert(detail::assert_component<T>());
  if constexpr (Described<T>) {
    return description<T>.name;
  } else {
    return "struct";
  }
}

template <class T>
constexpr int checked_version() {
  static_assert(detail::assert_component<T>());
  return declared_version<T>;
}

template <class T>
constexpr bool find_flat() {
  static_assert(detail::assert_component<T>());
  if constexpr (Described<T>) {
    return has_argument<T, Flat>;
  } else {
    return false;
  }
}

template <class T>
constexpr auto checked_fields() {
  static_assert(detail::assert_component<T>());
  return detail::tuple_of(field_types<T>);
}

template <class T>
constexpr auto checked_transients() {
  static_assert(detail::assert_component<T>());
  return detail::tuple_of(transient_types<T>);
}

template <class T>
constexpr auto checked_migrations() {
  static_assert(detail::assert_component<T>());
  return detail::migrations_in_order<T>();
}

}  // namespace detail

/// The name of component T; "struct" for a hana::Struct without a description.
template <class T>
inline constexpr std::string_view component_name = detail::find_name<T>();

/// The version of component T: what it writes today.
template <class T>
inline constexpr int component_version = detail::checked_version<T>();

/// Whether the record of component T is one flat dict, see ts::flat.
template <class T>
inline constexpr bool is_flat = detail::find_flat<T>();

/// The fields of component T, in declared order and those of a ts::base in its place: a hana::tuple of empty
/// descriptors.
///
/// A descriptor F has `F::key` (a hana::string), `F::name()` (the same as a std::string_view), `F::role`,
/// `F::value_type` (as declared: const and arrays included), `F::is_const`, and `F::get(x)`, a reference to the member
/// of `x`.
template <class T>
inline constexpr auto fields = detail::checked_fields<T>();

/// The members of T that are listed as transient: descriptors with `pointer`, `value_type`, and `get(x)`.
template <class T>
inline constexpr auto transients = detail::checked_transients<T>();

/// The migration hooks of component T, by the version that each starts from: a hana::tuple of ts::Migration.
template <class T>
inline constexpr auto migrations = detail::checked_migrations<T>();

namespace detail {

template <class Old>
struct MigrateFrom {
  template <class Hook>
  constexpr auto operator()(Hook hook) const {
    return Migration<component_version<Old>, Hook, Old>{hook};
  }
};

template <Role R, class X>
constexpr auto members_of_role(X& object) {
  constexpr auto of_role = [](auto field) { return boost::hana::bool_c<decltype(field)::role == R>; };
  return boost::hana::transform(boost::hana::filter(fields<std::remove_const_t<X>>, of_role), [&]<class F>(F field) {
    using Key = std::remove_const_t<decltype(F::key)>;
    return boost::hana::pair<Key, decltype(F::get(object))>{field.key, F::get(object)};
  });
}

}  // namespace detail

/// `ts::migrate_from<Old>(f)`: a hook from the version that the described struct Old declares. `f` takes an Old, filled
/// from a record of that version, and returns what became of it.
template <class Old>
inline constexpr detail::MigrateFrom<Old> migrate_from{};

/// The hyperparameters of a component: a hana::tuple of pairs of a hana::string and a reference to the live member.
template <class X>
constexpr auto hyperparameters(X& object) {
  return detail::members_of_role<Role::hyper>(object);
}

/// The state of a component, in the form of `hyperparameters`.
template <class X>
constexpr auto state_of(X& object) {
  return detail::members_of_role<Role::state>(object);
}

}  // namespace trainstate
