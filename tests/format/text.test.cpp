#include "trainstate/format/text.hpp"

#include <doctest/doctest.h>

#include <string>

namespace format = trainstate::format;
using namespace std::string_literals;

TEST_CASE("text: UTF-8 by RFC 3629") {
  for (const auto& valid : {""s, "plain"s, "\0"s, "\x7f"s, "\xc2\x80"s, "\xdf\xbf"s, "\xe0\xa0\x80"s, "\xed\x9f\xbf"s,
                            "\xee\x80\x80"s, "\xef\xbf\xbf"s, "\xf0\x90\x80\x80"s, "\xf4\x8f\xbf\xbf"s}) {
    CHECK(format::is_utf8(valid));
    CHECK(format::as_utf8(valid) == valid);
  }
  for (const auto& invalid : {"\x80"s, "\xbf"s, "\xc0\x80"s, "\xc1\xbf"s, "\xc2"s, "\xc2 "s, "\xe0\x9f\xbf"s,
                              "\xe0\xa0"s, "\xed\xa0\x80"s, "\xed\xbf\xbf"s, "\xe1\x80 "s, "\xf0\x8f\xbf\xbf"s,
                              "\xf0\x90\x80"s, "\xf4\x90\x80\x80"s, "\xf5\x80\x80\x80"s, "\xff"s, "\xfe"s, "ok\x80"s}) {
    CHECK_FALSE(format::is_utf8(invalid));
    CHECK(format::is_utf8(format::as_utf8(invalid)));
  }
  CHECK(format::as_utf8("a\xff\xc3\xa4\xc3z") == "a%FF\xc3\xa4%C3z");
}

TEST_CASE("text: every code point has exactly one form") {
  std::size_t valid = 0;
  for (unsigned a = 0; a < 256; ++a) {
    const char one[] = {static_cast<char>(a)};
    valid += format::is_utf8({one, 1});
    for (unsigned b = 0; b < 256; ++b) {
      const char two[] = {static_cast<char>(a), static_cast<char>(b)};
      valid += format::utf8_length({two, 2}) == 2;
      for (unsigned c = 0x70; c < 0xD0; ++c) {
        const char three[] = {two[0], two[1], static_cast<char>(c)};
        valid += format::utf8_length({three, 3}) == 3;
        for (unsigned d = 0x7F; d < 0xC1 && a >= 0xEF; ++d) {
          const char four[] = {two[0], two[1], three[2], static_cast<char>(d)};
          valid += format::utf8_length({four, 4}) == 4;
        }
      }
    }
  }
  CHECK(valid == 0x110000 - 0x800);  // all but the surrogates
}

TEST_CASE("text: base64 of RFC 4648, one spelling only") {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"},
                                                         {"\xff\xfe"s, "//4="},
                                                         {"\0"s, "AA=="}};
  for (const auto& [bytes, text] : vectors) {
    CHECK(format::to_base64(bytes) == text);
    CHECK(format::from_base64(text) == bytes);
  }
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  CHECK(format::from_base64(format::to_base64(all)) == all);
  for (const char* wrong : {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "=g==", "Zg==Zg==", "Zm9v ",
                            "Zm9\n", "Zm-v", "Zm_v", "Z=9v"}) {
    CHECK_FALSE(format::from_base64(wrong));
  }
}

TEST_CASE("text: names in error texts are short, printable UTF-8") {
  CHECK(format::shown("conv1.weight") == "'conv1.weight'");
  CHECK(format::shown("a\x1b[31m\n\x7f\xff") == "'a?[31m??%FF'");
  CHECK(format::shown(std::string(1000, 'x')) == "'" + std::string(200, 'x') + "...'");
  CHECK(format::is_utf8(format::shown(std::string(199, 'x') + "\xf0\x9f\x98\x80")));
}
