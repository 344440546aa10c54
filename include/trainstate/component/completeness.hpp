// Was a member of an aggregate forgotten? Found out by initialising the aggregate, in an unevaluated context, with just
// what its description lists.
//
// The members listed, as they lie in memory, are each given a prvalue of their very type: no constructor is looked at, so
// the type may be immovable, without a default, or greedy about what converts to it. If they fill the aggregate and leave
// room for nothing more, no member was forgotten. Two kinds of elements are listed nowhere, and probes stand for them:
// bases, and references, to which no pointer to member can point.
#pragma once

#include <algorithm>
#include <array>
#include <boost/hana/at.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>
#include <boost/hana/unpack.hpp>
#include <cstddef>
#include <trainstate/component/field.hpp>
#include <trainstate/component/listed_members.hpp>
#include <type_traits>
#include <utility>

namespace trainstate::detail {

template <class... A, class... B>
constexpr Types<A..., B...> operator+(Types<A...>, Types<B...>) {
  return {};
}

template <class E, std::size_t N>
constexpr auto repeat() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return Types<std::enable_if_t<I != N, E>...>{};
  }(std::make_index_sequence<N>{});
}

template <class E, class... All>
constexpr std::size_t index_of() {
  constexpr std::array same{std::is_same_v<E, All>...};
  return static_cast<std::size_t>(std::find(same.begin(), same.end(), true) - same.begin());
}

// What stands for one element --------------------------------------------------------------------------------------------

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
#ifndef __clang__  // g++ needs it to bind an rvalue reference, for which clang finds it ambiguous with the one above
  template <class E>
  operator E&&() const;
#endif
};

template <class T, class Owner, class B>
constexpr bool accounts_for_base();

/// Becomes a base of Owner, provided that T accounts for what is in it.
template <class T, class Owner>
struct BaseProbe : Probe {
  template <class B>
  requires(detail::accounts_for_base<T, Owner, B>())
  operator B() const;
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

/// Becomes a value of a listed type, else binds to a reference: enough to tell how many elements there are. The former is
/// no template, so that it beats the converting constructors of std::optional and its like.
template <class... Listed>
struct GuideProbe : Probe, Conversions<std::index_sequence_for<Listed...>, Listed...> {
  template <class E>
  operator E&() const&;
  template <class E>
  operator E&&() const&;
};

// Whether a T can be made as T{...} --------------------------------------------------------------------------------------

/// Runs of initialisers, the last run first, with `{}` between each two.
template <class... Runs>
struct Reversed {};

template <class... Runs>
constexpr Reversed<Types<>, Runs...> operator<<(Reversed<Runs...>, Types<Braces>) {
  return {};
}
template <class... A, class... Runs, class E>
requires(!std::is_same_v<E, Braces>)
constexpr Reversed<Types<A..., E>, Runs...> operator<<(Reversed<Types<A...>, Runs...>, Types<E>) {
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

// Where the references are -----------------------------------------------------------------------------------------------

/// For each element of an aggregate, whether it is a reference.
template <bool... IsReference>
struct Mask {};

template <std::size_t At, bool... IsReference, class... Members>
constexpr auto element_at(Mask<IsReference...>, Types<Members...>) {
  constexpr std::array is_reference{IsReference...};
  if constexpr (is_reference[At]) {
    return Types<ReferenceProbe>{};
  } else {
    constexpr auto before = std::count(is_reference.begin(), is_reference.begin() + At, true);
    return Types<typename std::remove_cvref_t<decltype(boost::hana::at_c<At - before>(
        boost::hana::tuple_t<Members...>))>::type>{};
  }
}

/// Members, in order, with a probe wherever the mask says that a reference is.
template <bool... IsReference, class Members>
constexpr auto with_references(Mask<IsReference...> mask, Members members) {
  return [=]<std::size_t... I>(std::index_sequence<I...>) {
    return (Types<>{} + ... + detail::element_at<I>(mask, members));
  }(std::make_index_sequence<sizeof...(IsReference)>{});
}

template <std::size_t At, std::size_t... I>
constexpr Mask<(I == At)...> only_at(std::index_sequence<I...>) {
  return {};
}

/// Tries one reference in every place.
template <class T, class Bases, class... Members>
constexpr bool filled_with_one_reference(Bases bases, Types<Members...> members) {
  return [=]<std::size_t... I>(std::index_sequence<I...> places) {
    return (... || detail::filled_by<T>(bases + detail::with_references(detail::only_at<I>(places), members)));
  }(std::make_index_sequence<sizeof...(Members) + 1>{});
}

template <class T, class Bases, class Guide, std::size_t... I>
constexpr auto find_references(std::index_sequence<I...>) {
  return Mask<detail::initialised_by<T>(Bases{} + detail::repeat<Guide, I>() + Types<ReferenceProbe>{} +
                                        detail::repeat<Guide, sizeof...(I) - I - 1>())...>{};
}

/// Lets guides stand for all elements, to see which of them are references.
template <class T, std::size_t References, class Bases, class... Members>
constexpr bool filled_with_references(Bases bases, Types<Members...> members) {
  using Guide = GuideProbe<Members...>;
  constexpr std::size_t elements = sizeof...(Members) + References;
  if constexpr (!detail::initialised_by<T>(Bases{} + detail::repeat<Guide, elements>())) {
    return false;
  } else {
    return [=]<bool... IsReference>(Mask<IsReference...> mask) {
      if constexpr ((IsReference + ... + 0) == References) {
        return detail::filled_by<T>(bases + detail::with_references(mask, members));
      } else {
        return false;
      }
    }(detail::find_references<T, Bases, Guide>(std::make_index_sequence<elements>{}));
  }
}

/// Whether these bases and members fill T, with references anywhere between the members.
template <class T, class Bases, class Members>
constexpr bool filled_with_any_references(Bases bases, Members members) {
  if constexpr (detail::filled_by<T>(Bases{} + Members{})) {
    return true;
  } else if constexpr (std::is_copy_assignable_v<T> || std::is_move_assignable_v<T>) {
    return false;  // has no reference
  } else if constexpr (detail::filled_with_one_reference<T>(Bases{}, Members{})) {
    return true;
  } else {
    return []<std::size_t... More>(std::index_sequence<More...>, auto... parts) {
      return (... || detail::filled_with_references<T, More + 2>(parts...));
    }(std::make_index_sequence<7>{}, bases, members);
  }
}

// The answer -------------------------------------------------------------------------------------------------------------

/// Whether T's description accounts for every member of the aggregate Owner, which is T or a base of it.
template <class T, class Owner>
constexpr bool accounts_for_members() {
  return []<class... Members, std::size_t... Bases>(Types<Members...>, std::index_sequence<Bases...>) {
    constexpr auto members = (Types<>{} + ... + detail::initialisers_of<Members>());
    return (... || detail::filled_with_any_references<Owner>(detail::repeat<BaseProbe<T, Owner>, Bases>(), members));
  }(detail::listed_types<T, Owner>(), std::make_index_sequence<5>{});
}

template <class T, class Owner, class B>
constexpr bool accounts_for_base() {
  if constexpr (!std::is_base_of_v<B, Owner> || std::is_same_v<B, Owner>) {
    return false;
  } else if constexpr (std::is_empty_v<B> || has_argument<T, Base<B>>) {
    return true;
  } else if constexpr (std::is_aggregate_v<B>) {
    return detail::accounts_for_members<T, B>();
  } else {
    return boost::hana::unpack(listed_members<T>, []<class... Members>(Members...) {
      return (std::is_base_of_v<typename Members::owner_type, B> || ...);
    });
  }
}

/// Whether no member of T was forgotten, as far as members can be counted: in an aggregate, unless it says ts::unchecked.
template <class T>
constexpr bool is_complete() {
  if constexpr (!std::is_aggregate_v<T> || has_argument<T, Unchecked>) {
    return true;
  } else {
    return detail::accounts_for_members<T, T>();
  }
}

}  // namespace trainstate::detail
