#include "trainstate/format/json_tree.hpp"

#include <doctest/doctest.h>

#include <clocale>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "format/samples.hpp"

namespace format = trainstate::format;
using trainstate::Dtype;
using trainstate::FormatError;
using trainstate::Key;
using trainstate::None;
using trainstate::TensorInfo;
using namespace trainstate::tests;

namespace {

std::string encode(const Tree& tree) {
  std::string json;
  format::TreeEncoder(json).write(tree);
  return json;
}

std::string encode(const Tree& tree, const std::vector<std::size_t>& numbers) {
  std::string json;
  format::TreeEncoder(json, numbers).write(tree);
  return json;
}

Tree decode(std::string_view text, format::TensorSource* tensors = nullptr) {
  format::JsonReader json(text, "file: ", "tree", format::TreeDecoder::json_depth);
  Tree tree = format::TreeDecoder(json, tensors).read_dict();
  json.finish();
  return tree;
}

bool refuses(std::string_view text, format::TensorSource* tensors = nullptr) {
  try {
    static_cast<void>(decode(text, tensors));
    return false;
  } catch (const FormatError& e) {
    CHECK(std::string(e.what()).starts_with("file: tree: "));
    return true;
  }
}

// Notes what is asked for.
struct Source : format::TensorSource {
  std::vector<std::string> asked;
  TensorInfo tensor(std::uint64_t i, std::optional<Dtype> complex, std::string_view device) override {
    asked.push_back(std::to_string(i) + " " + (complex ? std::string(name(*complex)) : "-") + " " +
                    std::string(device));
    return trainstate::tests::tensor(Dtype::u8, {1});
  }
  List list(std::uint64_t i) override {
    asked.push_back("list " + std::to_string(i));
    return {Value(1)};
  }
};

std::vector<Key> keys_of(const Tree& tree) {
  std::vector<Key> keys;
  for (const auto& [key, value] : tree) keys.push_back(key);
  return keys;
}

// Dicts and lists in turn, `levels` deep.
Tree nested(std::size_t levels) {
  Value inner = Tree();
  for (std::size_t i = 2; i < levels; ++i) inner = i % 2 == 0 ? Value(List{inner}) : Value(Tree{{"a", inner}});
  return levels == 1 ? inner.as<Tree>() : Tree{{"a", inner}};
}

}  // namespace

TEST_CASE("json tree: every value, key and order survives") {
  for (const Tree& tree : {Tree(), nasty_tree(), long_lists()}) {
    const std::string json = encode(tree);
    CHECK(nlohmann::json::accept(json));
    const Tree back = decode(json);
    CHECK(back == tree);
    CHECK(encode(back) == json);
    CHECK(keys_of(back) == keys_of(tree));
    if (tree.contains("keys")) CHECK(keys_of(back.at<Tree>("keys")) == keys_of(tree.at<Tree>("keys")));
  }
}

TEST_CASE("json tree: what the encoding looks like") {
  Tree tree;
  tree["a"] = 1;
  tree["b"] = 1.0;
  tree["c"] = List{None(), true, "x", -0.0};
  tree[3] = Tree{{"3", "three"}, {"$x", "dollar"}};
  tree["nan"] = std::bit_cast<double>(0x7ff8000000000001ULL);
  tree["bytes"] = "\xff";
  tree["\xfe"] = Tree();
  CHECK(encode(tree) == R"({"a":1,"b":1.0,"c":[null,true,"x",-0.0],"3":{"$s:3":"three","$s:$x":"dollar"},)"
                        R"("nan":{"$f":"7ff8000000000001"},"bytes":{"$b":"/w=="},"$b:/g==":{}})");
}

TEST_CASE("json tree: tensors and long lists are numbers in the tree's order") {
  Tree tree;
  tree["x"] = tensor(Dtype::f32, {2});
  tree["l"] = List{tensor(Dtype::c128, {2}), tensor(Dtype::c32, {2}, 1, "cuda:1"), tensor(Dtype::u8, {1}, 1, "meta\"")};
  tree["n"] = List(64, Value(1.5));
  tree["u"] = trainstate::UnsupportedTensor{tensor(Dtype::f8_e8m0, {2})};
  const std::string json = encode(tree, {7, 0, 1, 2, 9, 3});
  CHECK(json == R"({"x":{"$t":7},"l":[{"$t":0,"dtype":"C128"},{"$t":1,"dtype":"C32","device":"cuda:1"},)"
                R"({"$t":2,"device":"meta\""}],"n":{"$l":9},"u":{"$t":3}})");
  Source source;
  const Tree back = decode(json, &source);
  CHECK(source.asked == std::vector<std::string>{"7 - cpu", "0 complex128 cpu", "1 complex32 cuda:1", "2 - meta\"",
                                                 "list 9", "3 - cpu"});
  CHECK(back.at("n").is<List>());
}

TEST_CASE("json tree: without a place for tensors, long lists stay lists and tensors are refused") {
  Tree tree;
  tree["n"] = List(64, Value(1));
  CHECK(encode(tree).starts_with("{\"n\":[1,1,"));
  tree["x"] = tensor(Dtype::f32, {2});
  CHECK_THROWS_AS(encode(tree), FormatError);
  CHECK_THROWS_AS(encode(tree, {0}), FormatError);  // too few
  CHECK(refuses(R"({"x":{"$t":0}})"));
  CHECK(refuses(R"({"x":{"$l":0}})"));
}

TEST_CASE("json tree: what is kept as a tensor") {
  const auto kind = [](std::size_t n, const Value& value) { return format::tensor_kind(List(n, value)); };
  CHECK(kind(64, true) == Dtype::boolean);
  CHECK(kind(64, 1) == Dtype::i64);
  CHECK(kind(64, 1.0) == Dtype::f64);
  CHECK_FALSE(kind(0, 1));
  CHECK_FALSE(kind(63, 1));
  CHECK_FALSE(kind(64, "x"));
  CHECK_FALSE(kind(64, None()));
  CHECK_FALSE(kind(64, List()));
  List mixed(64, Value(1));
  mixed.back() = 1.0;
  CHECK_FALSE(format::tensor_kind(mixed));
}

TEST_CASE("json tree: texts that no encoder writes are refused") {
  Source source;
  for (const char* text : {"",
                           "[]",
                           "null",
                           "1",
                           R"({"a":1,"a":2})",
                           R"({"5":1,"5":2})",
                           R"({"a":1,"$s:a":2})",
                           R"({"a":1,"\u0061":2})",
                           R"({"$x":1})",
                           R"({"$t:":1})",
                           R"({"$b:!":1})",
                           R"({"$b:YQ":1})",
                           R"({"a":1,"$t":0})",
                           R"({"a":{"$f":"7ff0000000000000","x":1}})",
                           R"({"a":{"$f":"3ff0000000000000"}})",
                           R"({"a":{"$f":"7FF0000000000000"}})",
                           R"({"a":{"$f":"7ff"}})",
                           R"({"a":{"$f":1}})",
                           R"({"a":{"$b":"YQ"}})",
                           R"({"a":{"$b":null}})",
                           R"({"a":{"$b":"","b":1}})",
                           R"({"a":{"$t":-1}})",
                           R"({"a":{"$t":1.0}})",
                           R"({"a":{"$t":"x"}})",
                           R"({"a":{"$t":0,"x":1}})",
                           R"({"a":{"$t":0,"dtype":"F32"}})",
                           R"({"a":{"$t":0,"device":1}})",
                           R"({"a":{"$t":0,"device":"cpu","dtype":"C32"}})",
                           R"({"a":{"$t":0,"dtype":"C32","dtype":"C32"}})",
                           R"({"a":{"$t":0,"device":"x","device":"x"}})",
                           R"({"a":{"$l":-1}})",
                           R"({"a":{"$l":0,"x":1}})",
                           R"({"a":9223372036854775808})",
                           R"({"a":-9223372036854775809})",
                           R"({"a":1e999})",
                           R"({"a":1e-999})",
                           R"({"a":1}x)",
                           R"({"a":1)",
                           R"({"a":01})"}) {
    INFO(text);
    CHECK(refuses(text, &source));
  }
}

TEST_CASE("json tree: depth has a limit in both directions, and no stack overflows") {
  CHECK(decode(encode(nested(format::max_depth))) == nested(format::max_depth));
  CHECK_THROWS_AS(encode(nested(format::max_depth + 1)), FormatError);
  std::string lists = "{\"a\":";
  for (int i = 0; i < 1'000'000; ++i) lists += '[';
  CHECK(refuses(lists));
  std::string dicts;
  for (int i = 0; i < 1'000'000; ++i) dicts += "{\"a\":";
  CHECK(refuses(dicts));
}

TEST_CASE("json tree: the locale does not matter") {
  const std::string json = encode(nasty_tree());
  const std::string before = std::setlocale(LC_ALL, nullptr);
  for (const char* locale : {"de_DE.UTF-8", "fr_FR.UTF-8", "C"}) {
    if (!std::setlocale(LC_ALL, locale)) continue;
    CHECK(encode(nasty_tree()) == json);
    CHECK(decode(json) == nasty_tree());
  }
  std::setlocale(LC_ALL, before.c_str());
}
