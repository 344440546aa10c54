// JSON text, appended to a string: exact numbers, no locale.
#pragma once

#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace trainstate::format {

/// Appends `text`, which must be UTF-8, as a JSON string.
inline void append_json_string(std::string& json, std::string_view text) {
  static constexpr auto needs_escape = [] {
    std::array<bool, 256> table{};
    for (std::size_t c = 0; c < 0x20; ++c) table[c] = true;
    table['"'] = table['\\'] = true;
    return table;
  }();
  json.reserve(json.size() + text.size() + text.size() / 4 + 2);
  json += '"';
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (!needs_escape[c]) continue;
    json += text.substr(done, i - done);
    done = i + 1;
    json += '\\';
    switch (c) {
      case '\b':
        json += 'b';
        break;
      case '\t':
        json += 't';
        break;
      case '\n':
        json += 'n';
        break;
      case '\f':
        json += 'f';
        break;
      case '\r':
        json += 'r';
        break;
      case '"':
      case '\\':
        json += static_cast<char>(c);
        break;
      default:
        json += "u00";
        json += "0123456789abcdef"[c >> 4];
        json += "0123456789abcdef"[c & 15];
    }
  }
  json += text.substr(done);
  json += '"';
}

/// Appends an integer.
template <std::integral I>
void append_json_integer(std::string& json, I value) {
  std::array<char, 24> buffer{};
  json.append(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr);
}

/// Appends a finite double: the shortest text that reads back as the same bits, never one that looks like an integer.
inline void append_json_double(std::string& json, double value) {
  std::array<char, 40> buffer{};
  const char* const end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  const std::string_view text(buffer.data(), static_cast<std::size_t>(end - buffer.data()));
  json += text;
  if (text.find_first_of(".e") == std::string_view::npos) json += ".0";
}

}  // namespace trainstate::format
