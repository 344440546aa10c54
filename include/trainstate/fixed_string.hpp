// A string of known length that can be a template argument and be taken apart at compile time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace trainstate {

/// `N` characters, without the terminator; a structural type, so `template <FixedString S>` takes a string literal.
template <std::size_t N>
struct FixedString {
  char data[N + 1] = {};

  constexpr FixedString() = default;
  constexpr FixedString(const char (&text)[N + 1]) { std::copy_n(text, N, data); }  // implicit: literals convert

  static constexpr std::size_t size() { return N; }
  constexpr std::string_view view() const { return {data, N}; }
  constexpr operator std::string_view() const { return view(); }
};

template <std::size_t N>
FixedString(const char (&)[N]) -> FixedString<N - 1>;

template <std::size_t N, std::size_t M>
constexpr bool operator==(const FixedString<N>& a, const FixedString<M>& b) {
  return a.view() == b.view();
}

}  // namespace trainstate
