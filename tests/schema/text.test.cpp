#include "trainstate/schema/text.hpp"

#include <doctest/doctest.h>

#include <limits>

namespace detail = trainstate::detail;
using trainstate::FixedString;

TEST_CASE("text: pieces are put together, in the order given or by the alphabet") {
  CHECK(detail::concat(FixedString("a"), FixedString(""), FixedString("bc")).view() == "abc");
  CHECK(detail::concat().view() == "");
  CHECK(detail::join<detail::Order::given>(FixedString(", "), FixedString("b"), FixedString("a")).view() == "b, a");
  CHECK(detail::join<detail::Order::alphabetical>(FixedString("; "), FixedString("b"), FixedString("ab"),
                                                  FixedString("a"))
            .view() == "a; ab; b");
  CHECK(detail::join<detail::Order::given>(FixedString(", ")).view() == "");
  CHECK(detail::fixed<2>("abc").view() == "ab");
}

TEST_CASE("text: numbers") {
  CHECK(detail::decimal<0>().view() == "0");
  CHECK(detail::decimal<9>().view() == "9");
  CHECK(detail::decimal<10>().view() == "10");
  CHECK(detail::decimal<std::numeric_limits<std::size_t>::max()>().view() == "18446744073709551615");
  CHECK(detail::hexadecimal(0).view() == "0000000000000000");
  CHECK(detail::hexadecimal(0xfedcba9876543210).view() == "fedcba9876543210");
}

TEST_CASE("text: FNV-1a as its authors publish it") {
  static_assert(detail::fnv1a("") == 0xcbf29ce484222325);
  static_assert(detail::fnv1a("a") == 0xaf63dc4c8601ec8c);
  CHECK(detail::fnv1a("foobar") == 0x85944171f73967e8);
  CHECK(detail::fnv1a("\xff") != detail::fnv1a("\x7f"));
}
