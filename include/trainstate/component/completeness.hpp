// Was a member of an aggregate forgotten? Found out by initialising the aggregate, in an unevaluated context, with exactly
// what its description lists.
//
// The members listed are put in the order in which they lie in memory, and each is given a prvalue of its very type: no
// constructor is looked at, so the type may be immovable, without a default, or greedy about what it converts from. If
// they fill the aggregate and leave room for nothing more, no member was forgotten. Two kinds of elements are listed
// nowhere and are recognised by probes: bases, and references, to which nothing can point.
#pragma once

#include <algorithm>
#include <array>
#include <boost/hana/any_of.hpp>
#include <boost/hana/flatten.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/unpack.hpp>
#include <cstddef>
#include <memory>
#include <trainstate/component/concept.hpp>
#include <trainstate/component/field.hpp>
#include <type_traits>
#include <utility>

namespace trainstate::detail {

template <class T>
union Site {
  char nothing;
  T object;

  Site() : nothing{} {}
  ~Site() {}
};

/// Where a T might stand, so that its members have addresses to compare. Never read or written.
template <class T>
inline Site<T> site;

/// An order of addresses that holds at compile time. The standard makes it unspecified across types, g++ computes it
/// nevertheless, and clang does so once __builtin_constant_p asks it to fold what it can.
inline constexpr auto lies_before = [](const volatile void* a, const volatile void* b) {
#ifdef __clang__
  return __builtin_constant_p(true) ? (const volatile char*)a < (const volatile char*)b : false;
#else
  return a < b;
#endif
};

template <class T, std::size_t I, class Argument>
constexpr auto members_in(const Argument&) {
  return boost::hana::tuple<>{};
}
template <class T, std::size_t I, Role R, std::size_t N, class Pointer>
constexpr auto members_in(const Declared<R, N, Pointer>&) {
  return boost::hana::tuple<Field<T, I>>{};
}
template <class T, std::size_t I, class... Pointers>
constexpr auto members_in(const Transient<Pointers...>& transient) {
  return detail::transients_in<T, I>(transient);
}

/// What T lists by itself: fields and transient members, without those of a ts::base.
template <class T>
constexpr auto find_listed_members() {
  return []<std::size_t... I>(std::index_sequence<I...>) {
    return boost::hana::flatten(boost::hana::make_tuple(detail::members_in<T, I>(argument<T, I>)...));
  }(argument_indices<T>{});
}

template <class T>
inline constexpr auto listed_members = detail::find_listed_members<T>();

template <class... E>
struct Types {};

template <class... A, class... B>
constexpr Types<A..., B...> operator+(Types<A...>, Types<B...>) {
  return {};
}

/// The types of these members, all of one class, as they lie in memory.
template <class... Members>
constexpr auto types_in_memory_order(boost::hana::tuple<Members...>) {
  constexpr auto order = [] {
    std::array<const volatile void*, sizeof...(Members)> places{
        std::addressof(site<typename Members::owner_type>.object.*Members::pointer)...};
    std::array<std::size_t, sizeof...(Members)> indices{};
    for (std::size_t i = 0; i != indices.size(); ++i) indices[i] = i;
    std::sort(indices.begin(), indices.end(),
              [&](std::size_t a, std::size_t b) { return lies_before(places[a], places[b]); });
    return indices;
  }();
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    constexpr boost::hana::tuple<Members...> members;
    return Types<typename std::remove_cvref_t<decltype(boost::hana::at_c<order[I]>(members))>::value_type...>{};
  }(std::index_sequence_for<Members...>{});
}

/// Of the members that T lists, those of class Owner: T itself or a base.
template <class T, class Owner>
constexpr auto listed_types() {
  return boost::hana::unpack(listed_members<T>, []<class... Members>(Members...) {
    constexpr auto own = []<class Member>(Member member) {
      if constexpr (std::is_same_v<typename Member::owner_type, Owner>) {
        return boost::hana::make_tuple(member);
      } else {
        return boost::hana::tuple<>{};
      }
    };
    return detail::types_in_memory_order(boost::hana::flatten(boost::hana::make_tuple(own(Members{})...)));
  });
}

// ---- initialisers -------------------------------------------------------------------------------------------------------

/// A prvalue of type E, for unevaluated contexts.
template <class E>
E make();

/// Becomes anything.
struct AnyProbe {
  template <class E>
  operator E() const;
};

/// Binds to any reference. A value could be made in two ways, so none is.
struct ReferenceProbe {
  template <class E>
  operator E&() const;
  template <class E>
  operator E() const;
};

template <class T, class Owner, class B>
constexpr bool accounts_for_base();

/// Becomes a base of Owner, provided that T accounts for what is in it.
template <class T, class Owner>
struct BaseProbe {
  template <class B>
  requires(detail::accounts_for_base<T, Owner, B>()) operator B() const;
};

/// Stands for `{}` in a list of initialisers.
struct Braces {};

/// How one member is initialised. An array takes a prvalue for each of its elements, or `{}` where they are many.
template <class M>
constexpr auto initialisers_of() {
  using Element = std::remove_cv_t<std::remove_all_extents_t<M>>;
  constexpr std::size_t elements = sizeof(M) / sizeof(Element);
  if constexpr (elements > 256) {
    return Types<Braces>{};
  } else {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return Types<std::enable_if_t<I != elements, Element>...>{};
    }(std::make_index_sequence<elements>{});
  }
}

/// Runs of initialisers, the last run first, with a `{}` between each two of them.
template <class... Runs>
struct Reversed {};

template <class... A, class... Runs, class E>
requires(!std::is_same_v<E, Braces>) constexpr Reversed<Types<A..., E>, Runs...> operator<<(Reversed<Types<A...>, Runs...>, Types<E>) {
  return {};
}
template <class... Runs>
constexpr Reversed<Types<>, Runs...> operator<<(Reversed<Runs...>, Types<Braces>) {
  return {};
}

template <class T, class... A>
constexpr bool initialises(Reversed<Types<A...>>) {
  return requires { T{make<A>()...}; };
}
template <class T, class... A, class... B>
constexpr bool initialises(Reversed<Types<B...>, Types<A...>>) {
  return requires { T{make<A>()..., {}, make<B>()...}; };
}
template <class T, class... A, class... B, class... C>
constexpr bool initialises(Reversed<Types<C...>, Types<B...>, Types<A...>>) {
  return requires { T{make<A>()..., {}, make<B>()..., {}, make<C>()...}; };
}
template <class T, class... A, class... B, class... C, class... D>
constexpr bool initialises(Reversed<Types<D...>, Types<C...>, Types<B...>, Types<A...>>) {
  return requires { T{make<A>()..., {}, make<B>()..., {}, make<C>()..., {}, make<D>()...}; };
}
template <class T, class... A, class... B, class... C, class... D, class... E>
constexpr bool initialises(Reversed<Types<E...>, Types<D...>, Types<C...>, Types<B...>, Types<A...>>) {
  return requires { T{make<A>()..., {}, make<B>()..., {}, make<C>()..., {}, make<D>()..., {}, make<E>()...}; };
}
template <class T, class... Runs>
constexpr bool initialises(Reversed<Runs...>) {
  return false;
}

/// Whether a T can be made as T{E...}.
template <class T, class... E>
inline constexpr bool initialised_by = detail::initialises<T>((Reversed<Types<>>{} << ... << Types<E>{}));

/// Whether E... initialise every element of T and leave none over.
template <class T, class... E>
inline constexpr bool filled_by = [] {
  if constexpr (!initialised_by<T, E...>) {
    return false;
  } else if constexpr (initialised_by<T, E..., Braces>) {
    return false;
  } else {
    return !initialised_by<T, E..., AnyProbe> && !initialised_by<T, E..., ReferenceProbe>;
  }
}();

/// Whether T is filled once this many references are probed for among the initialisers, wherever they fit.
template <class T, std::size_t References, class... Placed, class... Rest>
constexpr bool is_filled(Types<Placed...>, Types<Rest...> rest) {
  if constexpr (References == 0) {
    return filled_by<T, Placed..., Rest...>;
  } else if constexpr (detail::is_filled<T, References - 1>(Types<Placed..., ReferenceProbe>{}, Types<Rest...>{})) {
    return true;
  } else if constexpr (sizeof...(Rest) != 0) {
    return []<class Next, class... Others>(Types<Next, Others...>) {
      return detail::is_filled<T, References>(Types<Placed..., Next>{}, Types<Others...>{});
    }(rest);
  } else {
    return false;
  }
}

template <class E, std::size_t N>
constexpr auto repeat() {
  return []<std::size_t... I>(std::index_sequence<I...>) { return Types<std::enable_if_t<I != N, E>...>{}; }
  (std::make_index_sequence<N>{});
}

/// The most references to look for: none in what can be assigned; few among many members, since the places multiply.
template <class T>
constexpr std::size_t most_references(std::size_t members) {
  if (std::is_copy_assignable_v<T> || std::is_move_assignable_v<T>) return 0;
  return members <= 6 ? 6 : members <= 12 ? 3 : 2;
}

inline constexpr std::size_t most_bases = 4;

/// Whether T is filled by these initialisers, after any number of bases and with any number of references.
template <class T, class Base, class... Members>
constexpr bool is_filled_somehow(Types<Members...> members) {
  return []<std::size_t... N>(std::index_sequence<N...>, auto rest) {
    constexpr std::size_t widths = most_bases + 1;
    return (... || detail::is_filled<T, N / widths>(detail::repeat<Base, N % widths>(), rest));
  }(std::make_index_sequence<(most_references<T>(sizeof...(Members)) + 1) * (most_bases + 1)>{}, members);
}

/// Whether T's description accounts for every member of the aggregate Owner, T itself or a base of it.
template <class T, class Owner>
constexpr bool accounts_for_members() {
  return []<class... M>(Types<M...>) {
    return detail::is_filled_somehow<Owner, BaseProbe<T, Owner>>((Types<>{} + ... + detail::initialisers_of<M>()));
  }(detail::listed_types<T, Owner>());
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

/// Whether no member of T was forgotten, as far as that can be counted: in an aggregate that does not say ts::unchecked.
template <class T>
constexpr bool is_complete() {
  if constexpr (!std::is_aggregate_v<T> || has_argument<T, Unchecked>) {
    return true;
  } else {
    return detail::accounts_for_members<T, T>();
  }
}

}  // namespace trainstate::detail
