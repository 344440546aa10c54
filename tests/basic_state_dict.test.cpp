#include "trainstate/basic_state_dict.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <clocale>
#include <cstdint>
#include <limits>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "format/samples.hpp"

using trainstate::Dtype;
using trainstate::Error;
using trainstate::Key;
using trainstate::None;
using trainstate::TensorInfo;
using trainstate::UnsupportedTensor;
using namespace trainstate::tests;

namespace {

std::string keys_of(const Tree& tree) {
  std::string joined;
  for (const auto& [key, value] : tree) {
    joined += (joined.empty() ? "" : " ") + trainstate::detail::to_string(key) + (key.index() == 0 ? "i" : "");
  }
  return joined;
}

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

Tree large(int size) {
  Tree tree;
  for (int i = 0; i < size; ++i) tree["k" + std::to_string(i)] = i;
  return tree;
}

}  // namespace

TEST_CASE("value: is what it is built from") {
  CHECK(Value().is<None>());
  CHECK(Value(None()).is<None>());
  CHECK(Value(true).is<bool>());
  CHECK(Value(1).is<std::int64_t>());
  CHECK(Value(1U).is<std::int64_t>());
  CHECK(Value(1L).is<std::int64_t>());
  CHECK(Value(1LL).is<std::int64_t>());
  CHECK(Value(std::uint8_t{1}).is<std::int64_t>());
  CHECK(Value(std::size_t{1}).is<std::int64_t>());
  CHECK(Value(1.0).is<double>());
  CHECK(Value(1.0F).is<double>());
  CHECK(Value("text").is<std::string>());
  CHECK(Value(std::string("text")).is<std::string>());
  CHECK(Value(std::string_view("text")).is<std::string>());
  CHECK(Value(List{1, "a"}).is<List>());
  CHECK(Value(Tree{{"a", 1}}).is<Tree>());
  CHECK(Value(tensor(Dtype::f32, {1})).is<TensorInfo>());
  CHECK(Value(UnsupportedTensor{tensor(Dtype::f32, {1})}).is<UnsupportedTensor>());
  CHECK(Value(std::numeric_limits<std::int64_t>::min()).as<std::int64_t>() == std::numeric_limits<std::int64_t>::min());
  CHECK(Value(std::uint64_t{std::numeric_limits<std::int64_t>::max()}).as<std::int64_t>() ==
        std::numeric_limits<std::int64_t>::max());
  CHECK_THROWS_AS(Value(std::uint64_t{1} << 63), Error);
  static_assert(!std::is_convertible_v<const void*, Value>, "a pointer is no bool");
}

TEST_CASE("value: as another type is an error that says what it is") {
  const Value values[] = {None(),  true,           3,
                          2.5,     "text",         tensor(Dtype::f32, {2}),
                          List{1}, Tree{{"a", 1}}, UnsupportedTensor{tensor(Dtype::u16, {2})}};
  const char* found[] = {"None",        "bool true",       "int64 3",
                         "double 2.5",  "string \"text\"", "float32[2]",
                         "a list of 1", "a dict of 1: a",  "uint16[2] (a dtype that this build cannot hold)"};
  for (std::size_t i = 0; i < 9; ++i) {
    CHECK(values[i].describe() == found[i]);
    const std::string text = std::string("expected ") + (i == 1 ? "int64" : "bool") + ", found " + found[i];
    CHECK(error_of([&] {
            if (i == 1) {
              static_cast<void>(values[i].as<std::int64_t>());
            } else {
              static_cast<void>(values[i].as<bool>());
            }
          }) == text);
  }
  CHECK(error_of([&] { static_cast<void>(values[0].as<TensorInfo>()); }) == "expected tensor, found None");
  CHECK(error_of([&] { static_cast<void>(values[0].as<List>()); }) == "expected list, found None");
  CHECK(error_of([&] { static_cast<void>(values[0].as<Tree>()); }) == "expected dict, found None");
  CHECK(error_of([&] { static_cast<void>(values[0].as<UnsupportedTensor>()); }).find(", found None") !=
        std::string::npos);
  CHECK(error_of([&] { static_cast<void>(values[8].as<TensorInfo>()); }).starts_with("expected tensor, found uint16"));
}

TEST_CASE("value: can be changed in place, moved out and looked at") {
  Value value = "text";
  value.as<std::string>() += "!";
  CHECK(value.as<std::string>() == "text!");
  CHECK(value.get_if<bool>() == nullptr);
  *value.get_if<std::string>() = "other";
  CHECK(std::move(value).as<std::string>() == "other");
  CHECK(std::as_const(value).get_if<std::string>() != nullptr);
}

TEST_CASE("value: equality is bitwise") {
  CHECK(Value(std::numeric_limits<double>::quiet_NaN()) == Value(std::numeric_limits<double>::quiet_NaN()));
  CHECK_FALSE(Value(std::bit_cast<double>(0x7ff8000000000001ULL)) ==
              Value(std::bit_cast<double>(0x7ff8000000000002ULL)));
  CHECK_FALSE(Value(0.0) == Value(-0.0));
  CHECK_FALSE(Value(1) == Value(1.0));
  CHECK_FALSE(Value(1) == Value(true));
  CHECK_FALSE(Value(None()) == Value(false));
  CHECK(Value(List{1, List{2.0}}) == Value(List{1, List{2.0}}));
  CHECK_FALSE(Value(List{1, 2}) == Value(List{2, 1}));
  CHECK(Value(tensor(Dtype::f32, {2})) == Value(tensor(Dtype::f32, {2})));
  CHECK_FALSE(Value(tensor(Dtype::f32, {2}, 1)) == Value(tensor(Dtype::f32, {2}, 2)));
  CHECK(Value(UnsupportedTensor{tensor(Dtype::f32, {2})}) == Value(UnsupportedTensor{tensor(Dtype::f32, {2})}));
}

TEST_CASE("state dict: keeps the order of insertion, and int keys apart from strings") {
  Tree tree;
  tree["b"] = 1;
  tree[5] = 2;
  tree["5"] = 3;
  tree["a"] = 4;
  tree["b"] = 5;
  CHECK(keys_of(tree) == "b 5i 5 a");
  CHECK(tree.size() == 4);
  CHECK(tree.at_key("b") == Value(5));
  CHECK(tree.at_key(5) == Value(2));
  CHECK(tree.at_key("5") == Value(3));
  CHECK(tree.find_key(6) == nullptr);
  CHECK(error_of([&] { static_cast<void>(tree.at_key("a/c")); }) == "a~1c: no such key");
  CHECK(tree["new"].is<None>());
  CHECK(Tree().empty());
  CHECK(Tree{{"a", 1}, {2, "b"}, {"a", 3}}.at("a") == Value(3));
}

TEST_CASE("state dict: iteration in every form") {
  Tree tree{{"a", 1}, {"b", 2}, {3, 3}};
  for (auto& [key, value] : tree) value = value.as<std::int64_t>() * 10;
  std::int64_t sum = 0;
  for (const auto& [key, value] : tree) sum += value.as<std::int64_t>();
  CHECK(sum == 60);
  for (auto entry : tree) entry.second = 0;  // a copy
  for (auto [key, value] : tree) value = 0;
  sum = 0;
  for (auto&& [key, value] : std::as_const(tree)) sum += value.as<std::int64_t>();
  CHECK(sum == 60);
  CHECK(std::distance(tree.begin(), tree.end()) == 3);
  auto at = tree.begin();
  CHECK(at->second == Value(10));
  CHECK((at++)->second == Value(10));
  CHECK((++at)->first == Key(3));
  CHECK(++at == tree.end());
  static_assert(std::is_same_v<decltype(*tree.begin()), std::pair<const Key, Value>&>);
  static_assert(std::is_same_v<decltype(*std::as_const(tree).begin()), const std::pair<const Key, Value>&>);
  static_assert(std::forward_iterator<Tree::iterator>);
  static_assert(std::forward_iterator<Tree::const_iterator>);
}

TEST_CASE("state dict: references stay valid while others come, go and move") {
  Tree tree = large(5);
  Value& held = tree.at("k3");
  for (int i = 5; i < 1000; ++i) tree["k" + std::to_string(i)] = i;
  for (int i = 0; i < 900; ++i) {
    if (i != 3) CHECK(tree.erase("k" + std::to_string(i)));
  }
  CHECK(&tree.at("k3") == &held);
  tree.rename("k950", "other");
  Tree moved = std::move(tree);
  CHECK(&moved.at("k3") == &held);
  CHECK(held == Value(3));
}

TEST_CASE("state dict: small and large ones find the same") {
  for (int size = 0; size < 40; ++size) {
    Tree tree = large(size);
    for (int i = 0; i < size; ++i) CHECK(tree.at_key("k" + std::to_string(i)) == Value(i));
    CHECK(tree.find_key("k" + std::to_string(size)) == nullptr);
    const Tree copy = tree;
    CHECK(copy == tree);
    while (size > 0 && tree.size() > 3) {  // down across the size where the index begins, and up again
      CHECK(tree.erase("k" + std::to_string(tree.size() - 1)));
      CHECK(tree.find_key("k" + std::to_string(tree.size())) == nullptr);
      CHECK(tree.contains("k0"));
    }
    for (int i = static_cast<int>(tree.size()); i < size; ++i) tree["k" + std::to_string(i)] = i;
    CHECK(tree == copy);
    CHECK(keys_of(tree) == keys_of(copy));
  }
}

TEST_CASE("state dict: no choice of keys makes it slow") {
  // In a hash table of the size that it has then, all of them would be in one place.
  Tree tree;
  for (std::int64_t i = 0; i < 300'000; ++i) tree[i * 351061] = 0;
  CHECK(tree.size() == 300'000);
  CHECK(tree.find_key(std::int64_t{299'999} * 351061) != nullptr);
}

TEST_CASE("state dict: paths go through dicts and lists") {
  const Tree tree{{"a", Tree{{"b", List{10, Tree{{"c", 11}}, List{12}}}}},
                  {0, "int"},
                  {"1", "string"},
                  {2, "int"},
                  {"2", "string"},
                  {-3, "negative"},
                  {"x/y", 1},
                  {"x~y", 2},
                  {"", Tree{{"", 3}}}};
  CHECK(tree.at("a/b/0") == Value(10));
  CHECK(tree.at("a/b/1/c") == Value(11));
  CHECK(tree.at("a/b/2/0") == Value(12));
  CHECK(tree.at("0") == Value("int"));
  CHECK(tree.at("1") == Value("string"));
  CHECK(tree.at("2") == Value("int"));  // an int key comes first
  CHECK(tree.at("-3") == Value("negative"));
  CHECK(tree.at("x~1y") == Value(1));
  CHECK(tree.at("x~0y") == Value(2));
  CHECK(tree.at("/") == Value(3));
  CHECK(tree.at<std::int64_t>("a/b/0") == 10);
  CHECK(tree.contains("a/b"));
  for (const char* absent :
       {"b", "a/c", "a/b/3", "a/b/-1", "a/b/x", "a/b/0/0", "0/x", "x/y", "a/", "/a", "00", "a/b/00"}) {
    INFO(absent);
    CHECK_FALSE(tree.contains(absent));
    CHECK(tree.find(absent) == nullptr);
    CHECK_THROWS_AS(static_cast<void>(tree.at(absent)), Error);
  }
}

TEST_CASE("state dict: errors name the path, and how far it leads") {
  const Tree tree{{"a", Tree{{"b", List{1, 2}}}}, {"n", 3}};
  CHECK(error_of([&] { static_cast<void>(tree.at("a/c/d")); }) == "a/c/d: no such path; a is a dict of 1: b");
  CHECK(error_of([&] { static_cast<void>(tree.at("a/b/7")); }) == "a/b/7: no such path; a/b is a list of 2");
  CHECK(error_of([&] { static_cast<void>(tree.at("n/x")); }) == "n/x: no such path; n is int64 3");
  CHECK(error_of([&] { static_cast<void>(tree.at("x")); }) == "x: no such path");
  CHECK(error_of([&] { static_cast<void>(tree.at<double>("n")); }) == "n: expected double, found int64 3");
  CHECK(error_of([&] { static_cast<void>(tree.at("a/b/1").as<std::string>()); }) ==
        "a/b/1: expected string, found int64 2");
}

TEST_CASE("state dict: set makes the dicts on the way, and is blocked by what is no dict") {
  Tree tree;
  CHECK(tree.set("a/b/c", 1) == Value(1));
  tree.set("a/0/x", 2);
  tree.set("a/b/c", "again");
  tree.set("a/-1", 3);
  tree.set("q~1r/s", 4);
  CHECK(keys_of(tree.at<Tree>("a")) == "b 0i -1");  // digits make an int key
  CHECK(tree.at("a/b/c") == Value("again"));
  CHECK(tree.at_key("q/r").as<Tree>().at_key("s") == Value(4));
  tree.set("list", List{1, Tree()});
  tree.set("list/0", "first");
  tree.set("list/1/deep/er", 5);
  CHECK(tree.at("list") == Value(List{"first", Tree{{"deep", Tree{{"er", 5}}}}}));
  const Tree before = tree;
  CHECK(error_of([&] { tree.set("a/b/c/d", 1); }) == "a/b/c/d: cannot be set, since a/b/c is string \"again\"");
  CHECK(error_of([&] { tree.set("list/2", 1); }) == "list/2: cannot be set, since list is a list of 2");
  CHECK(error_of([&] { tree.set("list/x/y", 1); }) == "list/x/y: cannot be set, since list is a list of 2");
  CHECK(tree == before);
  Tree string_key{{"5", 1}};
  string_key.set("5", 2);  // the string key is there, so that it is meant
  CHECK(keys_of(string_key) == "5");
}

TEST_CASE("state dict: set_default writes only where nothing is") {
  Tree tree{{"a", 1}};
  CHECK_FALSE(tree.set_default("a", 2));
  CHECK(tree.set_default("b/c", 0));
  CHECK(tree == Tree{{"a", 1}, {"b", Tree{{"c", 0}}}});
  tree["none"] = None();
  CHECK_FALSE(tree.set_default("none", 1));  // None is something
}

TEST_CASE("state dict: erase") {
  Tree tree{{"a", Tree{{"b", 1}}}, {5, "int"}, {"5", "string"}, {"l", List{1, 2, 3}}};
  CHECK_FALSE(tree.erase("x"));
  CHECK_FALSE(tree.erase("a/x"));
  CHECK_FALSE(tree.erase("l/3"));
  CHECK(tree.erase("a/b"));
  CHECK(tree.at<Tree>("a").empty());
  CHECK(tree.erase("5"));
  CHECK(tree.at("5") == Value("string"));
  CHECK(tree.erase("5"));
  CHECK(tree.erase("l/1"));
  CHECK(tree == Tree{{"a", Tree()}, {"l", List{1, 3}}});
}

TEST_CASE("state dict: rename within a dict keeps the place, elsewhere makes dicts") {
  Tree tree{{"a", 1}, {"b", 2}, {"c", Tree{{"d", 3}}}};
  CHECK(tree.rename("a", "x"));
  CHECK(keys_of(tree) == "x b c");
  CHECK(tree.rename("b", "new/deep/b"));
  CHECK(keys_of(tree) == "x c new");
  CHECK(tree.at("new/deep/b") == Value(2));
  CHECK(tree.rename("c/d", "d"));
  CHECK(tree.at("d") == Value(3));
  CHECK(tree.rename("c", "new/c"));
  CHECK_FALSE(tree.rename("absent", "y"));
  CHECK_FALSE(tree.rename("c/absent", "y/z"));
  CHECK_FALSE(tree.contains("y"));
  CHECK(tree.rename("x", "x"));
  CHECK(tree.rename("x", "7"));
  CHECK(tree.find_key(7) != nullptr);
  CHECK(tree.rename("7", "a~1b"));
  CHECK(tree.find_key("a/b") != nullptr);
}

TEST_CASE("state dict: rename that cannot be done changes nothing") {
  Tree tree{{"a", Tree{{"b", 1}}}, {"c", 2}, {"l", List{1}}};
  const Tree before = tree;
  CHECK(error_of([&] { tree.rename("a", "c"); }) == "a: cannot be renamed to c, which exists");
  CHECK(error_of([&] { tree.rename("a", "a/x/y"); }) == "a: cannot be moved into itself, to a/x/y");
  CHECK_FALSE(error_of([&] { tree.rename("a", "c/x"); }).empty());
  CHECK_FALSE(error_of([&] { tree.rename("a", "l/5"); }).empty());
  CHECK(tree == before);
  CHECK(keys_of(tree) == keys_of(before));
  CHECK(tree.rename("a", "ab"));  // begins with it, but does not lie in it
}

TEST_CASE("state dict: rename out of a list and into another dict") {
  Tree tree{{"l", List{1, Tree{{"x", 2}}, 3}}};
  CHECK(tree.rename("l/0", "first"));
  CHECK(tree == Tree{{"l", List{Tree{{"x", 2}}, 3}}, {"first", 1}});
  CHECK(tree.rename("l/0/x", "x"));
  CHECK(tree.at("x") == Value(2));
}

TEST_CASE("state dict: rename_prefix") {
  Tree tree;
  tree["state"] = Tree{{"conv1.weight", 1}, {"bn.weight", 2}, {"conv1.bias", 3}, {"conv10.bias", 4}};
  CHECK(tree.rename_prefix("state/conv1.", "state/stem.") == 2);
  CHECK(keys_of(tree.at<Tree>("state")) == "stem.weight bn.weight stem.bias conv10.bias");
  CHECK(tree.rename_prefix("state/stem.", "other/deep/x.") == 2);
  CHECK(keys_of(tree.at<Tree>("state")) == "bn.weight conv10.bias");
  CHECK(tree.at<Tree>("other/deep") == Tree{{"x.weight", 1}, {"x.bias", 3}});
  CHECK(tree.rename_prefix("state/none", "state/some") == 0);
  CHECK(tree.rename_prefix("absent/none", "state/some") == 0);
  CHECK(tree.rename_prefix("state/", "state/model.") == 2);  // all of a dict
  CHECK(keys_of(tree.at<Tree>("state")) == "model.bn.weight model.conv10.bias");
  CHECK(tree.rename_prefix("state/model.", "state/") == 2);
  CHECK(keys_of(tree.at<Tree>("state")) == "bn.weight conv10.bias");
  CHECK(tree.rename_prefix("state/bn", "state/bn") == 0);
  CHECK_FALSE(tree.contains("nowhere"));
  CHECK(tree.rename_prefix("state/xyz", "nowhere/xyz") == 0);
  CHECK_FALSE(tree.contains("nowhere"));
}

TEST_CASE("state dict: rename_prefix within one dict that is spelled in two ways") {
  Tree tree{{"a~", Tree{{"x.w", 1}, {"y", 2}}}};
  CHECK(tree.rename_prefix("a~/x.", "a~0/z.") == 1);
  CHECK(keys_of(tree.at<Tree>("a~")) == "z.w y");
}

TEST_CASE("state dict: rename_prefix leaves references to others valid") {
  Tree tree = large(20);
  Value& held = tree.at("k3");
  CHECK(tree.rename_prefix("k1", "x") == 11);
  CHECK(&tree.at("k3") == &held);
  CHECK(tree.at("x9") == Value(19));
  CHECK(tree.rename_prefix("x", "elsewhere/x") == 11);
  CHECK(&tree.at("k3") == &held);
  CHECK(tree.find_key("x9") == nullptr);
}

TEST_CASE("state dict: rename_prefix may take the names of keys that move away") {
  Tree tree{{"a", 1}, {"aa", 2}, {"aaa", 3}};
  CHECK(tree.rename_prefix("a", "aa") == 3);
  CHECK(tree == Tree{{"aa", 1}, {"aaa", 2}, {"aaaa", 3}});
  CHECK(tree.rename_prefix("aa", "a") == 3);
  CHECK(tree == Tree{{"a", 1}, {"aa", 2}, {"aaa", 3}});
}

TEST_CASE("state dict: rename_prefix that cannot be done changes nothing") {
  Tree tree{{"a.x", 1}, {"a.y", 2}, {"b.y", 3}, {"n", 4}, {"d", Tree{{"y", 5}}}};
  const Tree before = tree;
  CHECK(error_of([&] { tree.rename_prefix("a.", "b."); }) == "a.y: cannot be renamed to b.y, which exists");
  CHECK_FALSE(error_of([&] { tree.rename_prefix("a.", "n/"); }).empty());
  CHECK_FALSE(error_of([&] { tree.rename_prefix("a.", "d/"); }).empty());
  CHECK(tree == before);
  CHECK(keys_of(tree) == keys_of(before));

  Tree both{{5, "int"}, {"5", "string"}};
  const Tree both_before = both;
  CHECK_FALSE(error_of([&] { both.rename_prefix("5", "x"); }).empty());  // two keys for one name
  CHECK(both == both_before);
}

TEST_CASE("state dict: rename_prefix into what itself begins with the prefix") {
  Tree tree{{"conv", 1}, {"conv1", Tree{{"w", 2}}}, {"convolution", 3}};
  const Tree before = tree;
  CHECK_FALSE(error_of([&] { tree.rename_prefix("conv", "conv1/part"); }).empty());
  CHECK(tree == before);
}

TEST_CASE("state dict: rename_prefix of very many keys") {
  Tree tree;
  for (int i = 0; i < 30'000; ++i) tree.set("state/layer." + std::to_string(i), i);
  CHECK(tree.rename_prefix("state/layer.", "model/block.") == 30'000);
  CHECK(tree.at<Tree>("state").empty());
  CHECK(tree.at("model/block.29999") == Value(29'999));
  CHECK(tree.rename_prefix("model/block.", "model/b.") == 30'000);
  CHECK(tree.at("model/b.0") == Value(0));
}

TEST_CASE("state dict: transform by what the function takes") {
  Tree tree{{"d", 1.5},
            {"i", 4},
            {"s", "text"},
            {"b", true},
            {"l", List{1}},
            {"t", Tree{{"x", 1}}},
            {"w", tensor(Dtype::f32, {2})}};
  tree.transform("d", [](double x) { return x * 2; });
  CHECK(tree.at("d") == Value(3.0));
  tree.transform("i", [](double x) { return x / 2; });  // an integer may become a floating parameter
  CHECK(tree.at("i") == Value(2.0));
  tree["i"] = 4;
  tree.transform("i", [](int x) { return x + 1; });
  CHECK(tree.at("i") == Value(5));
  tree.transform("s", [](const std::string& x) { return x + "!"; });
  tree.transform("b", [](bool x) { return !x; });
  CHECK(tree.at("b") == Value(false));
  tree.transform("l", [](List& x) { x.push_back(2); });
  CHECK(tree.at("l") == Value(List{1, 2}));
  tree.transform("t", [](Tree& x) { x["y"] = 2; });
  CHECK(tree.at("t/y") == Value(2));
  tree.transform("w", [](const TensorInfo& x) { return x.numel(); });
  CHECK(tree.at("w") == Value(2));
  tree.transform("w", [](auto& x) { x = "any"; });
  tree.transform("w", [](Value& x) { x = List{x}; });
  tree.transform("w", [](const Value& x) { return x.as<List>()[0]; });
  CHECK(tree.at("w") == Value("any"));
  tree.transform("l/1", [](std::int64_t x) { return x * 100; });
  CHECK(tree.at("l") == Value(List{1, 200}));
  CHECK(error_of([&] { tree.transform("absent", [](double x) { return x; }); }).starts_with("absent: "));
}

TEST_CASE("state dict: transform of another type is an error that names the path") {
  Tree tree{{"a", Tree{{"d", 1.5}}}, {"big", std::int64_t{1} << 40}, {"s", "text"}};
  const Tree before = tree;
  CHECK(error_of([&] { tree.transform("a/d", [](int x) { return x; }); }) == "a/d: expected int64, found double 1.5");
  CHECK(error_of([&] { tree.transform("a/d", [](bool x) { return x; }); }) == "a/d: expected bool, found double 1.5");
  CHECK(error_of([&] { tree.transform("s", [](double x) { return x; }); }) ==
        "s: expected double, found string \"text\"");
  CHECK(error_of([&] { tree.transform("big", [](std::int32_t x) { return x; }); }).starts_with("big: "));
  CHECK(error_of([&] { tree.transform("s", [](TensorInfo& x) { x.shape = {}; }); }) ==
        "s: expected tensor, found string \"text\"");
  CHECK(tree == before);
}

TEST_CASE("state dict: equality does not look at order, but at kinds of keys and all values") {
  CHECK(Tree{{"a", 1}, {"b", 2}} == Tree{{"b", 2}, {"a", 1}});
  CHECK_FALSE(Tree{{"a", 1}} == Tree{{"a", 1}, {"b", 2}});
  CHECK_FALSE(Tree{{"a", 1}, {"b", 2}} == Tree{{"a", 1}});
  CHECK_FALSE(Tree{{1, 1}} == Tree{{"1", 1}});
  CHECK_FALSE(Tree{{"a", Tree{{"b", 1}}}} == Tree{{"a", Tree{{"b", 2}}}});
  CHECK(nasty_tree() == nasty_tree());
}

TEST_CASE("state dict: copies alias tensors, clones do not") {
  Tree tree{{"a", Tree{{"w", tensor(Dtype::f32, {2})}}},
            {"l", List{tensor(Dtype::u8, {1})}},
            {"u", UnsupportedTensor{tensor(Dtype::u16, {2})}},
            {5, nasty_tree()}};
  Tree copy = tree, clone = tree.clone();
  CHECK(copy == tree);
  CHECK(clone == tree);
  CHECK(keys_of(clone) == keys_of(tree));
  const auto same = [&](Tree& other, const char* path) {
    return tree.at<TensorInfo>(path).storage->data == other.at<TensorInfo>(path).storage->data;
  };
  CHECK(same(copy, "a/w"));
  CHECK(same(copy, "l/0"));
  CHECK_FALSE(same(clone, "a/w"));
  CHECK_FALSE(same(clone, "l/0"));
  CHECK(tree.at<UnsupportedTensor>("u").info.storage->data != clone.at<UnsupportedTensor>("u").info.storage->data);
  copy.set("a/x", 1);  // but the dicts are its own
  CHECK_FALSE(tree.contains("a/x"));
}

TEST_CASE("state dict: copying, moving and assigning") {
  for (const int size : {0, 3, 11, 12, 13, 100}) {
    Tree tree = large(size);
    Tree copy;
    copy["old"] = 1;
    copy = tree;
    CHECK(copy == tree);
    copy = *&copy;
    CHECK(copy == tree);
    Tree moved = std::move(copy);
    CHECK(moved == tree);
    copy = std::move(moved);
    CHECK(copy == tree);
    copy["more"] = 1;
    CHECK(copy.size() == tree.size() + 1);
    tree["self"] = tree;  // a copy of what it was
    CHECK(tree.at<Tree>("self").size() == static_cast<std::size_t>(size));
  }
}

TEST_CASE("state dict: prints for a person, whatever the stream and the locale") {
  const Tree tree{{"model", Tree{{"w", tensor(Dtype::f32, {16, 3})}, {"empty", Tree()}}},
                  {5, List{1, 2.0, "a\"b\n", None(), true}},
                  {"lr", 1234567.5}};
  const std::string expected =
      "{\n  model: {\n    w: float32[16, 3]\n    empty: {}\n  }\n  5: [1, 2.0, \"a\\\"b\\x0a\", None, true]\n"
      "  lr: 1234567.5\n}";
  std::ostringstream os;
  os << std::hex << std::showpos << tree;
  CHECK(os.str() == expected);
  os.str("");
  os << Value(List(1000, Value(1)));
  CHECK(os.str().find("1000 in all") != std::string::npos);
  CHECK(Value(std::string(1000, 'x')).describe().size() < 100);
}
