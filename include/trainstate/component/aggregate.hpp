// How an aggregate can be initialised, asked in unevaluated contexts: by which list of prvalues and probes, exactly.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "trainstate/component/types.hpp"

namespace trainstate::detail {

template <class E, std::size_t N>
constexpr auto repeat() {
  return detail::with_indices<N>(
      []<std::size_t... I>(std::index_sequence<I...>) { return Types<std::enable_if_t<I != N, E>...>{}; });
}

template <class E, class... All>
constexpr std::size_t index_of() {
  constexpr std::array same{std::is_same_v<E, All>...};
  return static_cast<std::size_t>(std::find(same.begin(), same.end(), true) - same.begin());
}

/// A prvalue of type E.
template <class E>
E make();

/// Stands for `{}`, where arrays are too long to give each of their elements a prvalue.
struct Braces {};

template <class Member>
constexpr auto initialisers_of() {
  using Element = std::remove_cv_t<std::remove_all_extents_t<Member>>;
  constexpr std::size_t elements = sizeof(Member) / sizeof(Element);
  if constexpr (elements > 256) {
    return Types<Braces>{};
  } else {
    return detail::repeat<Element, elements>();
  }
}

template <class... Members>
constexpr auto initialisers_of_all(Types<Members...>) {
  return (Types<>{} + ... + detail::initialisers_of<Members>());
}

/// Not copyable, lest std::any and its like take a probe for a value.
struct Probe {
  Probe() = default;
  Probe(Probe&&) = delete;
};

/// Becomes nothing: what takes it takes anything, so that no probe tells what it is.
struct InertProbe : Probe {};

/// Becomes any value.
struct AnyProbe : Probe {
  template <class E>
  operator E() const;
};

/// Binds to any reference. A value could be made in more than one way, so it is not made at all.
struct ReferenceProbe : Probe {
  template <class E>
  operator E&() const;
  template <class E>
  operator E() const;
#ifndef __clang__  // to bind an rvalue reference g++ needs this, which clang finds ambiguous with the one above
  template <class E>
  operator E&&() const;
#endif
};

template <std::size_t I, class E>
struct Conversion {
  operator E() &&;
};
template <std::size_t I>
struct Conversion<I, void> {};

template <class Indices, class... Listed>
struct Conversions;
template <std::size_t... I, class... Listed>
struct Conversions<std::index_sequence<I...>, Listed...>
    : Conversion<I, std::conditional_t<detail::index_of<Listed, Listed...>() == I, Listed, void>>... {};

/// Becomes a value of a listed type, else binds to a reference: enough to tell how many elements there are. The former
/// is no template, so that it beats the converting constructors of std::optional and its like.
template <class... Listed>
struct GuideProbe : Probe, Conversions<std::index_sequence_for<Listed...>, Listed...> {
  template <class E>
  operator E&() const&;
  template <class E>
  operator E&&() const&;
};

/// Runs of initialisers, the last run first, with `{}` between each two.
template <class... Runs>
struct Reversed {};

template <class... Runs>
constexpr Reversed<Types<>, Runs...> operator<<(Reversed<Runs...>, Types<Braces>) {
  return {};
}
template <class... A, class... Runs, class E>
requires(!std::is_same_v<E, Braces>) constexpr Reversed<Types<A..., E>, Runs...> operator<<(
    Reversed<Types<A...>, Runs...>, Types<E>) {
  return {};
}

template <class T, class... Runs>
constexpr bool initialised_by(Reversed<Runs...>) {
  return false;  // more long arrays than anybody has
}
template <class T, class... A, class... B>
constexpr bool initialised_by(Reversed<Types<B...>, Types<A...>>) {
  return requires { T{make<A>()..., {}, make<B>()...}; };
}
template <class T, class... A, class... B, class... C>
constexpr bool initialised_by(Reversed<Types<C...>, Types<B...>, Types<A...>>) {
  return requires { T{make<A>()..., {}, make<B>()..., {}, make<C>()...}; };
}
template <class T, class... A, class... B, class... C, class... D>
constexpr bool initialised_by(Reversed<Types<D...>, Types<C...>, Types<B...>, Types<A...>>) {
  return requires { T{make<A>()..., {}, make<B>()..., {}, make<C>()..., {}, make<D>()...}; };
}
template <class T, class... A, class... B, class... C, class... D, class... E>
constexpr bool initialised_by(Reversed<Types<E...>, Types<D...>, Types<C...>, Types<B...>, Types<A...>>) {
  return requires { T{make<A>()..., {}, make<B>()..., {}, make<C>()..., {}, make<D>()..., {}, make<E>()...}; };
}

template <class T, class... E>
constexpr bool initialised_by(Types<E...>) {
  if constexpr ((std::is_same_v<E, Braces> || ...)) {
    return detail::initialised_by<T>((Reversed<Types<>>{} << ... << Types<E>{}));
  } else {
    return requires { T{make<E>()...}; };
  }
}

template <class T, std::size_t At, class... E, std::size_t... I>
constexpr bool takes_anything(Types<E...>, std::index_sequence<I...>) {
  return detail::initialised_by<T>(Types<std::conditional_t<I == At, InertProbe, E>...>{});
}

/// Whether a probe among E... stands where anything might.
template <class T, class... E, std::size_t... I>
constexpr bool probes_in_vain(Types<E...> elements, std::index_sequence<I...> indices) {
  return (... || (std::is_base_of_v<Probe, E> && detail::takes_anything<T, I>(elements, indices)));
}

/// Whether E... initialise every element of T and leave none over.
template <class T, class... E>
constexpr bool filled_by(Types<E...> elements) {
  if constexpr (!detail::initialised_by<T>(Types<E...>{}) || detail::initialised_by<T>(Types<E..., Braces>{})) {
    return false;
  } else if constexpr (detail::initialised_by<T>(Types<E..., AnyProbe>{}) ||
                       detail::initialised_by<T>(Types<E..., ReferenceProbe>{})) {
    return false;
  } else if constexpr ((std::is_base_of_v<Probe, E> || ...)) {
    return !detail::probes_in_vain<T>(elements, std::index_sequence_for<E...>{});
  } else {
    return true;
  }
}

}  // namespace trainstate::detail
