// The bridge to Boost.Hana: every described component is a hana::Struct, with its fields under hana::string keys.
#pragma once

#include <boost/hana/accessors.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/tuple.hpp>

#include <type_traits>
#include <utility>

#include "trainstate/component/check.hpp"
#include "trainstate/component/concept.hpp"
#include "trainstate/component/field.hpp"
#include "trainstate/component/types.hpp"

namespace trainstate::detail {

/// Reads a field as a member access would: an lvalue of an lvalue, an xvalue of an rvalue.
template <class F>
struct Accessor {
  template <class X>
  constexpr auto&& operator()(X&& object) const {
    if constexpr (std::is_lvalue_reference_v<X>) {
      return F::get(object);
    } else {
      return std::move(F::get(object));
    }
  }
};

template <class... F>
constexpr auto accessors_of(Types<F...>) {
  return boost::hana::make_tuple(boost::hana::make_pair(F::key, Accessor<F>{})...);
}

}  // namespace trainstate::detail

namespace boost::hana {

template <trainstate::detail::Described T>
requires(!trainstate::detail::owns_struct_macro<T>()) constexpr auto accessors_impl<T, void>::apply() {
  static_assert(trainstate::detail::assert_component<T>());
  return trainstate::detail::accessors_of(trainstate::detail::field_types<T>);
}

}  // namespace boost::hana
