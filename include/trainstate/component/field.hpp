// Field descriptors: one empty type per declared field, with its key, role, type and access.
#pragma once

#include <boost/hana/accessors.hpp>
#include <boost/hana/at.hpp>
#include <boost/hana/length.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/string.hpp>
#include <boost/hana/tuple.hpp>

#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include "trainstate/component/arguments.hpp"
#include "trainstate/component/concept.hpp"
#include "trainstate/component/description.hpp"
#include "trainstate/component/types.hpp"

namespace trainstate::detail {

template <class Pointer>
struct Pointee;
template <class M, class C>
struct Pointee<M C::*const> {
  using member = M;
  using owner = C;
};

/// The member that `pointer` points to. A described class may reach into bases that others may not (it inherits them
/// privately), hence the cast that looks past access; the classes have proved related before.
template <class M, class C, class X>
requires std::is_base_of_v<C, X>
constexpr auto& member_of(X& object, M C::*pointer) {
  using Owner = std::conditional_t<std::is_const_v<X>, const C, C>;
  return ((Owner&)object).*pointer;
}

template <class T, std::size_t I, std::size_t... Character>
constexpr auto spell_key(std::index_sequence<Character...>) {
  return boost::hana::string_c<argument<T, I>.key.data[Character]...>;
}

/// The I-th argument of T's description, a ts::hyper or ts::state.
template <class T, std::size_t I>
struct Field {
  static constexpr auto pointer = argument<T, I>.pointer;
  using value_type = typename Pointee<decltype(pointer)>::member;
  using owner_type = typename Pointee<decltype(pointer)>::owner;

  static constexpr auto key = detail::spell_key<T, I>(std::make_index_sequence<argument<T, I>.key.size()>{});
  static constexpr Role role = argument<T, I>.role;
  static constexpr bool is_const = std::is_const_v<value_type>;

  static constexpr std::string_view name() { return argument<T, I>.key; }

  template <class X>
  static constexpr auto& get(X& object) {
    return detail::member_of(object, pointer);
  }
};

/// The I-th member of a hana::Struct that has no description.
template <class T, std::size_t I>
struct StructField {
 private:
  static constexpr auto accessor = boost::hana::at_c<I>(boost::hana::accessors<T>());

 public:
  using value_type = std::remove_reference_t<decltype(boost::hana::second(accessor)(std::declval<T&>()))>;

  static constexpr auto key = boost::hana::first(accessor);
  static constexpr Role role = Role::state;
  static constexpr bool is_const = std::is_const_v<value_type>;

  static constexpr std::string_view name() { return {key.c_str(), decltype(boost::hana::length(key))::value}; }

  template <class X>
  requires std::is_base_of_v<T, X>
  static constexpr auto& get(X& object) { return boost::hana::second(accessor)(object); }
};

/// The J-th pointer of the I-th argument, a ts::transient.
template <class T, std::size_t I, std::size_t J>
struct TransientMember {
  static constexpr auto pointer = boost::hana::at_c<J>(argument<T, I>.pointers);
  using value_type = typename Pointee<decltype(pointer)>::member;
  using owner_type = typename Pointee<decltype(pointer)>::owner;

  template <class X>
  static constexpr auto& get(X& object) {
    return detail::member_of(object, pointer);
  }
};

template <class T>
constexpr auto find_fields();
template <class T>
constexpr auto find_transients();

template <class T, std::size_t I, class Argument>
constexpr Types<> fields_in(const Argument&) {
  return {};
}
template <class T, std::size_t I, Role R, std::size_t N, class Pointer>
constexpr Types<Field<T, I>> fields_in(const Declared<R, N, Pointer>&) {
  return {};
}
template <class T, std::size_t I, class B>
constexpr auto fields_in(const Base<B>&) {
  return detail::find_fields<B>();
}

template <class T, std::size_t I, class Argument>
constexpr Types<> transients_in(const Argument&) {
  return {};
}
template <class T, std::size_t I, class... Pointers>
constexpr auto transients_in(const Transient<Pointers...>&) {
  return detail::with_indices<sizeof...(Pointers)>(
      []<std::size_t... J>(std::index_sequence<J...>) { return Types<TransientMember<T, I, J>...>{}; });
}
template <class T, std::size_t I, class B>
constexpr auto transients_in(const Base<B>&) {
  return detail::find_transients<B>();
}

template <class T>
constexpr auto find_fields() {
  if constexpr (Described<T>) {
    return detail::collect<T>([]<class Index>(Index, const auto& a) { return detail::fields_in<T, Index::value>(a); });
  } else if constexpr (StructComponent<T>) {
    return detail::with_indices<decltype(boost::hana::length(boost::hana::accessors<T>()))::value>(
        []<std::size_t... I>(std::index_sequence<I...>) { return Types<StructField<T, I>...>{}; });
  } else {
    return Types<>{};
  }
}

template <class T>
constexpr auto find_transients() {
  if constexpr (Described<T>) {
    return detail::collect<T>(
        []<class Index>(Index, const auto& a) { return detail::transients_in<T, Index::value>(a); });
  } else {
    return Types<>{};
  }
}

/// The descriptors of T's fields in declared order, those of its bases in the place of ts::base.
template <class T>
inline constexpr auto field_types = detail::find_fields<T>();

/// The descriptors of the members listed as transient, likewise.
template <class T>
inline constexpr auto transient_types = detail::find_transients<T>();

}  // namespace trainstate::detail
