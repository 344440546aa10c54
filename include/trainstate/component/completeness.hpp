// Was a member of an aggregate forgotten? Found out by initialising the aggregate with just what its description lists.
//
// The members listed, as they lie in memory, are each given a prvalue of their very type: no constructor is looked at,
// so the type may be immovable, without a default, or greedy about what converts to it. If they fill the aggregate and
// leave room for nothing more, no member was forgotten. Two kinds of elements are listed nowhere, and probes stand for
// them: bases, and references, to which no pointer to member can point.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "trainstate/component/aggregate.hpp"
#include "trainstate/component/description.hpp"
#include "trainstate/component/field.hpp"
#include "trainstate/component/listed_members.hpp"
#include "trainstate/component/types.hpp"

namespace trainstate::detail {

// How many of them are looked for before a member counts as forgotten.
inline constexpr std::size_t most_bases = 16;
inline constexpr std::size_t most_references = 32;
// How many empty members that share an address are tried in every place.
inline constexpr std::size_t most_adrift = 2;

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
    return Types<Element<At - before, Members...>>{};
  }
}

/// Members, in order, with a probe wherever the mask says that a reference is.
template <bool... IsReference, class Members>
constexpr auto with_references(Mask<IsReference...> mask, Members members) {
  return detail::with_indices<sizeof...(IsReference)>([=]<std::size_t... I>(std::index_sequence<I...>) {
    return (Types<>{} + ... + detail::element_at<I>(mask, members));
  });
}

template <std::size_t At, std::size_t... I>
constexpr Mask<(I == At)...> only_at(std::index_sequence<I...>) {
  return {};
}

/// Tries one reference in every place.
template <class T, class Bases, class... Members>
constexpr bool filled_with_one_reference(Bases bases, Types<Members...> members) {
  return detail::with_indices<sizeof...(Members) + 1>([=]<std::size_t... I>(std::index_sequence<I...> places) {
    return (... || detail::filled_by<T>(bases + detail::with_references(detail::only_at<I>(places), members)));
  });
}

template <class T, class Bases, class Guide, std::size_t... I>
constexpr auto find_references(std::index_sequence<I...>) {
  return Mask<detail::initialised_by<T>(Bases{} + detail::repeat<Guide, I>() + Types<ReferenceProbe>{} +
                                        detail::repeat<Guide, sizeof...(I) - I - 1>())...>{};
}

template <class T, class Bases, bool... IsReference, class... Members>
constexpr bool filled_with_references_at(Bases bases, Mask<IsReference...> mask, Types<Members...> members) {
  if constexpr (sizeof...(Members) + (IsReference + ... + 0) == sizeof...(IsReference)) {
    return detail::filled_by<T>(bases + detail::with_references(mask, members));
  } else {
    return false;
  }
}

/// Lets guides stand for all elements, to see which of them are references.
template <class T, std::size_t References, class Bases, class... Members>
constexpr bool filled_with_references(Bases bases, Types<Members...> members) {
  using Guide = GuideProbe<Members...>;
  constexpr std::size_t elements = sizeof...(Members) + References;
  if constexpr (!detail::initialised_by<T>(Bases{} + detail::repeat<Guide, elements>())) {
    return false;
  } else {
    constexpr auto mask = detail::find_references<T, Bases, Guide>(std::make_index_sequence<elements>{});
    return detail::filled_with_references_at<T>(bases, mask, members);
  }
}

/// Tries so many references, then one more, until they fill T.
template <class T, std::size_t References, class Bases, class Members>
constexpr bool filled_with_references_or_more(Bases bases, Members members) {
  if constexpr (detail::filled_with_references<T, References>(Bases{}, Members{})) {
    return true;
  } else if constexpr (References == most_references) {
    return false;
  } else {
    return detail::filled_with_references_or_more<T, References + 1>(bases, members);
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
    return detail::filled_with_references_or_more<T, 2>(bases, members);
  }
}

template <class T, class Owner, class B>
constexpr bool accounts_for_base();

/// Becomes a base of Owner, provided that T accounts for what is in it.
template <class T, class Owner>
struct BaseProbe : Probe {
  template <class B>
  requires(detail::accounts_for_base<T, Owner, B>()) operator B() const;
};

template <class First, class... Rest>
constexpr Types<First> first_of(Types<First, Rest...>) {
  return {};
}
template <class First, class... Rest>
constexpr Types<Rest...> rest_of(Types<First, Rest...>) {
  return {};
}

/// Whether members of these types, in this order, fill Owner after so many bases, or more.
template <class T, class Owner, std::size_t Bases = 0, class... Members>
constexpr bool filled_with_bases(Types<Members...> members) {
  constexpr auto initialisers = detail::initialisers_of_all(Types<Members...>{});
  if constexpr (detail::filled_with_any_references<Owner>(detail::repeat<BaseProbe<T, Owner>, Bases>(), initialisers)) {
    return true;
  } else if constexpr (Bases == most_bases) {
    return false;
  } else {
    return detail::filled_with_bases<T, Owner, Bases + 1>(members);
  }
}

template <class T, class Owner, class... Placed>
constexpr bool filled_with_adrift(Types<>, Types<Placed...> placed, Types<>) {
  return detail::filled_with_bases<T, Owner>(placed);
}

/// Whether the members fill Owner with those that are adrift in some place: each behind `before`, the first one
/// somewhere among `after`.
template <class T, class Owner, class... Before, class... After, class First, class... Rest>
constexpr bool filled_with_adrift(Types<Before...> before, Types<After...> after, Types<First, Rest...> adrift) {
  if constexpr (detail::filled_with_adrift<T, Owner>(Types<>{}, Types<Before..., First, After...>{},
                                                     Types<Rest...>{})) {
    return true;
  } else if constexpr (sizeof...(After) == 0) {
    return false;
  } else {
    return detail::filled_with_adrift<T, Owner>(before + detail::first_of(after), detail::rest_of(after), adrift);
  }
}

/// Whether T's description accounts for every member of the aggregate Owner, which is T or a base of it.
template <class T, class Owner>
constexpr bool accounts_for_members() {
  constexpr auto members = detail::listed_of<T, Owner>();
  constexpr auto adrift = detail::types_adrift<true>(members);
  if constexpr (detail::filled_with_bases<T, Owner>(detail::types_of_members(members))) {
    return true;
  } else if constexpr (adrift.size == 0 || adrift.size > most_adrift) {
    return false;
  } else {
    return detail::filled_with_adrift<T, Owner>(Types<>{}, detail::types_adrift<false>(members), adrift);
  }
}

template <class B, class... Members>
constexpr bool lists_members_of(Types<Members...>) {
  return (std::is_base_of_v<typename Members::owner_type, B> || ...);
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
    return detail::lists_members_of<B>(listed_members<T>);
  }
}

/// Whether no member of T was forgotten, as far as members can be counted: in an aggregate, unless it says
/// ts::unchecked.
template <class T>
constexpr bool is_complete() {
  if constexpr (!std::is_aggregate_v<T> || has_argument<T, Unchecked>) {
    return true;
  } else {
    return detail::accounts_for_members<T, T>();
  }
}

}  // namespace trainstate::detail
