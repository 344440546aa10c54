// Pointers to private and protected members of LibTorch's classes, which have no other way to their state. An explicit
// instantiation may name what is private; a friend that it defines hands the pointer out.
#pragma once

#include "trainstate/fixed_string.hpp"

namespace trainstate::detail {

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-template-friend"  // one function for each specialisation is what is wanted
#endif

/// The member called `Name` of the class `C`. Once `template struct Reveal<PrivateMember<C, "x">, &C::x_>;` stands at
/// namespace scope, `private_member(PrivateMember<C, "x">{})` is the pointer.
template <class C, FixedString Name>
struct PrivateMember {
  friend constexpr auto private_member(PrivateMember);
};

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

template <class Member, auto Pointer>
struct Reveal {
  friend constexpr auto private_member(Member) { return Pointer; }
};

/// The pointer to the private member called `Name` of the class `C`.
template <class C, FixedString Name>
inline constexpr auto reveal = private_member(PrivateMember<C, Name>{});

}  // namespace trainstate::detail
