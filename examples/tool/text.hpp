// Names, values, sizes and numbers as people read them. What comes from a file never reaches a terminal as it is.
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "console.hpp"
#include "trainstate/basic_state_dict.hpp"
#include "trainstate/format/text.hpp"
#include "trainstate/state_dict_text.hpp"
#include "trainstate/tensor_info.hpp"

namespace tool {

namespace ts = trainstate;
using Tree = ts::BasicStateDict<ts::TensorInfo>;
using Value = ts::BasicValue<ts::TensorInfo>;
using List = ts::BasicList<ts::TensorInfo>;

/// `text` on one line: control characters, turns of the writing direction and bytes that are not UTF-8 are escaped.
inline std::string printable(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = ts::format::utf8_length(text);
    const std::string_view character = text.substr(0, length == 0 ? 1 : length);
    const auto first = static_cast<unsigned char>(text[0]);
    const bool c1 = length == 2 && first == 0xC2 && static_cast<unsigned char>(text[1]) < 0xA0;
    const bool turn = character >= "\u202A" && character <= "\u202E";
    const bool isolate = character >= "\u2066" && character <= "\u2069";
    if (length == 0 || first < 0x20 || first == 0x7F || c1 || ((turn || isolate) && length == 3)) {
      for (const char c : character) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '\n') {
          shown += "\\n";
        } else if (c == '\t') {
          shown += "\\t";
        } else {
          (shown += "\\x") += "0123456789abcdef"[byte >> 4];
          shown += "0123456789abcdef"[byte & 15];
        }
      }
    } else {
      shown += character;
    }
    text.remove_prefix(character.size());
  }
  return shown;
}

/// Columns that printable text takes.
inline std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  for (const char c : text) width += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  return width;
}

inline std::string padded(std::string text, std::size_t width) {
  const std::size_t has = width_of(text);
  return has < width ? text.append(width - has, ' ') : text;
}
inline std::string padded_left(const std::string& text, std::size_t width) {
  const std::size_t has = width_of(text);
  return has < width ? std::string(width - has, ' ') + text : text;
}

/// `24 B`, `1.5 KiB`, `1.0 GiB`.
inline std::string size_text(std::uint64_t bytes) {
  static constexpr const char* units[] = {" KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  auto size = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  for (; size >= 1023.95; size /= 1024) ++unit;
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), size, std::chars_format::fixed, 1).ptr;
  return std::string(buffer.data(), end) + units[unit];
}

/// Four significant digits, whatever the locale.
inline std::string number_text(double value) {
  std::array<char, 32> buffer{};
  if (std::isnan(value)) return "nan";
  const auto end =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::general, 4).ptr;
  return {buffer.data(), end};
}

/// `1 tensor`, `2 tensors`.
inline std::string counted(std::uint64_t count, std::string_view thing) {
  return std::to_string(count) + " " + std::string(thing) + (count == 1 ? "" : "s");
}

inline std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}
inline std::string tensor_text(const ts::TensorInfo& tensor) {
  return std::string(name(tensor.dtype)) + shape_text(tensor.shape);
}

/// The most items of a list, and characters of a text, that are shown.
inline constexpr std::size_t longest_list = 8, longest_text = 60;

inline std::string text_in_quotes(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && end < longest_text) {
    const std::size_t length = ts::format::utf8_length(text.substr(end));
    end += length == 0 ? 1 : length;
  }
  std::string escaped;
  for (const char c : text.substr(0, end)) {
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return '"' + printable(escaped) + (end < text.size() ? "...\"" : "\"");
}

/// A value on one line, long ones shortened.
inline std::string value_text(const Value& value, int depth = 0) {
  return std::visit(
      [&]<class T>(const T& x) -> std::string {
        if constexpr (std::is_same_v<T, ts::None>) {
          return "None";
        } else if constexpr (std::is_same_v<T, bool>) {
          return x ? "true" : "false";
        } else if constexpr (std::is_same_v<T, std::int64_t>) {
          return std::to_string(x);
        } else if constexpr (std::is_same_v<T, double>) {
          return ts::detail::double_text(x);
        } else if constexpr (std::is_same_v<T, std::string>) {
          return text_in_quotes(x);
        } else if constexpr (std::is_same_v<T, ts::TensorInfo>) {
          return tensor_text(x);
        } else if constexpr (std::is_same_v<T, ts::UnsupportedTensor>) {
          return tensor_text(x.info);
        } else if constexpr (std::is_same_v<T, List>) {
          if (depth == 2 && !x.empty()) return "[" + counted(x.size(), "item") + "]";
          std::string text = "[";
          for (std::size_t i = 0; i < x.size(); ++i) {
            if (i == longest_list) return text + ", ... " + std::to_string(x.size()) + " in all]";
            text += (i == 0 ? "" : ", ") + value_text(x[i], depth + 1);
          }
          return text + "]";
        } else {
          return x.empty() ? "{}" : "{" + std::to_string(x.size()) + (x.size() == 1 ? " entry}" : " entries}");
        }
      },
      value.variant());
}

/// A key as a label; the key of a root that is no dict has no text.
inline std::string key_label(const ts::Key& key) {
  const std::string text = ts::detail::to_string(key);
  return text.empty() ? "\"\"" : printable(text);
}

}  // namespace tool
