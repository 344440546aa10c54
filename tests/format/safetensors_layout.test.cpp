#include "trainstate/format/safetensors_layout.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "format/samples.hpp"

namespace format = trainstate::format;
namespace safetensors = trainstate::format::safetensors;
using trainstate::Dtype;
using trainstate::Error;
using trainstate::FormatError;
using trainstate::TensorInfo;
using namespace trainstate::tests;

namespace {

format::Document with_tree(Tree tree) {
  format::Document document;
  document.tree = std::move(tree);
  return document;
}

std::vector<std::string> names_of(const format::Document& document) {
  const safetensors::Layout layout(document);
  std::vector<std::string> names;
  for (const auto& item : layout.items()) names.push_back(item.name);
  return names;
}

std::string why(const format::Document& document) {
  try {
    const safetensors::Layout layout(document);
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

const TensorInfo t = tensor(Dtype::f32, {1});
TensorInfo fresh() { return tensor(Dtype::f32, {1}); }

}  // namespace

TEST_CASE("safetensors layout: names are paths joined with dots") {
  Tree tree;
  tree["model"] = Tree{{"conv1.weight", fresh()}};
  tree["optimizer"] = Tree{{"state", Tree{{0, Tree{{"exp_avg", fresh()}}}, {-1, fresh()}}}};
  tree["list"] = List{1, fresh(), List{fresh()}};
  tree["a/b~c"] = fresh();
  tree["ä\n"] = fresh();
  tree["\xff"] = fresh();
  tree[""] = Tree{{"", fresh()}, {"x", fresh()}};
  CHECK(names_of(with_tree(tree)) == std::vector<std::string>{"%FF", ".", ".x", "a/b~c", "list.1", "list.2.0",
                                                              "model.conv1.weight", "optimizer.state.-1",
                                                              "optimizer.state.0.exp_avg", "ä\n"});
  CHECK(names_of(with_tree(Tree{{"", fresh()}})) == std::vector<std::string>{""});
}

TEST_CASE("safetensors layout: a name that is taken gets a number") {
  Tree tree;
  tree["a.b"] = fresh();
  tree["a"] = Tree{{"b", fresh()}, {"b#2", fresh()}};
  tree["a.b#2"] = fresh();
  tree["a.b#3"] = fresh();
  tree[1] = fresh();
  tree["1"] = fresh();
  CHECK(names_of(with_tree(tree)) ==
        std::vector<std::string>{"1", "1#2", "a.b", "a.b#2", "a.b#2#2", "a.b#2#3", "a.b#3"});
}

TEST_CASE("safetensors layout: names that the file needs itself are taken") {
  Tree tree;
  tree["__metadata__"] = fresh();
  tree["trainstate.tree"] = fresh();
  tree["trainstate"] = Tree{{"tree", fresh()}, {"manifest", fresh()}};
  CHECK(names_of(with_tree(tree)) ==
        std::vector<std::string>{"__metadata__#2", "trainstate.manifest#2", "trainstate.tree#2", "trainstate.tree#3"});
}

TEST_CASE("safetensors layout: a name that very many want is no trouble") {
  // All ways to write `a.a.….a` as a path of dicts: 2^14 tensors that want one name.
  const std::function<Value(int)> ways = [&](int segments) -> Value {
    if (segments == 0) return fresh();
    Tree tree;
    std::string key = "a";
    for (int taken = 1; taken <= segments; ++taken, key += ".a") tree[key] = ways(segments - taken);
    return tree;
  };
  auto names = names_of(with_tree(ways(15).as<Tree>()));
  CHECK(names.size() == 1U << 14);
  CHECK(std::adjacent_find(names.begin(), names.end()) == names.end());
  CHECK(names.back() == "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a#9999");
}

TEST_CASE("safetensors layout: dtype descending, then name ascending, every tensor aligned") {
  Tree tree;
  std::vector<std::string> expected;
  for (int d = static_cast<int>(Dtype::u64); d >= 0; --d) {
    for (const char* name : {"a", "b"}) expected.push_back(std::string(name) + std::to_string(d));
  }
  for (int d = 0; d <= static_cast<int>(Dtype::u64); ++d) {
    for (const char* name : {"b", "a"}) tree[name + std::to_string(d)] = tensor(static_cast<Dtype>(d), {8});
  }
  const auto document = with_tree(tree);
  CHECK(names_of(document) == expected);
  const safetensors::Layout layout(document);
  CHECK(layout.header_size() % 8 == 0);
  std::uint64_t at = 0;
  for (const auto& item : layout.items()) {
    CHECK(item.begin == at);
    CHECK(item.begin % std::max(1U, trainstate::bits(item.dtype) / 8) == 0);
    at += item.size;
  }
  CHECK(layout.data_size() == at);
  CHECK(layout.file_size() == layout.header_size() + at);
}

TEST_CASE("safetensors layout: tied tensors are one, overlapping and equal ones are not") {
  Tree tree;
  const TensorInfo w = tensor(Dtype::f32, {2, 2});
  TensorInfo column = w, other_type = w, reshaped = w, part = w;
  column.strides = {1, 2};
  other_type.dtype = Dtype::i32;
  reshaped.shape = {4};
  reshaped.strides = {1};
  part.shape = {1, 2};
  tree["w"] = w;
  tree["tied"] = w;
  tree["list"] = List{w};
  tree["column"] = column;
  tree["other_type"] = other_type;
  tree["reshaped"] = reshaped;
  tree["part"] = part;
  tree["equal"] = w.storage ? tensor(Dtype::f32, {2, 2}) : w;
  CHECK(names_of(with_tree(tree)) ==
        std::vector<std::string>{"column", "equal", "part", "reshaped", "w", "other_type"});

  const TensorInfo none{Dtype::f32, {0}, {1}, nullptr, 0};
  CHECK(names_of(with_tree(Tree{{"a", none}, {"b", none}})).size() == 2);

  TensorInfo elsewhere = w;
  trainstate::Storage storage = *w.storage;
  storage.device = "cuda:0";
  elsewhere.storage = std::make_shared<const trainstate::Storage>(storage);
  CHECK(names_of(with_tree(Tree{{"a", w}, {"b", elsewhere}})).size() == 2);

  auto document = with_tree(Tree{{"w", w}});
  document.manifest = Tree{{"w", w}};
  CHECK(names_of(document).size() == 1);
}

TEST_CASE("safetensors layout: complex dtypes without a name are pairs of reals") {
  const auto document = with_tree(Tree{{"a", tensor(Dtype::c128, {3})}, {"b", tensor(Dtype::c32, {})}});
  const safetensors::Layout layout(document);
  CHECK(layout.header({}).find(R"("a":{"dtype":"F64","shape":[3,2],"data_offsets":[0,48]})") != std::string::npos);
  CHECK(layout.header({}).find(R"("b":{"dtype":"F16","shape":[2],"data_offsets":[48,52]})") != std::string::npos);
}

TEST_CASE("safetensors layout: long lists of the manifest are under its name") {
  auto document = with_tree(Tree{{"history", List(64, Value(1.5))}});
  document.manifest =
      Tree{{"ids", List(64, Value(1))}, {"flags", List(64, Value(true))}, {"short", List(63, Value(1))}};
  CHECK(names_of(document) ==
        std::vector<std::string>{"trainstate.manifest.ids", "history", "trainstate.manifest.flags"});
}

TEST_CASE("safetensors layout: a tree over 1 MiB is a tensor of its own") {
  const std::string long_text(1 << 20, 'x');
  auto document = with_tree(Tree{{"a", fresh()}, {"text", long_text}});
  document.manifest = Tree{{"text", long_text}};
  CHECK(names_of(document) == std::vector<std::string>{"a", "trainstate.manifest", "trainstate.tree"});
  CHECK(safetensors::Layout(document).header_size() < 1000);
  document.manifest = Tree{{"text", "short"}};
  CHECK(names_of(document) == std::vector<std::string>{"a", "trainstate.tree"});
  document.tree.set("text", std::string((1 << 20) - 100, 'x'));
  CHECK(names_of(document) == std::vector<std::string>{"a"});
}

TEST_CASE("safetensors layout: a plain tensor costs few bytes beside its entry") {
  const auto size = [](std::int64_t count) {
    Tree tensors;
    for (std::int64_t i = 0; i < count; ++i) tensors[1000 + i] = fresh();
    return safetensors::Layout(with_tree(Tree{{"m", tensors}})).header_size();
  };
  const std::size_t entry = std::string(R"(,"m.1000":{"dtype":"F32","shape":[1],"data_offsets":[1000,1000]})").size();
  const std::size_t checksum = 16, key_and_mark = std::string(R"(\"1000\":{\"$t\":100},)").size();
  CHECK((size(1000) - size(100)) / 900 <= entry + checksum + key_and_mark);
}

TEST_CASE("safetensors layout: what cannot be written is refused by its path") {
  TensorInfo outside = tensor(Dtype::f32, {2});
  outside.shape = {3};
  CHECK(why(with_tree(Tree{{"a", List{1, Tree{{"b/c", outside}}}}})) ==
        "a/1/b~1c: cannot be written: it ends past the end of its storage");
  outside.shape = {1, -1};
  CHECK(why(with_tree(Tree{{"a", outside}})).starts_with("a: cannot be written: "));
  TensorInfo pairs = tensor(Dtype::c128, {0});
  pairs.shape = {0, std::int64_t{1} << 62};
  pairs.strides = {1, 1};
  CHECK(why(with_tree(Tree{{"a", pairs}})) == "a: cannot be written: its shape is impossible");

  Value deep = Tree();
  for (std::size_t i = 1; i < format::max_depth; ++i) deep = Tree{{"k", deep}};
  CHECK(why(with_tree(deep.as<Tree>())).empty());
  CHECK(why(with_tree(Tree{{"k", deep}})).find("nested deeper than 512 levels") != std::string::npos);
  Value lists = List();
  for (int i = 0; i < 100; ++i) lists = List{lists};
  Value list_of_lists = lists;
  for (std::size_t i = 0; i < format::max_depth; ++i) list_of_lists = List{list_of_lists};
  CHECK_THROWS_AS(safetensors::Layout(with_tree(Tree{{"k", list_of_lists}})), FormatError);
}

TEST_CASE("safetensors layout: reserved and impossible metadata is refused") {
  const auto with = [](const std::string& key, const std::string& value) {
    format::Document document;
    document.metadata[key] = value;
    return why(document);
  };
  CHECK(with("author", "somebody").empty());
  CHECK(with("trainstates", "x").empty());
  CHECK(with("", "").empty());
  for (const char* key : {"format", "trainstate", "trainstate.xxh3", "trainstate.", "trainstate.anything"}) {
    CHECK(with(key, "pt").find("reserved") != std::string::npos);
  }
  CHECK(with("\xff", "x").find("not UTF-8") != std::string::npos);
  CHECK(with("x", "\xff").find("not UTF-8") != std::string::npos);
}

TEST_CASE("safetensors layout: a header beyond the format's limit is refused") {
  format::Document document;
  document.metadata["big"] = std::string(100'000'000, 'x');
  CHECK_THROWS_AS(safetensors::Layout{document}, FormatError);
  CHECK(why(document).find("at most 100000000 bytes") != std::string::npos);
}
