#include "trainstate/fixed_string.hpp"

#include <doctest/doctest.h>

#include <string_view>
#include <type_traits>

namespace ts = trainstate;

namespace {

template <ts::FixedString S>
struct Named {
  static constexpr std::string_view name = S;
};

}  // namespace

TEST_CASE("fixed_string: a literal as a template argument") {
  static_assert(Named<"lr">::name == "lr");
  static_assert(std::is_same_v<Named<"lr">, Named<ts::FixedString("lr")>>);
  static_assert(!std::is_same_v<Named<"lr">, Named<"LR">>);
  CHECK(Named<"">::name.empty());
}

TEST_CASE("fixed_string: equal texts are equal, whatever their capacity says") {
  constexpr ts::FixedString text("abc");
  static_assert(text.size() == 3);
  static_assert(text == ts::FixedString("abc"));
  static_assert(!(text == ts::FixedString("abcd")));
  static_assert(ts::FixedString("a\0b").size() == 3);
  CHECK(text.view() == "abc");
}
