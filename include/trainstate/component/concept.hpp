// What makes a type a component: describe(), describe_for<T>, or being a hana::Struct already.
#pragma once

#include <boost/hana/accessors.hpp>
#include <boost/hana/at.hpp>
#include <boost/hana/concept/struct.hpp>
#include <boost/hana/length.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/unpack.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

#include "trainstate/component/description.hpp"
#include "trainstate/component/reflection.hpp"

namespace trainstate {

/// The description of a type that cannot be edited: specialise it with a `static constexpr auto describe()` that
/// returns `ts::component<T>(...)`. It takes precedence over a describe() of T's own.
template <class T>
struct describe_for {};

namespace detail {

template <class D>
inline constexpr bool is_description = false;
template <class T, std::size_t N, class... Arguments>
inline constexpr bool is_description<Description<T, N, Arguments...>> = true;

template <class D>
concept AnyDescription = is_description<std::remove_cvref_t<D>>;

template <class T>
concept HasDescribeFor = requires {
  { describe_for<T>::describe() } -> AnyDescription;
};

template <class T>
concept HasDescribe = requires {
  { T::describe() } -> AnyDescription;
};

template <class T>
constexpr auto describe() {
  if constexpr (HasDescribeFor<T>) {
    return describe_for<T>::describe();
  } else {
    return T::describe();
  }
}

/// The class that T's describe() speaks of: a base of T where T merely inherited it.
template <class T>
using described_type = typename decltype(detail::describe<T>())::component_type;

template <class T>
concept Described = (HasDescribeFor<T> || HasDescribe<T>)&&std::is_same_v<described_type<T>, T>;

template <class T>
concept HasStructMacro = requires {
  typename T::hana_accessors_impl;
};

template <class T, class Class, class Member, Member Class::*p, template <class P, P> class Accessor>
constexpr bool points_into(const Accessor<Member Class::*, p>&) {
  return std::is_same_v<Class, T>;
}

/// Whether it was in T itself, not in a base, that BOOST_HANA_DEFINE_STRUCT was written.
template <class T>
constexpr bool owns_struct_macro() {
  if constexpr (HasStructMacro<T>) {
    constexpr auto accessors = T::hana_accessors_impl::apply();
    if constexpr (decltype(boost::hana::length(accessors))::value == 0) {
      return true;
    } else {
      return detail::points_into<T>(boost::hana::second(boost::hana::at_c<0>(accessors)));
    }
  }
  return false;
}

}  // namespace detail
}  // namespace trainstate

namespace boost::hana {

/// Every described component is a Struct. What the user made a Struct, by macro or specialisation, stays as it is.
template <trainstate::detail::Described T>
requires(!trainstate::detail::owns_struct_macro<T>()) struct accessors_impl<T, void> {
  static constexpr auto apply();  // defined in component/hana.hpp
};

}  // namespace boost::hana

namespace trainstate {
namespace detail {

/// A description that T inherited says nothing about the members of T itself.
template <class T>
constexpr bool inherits_description() {
  if constexpr (HasDescribeFor<T>) {
    return false;
  } else if constexpr (HasDescribe<T>) {
    return !std::is_same_v<described_type<T>, T> && std::is_base_of_v<described_type<T>, T>;
  } else if constexpr (HasStructMacro<T>) {
    return !detail::owns_struct_macro<T>();
  } else {
#ifdef TRAINSTATE_REFLECTION
    return detail::inherits_annotations<T>();
#else
    return false;
#endif
  }
}

/// T is not a component, but a class that inherits from one: it needs a describe() of its own.
template <class T>
inline constexpr bool inherits_describe = detail::inherits_description<T>();

/// Whether each accessor of a Hana Struct gives the member itself; those of BOOST_HANA_ADAPT_ADT may give copies.
template <class T>
constexpr bool accessors_reach_members() {
  return boost::hana::unpack(boost::hana::accessors<T>(), []<class... Pairs>(const Pairs&... pairs) {
    return (std::is_lvalue_reference_v<decltype(boost::hana::second(pairs)(std::declval<T&>()))> && ...);
  });
}

template <class T>
constexpr bool is_plain_struct() {
  if constexpr (boost::hana::Struct<T>::value && !Described<T> && !inherits_describe<T>) {
    return detail::accessors_reach_members<T>();
  }
  return false;
}

/// A hana::Struct without a description: a component of version 1, whose members are all state.
template <class T>
concept StructComponent = is_plain_struct<T>();

}  // namespace detail

/// A class that says what it saves: it has a describe() of its own, or describe_for<T>, or is a hana::Struct. False,
/// never an error, for everything else; a class that merely inherits describe() is no component.
template <class T>
concept Component = std::is_class_v<T> && std::is_same_v<T, std::remove_cv_t<T>> &&
    (detail::Described<T> || detail::StructComponent<T>);

}  // namespace trainstate
