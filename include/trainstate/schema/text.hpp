// Putting text together at compile time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "trainstate/fixed_string.hpp"

namespace trainstate::detail {

/// The pieces one after the other: strings of known length and literals.
template <std::size_t... N>
constexpr auto concat(const FixedString<N>&... pieces) {
  FixedString<(N + ... + 0)> text;
  [[maybe_unused]] char* end = text.data;
  ((end = std::copy_n(pieces.data, N, end)), ...);
  return text;
}

/// The first N characters of a text.
template <std::size_t N>
constexpr FixedString<N> fixed(std::string_view text) {
  FixedString<N> copy;
  std::copy_n(text.data(), N, copy.data);
  return copy;
}

enum class Order { given, alphabetical };

/// The pieces with a separator between each two.
template <Order O, std::size_t M, std::size_t... N>
constexpr auto join(const FixedString<M>& separator, const FixedString<N>&... pieces) {
  constexpr std::size_t gaps = sizeof...(N) == 0 ? 0 : sizeof...(N) - 1;
  std::array<std::string_view, sizeof...(N)> views{pieces.view()...};
  if constexpr (O == Order::alphabetical) std::sort(views.begin(), views.end());
  FixedString<(N + ... + (gaps * M))> text;
  char* end = text.data;
  for (std::size_t i = 0; i != views.size(); ++i) {
    if (i != 0) end = std::copy_n(separator.data, M, end);
    end = std::copy(views[i].begin(), views[i].end(), end);
  }
  return text;
}

template <std::size_t N>
constexpr auto decimal() {
  constexpr std::size_t digits = [] {
    std::size_t count = 1;
    for (std::size_t n = N; n >= 10; n /= 10) ++count;
    return count;
  }();
  FixedString<digits> text;
  std::size_t rest = N;
  for (std::size_t i = digits; i != 0; rest /= 10) text.data[--i] = static_cast<char>('0' + rest % 10);
  return text;
}

/// All 16 digits.
constexpr FixedString<16> hexadecimal(std::uint64_t number) {
  FixedString<16> text;
  for (std::size_t i = 16; i != 0; number >>= 4) text.data[--i] = "0123456789abcdef"[number & 15];
  return text;
}

/// The 64-bit FNV-1a hash (draft-eastlake-fnv): for each octet, xor it in, then multiply by the prime.
constexpr std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace trainstate::detail
