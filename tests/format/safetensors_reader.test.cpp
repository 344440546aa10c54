#include "trainstate/format/safetensors_reader.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "format/samples.hpp"
#include "trainstate/format/json_writer.hpp"
#include "trainstate/format/safetensors_writer.hpp"

namespace format = trainstate::format;
namespace safetensors = trainstate::format::safetensors;
using trainstate::Dtype;
using trainstate::FormatError;
using trainstate::IntegrityError;
using trainstate::TensorInfo;
using trainstate::VersionError;
using namespace trainstate::tests;

namespace {

format::Document read(const std::string& file, const format::ReadOptions& options = {}) {
  return safetensors::Reader(storage_of(file), "file", options).read();
}

// A file as trainstate would sign it: `tree` is the text under "trainstate", `entries` the members of the header after
// the metadata. What they say need not make sense.
std::string signed_file(const std::string& tree, const std::string& entries = "", const std::string& data = "") {
  const auto with = [&](const std::string& digests) {
    std::string header = R"({"__metadata__":{"format":"pt","trainstate.xxh3":")" + digests + R"(","trainstate":)";
    format::append_json_string(header, tree);
    return raw_file(header + "}" + (entries.empty() ? "" : "," + entries) + "}", data);
  };
  const std::string zeros(16, '0');
  const std::string first = with(zeros);
  const auto header = safetensors::HeaderParser(std::as_bytes(std::span(first)), "").parse();
  std::string digests;
  for (const auto& entry : header.entries) {
    const auto bytes = std::as_bytes(std::span(data)).subspan(entry.begin, entry.end - entry.begin);
    digests += trainstate::io::hex_text(trainstate::io::checksum(bytes));
  }
  std::string whole = with(zeros + digests).substr(0, first.size() + digests.size() - data.size());
  return with(trainstate::io::hex_text(trainstate::io::checksum(std::as_bytes(std::span(whole)))) + digests);
}

std::string why(const std::string& file) {
  try {
    read(file);
    return "";
  } catch (const FormatError& e) {
    CHECK(std::string(e.what()).starts_with("file: "));
    return e.what();
  }
}

const std::string numbers = R"("l":{"dtype":"I64","shape":[2],"data_offsets":[0,16]})";
const std::string two_numbers = std::string(15, '\0') + std::string(1, '\0');

}  // namespace

TEST_CASE("safetensors reader: takes a signed file") {
  CHECK(why(signed_file(R"({"format":1,"tree":{}})")).empty());
  const auto document = read(signed_file(R"({"format":1,"tree":{"a":{"$t":0},"b":[{"$t":0}]},"manifest":{"v":1}})",
                                         R"("a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]})", "xyz"),
                             {.verify = true, .threads = 0, .progress = {}});
  CHECK(text_of(document.tree.at<TensorInfo>("a").bytes()) == "xyz");
  CHECK(document.manifest->at<std::int64_t>("v") == 1);
  CHECK(document.metadata.empty());
  CHECK(read(signed_file(R"({"format":1,"tree":{"l":{"$l":0}}})", numbers, two_numbers)).tree.at("l") ==
        Value(List{0, 0}));
}

TEST_CASE("safetensors reader: a later format is a VersionError") {
  CHECK_THROWS_AS(read(signed_file(R"({"format":2,"new":"things"})")), VersionError);
  CHECK_THROWS_AS(read(signed_file(R"({"format":9223372036854775807,"tree":{}})")), VersionError);
  CHECK_FALSE(why(signed_file(R"({"format":0,"tree":{}})")).empty());
  CHECK_FALSE(why(signed_file(R"({"format":-1,"tree":{}})")).empty());
}

TEST_CASE("safetensors reader: the tree's text is strict") {
  for (const char* text :
       {"", "{}", "[]", R"({"tree":{}})", R"({"tree":{},"format":1})", R"({"format":"1","tree":{}})", R"({"format":1})",
        R"({"format":1,"tree":[]})", R"({"format":1,"tree":null})", R"({"format":1,"manifest":{}})",
        R"({"format":1,"tree":{},"more":{}})", R"({"format":1,"tree":{},"manifest":{},"more":{}})",
        R"({"format":1,"tree":{},"manifest":null})", R"({"format":1,"tree":{}} x)",
        R"({"format":1,"tree":{"a":{"$t":0}}})", R"({"format":1,"tree":"trainstate.tree"})",
        R"({"format":1,"tree":"elsewhere"})", R"({"format":1,"tree":{},"manifest":"trainstate.manifest"})"}) {
    INFO(text);
    CHECK_FALSE(why(signed_file(text)).empty());
  }
}

TEST_CASE("safetensors reader: numbers of tensors lie in the file, and every tensor has a place") {
  const std::string entry = R"("a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]})";
  CHECK(why(signed_file(R"({"format":1,"tree":{"a":{"$t":1}}})", entry, "xyz")).find("below number 1") !=
        std::string::npos);
  CHECK_FALSE(why(signed_file(R"({"format":1,"tree":{"a":{"$t":18446744073709551615}}})", entry, "xyz")).empty());
  CHECK(why(signed_file(R"({"format":1,"tree":{}})", entry, "xyz")).find("'a': has no place in the tree") !=
        std::string::npos);
}

TEST_CASE("safetensors reader: complex numbers need pairs of reals") {
  const auto with = [](const std::string& tag, const std::string& dtype, const std::string& shape, std::size_t size) {
    return why(signed_file(R"({"format":1,"tree":{"a":{"$t":0,"dtype":")" + tag + R"("}}})",
                           R"("a":{"dtype":")" + dtype + R"(","shape":[)" + shape + R"(],"data_offsets":[0,)" +
                               std::to_string(size) + "]}",
                           std::string(size, 'x')));
  };
  CHECK(with("C128", "F64", "3,2", 48).empty());
  CHECK(with("C32", "F16", "2", 4).empty());
  CHECK_FALSE(with("C128", "F64", "2,3", 48).empty());
  CHECK_FALSE(with("C128", "F64", "", 8).empty());
  CHECK_FALSE(with("C128", "F32", "3,2", 24).empty());
  CHECK_FALSE(with("C32", "F64", "2", 16).empty());
}

TEST_CASE("safetensors reader: lists are lists of numbers, each once") {
  const auto with = [](const std::string& tree, const std::string& dtype, const std::string& shape,
                       const std::string& data) {
    return why(signed_file(R"({"format":1,"tree":)" + tree + "}",
                           R"("l":{"dtype":")" + dtype + R"(","shape":[)" + shape + R"(],"data_offsets":[0,)" +
                               std::to_string(data.size()) + "]}",
                           data));
  };
  const std::string once = R"({"l":{"$l":0}})", twice = R"({"l":{"$l":0},"m":{"$l":0}})";
  CHECK(with(once, "I64", "1", std::string(8, 'x')).empty());
  CHECK(with(once, "F64", "1", std::string(8, 'x')).empty());
  CHECK(with(once, "F64", "0", "").empty());
  CHECK(with(once, "BOOL", "2", std::string("\0\1", 2)).empty());
  CHECK_FALSE(with(once, "BOOL", "2", std::string("\0\2", 2)).empty());
  CHECK_FALSE(with(once, "I64", "1,1", std::string(8, 'x')).empty());
  CHECK_FALSE(with(once, "I64", "", std::string(8, 'x')).empty());
  CHECK_FALSE(with(once, "I32", "1", std::string(4, 'x')).empty());
  // A list takes much more memory than its text, so that naming it twice is refused.
  CHECK_FALSE(with(twice, "I64", "1", std::string(8, 'x')).empty());
  CHECK_FALSE(with(R"({"l":{"$l":0},"m":{"$t":0}})", "I64", "1", std::string(8, 'x')).empty());
  CHECK_FALSE(with(R"({"l":{"$t":0},"m":{"$l":0}})", "I64", "1", std::string(8, 'x')).empty());
  CHECK(with(R"({"l":{"$t":0},"m":{"$t":0}})", "I64", "1", std::string(8, 'x')).empty());
}

TEST_CASE("safetensors reader: a tree in a tensor of its own") {
  const std::string text = R"({"a":{"$t":0}})";
  const auto with = [&](const std::string& dtype, const std::string& shape, const std::string& json) {
    return why(signed_file(R"({"format":1,"tree":"trainstate.tree"})",
                           R"("a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"trainstate.tree":{"dtype":")" +
                               dtype + R"(","shape":[)" + shape + R"(],"data_offsets":[3,)" +
                               std::to_string(3 + json.size()) + "]}",
                           "xyz" + json));
  };
  CHECK(text.size() == 14);
  CHECK(with("U8", "14", text).empty());
  CHECK_FALSE(with("I8", "14", text).empty());
  CHECK_FALSE(with("U8", "15", text + "x").empty());
  CHECK_FALSE(with("U8", "13", text.substr(0, 13)).empty());
  CHECK_FALSE(with("U8", "0", "").empty());
  CHECK_FALSE(with("U8", "14", R"({"a":{"$t":1}})").empty());  // the text itself has no number
}

TEST_CASE("safetensors reader: a tree's text is verified even when tensors are not") {
  format::Document document;
  document.tree["text"] = std::string(2 << 20, 'x');
  document.tree["list"] = List(64, Value(1));
  document.tree["w"] = tensor(Dtype::u8, {64});
  const std::string file = text_of(safetensors::write_to_memory(document, {}));
  CHECK(read(file).tree == document.tree);
  const auto damaged = [&](std::size_t from_end) {
    std::string copy = file;
    copy[copy.size() - from_end] ^= 1;
    return copy;
  };
  CHECK_NOTHROW(read(damaged(1)));  // in w, which is last
  CHECK_THROWS_AS(read(damaged(1), {.verify = true, .threads = 0, .progress = {}}), IntegrityError);
  CHECK_THROWS_AS(read(damaged(1000)), IntegrityError);                  // in the tree's text
  CHECK_THROWS_AS(read(damaged(64 + (2 << 20) + 300)), IntegrityError);  // in the list
}

TEST_CASE("safetensors reader: checksums cannot be taken away, moved or respelled") {
  const std::string file = signed_file(R"({"format":1,"tree":{}})");
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string copy = file;
    const auto at = copy.find(from);
    REQUIRE(at != std::string::npos);
    copy.replace(at, from.size(), to);
    const std::uint64_t length = copy.size() - 8;
    std::memcpy(copy.data(), &length, 8);
    return copy;
  };
  CHECK_THROWS_AS(read(replaced("trainstate.xxh3", "trainstate.xxh4")), IntegrityError);
  CHECK_THROWS_AS(read(replaced("\"trainstate\"", "\"trainstats\"")), IntegrityError);
  CHECK_THROWS_AS(read(replaced("\"format\"", "\"Format\"")), IntegrityError);
  CHECK_THROWS_AS(read(replaced("{\\\"format\\\":1", " {\\\"format\\\":1")), IntegrityError);
  const std::string digits = file.substr(file.find("xxh3\":\"") + 7, 16);
  CHECK_THROWS_AS(read(replaced(digits, digits.substr(1))), IntegrityError);
  CHECK_THROWS_AS(read(replaced(digits, digits + "0")), IntegrityError);
  CHECK_THROWS_AS(read(replaced(digits, digits + std::string(16, '0'))), IntegrityError);
  CHECK_THROWS_AS(read(replaced(digits, "")), IntegrityError);
  std::string upper = digits;
  for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (upper != digits) CHECK_THROWS_AS(read(replaced(digits, upper)), IntegrityError);
  std::string escaped = "\\u003" + digits.substr(0, 1) + digits.substr(1);
  if (digits[0] <= '9') CHECK_THROWS_AS(read(replaced(digits, escaped)), IntegrityError);
}

TEST_CASE("safetensors reader: tensors of a signed file stand in the order of their data") {
  const std::string a = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})",
                    b = R"("b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]})",
                    tree = R"({"format":1,"tree":{"a":{"$t":0},"b":{"$t":1}}})";
  CHECK(why(signed_file(tree, a + "," + b, "xy")).empty());
  CHECK(why(signed_file(tree, b + "," + a, "xy")).find("order of their data") != std::string::npos);
}

TEST_CASE("safetensors reader: verification reports progress and can be cancelled") {
  format::Document document;
  for (int i = 0; i < 10; ++i) document.tree.set(std::to_string(i), tensor(Dtype::u8, {3'000'000}));
  const std::string file = text_of(safetensors::write_to_memory(document, {}));
  for (const unsigned threads : {1U, 3U}) {
    std::uint64_t last = 0, total = 0;
    read(file, {.verify = true, .threads = threads, .progress = [&](std::uint64_t done, std::uint64_t all) {
                  CHECK(done >= last);
                  last = done;
                  total = all;
                }});
    CHECK(total == 30'000'000);
    CHECK(last == total);
    CHECK_THROWS_AS(
        read(file, {.verify = true, .threads = threads, .progress = [](std::uint64_t, std::uint64_t) { throw 7; }}),
        int);
  }
}
