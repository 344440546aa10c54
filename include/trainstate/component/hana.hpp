// The bridge to Boost.Hana: the accessors of a described component, keyed by hana::string.
#pragma once

#include <boost/hana/accessors.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/unpack.hpp>
#include <trainstate/component/check.hpp>
#include <trainstate/component/concept.hpp>
#include <trainstate/component/field.hpp>

namespace trainstate::detail {

template <class F>
struct Accessor {
  template <class X>
  constexpr decltype(auto) operator()(X&& object) const {
    if constexpr (std::is_lvalue_reference_v<X>) {
      return F::get(object);
    } else {
      return std::move(F::get(object));
    }
  }
};

}  // namespace trainstate::detail

namespace boost::hana {

template <trainstate::detail::Described T>
requires(!trainstate::detail::owns_struct_macro<T>()) constexpr auto accessors_impl<T, void>::apply() {
  static_assert(trainstate::detail::assert_component<T>());
  return hana::unpack(trainstate::detail::field_tuple<T>, []<class... Fields>(Fields...) {
    return hana::make_tuple(hana::make_pair(Fields::key, trainstate::detail::Accessor<Fields>{})...);
  });
}

}  // namespace boost::hana
