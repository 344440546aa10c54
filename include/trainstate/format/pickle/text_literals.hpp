// Texts as protocol 0 writes them, on lines of ASCII with escapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "trainstate/format/pickle/scanner.hpp"

namespace trainstate::format::pickle {

/// Appends a code point as UTF-8 (a surrogate too, as Python's own pickles have them).
inline void append_utf8(std::string& to, std::uint32_t code) {
  if (code < 0x80) {
    to += static_cast<char>(code);
  } else if (code < 0x800) {
    to += static_cast<char>(0xC0 | code >> 6);
    to += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    if (code < 0x10000) {
      to += static_cast<char>(0xE0 | code >> 12);
    } else {
      to += static_cast<char>(0xF0 | code >> 18);
      to += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    }
    to += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    to += static_cast<char>(0x80 | (code & 0x3F));
  }
}

/// The number that `size` hexadecimal digits at the beginning of `text` make; nothing if they do not stand there.
inline std::optional<std::uint32_t> hex_digits_of(std::string_view text, std::size_t size) {
  if (text.size() < size) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text.substr(0, size)) {
    const bool decimal = c >= '0' && c <= '9', lower = c >= 'a' && c <= 'f', upper = c >= 'A' && c <= 'F';
    if (!decimal && !lower && !upper) return std::nullopt;
    value = value << 4 | static_cast<std::uint32_t>(decimal ? c - '0' : lower ? c - 'a' + 10 : c - 'A' + 10);
  }
  return value;
}

/// Python's "raw-unicode-escape": Latin-1, other characters as \u and four or \U and eight hexadecimal digits.
inline std::string text_of_unicode_line(std::string_view line, const Scanner& scanner) {
  std::string text;
  while (!line.empty()) {
    const std::size_t digits = line.starts_with("\\u") ? 4 : line.starts_with("\\U") ? 8 : 0;
    if (digits == 0) {
      append_utf8(text, static_cast<unsigned char>(line[0]));
      line.remove_prefix(1);
      continue;
    }
    const auto code = hex_digits_of(line.substr(2), digits);
    if (!code || *code > 0x10FFFF) scanner.fail("a text with a broken escape");
    append_utf8(text, *code);
    line.remove_prefix(2 + digits);
  }
  return text;
}

/// A Python string literal in quotes.
inline std::string text_of_string_line(std::string_view line, const Scanner& scanner) {
  const bool quoted = line.size() >= 2 && (line[0] == '\'' || line[0] == '"') && line.back() == line[0];
  if (!quoted) scanner.fail("expected a string in quotes");
  line = line.substr(1, line.size() - 2);
  std::string text;
  while (!line.empty()) {
    if (line[0] != '\\') {
      text += line[0];
      line.remove_prefix(1);
      continue;
    }
    static constexpr std::string_view letters = "\\'\"abfnrtv", meanings = "\\'\"\a\b\f\n\r\t\v";
    const std::size_t letter = line.size() < 2 ? std::string_view::npos : letters.find(line[1]);
    if (letter != std::string_view::npos) {
      text += meanings[letter];
      line.remove_prefix(2);
    } else if (const auto code = line.starts_with("\\x") ? hex_digits_of(line.substr(2), 2) : std::nullopt) {
      text += static_cast<char>(*code);
      line.remove_prefix(4);
    } else {
      scanner.fail("a string with a broken escape");
    }
  }
  return text;
}

}  // namespace trainstate::format::pickle
