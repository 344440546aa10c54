#include "trainstate/format/json_reader.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "format/samples.hpp"

namespace format = trainstate::format;
using format::JsonReader;
using trainstate::FormatError;
using namespace std::string_literals;

namespace {

constexpr std::size_t deep = 100;

bool accepts(std::string_view text) {
  try {
    JsonReader json(text, "", "json", deep);
    json.skip();
    json.finish();
    return true;
  } catch (const FormatError&) {
    return false;
  }
}

std::string why(std::string_view text) {
  try {
    JsonReader json(text, "file: ", "json", deep);
    json.skip();
    json.finish();
  } catch (const FormatError& e) {
    return e.what();
  }
  return "accepted";
}

// Through every function of the reader, into another parser's value.
nlohmann::json read(JsonReader& json) {
  switch (json.peek()) {
    case JsonReader::Kind::object: {
      auto object = nlohmann::json::object();
      json.begin_object();
      while (const auto key = json.next_key()) {
        const std::string name(*key);
        object[name] = read(json);
      }
      return object;
    }
    case JsonReader::Kind::array: {
      auto array = nlohmann::json::array();
      json.begin_array();
      while (json.next_item()) array.push_back(read(json));
      return array;
    }
    case JsonReader::Kind::string:
      return std::string(json.string());
    case JsonReader::Kind::number:
      return nlohmann::json::parse(json.number());
    case JsonReader::Kind::boolean:
      return json.boolean();
    case JsonReader::Kind::null:
      break;
  }
  json.null();
  return nullptr;
}

const std::vector<std::string>& valid_texts() {
  static const std::vector<std::string> texts{"null",
                                              "true",
                                              "false",
                                              "0",
                                              "-0",
                                              "-1",
                                              "10",
                                              "0.5",
                                              "1e5",
                                              "1E+5",
                                              "1.25e-7",
                                              R"("")",
                                              R"("a")",
                                              R"("\"\\\/\b\f\n\r\t\u0041\u00e4\u20ac\ud83d\ude00\u0000")",
                                              "\"ä€😀\x7f\"",
                                              "[]",
                                              "{}",
                                              "[1]",
                                              "[1,2,[3,[]],{}]",
                                              R"({"a":1,"b":{"c":[null,true]},"":""})",
                                              " \n\r\t[ 1 , { \"a\" : 2 } ] \n",
                                              "[[[[[[]]]]]]",
                                              "18446744073709551615",
                                              "123456789012345678901234567890",
                                              R"({"a":1,"a":2})"};
  return texts;
}

const std::vector<std::string>& invalid_texts() {
  static const std::vector<std::string> texts{"",
                                              " ",
                                              "nul",
                                              "nulll",
                                              "True",
                                              "tru",
                                              "NaN",
                                              "Infinity",
                                              "-",
                                              "+1",
                                              "01",
                                              "-01",
                                              "1.",
                                              ".5",
                                              "1e",
                                              "1e+",
                                              "0x1",
                                              "1.e5",
                                              "'a'",
                                              "\"",
                                              "\"a",
                                              "\"\\",
                                              "\"\\x\"",
                                              "\"\\u\"",
                                              "\"\\u12\"",
                                              "\"\\u123g\"",
                                              R"("\ud800")",
                                              R"("\ud800x")",
                                              R"("\ud800\n")",
                                              R"("\ud800\u0041")",
                                              R"("\udc00")",
                                              R"("\ud83d\ud83d")",
                                              "\"\x01\"",
                                              "\"\n\"",
                                              "\"\x1f\"",
                                              "\"\0\""s,
                                              "\"\x80\"",
                                              "\"\xff\"",
                                              "\"\xc3\"",
                                              "\"\xed\xa0\x80\"",
                                              "\"\xc0\x80\"",
                                              "\"\xf4\x90\x80\x80\"",
                                              "[",
                                              "[1",
                                              "[1,",
                                              "[1,]",
                                              "[,1]",
                                              "[1 2]",
                                              "[1}",
                                              "{",
                                              "{\"a\"",
                                              "{\"a\":",
                                              "{\"a\":1",
                                              "{\"a\":1,",
                                              "{\"a\":1,}",
                                              "{\"a\" 1}",
                                              "{a:1}",
                                              "{1:1}",
                                              "{\"a\":1]",
                                              "{,}",
                                              "{}{}",
                                              "[]]",
                                              "[] x",
                                              "1 2",
                                              "// x\n1",
                                              "/* */1",
                                              "[1]//",
                                              "\xef\xbb\xbf[]",
                                              "[]\0"s,
                                              "\0"s,
                                              "[\x0b]",
                                              "[\xc2\xa0]",
                                              "{\"a\":1 \"b\":2}"};
  return texts;
}

}  // namespace

TEST_CASE("json reader: accepts what RFC 8259 allows, and reads what it says") {
  for (const auto& text : valid_texts()) {
    INFO(text);
    CHECK(accepts(text));
    JsonReader json(text, "", "json", deep);
    CHECK(read(json) == nlohmann::json::parse(text));
    json.finish();
  }
}

TEST_CASE("json reader: refuses what RFC 8259 does not allow") {
  for (const auto& text : invalid_texts()) {
    INFO(text);
    CHECK_FALSE(accepts(text));
  }
}

TEST_CASE("json reader: agrees with another parser on random damage") {
  std::mt19937 random(11);
  for (const auto& text : valid_texts()) {
    for (int i = 0; i < 400; ++i) {
      std::string damaged = text;
      for (auto n = random() % 3 + 1; n > 0 && !damaged.empty(); --n) {
        static constexpr char bytes[] = "{}[]\",:\\u0d8 \n1-+.eE\x80\xc3tn\x01";
        const std::size_t at = random() % damaged.size();
        const char byte = bytes[random() % (sizeof bytes - 1)];
        switch (random() % 3) {
          case 0:
            damaged[at] = byte;
            break;
          case 1:
            damaged.insert(damaged.begin() + static_cast<std::ptrdiff_t>(at), byte);
            break;
          default:
            damaged.erase(at, 1);
        }
      }
      INFO(damaged);
      // The other parser refuses numbers beyond double; here they are text.
      if (damaged.find_first_of("eE") != std::string::npos) continue;
      CHECK(accepts(damaged) == nlohmann::json::accept(damaged));
    }
  }
}

TEST_CASE("json reader: says where it was, what it expected and what it found") {
  CHECK(why("[1,2") == "file: json: byte 4: expected ',' or ']', found the end");
  CHECK(why("{\"a\":}") == "file: json: byte 5: expected a value, found '}'");
  CHECK(why("{\"a\";1}") == "file: json: byte 4: expected ':', found ';'");
  CHECK(why("[\"\x01\"]") == "file: json: byte 2: expected no control character, found 0x01");
  CHECK(why("[\"\xff\"]") == "file: json: byte 2: expected UTF-8, found 0xff");
  CHECK(why("[] ]") == "file: json: byte 3: expected the end, found ']'");
  CHECK(why("[01]") == "file: json: byte 2: expected no digit after a leading zero, found '1'");
}

TEST_CASE("json reader: nesting has a limit, whatever its depth") {
  const auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  CHECK(accepts(nested(deep)));
  CHECK_FALSE(accepts(nested(deep + 1)));
  CHECK_FALSE(accepts(std::string(10'000'000, '[')));
  std::string objects;
  for (int i = 0; i < 1'000'000; ++i) objects += "{\"\":";
  CHECK_FALSE(accepts(objects));
  CHECK(why(nested(deep + 1)).find("nesting of at most 100 levels") != std::string::npos);
}

TEST_CASE("json reader: integers are exact or refused") {
  const auto read_u64 = [](std::string_view text) {
    JsonReader json(text, "", "json", deep);
    return json.integer<std::uint64_t>();
  };
  CHECK(read_u64("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
  CHECK(read_u64(" 9007199254740993") == 9007199254740993ULL);
  for (const char* wrong :
       {"18446744073709551616", "-1", "-0", "1.0", "1e2", "01", "\"1\"", "null", "", "99999999999999999999999"}) {
    CHECK_THROWS_AS(static_cast<void>(read_u64(wrong)), FormatError);
  }
  JsonReader json("[-9223372036854775808,9223372036854775808]", "", "json", deep);
  json.begin_array();
  CHECK(json.next_item());
  CHECK(json.integer<std::int64_t>() == std::numeric_limits<std::int64_t>::min());
  CHECK(json.next_item());
  CHECK_THROWS_WITH_AS(static_cast<void>(json.integer<std::int64_t>()),
                       "json: byte 22: expected an integer of 64 bits, found '9'", FormatError);
}

TEST_CASE("json reader: what is not what the caller asks for is refused") {
  const auto refuses = [](auto ask) { CHECK_THROWS_AS(ask(), FormatError); };
  for (const char* text : {"{}", "[]", "\"\"", "1", "true", "null"}) {
    const std::string_view view(text);
    if (view != "{}") refuses([&] { JsonReader(view, "", "json", deep).begin_object(); });
    if (view != "[]") refuses([&] { JsonReader(view, "", "json", deep).begin_array(); });
    if (view != "\"\"") refuses([&] { static_cast<void>(JsonReader(view, "", "json", deep).string()); });
    if (view != "1") refuses([&] { static_cast<void>(JsonReader(view, "", "json", deep).number()); });
    if (view != "true") refuses([&] { static_cast<void>(JsonReader(view, "", "json", deep).boolean()); });
    if (view != "null") refuses([&] { JsonReader(view, "", "json", deep).null(); });
  }
}

TEST_CASE("json reader: passes over a value in the middle") {
  JsonReader json(R"({"skip":{"a":[1,{"b":"}]"},[]],"c":null},"keep":[[],[[]],7]})", "", "json", deep);
  json.begin_object();
  CHECK(json.next_key() == "skip");
  json.skip();
  CHECK(json.next_key() == "keep");
  json.begin_array();
  CHECK(json.next_item());
  json.skip();
  CHECK(json.next_item());
  json.skip();
  CHECK(json.next_item());
  CHECK(json.integer<int>() == 7);
  CHECK_FALSE(json.next_item());
  CHECK_FALSE(json.next_key());
  json.finish();
}
