// Strict JSON (RFC 8259), one token after another: nothing is built that the caller does not ask for.
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "trainstate/error.hpp"
#include "trainstate/format/text.hpp"

namespace trainstate::format {

/// Reads JSON by what the caller expects next. Refuses all that RFC 8259 does (so no comments, no byte order mark, no
/// control characters, no lone surrogates, no bytes that are not UTF-8) and nesting deeper than a limit. Whatever is
/// wrong is a FormatError naming the document, the byte, what was expected and what was found.
class JsonReader {
 public:
  enum class Kind { object, array, string, number, boolean, null };

  /// `text`, and `where` and `what`, which begin error texts, must live as long as the reader.
  JsonReader(std::string_view text, std::string_view where, std::string_view what, std::size_t deepest)
      : text_(text), where_(where), what_(what), deepest_(deepest) {}

  /// What kind of value comes next.
  [[nodiscard]] Kind peek() {
    switch (next_byte()) {
      case '{':
        return Kind::object;
      case '[':
        return Kind::array;
      case '"':
        return Kind::string;
      case 't':
      case 'f':
        return Kind::boolean;
      case 'n':
        return Kind::null;
      case '-':
        return Kind::number;
      default:
        if (is_digit(next_byte())) return Kind::number;
        fail("a value");
    }
  }

  void begin_object() { begin('{', "an object"); }
  void begin_array() { begin('[', "an array"); }

  /// The next key of an object, valid until the next call; nothing at the object's end.
  [[nodiscard]] std::optional<std::string_view> next_key() {
    if (!next_member('}', "',' or '}'")) return std::nullopt;
    const std::string_view key = string("a key");
    if (next_byte() != ':') fail("':'");
    ++at_;
    return key;
  }

  /// True if an array goes on with another item; false at its end.
  [[nodiscard]] bool next_item() { return next_member(']', "',' or ']'"); }

  /// A string, valid until the next call.
  [[nodiscard]] std::string_view string(std::string_view expected = "a string") {
    if (next_byte() != '"') fail(expected);
    const std::size_t begin = ++at_;
    skip_plain();
    if (at_ < text_.size() && text_[at_] == '"') return text_.substr(begin, at_++ - begin);
    unescaped_.assign(text_, begin, at_ - begin);
    unescaped_.reserve(64);
    for (;;) {
      const std::size_t run = at_;
      skip_plain();
      unescaped_.append(text_, run, at_ - run);
      if (at_ == text_.size()) fail("'\"'");
      if (text_[at_] == '"') break;
      if (text_[at_] != '\\') fail(static_cast<unsigned char>(text_[at_]) < 0x20 ? "no control character" : "UTF-8");
      ++at_;
      read_escape();
    }
    ++at_;
    return unescaped_;
  }

  /// The text of a number, as it stands: `-?digits` when it is an integer, else with `.`, `e` or `E`.
  [[nodiscard]] std::string_view number() {
    if (next_byte() != '-' && !is_digit(next_byte())) fail("a number");
    const std::size_t begin = at_;
    if (text_[at_] == '-') ++at_;
    if (byte() == '0') {
      ++at_;
      if (is_digit(byte())) fail("no digit after a leading zero");
    } else {
      digits();
    }
    if (byte() == '.') {
      ++at_;
      digits();
    }
    if (byte() == 'e' || byte() == 'E') {
      ++at_;
      if (byte() == '+' || byte() == '-') ++at_;
      digits();
    }
    return text_.substr(begin, at_ - begin);
  }

  /// A number written as an integer that fits `I`, exactly.
  template <std::integral I>
  [[nodiscard]] I integer() {
    if (next_byte() != '-' && !is_digit(next_byte())) fail("an integer");
    const std::size_t begin = at_;
    static_assert(sizeof(I) >= sizeof(int));
    if (const int value = short_integer(); value >= 0) return static_cast<I>(value);
    const std::string_view text = number();
    I value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) {
      at_ = begin;
      fail(std::string("an integer of ") + std::to_string(sizeof(I) * 8) + " bits");
    }
    return value;
  }

  [[nodiscard]] bool boolean() {
    if (next_byte() == 't') {
      word("true");
      return true;
    }
    word("false");
    return false;
  }

  void null() { word("null"); }

  /// Passes over one value of any kind.
  void skip() {
    const std::size_t outside = open_.size();
    do {
      // At a value, inside the containers past `outside` that are being passed over.
      switch (peek()) {
        case Kind::object:
          begin_object();
          break;
        case Kind::array:
          begin_array();
          break;
        case Kind::string:
          static_cast<void>(string());
          break;
        case Kind::number:
          static_cast<void>(number());
          break;
        case Kind::boolean:
          static_cast<void>(boolean());
          break;
        case Kind::null:
          null();
      }
      while (open_.size() > outside && !(in_object() ? next_key().has_value() : next_item())) {
      }
    } while (open_.size() > outside);
  }

  /// Requires that nothing but whitespace follows.
  void finish() {
    if (next_byte() != end_of_text) fail("the end");
  }

  /// How many bytes were read.
  [[nodiscard]] std::size_t position() const noexcept { return at_; }

  /// Throws a FormatError for the next byte.
  [[noreturn]] void fail(std::string_view expected) const {
    std::string found = "the end";
    if (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      constexpr std::string_view hex = "0123456789abcdef";
      found = c >= 0x20 && c < 0x7F ? std::string{'\'', static_cast<char>(c), '\''}
                                    : std::string{'0', 'x', hex[c >> 4], hex[c & 15]};
    }
    throw FormatError(std::string(where_) + std::string(what_) + ": byte " + std::to_string(at_) + ": expected " +
                      std::string(expected) + ", found " + found);
  }

 private:
  static constexpr int end_of_text = -1;
  static constexpr bool is_digit(int c) { return c >= '0' && c <= '9'; }

  [[nodiscard]] int byte() const { return at_ < text_.size() ? static_cast<unsigned char>(text_[at_]) : end_of_text; }

  [[nodiscard]] int next_byte() {
    int c = byte();
    while (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
      ++at_;
      c = byte();
    }
    return c;
  }

  void begin(char bracket, std::string_view expected) {
    if (next_byte() != bracket) fail(expected);
    if (open_.size() == deepest_) fail("nesting of at most " + std::to_string(deepest_) + " levels");
    ++at_;
    open_ += bracket;
    first_ = true;
  }

  [[nodiscard]] bool in_object() const { return open_.back() == '{'; }

  [[nodiscard]] bool next_member(char closing, std::string_view expected) {
    const bool first = first_;
    first_ = false;
    if (next_byte() == closing) {
      ++at_;
      open_.pop_back();
      return false;
    }
    if (first) return true;
    if (next_byte() != ',') fail(expected);
    ++at_;
    return true;
  }

  // To the first byte that ends a string, begins an escape, or is not allowed in a string.
  void skip_plain() {
    static constexpr auto plain = [] {
      std::array<bool, 256> table{};
      for (std::size_t c = 0x20; c < 0x80; ++c) table[c] = c != '"' && c != '\\';
      return table;
    }();
    for (;;) {
      while (at_ < text_.size() && plain[static_cast<unsigned char>(text_[at_])]) ++at_;
      if (at_ == text_.size() || static_cast<unsigned char>(text_[at_]) < 0x80) return;
      const std::size_t length = utf8_length(text_.substr(at_, 4));
      if (length == 0) return;
      at_ += length;
    }
  }

  void read_escape() {
    static constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    const int c = byte();
    if (c == 'u') {
      ++at_;
      read_unicode_escape();
      return;
    }
    const auto which = c == end_of_text ? std::string_view::npos : letters.find(static_cast<char>(c));
    if (which == std::string_view::npos) fail("an escape");
    ++at_;
    unescaped_ += meanings[which];
  }

  void read_unicode_escape() {
    std::uint32_t point = hex4();
    if (point >= 0xD800 && point < 0xE000) {
      if (point >= 0xDC00 || byte() != '\\' || text_.substr(at_, 2) != "\\u") fail("a pair of surrogates");
      at_ += 2;
      const std::uint32_t low = hex4();
      if (low < 0xDC00 || low > 0xDFFF) fail("a pair of surrogates");
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    }
    const auto append = [&](std::uint32_t bits) { unescaped_ += static_cast<char>(bits); };
    if (point < 0x80) {
      append(point);
    } else if (point < 0x800) {
      append(0xC0 | point >> 6);
      append(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
      append(0xE0 | point >> 12);
      append(0x80 | (point >> 6 & 0x3F));
      append(0x80 | (point & 0x3F));
    } else {
      append(0xF0 | point >> 18);
      append(0x80 | (point >> 12 & 0x3F));
      append(0x80 | (point >> 6 & 0x3F));
      append(0x80 | (point & 0x3F));
    }
  }

  std::uint32_t hex4() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const int c = byte();
      const int lower = c | 0x20;
      if (is_digit(c)) {
        value = value << 4 | static_cast<std::uint32_t>(c - '0');
      } else if (c != end_of_text && lower >= 'a' && lower <= 'f') {
        value = value << 4 | static_cast<std::uint32_t>(lower - 'a' + 10);
      } else {
        fail("a hexadecimal digit");
      }
    }
    return value;
  }

  // An integer of few digits, as most are; -1 where anything else stands, which is not passed over then.
  [[nodiscard]] int short_integer() {
    const std::size_t begin = at_;
    int value = 0;
    while (at_ - begin < 9 && is_digit(byte())) value = value * 10 + (text_[at_++] - '0');
    const int end = byte();
    const bool leading_zero = text_[begin] == '0' && at_ - begin > 1;
    if (at_ != begin && !leading_zero && (end == ',' || end == ']' || end == '}')) return value;
    at_ = begin;
    return -1;
  }

  void digits() {
    if (!is_digit(byte())) fail("a digit");
    while (is_digit(byte())) ++at_;
  }

  void word(std::string_view expected) {
    if (next_byte() == end_of_text || text_.substr(at_, expected.size()) != expected) fail(expected);
    at_ += expected.size();
  }

  std::string_view text_, where_, what_;
  std::size_t at_ = 0;
  std::size_t deepest_;
  std::string open_;    // the brackets that are
  bool first_ = false;  // just after an opening bracket
  std::string unescaped_;
};

}  // namespace trainstate::format
