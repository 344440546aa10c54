#include "tool/text.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>

using namespace std::string_literals;

TEST_CASE("tool text: nothing of a file can steer a terminal") {
  CHECK(tool::printable("plain, Grüße, 世界") == "plain, Grüße, 世界");
  CHECK(tool::printable("\x1b[31mred\n\t\x7f"s) == "\\x1b[31mred\\n\\t\\x7f");
  CHECK(tool::printable("a\0b"s) == "a\\x00b");
  CHECK(tool::printable("\xff\x80"s) == "\\xff\\x80");
  CHECK(tool::printable("\u009b31m") == "\\xc2\\x9b31m");               // a control sequence of one character
  CHECK(tool::printable("\u202Etxt.exe") == "\\xe2\\x80\\xaetxt.exe");  // from right to left
  CHECK(tool::printable("\u2066x") == "\\xe2\\x81\\xa6x");
  CHECK(tool::printable("\u2027\u2030") == "\u2027\u2030");  // their neighbours
}

TEST_CASE("tool text: sizes and numbers") {
  CHECK(tool::size_text(0) == "0 B");
  CHECK(tool::size_text(1023) == "1023 B");
  CHECK(tool::size_text(1024) == "1.0 KiB");
  CHECK(tool::size_text(1536) == "1.5 KiB");
  CHECK(tool::size_text((1 << 20) - 1) == "1.0 MiB");
  CHECK(tool::size_text(std::uint64_t{1} << 30) == "1.0 GiB");
  CHECK(tool::size_text(std::numeric_limits<std::uint64_t>::max()) == "16.0 EiB");
  CHECK(tool::number_text(0.00012345678) == "0.0001235");
  CHECK(tool::number_text(-1.5) == "-1.5");
  CHECK(tool::number_text(1e300) == "1e+300");
  CHECK(tool::number_text(-std::numeric_limits<double>::quiet_NaN()) == "nan");
  CHECK(tool::number_text(-std::numeric_limits<double>::infinity()) == "-inf");
  CHECK(tool::counted(1, "tensor") == "1 tensor");
  CHECK(tool::counted(0, "tensor") == "0 tensors");
}

TEST_CASE("tool text: values are short") {
  tool::List list;
  for (int i = 0; i < 100; ++i) list.emplace_back(i);
  CHECK(tool::value_text(list) == "[0, 1, 2, 3, 4, 5, 6, 7, ... 100 in all]");
  CHECK(tool::value_text("say \"a\\b\"\n") == R"("say \"a\\b\"\n")");
  CHECK(tool::value_text(std::string(59, 'x') + "ä and more") == "\"" + std::string(59, 'x') + "ä...\"");
  CHECK(tool::value_text(tool::Tree{{"a", 1}}) == "{1 entry}");
  CHECK(tool::value_text(tool::List{tool::List{tool::List{tool::List{}, 2}}}) == "[[[2 items]]]");
  CHECK(tool::value_text(trainstate::None()) == "None");
  CHECK(tool::value_text(3.0) == "3.0");
  CHECK(tool::padded("ä", 3) == "ä  ");
  CHECK(tool::padded_left("ä", 3) == "  ä");
}
