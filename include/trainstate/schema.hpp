// The schema of a component: what its files hold, as a text and as a fingerprint, and the lock that notices a change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "trainstate/component.hpp"
#include "trainstate/fixed_string.hpp"
#include "trainstate/schema/text.hpp"
#include "trainstate/schema/type_text.hpp"

namespace trainstate {
namespace detail {

template <class F, class... Outer>
constexpr auto spell_field() {
  constexpr auto role = [] {
    if constexpr (F::role == Role::hyper) {
      return FixedString(": hyper ");
    } else {
      return FixedString(": state ");
    }
  }();
  return detail::concat(detail::fixed<F::name().size()>(F::name()), role,
                        detail::spell_type<typename F::value_type, Outer...>());
}

template <class T, class... Outer, class... F>
constexpr auto spell_fields(Types<F...>) {
  if constexpr (sizeof...(F) == 0) {
    return FixedString("{}");
  } else {
    return detail::concat(
        FixedString("{ "),
        detail::join<Order::alphabetical>(FixedString("; "), detail::spell_field<F, Outer..., T>()...),
        FixedString(" }"));
  }
}

template <class T>
constexpr auto spell_name() {
  return detail::fixed<component_name<T>.size()>(component_name<T>);
}

template <class T, class... Outer>
constexpr auto spell_schema() {
  constexpr auto layout = [] {
    if constexpr (is_flat<T>) {
      return FixedString(" flat ");
    } else {
      return FixedString(" ");
    }
  }();
  return detail::concat(detail::spell_name<T>(), FixedString(" v"), detail::decimal<component_version<T>>(), layout,
                        detail::spell_fields<T, Outer...>(field_types<T>));
}

template <class T, class... Outer>
inline constexpr auto schema_text = detail::spell_schema<T, Outer...>();

constexpr std::uint64_t fingerprint_of(std::string_view schema, int version) {
  return (detail::fnv1a(schema) & ~std::uint64_t{0xff}) | (static_cast<std::uint64_t>(version) & 0xff);
}

template <class T, class... Outer>
constexpr auto spell_component() {
  static_assert(detail::assert_component<T>());
  if constexpr (StructComponent<T>) {
    return detail::concat(FixedString("struct "), detail::spell_fields<T, Outer...>(field_types<T>));
  } else if constexpr ((std::is_same_v<T, Outer> || ...)) {
    return detail::spell_name<T>();
  } else {
    return detail::concat(detail::spell_name<T>(), FixedString("#"),
                          detail::hexadecimal(detail::fingerprint_of(schema_text<T, Outer...>, component_version<T>)));
  }
}

}  // namespace detail

/// What the files of component T hold, in one line: name, version, and the fields by key, with their roles and types
/// (schema/type_text.hpp tells how they are spelled).
///
///     warmup_cosine v3 { base_lr: hyper f64; step_num: state i64; warmup_steps: hyper i64 }
///
/// Neither the order of declaration nor the names of members nor transient ones come into it.
template <class T>
constexpr std::string_view schema() {
  static_assert(detail::assert_component<T>());
  return detail::schema_text<T>;
}

/// The 64-bit FNV-1a hash of the schema's text, but for its last two hexadecimal digits: those are the version.
template <class T>
constexpr std::uint64_t fingerprint() {
  static_assert(detail::assert_component<T>());
  return detail::fingerprint_of(detail::schema_text<T>, component_version<T>);
}

namespace detail {

// The names of these three, with their arguments, stand in the first line of the compiler's message.

template <class T, FixedString Locked, FixedString Fingerprint, FixedString Schema>
struct fields_changed_but_not_the_version {
  static_assert(
      Locked == Fingerprint,
      "trainstate: the fields of this component changed, but its version did not, so that files of both kinds "
      "would claim to be the same: raise ts::version<N>, add a ts::migrate hook from the version before, and "
      "lock the new fingerprint; or take the change back. (Where only a nested component changed, its own "
      "version tells: just lock the new fingerprint.)");
};

template <class T, FixedString Locked, FixedString Fingerprint, FixedString Schema>
struct version_changed {
  static_assert(Locked == Fingerprint,
                "trainstate: this component has another version than the one locked: once a ts::migrate hook leads to "
                "it, lock the new fingerprint");
};

template <class T, FixedString Fingerprint, FixedString Schema>
struct not_locked_yet {
  static_assert(Fingerprint.size() == 0, "trainstate: this component is not locked yet: lock its fingerprint");
};

template <class T, std::uint64_t Locked>
constexpr bool check_lock() {
  constexpr std::uint64_t found = trainstate::fingerprint<T>();
  if constexpr (found != Locked) {
    constexpr auto then = detail::concat(FixedString("0x"), detail::hexadecimal(Locked));
    constexpr auto now = detail::concat(FixedString("0x"), detail::hexadecimal(found));
    if constexpr (Locked == 0) {
      [[maybe_unused]] not_locked_yet<T, now, schema_text<T>> mistake;
    } else if constexpr ((found & 0xff) == (Locked & 0xff)) {
      [[maybe_unused]] fields_changed_but_not_the_version<T, then, now, schema_text<T>> mistake;
    } else {
      [[maybe_unused]] version_changed<T, then, now, schema_text<T>> mistake;
    }
  }
  return true;
}

}  // namespace detail

/// `static_assert(ts::locked<T, 0x…>)` beside a component keeps its author honest: it compiles as long as the
/// fingerprint is the one locked, and otherwise says whether the version was forgotten, with both fingerprints and the
/// schema.
///
/// To lock a component for the first time, lock 0: the error has its fingerprint.
template <class T, std::uint64_t Fingerprint>
inline constexpr bool locked = detail::check_lock<T, Fingerprint>();

}  // namespace trainstate
