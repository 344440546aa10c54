#include "trainstate/format/safetensors_header.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "format/samples.hpp"

namespace safetensors = trainstate::format::safetensors;
using safetensors::Header;
using trainstate::Dtype;
using trainstate::FormatError;
using namespace trainstate::tests;
using namespace std::string_literals;

namespace {

Header parse(const std::string& file) {
  keep_file(file);
  return safetensors::HeaderParser(std::as_bytes(std::span(file)), "file: ").parse();
}

// The text of the error; empty if the file is accepted.
std::string why(const std::string& file) {
  try {
    parse(file);
    return "";
  } catch (const FormatError& e) {
    CHECK(std::string(e.what()).starts_with("file: "));
    return e.what();
  }
}

std::string entry(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"dtype":")" + dtype + R"(","shape":[)" + shape + R"(],"data_offsets":[)" + offsets + "]}";
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets, std::size_t data) {
  return raw_file("{\"x\":" + entry(dtype, shape, offsets) + "}", std::string(data, 'd'));
}

const std::string byte = entry("U8", "1", "0,1");

}  // namespace

TEST_CASE("safetensors header: the golden empty file") {
  const std::string golden = "\x08\0\0\0\0\0\0\0{}      "s;
  const Header header = parse(golden);
  CHECK(header.entries.empty());
  CHECK(header.metadata.empty());
  CHECK(header.data_at == 16);
}

TEST_CASE("safetensors header: reads what it says") {
  const Header header =
      parse(raw_file(R"({"b":{"shape":[2,1],"data_offsets":[3,7],"dtype":"F16"},"__metadata__":{"k":"v\n","":""},)"
                     R"("a":{"dtype":"BOOL","shape":[3],"data_offsets":[0,3],"extra":{"ignored":[1,{"e":2.5}]}}})",
                     "1234567"));
  REQUIRE(header.entries.size() == 2);
  CHECK(header.entries[0].name == "b");
  CHECK(header.entries[0].dtype == Dtype::f16);
  CHECK(header.entries[0].shape == Shape{2, 1});
  CHECK(header.entries[0].begin == 3);
  CHECK(header.entries[0].end == 7);
  CHECK(header.entries[1].name == "a");
  CHECK(header.by_offset == std::vector<std::size_t>{1, 0});
  CHECK(header.metadata == std::map<std::string, std::string>{{"", ""}, {"k", "v\n"}});
  CHECK_FALSE(header.digests_at);
}

TEST_CASE("safetensors header: every dtype of the format, and no other") {
  const std::vector<std::pair<const char*, unsigned>> dtypes{
      {"BOOL", 8},        {"F4", 4},          {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},   {"I8", 8},
      {"F8_E5M2", 8},     {"F8_E4M3", 8},     {"F8_E8M0", 8}, {"I16", 16},    {"U16", 16}, {"F16", 16},
      {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"BF16", 16},   {"I32", 32},    {"U32", 32}, {"F32", 32},
      {"C64", 64},        {"F64", 64},        {"I64", 64},    {"U64", 64}};
  CHECK(dtypes.size() == 22);
  for (const auto& dtype : dtypes) {
    const auto [tag, bits] = dtype;
    INFO(std::string(dtype.first));
    const std::size_t size = 8 * bits / 8;
    const Header header = parse(one(tag, "8", "0," + std::to_string(size), size));
    CHECK(trainstate::detail::facts(header.entries.at(0).dtype).tag == tag);
    CHECK(trainstate::bits(header.entries[0].dtype) == bits);
    CHECK_FALSE(why(one(tag, "8", "0," + std::to_string(size - 1), size - 1)).empty());
  }
  for (const char* tag : {"nonsense", "f32", "F128", "C32", "C128", "", "F32 ", "Q8"}) {
    CHECK(why(one(tag, "1", "0,4", 4)).find("expected a dtype of the format") != std::string::npos);
  }
}

TEST_CASE("safetensors header: accepted edges") {
  for (const auto& file :
       {raw_file("{}"), raw_file(" \t\r\n{} \t\r\n"), raw_file(R"({"__metadata__":{}})"),
        raw_file(R"({"__metadata__":{"a":"b"}})"), raw_file(R"({"__metadata__":null})"),
        raw_file(R"({"\u005f_metadata__":{"a":"b"}})"), raw_file("{\"\":" + byte + "}", "d"),  // an empty name
        one("F32", "", "0,4", 4),                                                              // rank 0
        one("F32", "2,0", "0,0", 0),                                                           // a zero-sized dimension
        one("F32", "0,9223372036854775807", "0,0", 0),                                         //
        one("U8", "1,1,1,1,1,1,1,1,1,1", "0,1", 1),                                            // many dimensions
        one("F4", "1,2", "0,1", 1), one("F6_E2M3", "4", "0,3", 3),  // parts of bytes that fill some
        raw_file("{\"x\":" + entry("U8", "0", "0,0") + ",\"y\":" + entry("F64", "3,0", "0,0") + "}"),
        raw_file("{\"x\":" + entry("U8", "0", "1,1") + ",\"y\":" + byte + ",\"z\":" + entry("U8", "0", "0,0") + "}",
                 "d"),
        raw_file("{\"x\":" + entry("U8", "1", "1,2") + ",\"y\":" + byte + "}", "dd"),  // any order
        raw_file("{\"__metadata__\":{\"x\":\"y\"},\"x\":" + byte + "}", "d"),
        raw_file(R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"e":1,"e":2}})", "d")}) {
    INFO(file);
    CHECK(why(file) == "");
  }
}

TEST_CASE("safetensors header: lengths") {
  CHECK(why("").find("found a file of 0") != std::string::npos);
  for (std::size_t size = 1; size < 8; ++size) CHECK_FALSE(why(std::string(size, '\0')).empty());
  CHECK_FALSE(why(std::string(8, '\0')).empty());  // an empty header is no object
  CHECK(why("\x3c\0\0\0\0\0\xff\xff"s).find("at most 100000000 bytes") != std::string::npos);
  CHECK(why("\x01\0\0\0\0\0\0\0{"s).find("found the end") != std::string::npos);
  CHECK(why("\x01\0\0\0\0\0\0\0\xff"s).find("0xff") != std::string::npos);
  CHECK(why("\0\0\x40\0\0\0\0\0{"s).find("expected a header of 4194304 bytes, found 1") != std::string::npos);  // 4 MiB
  CHECK(why("\x03\0\0\0\0\0\0\0{}"s).find("expected a header of 3 bytes, found 2") != std::string::npos);
  const std::string whole = raw_file("{\"x\":" + byte + "}", "d");
  for (std::size_t size = 0; size < whole.size(); ++size) CHECK_FALSE(why(whole.substr(0, size)).empty());
  CHECK(why(whole) == "");
}

TEST_CASE("safetensors header: up to 100,000,000 bytes and no more") {
  std::string header = "{}";
  header.resize(100'000'000, ' ');
  CHECK(why(raw_file(header)) == "");
  header += ' ';
  CHECK_FALSE(why(raw_file(header)).empty());
}

TEST_CASE("safetensors header: offsets leave no hole, no overlap and no rest") {
  const auto two = [](const char* first, const char* second, std::size_t data) {
    return why(raw_file("{\"x\":" + entry("U8", "2", first) + ",\"y\":" + entry("U8", "2", second) + "}",
                        std::string(data, 'd')));
  };
  CHECK(two("0,2", "2,4", 4).empty());
  CHECK(two("2,4", "0,2", 4).empty());
  for (const auto& text : {two("0,2", "3,5", 5), two("1,3", "3,5", 5), two("0,2", "1,3", 3), two("0,2", "0,2", 2),
                           two("0,2", "2,4", 5), two("0,2", "2,4", 3), two("0,2", "2,4", 0), two("0,2", "4,2", 4),
                           two("2,0", "2,4", 4), two("0,2", "2,18446744073709551615", 4)}) {
    CHECK_FALSE(text.empty());
  }
  CHECK(two("0,2", "3,5", 5).find("'y': expected its data at offset 2, found 3") != std::string::npos);
  CHECK(two("0,2", "2,4", 5).find("expected 4 bytes of data, found 5") != std::string::npos);

  std::string ten = "{";
  for (int i = 0; i < 10; ++i) ten += (i ? ",\"t" : "\"t") + std::to_string(i) + "\":" + entry("I32", "2,2", "0,16");
  CHECK_FALSE(why(raw_file(ten + "}", std::string(16, 'd'))).empty());
}

TEST_CASE("safetensors header: shapes agree with bytes, and nothing overflows") {
  CHECK(one("I32", "2,2", "0,16", 16) == one("I32", "2,2", "0,16", 16));
  CHECK(why(one("I32", "2,2", "0,16", 16)).empty());
  CHECK(why(one("I32", "2,2", "0,4", 4)).find("'x': expected 16 bytes for its dtype and shape, found 4") !=
        std::string::npos);
  for (const char* shape :
       {"2,18446744073709551614", "2,9223372036854775807", "4294967296,4294967296", "9223372036854775807",
        "4611686018427387904,4611686018427387904,0", "18446744073709551615", "9223372036854775808,0"}) {
    INFO(shape);
    CHECK_FALSE(why(one("I32", shape, "0,4", 4)).empty());
    CHECK_FALSE(why(one("I32", shape, "0,0", 0)).empty());
  }
  CHECK_FALSE(why(one("F4", "1,3", "0,1", 1)).empty());
  CHECK_FALSE(why(one("F4", "1,3", "0,2", 2)).empty());
  CHECK_FALSE(why(one("F6_E3M2", "1", "0,1", 1)).empty());
}

TEST_CASE("safetensors header: malformed entries") {
  const auto bad = [](const std::string& text) { return why(raw_file("{\"x\":" + text + "}", "d")); };
  CHECK(bad(byte).empty());
  for (const char* text : {"null",
                           "1",
                           "[]",
                           "{}",
                           "\"x\"",
                           R"(["U8",[1],[0,1]])",
                           R"({"dtype":"U8","shape":[1]})",
                           R"({"dtype":"U8","data_offsets":[0,1]})",
                           R"({"shape":[1],"data_offsets":[0,1]})",
                           R"({"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]})",
                           R"({"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]})",
                           R"({"dtype":"U8","shape":[1],"data_offsets":[0,1],"data_offsets":[0,1]})",
                           R"({"dtype":1,"shape":[1],"data_offsets":[0,1]})",
                           R"({"dtype":null,"shape":[1],"data_offsets":[0,1]})",
                           R"({"dtype":{"U8":null},"shape":[1],"data_offsets":[0,1]})",
                           R"({"dtype":"U8","shape":1,"data_offsets":[0,1]})",
                           R"({"dtype":"U8","shape":null,"data_offsets":[0,1]})",
                           R"({"dtype":"U8","shape":[-1],"data_offsets":[0,1]})",
                           R"({"dtype":"U8","shape":[-0],"data_offsets":[0,0]})",
                           R"({"dtype":"U8","shape":[1.0],"data_offsets":[0,1]})",
                           R"({"dtype":"U8","shape":[1e0],"data_offsets":[0,1]})",
                           R"({"dtype":"U8","shape":["1"],"data_offsets":[0,1]})",
                           R"({"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]})",
                           R"({"dtype":"U8","shape":[1],"data_offsets":[0]})",
                           R"({"dtype":"U8","shape":[1],"data_offsets":[]})",
                           R"({"dtype":"U8","shape":[1],"data_offsets":[0,1,1]})",
                           R"({"dtype":"U8","shape":[1],"data_offsets":[0,1,2]})",
                           R"({"dtype":"U8","shape":[1],"data_offsets":[-0,1]})",
                           R"({"dtype":"U8","shape":[1],"data_offsets":[0,1.0]})",
                           R"({"dtype":"U8","shape":[1],"data_offsets":[0,1e0]})",
                           R"({"dtype":"U8","shape":[1],"data_offsets":[-1,0]})",
                           R"({"dtype":"U8","shape":[1],"data_offsets":[0,18446744073709551616]})",
                           R"({"dtype":"U8","shape":[1],"data_offsets":null})"}) {
    INFO(text);
    CHECK_FALSE(bad(text).empty());
  }
}

TEST_CASE("safetensors header: names are unique, however they are spelled and wherever they point") {
  const auto both = [](const std::string& second, const std::string& rest, const std::string& data) {
    return why(raw_file("{\"x\":" + byte + ",\"" + second + "\":" + rest + "}", data));
  };
  CHECK(both("y", entry("U8", "1", "1,2"), "dd").empty());
  CHECK(both("x", entry("U8", "1", "1,2"), "dd").find("'x': expected a name once") != std::string::npos);
  CHECK_FALSE(both("\\u0078", entry("U8", "1", "1,2"), "dd").empty());
  CHECK_FALSE(both("x", byte, "d").empty());
  CHECK_FALSE(why(raw_file("{\"x\":" + entry("U8", "0", "0,0") + ",\"x\":" + entry("U8", "0", "0,0") + "}")).empty());
}

TEST_CASE("safetensors header: metadata maps strings to strings, once") {
  for (const char* text : {R"({"__metadata__":{"a":1}})", R"({"__metadata__":{"a":null}})",
                           R"({"__metadata__":{"a":["b"]}})", R"({"__metadata__":{"a":{"b":"c"}}})",
                           R"({"__metadata__":[]})", R"({"__metadata__":"a"})", R"({"__metadata__":1})",
                           R"({"__metadata__":{},"__metadata__":{}})", R"({"__metadata__":null,"__metadata__":{}})",
                           R"({"__metadata__":{"a":"b","a":"b"}})", R"({"__metadata__":{"a":"b","\u0061":"c"}})"}) {
    INFO(text);
    CHECK_FALSE(why(raw_file(text)).empty());
  }
}

TEST_CASE("safetensors header: strict JSON, one object, nothing around it") {
  for (const auto& text :
       {""s, "[]"s, "null"s, "\"\""s, "{}{}"s, "{},"s, "{}\0"s, "{}\0\0\0\0\0\0"s, "{}x"s, "\xef\xbb\xbf{}"s, "{,}"s,
        R"({"__metadata__":{"a":"b",}})"s, R"({'__metadata__':{}})"s, R"({"__metadata__":{"a":"\x"}})"s,
        R"({"__metadata__":{"a":"\ud800"}})"s, "{\"__metadata__\":{\"a\":\"\n\"}}"s,
        "{\"__metadata__\":{\"a\":\"\xff\"}}"s, "{\"\xc3\":" + byte + "}", R"({"__metadata__":{}} // end)"s}) {
    INFO(text);
    CHECK_FALSE(why(raw_file(text, "")).empty());
  }
  CHECK_FALSE(why(raw_file(R"({"x":{"dtype":"U8","shape":[01],"data_offsets":[0,1]}})", "d")).empty());
  CHECK_FALSE(why(raw_file(R"({"x":{"dtype":"U8","shape":[1,],"data_offsets":[0,1]}})", "d")).empty());
}

TEST_CASE("safetensors header: deep nesting is an error, as deep as the reference takes and not deeper") {
  const auto nested = [](std::size_t levels) {
    return why(raw_file(R"({"x":{"e":)" + std::string(levels, '[') + std::string(levels, ']') +
                            R"(,"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                        "d"));
  };
  CHECK(nested(125).empty());
  CHECK(nested(126).find("nesting") != std::string::npos);
  CHECK_FALSE(nested(3'000'000).empty());
  CHECK_FALSE(why(raw_file(std::string(10'000'000, '['))).empty());
}

TEST_CASE("safetensors header: finds the place of the checksums") {
  const std::string text = R"({"__metadata__":{"trainstate.xxh3":"0123"}})";
  const Header header = parse(raw_file(text));
  REQUIRE(header.digests_at);
  CHECK(*header.digests_at == 8 + text.find("0123"));
  CHECK_FALSE(parse(raw_file(R"({"__metadata__":{"trainstate.xxh3":"\u0030123"}})")).digests_at);
}
