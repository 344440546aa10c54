// A training component says here, at compile time, which of its fields are hyperparameters and which are state.
#pragma once

#include <string_view>
#include <trainstate/component/check.hpp>
#include <trainstate/component/concept.hpp>
#include <trainstate/component/description.hpp>
#include <trainstate/component/field.hpp>
#include <trainstate/component/hana.hpp>
#include <trainstate/component/migration.hpp>

namespace trainstate {

namespace detail {

template <class T>
constexpr std::string_view find_name() {
  if constexpr (Described<T>) {
    return description<T>.name;
  } else {
    return "struct";
  }
}

template <class T>
constexpr bool is_flat_record() {
  if constexpr (Described<T>) return has_argument<T, Flat>;
  return false;
}

template <Role R, class X>
constexpr auto members_of_role(X& object) {
  using T = std::remove_const_t<X>;
  static_assert(detail::assert_component<T>());
  return boost::hana::unpack(field_tuple<T>, [&]<class... Fields>(Fields... fields) {
    constexpr auto of_role = [](auto field) {
      if constexpr (decltype(field)::role == R)
        return boost::hana::make_tuple(field);
      else
        return boost::hana::tuple<>{};
    };
    return boost::hana::unpack(
        boost::hana::flatten(boost::hana::make_tuple(of_role(fields)...)), [&]<class... Chosen>(Chosen...) {
          using boost::hana::pair;
          return boost::hana::tuple<pair<std::remove_const_t<decltype(Chosen::key)>, decltype(Chosen::get(object))>...>{
              pair<std::remove_const_t<decltype(Chosen::key)>, decltype(Chosen::get(object))>{Chosen::key,
                                                                                              Chosen::get(object)}...};
        });
  });
}

}  // namespace detail

/// The fields of component T in declared order (those of a ts::base in its place), a hana::tuple of empty descriptors.
template <class T>
inline constexpr auto fields = (static_cast<void>(detail::assert_component<T>()), detail::field_tuple<T>);

template <class T>
inline constexpr auto transients = (static_cast<void>(detail::assert_component<T>()), detail::transient_tuple<T>);

template <class T>
inline constexpr std::string_view component_name = (detail::assert_component<T>(), detail::find_name<T>());

template <class T>
inline constexpr int component_version = (detail::assert_component<T>(), detail::declared_version<T>);

template <class T>
inline constexpr bool is_flat = (detail::assert_component<T>(), detail::is_flat_record<T>());

template <class T>
inline constexpr auto migrations = (static_cast<void>(detail::assert_component<T>()), detail::sorted_migrations<T>);

namespace detail {
template <class Old>
struct MigrateFrom {
  template <class F>
  constexpr auto operator()(F f) const {
    return Migration<component_version<Old>, F, Old>{f};
  }
};
}  // namespace detail

template <class Old>
inline constexpr detail::MigrateFrom<Old> migrate_from{};

template <class X>
constexpr auto hyperparameters(X& object) {
  return detail::members_of_role<Role::hyper>(object);
}

template <class X>
constexpr auto state_of(X& object) {
  return detail::members_of_role<Role::state>(object);
}

}  // namespace trainstate
