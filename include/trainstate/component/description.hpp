// What a component may say about itself: the arguments of ts::component, and the literal that it makes of them.
#pragma once

#include <boost/hana/basic_tuple.hpp>

#include <cstddef>
#include <type_traits>

#include "trainstate/fixed_string.hpp"

namespace trainstate {

/// Whether a field is set by whoever builds the component (`hyper`) or by training (`state`).
enum class Role { hyper, state };

/// How a migration hook works: on the record as a dict, or from an object of the old struct.
enum class MigrationKind { dict, old_struct };

/// One step of a migration chain, from `from_version` to the version after it.
///
/// Of kind `dict`, `hook(record)` edits the record in place. Of kind `old_struct`, `hook(old)` makes the new component
/// from an `Old` (`old_type`), whose own description says what `from_version` looked like.
template <int From, class Hook, class Old = void>
struct Migration {
  static constexpr int from_version = From;
  static constexpr MigrationKind kind = std::is_void_v<Old> ? MigrationKind::dict : MigrationKind::old_struct;
  using old_type = Old;
  using hook_type = Hook;

  Hook hook;
};

namespace detail {

template <int N>
struct Version {};

struct Flat {};
struct Unchecked {};

template <class B>
struct Base {};

template <Role R, std::size_t N, class Pointer>
struct Declared {
  static constexpr Role role = R;

  FixedString<N> key;
  Pointer pointer;
};

template <class... Pointers>
struct Transient {
  boost::hana::basic_tuple<Pointers...> pointers;
};

#ifdef __cpp_impl_reflection
/// A key on its own: the annotation [[=ts::state("key")]] of the member that has it. See component/reflection.hpp.
template <Role R, std::size_t N>
struct Keyed {
  FixedString<N> key;
};
#endif

template <Role R>
struct Declare {
#ifdef __cpp_impl_reflection
  template <std::size_t N>
  constexpr auto operator()(const char (&key)[N]) const {
    return Keyed<R, N - 1>{key};
  }
#endif

  template <std::size_t N, class Pointer>
  constexpr auto operator()(const char (&key)[N], Pointer pointer) const {
    static_assert(std::is_member_object_pointer_v<Pointer>,
                  "trainstate: a field is declared by its key and a pointer to a data member: write ts::state(\"key\", "
                  "&T::member)");
    return Declared<R, N - 1, Pointer>{key, pointer};
  }
};

struct DeclareTransient {
  template <class... Pointers>
  constexpr auto operator()(Pointers... pointers) const {
    static_assert((std::is_member_object_pointer_v<Pointers> && ...),
                  "trainstate: ts::transient takes pointers to data members: write ts::transient(&T::member)");
    return Transient<Pointers...>{boost::hana::basic_tuple<Pointers...>{pointers...}};
  }
};

template <int K>
struct Migrate {
  template <class Hook>
  constexpr auto operator()(Hook hook) const {
    return Migration<K, Hook>{hook};
  }
};

/// What describe() returns: the component's type, its name, and everything else as it was written.
template <class T, std::size_t N, class... Arguments>
struct Description {
  using component_type = T;

  FixedString<N> name;
  boost::hana::basic_tuple<Arguments...> arguments;
};

template <class>
inline constexpr bool is_argument = false;
template <int N>
inline constexpr bool is_argument<Version<N>> = true;
template <>
inline constexpr bool is_argument<Flat> = true;
template <>
inline constexpr bool is_argument<Unchecked> = true;
template <class B>
inline constexpr bool is_argument<Base<B>> = true;
template <Role R, std::size_t N, class Pointer>
inline constexpr bool is_argument<Declared<R, N, Pointer>> = true;
template <class... Pointers>
inline constexpr bool is_argument<Transient<Pointers...>> = true;
template <int From, class Hook, class Old>
inline constexpr bool is_argument<Migration<From, Hook, Old>> = true;

}  // namespace detail

/// `ts::version<N>`: the version of what the component writes today; 1 where it is not said.
template <int N>
inline constexpr detail::Version<N> version{};

/// `ts::hyper("key", &T::member)`: a hyperparameter, chosen before training and seldom changed by it.
inline constexpr detail::Declare<Role::hyper> hyper{};

/// `ts::state("key", &T::member)`: state, changed by training.
inline constexpr detail::Declare<Role::state> state{};

/// `ts::transient(&T::member, ...)`: members that are deliberately not saved.
inline constexpr detail::DeclareTransient transient{};

/// `ts::migrate<K>(hook)`: turns a record of version K into one of version K + 1. The hook may be a generic lambda, so
/// that declaring it needs no header beyond this one: it is instantiated where a record is loaded.
template <int K>
inline constexpr detail::Migrate<K> migrate{};

/// `ts::base<B>`: the fields of the described base B, as if they were written here. They follow this component's
/// version and hooks; those of B on its own do not run.
template <class B>
inline constexpr detail::Base<B> base{};

/// `ts::flat`: the record is one flat dict of all keys, as Python's own schedulers write it.
inline constexpr detail::Flat flat{};

/// `ts::unchecked`: do not count the members of the aggregate. For what no pointer to member reaches and the count
/// cannot see through: bit-fields, members of anonymous unions.
inline constexpr detail::Unchecked unchecked{};

/// The description of a component T, to be returned by `static constexpr auto describe()`: a name, then in any order
/// `version`, `hyper`, `state`, `transient`, `migrate`, `migrate_from`, `base`, `flat` and `unchecked`.
template <class T, std::size_t N, class... Arguments>
constexpr auto component(const char (&name)[N], Arguments... arguments) {
  static_assert((detail::is_argument<Arguments> && ...),
                "trainstate: after its name, ts::component takes ts::version<N>, ts::hyper, ts::state, ts::transient, "
                "ts::migrate<K>, ts::migrate_from<Old>, ts::base<B>, ts::flat and ts::unchecked");
  return detail::Description<T, N - 1, Arguments...>{name, boost::hana::basic_tuple<Arguments...>{arguments...}};
}

}  // namespace trainstate
