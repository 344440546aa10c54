// Keys of a state dict, and the paths that join them with `/`.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace trainstate {

/// A key of a state dict: an integer or a string, as in Python.
using Key = std::variant<std::int64_t, std::string>;

namespace detail {

/// `/` and `~` inside a key are written `~1` and `~0` in a path (as in RFC 6901, JSON Pointer).
inline void append_escaped(std::string& path, std::string_view key) {
  if (key.find_first_of("/~") == std::string_view::npos) {
    path += key;
    return;
  }
  for (const char c : key) {
    if (c == '~') {
      path += "~0";
    } else if (c == '/') {
      path += "~1";
    } else {
      path += c;
    }
  }
}

inline std::string unescaped(std::string_view segment) {
  std::string key;
  key.reserve(segment.size());
  for (std::size_t i = 0; i < segment.size(); ++i) {
    const bool escape = segment[i] == '~' && i + 1 < segment.size() && (segment[i + 1] == '0' || segment[i + 1] == '1');
    key += !escape ? segment[i] : segment[++i] == '0' ? '~' : '/';
  }
  return key;
}

/// The integer that a path segment of digits means, in its one canonical spelling; nothing for any other segment.
inline std::optional<std::int64_t> integer_of(std::string_view segment) {
  const std::string_view digits = segment.substr(segment.starts_with('-') ? 1 : 0);
  if (digits.empty() || (digits.size() > 1 && digits[0] == '0') || segment == "-0") return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(segment.data(), segment.data() + segment.size(), value);
  if (error != std::errc{} || end != segment.data() + segment.size()) return std::nullopt;
  return value;
}

/// The first segment of a path (still escaped) and the rest; no rest at the last segment.
inline std::pair<std::string_view, std::optional<std::string_view>> split_first(std::string_view path) {
  const auto slash = path.find('/');
  if (slash == std::string_view::npos) return {path, std::nullopt};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

/// Everything before the last segment (nothing for a path of one segment) and the last segment, still escaped.
inline std::pair<std::optional<std::string_view>, std::string_view> split_last(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == std::string_view::npos) return {std::nullopt, path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

inline std::string to_string(const Key& key) {
  return key.index() == 0 ? std::to_string(std::get<0>(key)) : std::get<1>(key);
}

/// Puts one more key behind `path`. The empty path is the root.
inline void append_key(std::string& path, const Key& key) {
  if (!path.empty()) path += '/';
  if (const auto* number = std::get_if<std::int64_t>(&key)) {
    path += std::to_string(*number);
  } else {
    append_escaped(path, std::get<std::string>(key));
  }
}

/// Sorts pointers to what has a key, which `key_of` returns for each. Keys of one dict often begin alike: most of them
/// are told apart by the eight bytes behind what all have in common, without a look at the keys themselves.
template <class T, class KeyOf>
void sort_by_key(std::vector<T*>& items, const KeyOf& key_of) {
  const std::string* first = nullptr;
  std::size_t common = 0;
  for (T* const item : items) {
    const auto* text = std::get_if<std::string>(&key_of(*item));
    if (!text) continue;
    if (!first) {
      first = text;
      common = text->size();
    }
    const auto end = first->begin() + static_cast<std::ptrdiff_t>(std::min(common, text->size()));
    common = static_cast<std::size_t>(std::mismatch(first->begin(), end, text->begin()).first - first->begin());
  }
  struct Begun {
    std::uint64_t begin = 0;  // that of an integer is 0, before any text
    T* item = nullptr;
  };
  std::vector<Begun> begun(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    begun[i].item = items[i];
    const auto* text = std::get_if<std::string>(&key_of(*items[i]));
    for (std::size_t at = common; text && at < common + sizeof(std::uint64_t); ++at) {
      begun[i].begin = begun[i].begin << 8 | (at < text->size() ? static_cast<unsigned char>((*text)[at]) : 0U);
    }
  }
  // By merging, since names with numbers come in long runs.
  std::stable_sort(begun.begin(), begun.end(), [&](const Begun& a, const Begun& b) {
    return a.begin != b.begin ? a.begin < b.begin : key_of(*a.item) < key_of(*b.item);
  });
  for (std::size_t i = 0; i < items.size(); ++i) items[i] = begun[i].item;
}

/// `path` with one more key: `join("", "lr")` is `lr`.
inline std::string join(std::string_view path, const Key& key) {
  std::string joined(path);
  append_key(joined, key);
  return joined;
}

}  // namespace detail
}  // namespace trainstate
