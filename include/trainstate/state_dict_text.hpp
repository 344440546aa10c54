// What visits whole trees: deep copies, equality and the text that people read.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <locale>
#include <map>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "trainstate/basic_state_dict.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate {
namespace detail {

inline void print_string(std::ostream& os, std::string_view text, std::size_t limit) {
  static constexpr char hex[] = "0123456789abcdef";
  os << '"';
  for (const char c : text.substr(0, limit)) {
    if (c == '"' || c == '\\') os << '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      os << "\\x" << hex[static_cast<unsigned char>(c) >> 4] << hex[c & 15];
    } else {
      os << c;
    }
  }
  os << (text.size() > limit ? "…\"" : "\"");
}

/// The shortest text that reads back as the same double; always recognisable as one (`1.0`, `1e+300`, `nan`).
inline std::string double_text(double value) {
  char buffer[40];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string text(buffer, result.ptr);
  if (std::isfinite(value) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

/// A key as people read it: quoted where it is empty or has blanks.
inline std::string key_text(const Key& key) {
  const std::string text = detail::to_string(key);
  return text.empty() || text.find_first_of(" \t\n") != std::string::npos ? '"' + text + '"' : text;
}

/// Prints a value; dicts one entry a line, indented. `limit` bounds how much of a string or list is shown.
template <class Tensor>
void print_value(std::ostream& os, const BasicValue<Tensor>& value, int indent, std::size_t limit) {
  std::visit(
      [&]<class T>(const T& x) {
        if constexpr (std::is_same_v<T, None>) {
          os << "None";
        } else if constexpr (std::is_same_v<T, bool>) {
          os << (x ? "true" : "false");
        } else if constexpr (std::is_same_v<T, std::int64_t>) {
          os << std::to_string(x);
        } else if constexpr (std::is_same_v<T, double>) {
          os << double_text(x);
        } else if constexpr (std::is_same_v<T, std::string>) {
          print_string(os, x, limit);
        } else if constexpr (std::is_same_v<T, Tensor>) {
          TensorTraits<Tensor>::print(os, x);
        } else if constexpr (std::is_same_v<T, UnsupportedTensor>) {
          TensorTraits<TensorInfo>::print(os, x.info);
          os << " (a dtype that this build cannot hold)";
        } else if constexpr (std::is_same_v<T, BasicList<Tensor>>) {
          os << '[';
          std::size_t shown = 0;
          for (const auto& item : x) {
            if (shown == limit / 4) {
              os << ", … " << x.size() << " in all";
              break;
            }
            if (shown++ != 0) os << ", ";
            print_value(os, item, indent + 2, limit);
          }
          os << ']';
        } else {
          os << '{';
          for (const auto& [key, item] : x) {
            os << '\n' << std::string(static_cast<std::size_t>(indent) + 2, ' ') << key_text(key) << ": ";
            print_value(os, item, indent + 2, limit);
          }
          if (!x.empty()) os << '\n' << std::string(static_cast<std::size_t>(indent), ' ');
          os << '}';
        }
      },
      value.variant());
}

/// Copies of tensors, one for all that show the very same elements, so that tied ones stay tied.
template <class Tensor>
class TensorCopies {
 public:
  template <class Copy>
  Tensor of(const Tensor& tensor, const Copy& copy) {
    const void* address = TensorTraits<Tensor>::address(tensor);
    if (!address) return copy(tensor);
    const auto [first, last] = copies_.equal_range(address);
    for (auto at = first; at != last; ++at) {
      if (TensorTraits<Tensor>::same_view(at->second.first, tensor)) return at->second.second;
    }
    return copies_.emplace(address, std::pair(tensor, copy(tensor)))->second.second;
  }

 private:
  std::multimap<const void*, std::pair<Tensor, Tensor>> copies_;
};

template <class Tensor, class Copy>
BasicStateDict<Tensor> copy_dict(const BasicStateDict<Tensor>& dict, TensorCopies<Tensor>& copies, const Copy& copy);

/// A deep copy; `copy` makes the tensors.
template <class Tensor, class Copy>
BasicValue<Tensor> copy_value(const BasicValue<Tensor>& value, TensorCopies<Tensor>& copies, const Copy& copy) {
  if (const auto* tensor = value.template get_if<Tensor>()) return copies.of(*tensor, copy);
  if (const auto* dict = value.template get_if<BasicStateDict<Tensor>>()) return copy_dict(*dict, copies, copy);
  if (const auto* unsupported = value.template get_if<UnsupportedTensor>()) {
    return UnsupportedTensor{TensorTraits<TensorInfo>::clone(unsupported->info)};
  }
  const auto* list = value.template get_if<BasicList<Tensor>>();
  if (!list) return value;
  BasicList<Tensor> items;
  items.reserve(list->size());
  for (const auto& item : *list) items.push_back(copy_value(item, copies, copy));
  return items;
}

template <class Tensor, class Copy>
BasicStateDict<Tensor> copy_dict(const BasicStateDict<Tensor>& dict, TensorCopies<Tensor>& copies, const Copy& copy) {
  BasicStateDict<Tensor> entries;
  entries.reserve(dict.size());
  for (const auto& [key, value] : dict) entries[key] = copy_value(value, copies, copy);
  return entries;
}

}  // namespace detail

template <class Tensor>
BasicValue<Tensor> BasicValue<Tensor>::clone() const {
  detail::TensorCopies<Tensor> copies;
  return detail::copy_value(*this, copies, detail::TensorTraits<Tensor>::clone);
}

template <class Tensor>
bool BasicValue<Tensor>::operator==(const BasicValue& other) const {
  if (data_.index() != other.data_.index()) return false;
  return std::visit(
      [&]<class T>(const T& x) {
        const T& y = std::get<T>(other.data_);
        if constexpr (std::is_same_v<T, double>) {
          return std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(y);
        } else if constexpr (std::is_same_v<T, Tensor>) {
          return detail::TensorTraits<Tensor>::equal(x, y);
        } else {
          return x == y;
        }
      },
      data_);
}

template <class Tensor>
std::string BasicValue<Tensor>::describe() const {
  static constexpr std::string_view names[] = {"None", "bool ", "int64 ", "double ", "string ", "", "", "", ""};
  if (const auto* list = get_if<List>()) return "a list of " + std::to_string(list->size());
  if (const auto* dict = get_if<StateDict>()) {
    std::string text = "a dict of " + std::to_string(dict->size());
    std::size_t shown = 0;
    for (const auto& [key, value] : *dict) {
      text += (shown == 0 ? ": " : ", ") + (shown < 6 ? detail::to_string(key) : std::string("…"));
      if (shown++ == 6) break;
    }
    return text;
  }
  std::ostringstream os;
  os.imbue(std::locale::classic());
  if (!is<None>()) os << names[data_.index()];
  detail::print_value(os, *this, 0, 60);
  return os.str();
}

template <class Tensor>
BasicStateDict<Tensor> BasicStateDict<Tensor>::clone() const {
  detail::TensorCopies<Tensor> copies;
  return detail::copy_dict(*this, copies, detail::TensorTraits<Tensor>::clone);
}

/// Prints a tree, one entry a line; tensors by dtype and shape.
template <class Tensor>
std::ostream& operator<<(std::ostream& os, const BasicStateDict<Tensor>& dict) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  detail::print_value(text, BasicValue<Tensor>(dict), 0, 120);
  return os << text.str();
}

/// Prints one value.
template <class Tensor>
std::ostream& operator<<(std::ostream& os, const BasicValue<Tensor>& value) {
  std::ostringstream text;
  text.imbue(std::locale::classic());
  detail::print_value(text, value, 0, 120);
  return os << text.str();
}

}  // namespace trainstate
