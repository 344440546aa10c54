// Objects into trees and back, without a file: what is at the root, const and not, and which errors leave.
#include "support/torch_doctest.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/printing.hpp"
#include "trainstate/checkpoint_parts.hpp"
#include "trainstate/objects.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;
using torch::Tensor;

struct Counter {
  std::int64_t count = 0;
  static constexpr auto describe() { return ts::component<Counter>("counter", ts::state("count", &Counter::count)); }
};

/// Through a tree into another object of the same type.
template <class T>
T reloaded(const T& saved, T live = T()) {
  ts::load_state_dict(live, ts::state_dict(saved));
  return live;
}

TEST_CASE("a root that is no dict is the one entry with the empty key") {
  CHECK(ts::state_dict(5) == ts::StateDict{{"", 5}});
  CHECK(ts::state_dict(std::string("text")) == ts::StateDict{{"", "text"}});
  CHECK(ts::state_dict(std::vector<int>{1, 2}) == ts::StateDict{{"", ts::List{1, 2}}});
  CHECK(ts::state_dict(std::optional<int>()) == ts::StateDict{{"", ts::None()}});
  CHECK(ts::state_dict(torch::ones({2})) == ts::StateDict{{"", torch::ones({2})}});
  CHECK(ts::state_dict(Tensor()) == ts::StateDict{{"", ts::None()}});
  CHECK(ts::state_dict(Counter{3}) == ts::StateDict{{"version", 1},
                                                    {"params", ts::StateDict()},  //
                                                    {"state", ts::StateDict{{"count", 3}}}});

  CHECK(reloaded(5) == 5);
  CHECK(reloaded(true));
  CHECK(reloaded(std::string("text")) == "text");
  CHECK(reloaded(std::vector<bool>{true, false}) == std::vector<bool>{true, false});
  CHECK(reloaded(std::optional<int>(), std::optional<int>(3)) == std::nullopt);
  CHECK(reloaded(std::optional<int>(4)) == 4);
  CHECK(reloaded(std::variant<int, std::string>("text")) == std::variant<int, std::string>("text"));
  CHECK(reloaded(torch::ones({2}), torch::zeros({2})).equal(torch::ones({2})));
  CHECK_FALSE(reloaded(Tensor(), torch::zeros({2})).defined());
  CHECK(reloaded(ts::Value(ts::List{1, "a"})) == ts::Value(ts::List{1, "a"}));
}

TEST_CASE("a dict with an empty key is a dict") {
  using Map = std::map<std::string, int>;
  CHECK(reloaded(Map{{"", 1}}) == Map{{"", 1}});
  CHECK(reloaded(Map{{"", 1}}, Map{{"", 2}, {"a", 3}}) == Map{{"", 1}});
  CHECK(reloaded(ts::StateDict{{"", 5}}) == ts::StateDict{{"", 5}});
  CHECK(reloaded(std::map<std::string, Counter>{{"", {4}}}).at("").count == 4);
  CHECK(reloaded(std::map<std::string, Map>{{"", {{"", 6}}}}).at("").at("") == 6);
  CHECK(reloaded(std::optional<Map>(Map{{"", 1}}), std::optional<Map>(Map())).value() == Map{{"", 1}});
}

TEST_CASE("what does not fit at the root says so, and changes nothing") {
  bool flag = true;
  int number = 7;
  try {
    ts::load_state_dict(flag, ts::state_dict(std::string("text")));
    FAIL_CHECK("should have thrown");
  } catch (const ts::MismatchError& e) {
    CHECK(e.report().mismatched == std::vector<ts::Report::Mismatch>{{"", "bool", "string \"text\""}});
    CHECK(std::string(e.what()) ==
          "does not fit the live objects, in 1 place\n  the whole: expected bool, found string \"text\"");
  }
  CHECK(flag);
  CHECK_THROWS_AS(ts::load_state_dict(number, ts::StateDict()), ts::MismatchError);
  CHECK_THROWS_AS(ts::load_state_dict(number, ts::StateDict{{"a", 1}}), ts::MismatchError);
  CHECK_THROWS_AS(ts::load_state_dict(number, ts::StateDict{{"", 1}, {"a", 1}}), ts::MismatchError);
  Counter counter{7};
  CHECK_THROWS_AS(ts::load_state_dict(counter, ts::StateDict{{"", 1}}), ts::MismatchError);
  CHECK(number == 7);
  CHECK(counter.count == 7);
}

TEST_CASE("the text of a mismatch leaves out what the options allow, the report does not") {
  Counter a{1}, b{2};
  const ts::StateDict wrong{{"version", 1}, {"params", ts::StateDict()}, {"state", ts::StateDict{{"count", "text"}}}};
  const ts::StateDict tree{{"a", wrong}, {"c", 1}};
  const auto text_with = [&](const ts::LoadOptions& options) {
    try {
      ts::load_state_dict(ts::checkpoint("a"_key = a, "b"_key = b), tree, options);
    } catch (const ts::MismatchError& e) {
      CHECK(e.report().missing_keys == std::vector<std::string>{"b"});
      CHECK(e.report().unexpected_keys == std::vector<std::string>{"c"});
      return std::string(e.what());
    }
    return std::string("did not throw");
  };
  const std::string head = "does not fit the live objects, in ", missing = "\n  missing b";
  const std::string unexpected = "\n  unexpected c";
  const std::string differs =
      "\n  a/state/count: expected an integer from -9223372036854775808 to 9223372036854775807, found string \"text\"";
  CHECK(text_with({}) == head + "3 places" + missing + unexpected + differs);
  CHECK(text_with({.allow_missing = true}) == head + "2 places" + unexpected + differs);
  CHECK(text_with({.allow_unexpected = true}) == head + "2 places" + missing + differs);
  CHECK(text_with({.allow_missing = true, .allow_unexpected = true}) == head + "1 place" + differs);
}

TEST_CASE("const objects can be saved, alone and as parts; a const checkpoint of references can be loaded") {
  const Counter constant{3};
  const std::vector<Tensor> tensors = {torch::ones({2})};
  CHECK(ts::state_dict(constant).at<std::int64_t>("state/count") == 3);
  CHECK(ts::state_dict(tensors).at<ts::List>("")[0].as<Tensor>().is_alias_of(tensors[0]));
  CHECK(ts::state_dict(ts::checkpoint("c"_key = constant, "t"_key = std::as_const(tensors)))
            .at<std::int64_t>("c/state/count") == 3);

  Counter live;
  const auto checkpoint = ts::checkpoint("c"_key = live);
  ts::load_state_dict(checkpoint, ts::state_dict(ts::checkpoint("c"_key = constant)));
  CHECK(live.count == 3);
}

TEST_CASE("a load leaves the tree as it was, and keeps nothing of it") {
  const ts::StateDict tree{
      {"a", torch::ones({2})}, {"b", ts::List{1, torch::ones({2})}}, {"c", ts::state_dict(Counter{3})}};
  const auto before = tree.clone();
  Tensor a = torch::zeros({2});
  ts::Value b;
  Counter c;
  const auto report = ts::load_state_dict(ts::checkpoint("a"_key = a, "b"_key = b, "c"_key = c), tree);
  CHECK(report.bytes == 16);
  a.add_(5);
  b.as<ts::List>()[1].as<Tensor>().add_(5);
  CHECK(tree == before);
}

TEST_CASE("LibTorch's exceptions leave as Error, callers' own as they are") {
  const auto torch_fails = [] { TORCH_CHECK(false, "no such thing"); };
  CHECK_THROWS_WITH_AS(ts::detail::at_the_border("x", torch_fails), "x: LibTorch: no such thing", ts::Error);
  CHECK_THROWS_WITH_AS(ts::detail::at_the_border("", torch_fails), "LibTorch: no such thing", ts::Error);
  const auto fails = [] { throw ts::FormatError("text"); };
  CHECK_THROWS_WITH_AS(ts::detail::at_the_border("x", fails), "x: text", ts::FormatError);
  CHECK_THROWS_WITH_AS(ts::detail::at_the_border("", fails), "text", ts::FormatError);
  CHECK_THROWS_WITH_AS(ts::detail::at_the_border("x", [] { throw std::bad_alloc(); }), "x: there is not enough memory",
                       ts::Error);
  CHECK_THROWS_WITH_AS(ts::detail::at_the_border("", [] { std::vector<int>().reserve(~std::size_t{0}); }),
                       "there is not enough memory", ts::Error);
  CHECK_THROWS_AS(ts::detail::at_the_border("x", [] { throw 5; }), int);
  CHECK(ts::detail::at_the_border("x", [] { return 5; }) == 5);
}

}  // namespace
