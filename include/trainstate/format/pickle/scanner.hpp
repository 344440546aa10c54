// The bytes of a pickle as the arguments of its instructions.
#pragma once

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "trainstate/error.hpp"
#include "trainstate/format/text.hpp"

namespace trainstate::format::pickle {

/// Reads from front to back, never past the end. Views point into the bytes.
class Scanner {
 public:
  /// `where` begins every error text and must live as long as the scanner. `at` is where to begin.
  Scanner(std::span<const std::byte> bytes, std::string_view where, std::size_t at = 0)
      : text_(reinterpret_cast<const char*>(bytes.data()), bytes.size()), where_(where), at_(at) {}

  [[nodiscard]] std::size_t position() const { return at_; }
  [[nodiscard]] std::size_t left() const { return text_.size() - at_; }

  /// Throws FormatError at the instruction that is being read.
  [[noreturn]] void fail(const std::string& what) const {
    throw FormatError(std::string(where_) + "byte " + std::to_string(begin_) + ": " + what);
  }

  /// The next instruction.
  std::uint8_t instruction() {
    begin_ = at_;
    return integer<std::uint8_t>();
  }

  std::string_view take(std::uint64_t size) {
    if (size > left()) {
      fail("expected " + std::to_string(size) + " bytes, found " + std::to_string(left()) + " until the end");
    }
    const std::string_view taken = text_.substr(at_, static_cast<std::size_t>(size));
    at_ += taken.size();
    return taken;
  }

  template <class T>
  T integer() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  double big_endian_double() {
    std::uint64_t bits = 0;
    for (const char c : take(8)) bits = bits << 8 | static_cast<unsigned char>(c);
    return std::bit_cast<double>(bits);
  }

  /// Up to the next line feed, without it.
  std::string_view line() {
    const auto end = text_.find('\n', at_);
    if (end == std::string_view::npos) fail("expected a line, found the end");
    const std::string_view taken = text_.substr(at_, end - at_);
    at_ = end + 1;
    return taken;
  }

  /// A decimal of 64 bits out of a line; nothing if it is longer. Throws FormatError if it is no decimal.
  std::optional<std::int64_t> decimal(std::string_view text) const {
    std::int64_t value = 0;
    const char* const begin = text.data() + (text.starts_with('+') ? 1 : 0);
    const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
    if (end != text.data() + text.size() || error == std::errc::invalid_argument) {
      fail("expected a decimal integer, found " + shown(text));
    }
    if (error == std::errc::result_out_of_range) return std::nullopt;
    return value;
  }

  double decimal_float(std::string_view text) const {
    if (text.starts_with('+')) text.remove_prefix(1);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || end != text.data() + text.size() || error == std::errc::invalid_argument) {
      fail("expected a decimal number, found " + shown(text));
    }
    // Python's own reader rounds what is too large to inf, and what is too small to zero.
    if (error == std::errc::result_out_of_range) {
      const bool tiny = text.find("e-") != std::string_view::npos || text.find("E-") != std::string_view::npos;
      value = tiny ? 0.0 : std::numeric_limits<double>::infinity();
      if (text.starts_with('-')) value = -value;
    }
    return value;
  }

  /// Two's complement, little-endian, of any length; nothing if it needs more than 64 bits.
  static std::optional<std::int64_t> little_endian(std::string_view digits) {
    if (digits.empty()) return 0;
    const char sign = (static_cast<unsigned char>(digits.back()) & 0x80U) != 0 ? '\xFF' : '\0';
    while (digits.size() > 8) {
      if (digits.back() != sign) return std::nullopt;
      digits.remove_suffix(1);
    }
    std::uint64_t bits = sign == '\0' ? 0 : ~std::uint64_t{0};
    std::memcpy(&bits, digits.data(), digits.size());
    const auto value = static_cast<std::int64_t>(bits);
    if ((value < 0) != (sign != '\0')) return std::nullopt;
    return value;
  }

 private:
  std::string_view text_, where_;
  std::size_t at_ = 0, begin_ = 0;
};

}  // namespace trainstate::format::pickle
