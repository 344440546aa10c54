// XXH3-64 checksums, and the fixed-width text in which files carry them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL  // header-only use: nothing of xxHash is linked
#endif
#include <xxhash.h>

namespace trainstate::io {

/// XXH3-64 (seed 0) of `bytes`.
[[nodiscard]] inline std::uint64_t checksum(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

/// XXH3-64 of bytes that come in pieces; equal to `checksum` of all of them.
class Hasher {
 public:
  Hasher() { XXH3_64bits_reset(&state_); }
  void update(std::span<const std::byte> bytes) { XXH3_64bits_update(&state_, bytes.data(), bytes.size()); }
  [[nodiscard]] std::uint64_t digest() const { return XXH3_64bits_digest(&state_); }

 private:
  XXH3_state_t state_;
};

inline constexpr std::size_t hex_digits = 16;

/// Writes a checksum as exactly 16 lower-case hexadecimal digits.
constexpr void write_hex(std::uint64_t value, std::span<char, hex_digits> to) {
  for (std::size_t i = hex_digits; i-- > 0; value >>= 4) to[i] = "0123456789abcdef"[value & 15];
}

/// A checksum as 16 lower-case hexadecimal digits.
[[nodiscard]] inline std::string hex_text(std::uint64_t value) {
  std::string text(hex_digits, '0');
  write_hex(value, std::span<char, hex_digits>(text.data(), hex_digits));
  return text;
}

/// Reads what `write_hex` wrote; nothing if it is any other text (upper-case digits too, so that there is one
/// spelling).
[[nodiscard]] constexpr std::optional<std::uint64_t> parse_hex(std::string_view text) {
  if (text.size() != hex_digits) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    const bool decimal = c >= '0' && c <= '9';
    if (!decimal && !(c >= 'a' && c <= 'f')) return std::nullopt;
    value = value << 4 | static_cast<std::uint64_t>(decimal ? c - '0' : c - 'a' + 10);
  }
  return value;
}

}  // namespace trainstate::io
