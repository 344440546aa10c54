// Texts in files: UTF-8, base64 for what is not, and names as error texts show them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trainstate::format {

/// Length of the UTF-8 sequence that `text` begins with, by RFC 3629 (no overlong forms, no surrogates, at most
/// U+10FFFF); 0 if it begins with none.
constexpr std::size_t utf8_length(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto continues = [&](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
  if (text.empty()) return 0;
  const unsigned first = at(0), second = at(1);
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4 || !continues(1)) return 0;
  if (first < 0xE0) return 2;
  if (!continues(2)) return 0;
  if (first < 0xF0) return (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ? 0 : 3;
  if (!continues(3) || (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
  return 4;
}

constexpr bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

/// `text` with every byte that belongs to no UTF-8 sequence written as `%XX`. Not reversible.
inline std::string as_utf8(std::string_view text) {
  std::string valid;
  for (; !text.empty();) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(text[0]);
      (valid += '%') += "0123456789ABCDEF"[byte >> 4];
      valid += "0123456789ABCDEF"[byte & 15];
      text.remove_prefix(1);
    } else {
      valid += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return valid;
}

/// A name out of a file for an error text: in quotes, without control characters, shortened if it is long.
inline std::string shown(std::string_view name) {
  constexpr std::size_t longest = 200;
  std::string text = "'";
  for (const char c : as_utf8(name.substr(0, longest))) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte < 0x20 || byte == 0x7F ? '?' : c;
  }
  return text + (name.size() > longest ? "...'" : "'");
}

inline constexpr std::string_view base64_alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 with padding (RFC 4648, section 4).
inline std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      text += i + k > bytes.size() ? '=' : base64_alphabet[group >> (18 - 6 * k) & 63U];
    }
  }
  return text;
}

/// What `to_base64` was given; nothing if the text is not what it writes.
inline std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t group = 0;
    std::size_t padding = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const char c = text[i + k];
      const auto digit = base64_alphabet.find(c);
      if (c == '=' && k >= 2 && i + 4 == text.size()) {
        ++padding;
      } else if (digit == std::string_view::npos || padding != 0) {
        return std::nullopt;
      }
      group = group << 6 | (padding != 0 ? 0U : static_cast<std::uint32_t>(digit));
    }
    for (std::size_t k = 0; k < 3 - padding; ++k) bytes += static_cast<char>(group >> (16 - 8 * k) & 255U);
  }
  // Bits that no byte takes must be zero, so that there is one spelling.
  if (to_base64(bytes) != text) return std::nullopt;
  return bytes;
}

}  // namespace trainstate::format
