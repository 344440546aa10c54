// Field descriptors: one empty type per declared field, with its key, role, type and access.
#pragma once

#include <boost/hana/at.hpp>
#include <boost/hana/flatten.hpp>
#include <boost/hana/string.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/unpack.hpp>
#include <cstddef>
#include <string_view>
#include <trainstate/component/concept.hpp>
#include <type_traits>
#include <utility>

namespace trainstate::detail {

/// What T says of itself, as a constant whose arguments can be taken apart.
template <Described T>
inline constexpr auto description = detail::describe<T>();

template <class T, std::size_t I>
inline constexpr const auto& argument = boost::hana::at_c<I>(description<T>.arguments);

template <class T, std::size_t I>
using argument_type = std::remove_cvref_t<decltype(argument<T, I>)>;

template <class T, std::size_t N, class... Arguments>
constexpr std::size_t count_arguments(const Description<T, N, Arguments...>&) {
  return sizeof...(Arguments);
}

template <class T>
using argument_indices = std::make_index_sequence<detail::count_arguments(description<T>)>;

/// Whether T's description has an argument of this type.
template <class T, class Argument>
inline constexpr bool has_argument = boost::hana::unpack(description<T>.arguments, []<class... A>(const A&...) {
  return (std::is_same_v<A, Argument> || ...);
});

template <class Pointer>
struct Pointee;
template <class M, class C>
struct Pointee<M C::*const> {
  using member = M;
  using owner = C;
};

/// The member that `pointer` points to. A described class may reach into a base that others cannot (protected
/// inheritance), hence the cast that looks past access, and only after the classes proved related.
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
  static constexpr Role role = argument_type<T, I>::role;
  static constexpr bool is_const = std::is_const_v<value_type>;

  static constexpr std::string_view name() { return argument<T, I>.key; }

  template <class X>
  static constexpr auto& get(X& object) {
    return detail::member_of(object, pointer);
  }
};

/// The I-th member of a hana::Struct that trainstate did not describe.
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
constexpr auto fields_in(const Argument&) {
  return boost::hana::tuple<>{};
}
template <class T, std::size_t I, Role R, std::size_t N, class Pointer>
constexpr auto fields_in(const Declared<R, N, Pointer>&) {
  return boost::hana::tuple<Field<T, I>>{};
}
template <class T, std::size_t I, class B>
constexpr auto fields_in(const Base<B>&) {
  return detail::find_fields<B>();
}

template <class T, std::size_t I, class Argument>
constexpr auto transients_in(const Argument&) {
  return boost::hana::tuple<>{};
}
template <class T, std::size_t I, class... Pointers>
constexpr auto transients_in(const Transient<Pointers...>&) {
  return []<std::size_t... J>(std::index_sequence<J...>) {
    return boost::hana::tuple<TransientMember<T, I, J>...>{};
  }(std::index_sequence_for<Pointers...>{});
}
template <class T, std::size_t I, class B>
constexpr auto transients_in(const Base<B>&) {
  return detail::find_transients<B>();
}

/// The fields of T in declared order, those of its bases in the place of ts::base.
template <class T>
constexpr auto find_fields() {
  if constexpr (Described<T>) {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return boost::hana::flatten(boost::hana::make_tuple(detail::fields_in<T, I>(argument<T, I>)...));
    }(argument_indices<T>{});
  } else if constexpr (StructComponent<T>) {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return boost::hana::tuple<StructField<T, I>...>{};
    }(std::make_index_sequence<decltype(boost::hana::length(boost::hana::accessors<T>()))::value>{});
  } else {
    return boost::hana::tuple<>{};
  }
}

template <class T>
constexpr auto find_transients() {
  if constexpr (Described<T>) {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return boost::hana::flatten(boost::hana::make_tuple(detail::transients_in<T, I>(argument<T, I>)...));
    }(argument_indices<T>{});
  } else {
    return boost::hana::tuple<>{};
  }
}

template <class T>
inline constexpr auto field_tuple = detail::find_fields<T>();

template <class T>
inline constexpr auto transient_tuple = detail::find_transients<T>();

}  // namespace trainstate::detail
