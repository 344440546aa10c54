#include "trainstate/codec/associative.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "laws/laws.hpp"
#include "support/printing.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/objects.hpp"

namespace ts = trainstate;

namespace {

enum class Split : std::uint8_t { train, val = 7 };

struct Ema {
  double decay = 0;
  at::Tensor shadow = torch::zeros({2});
  static constexpr auto describe() {
    return ts::component<Ema>("ema", ts::version<2>, ts::hyper("decay", &Ema::decay), ts::state("shadow", &Ema::shadow),
                              ts::migrate<1>([](auto& d) { d.rename("state/avg", "state/shadow"); }));
  }
  bool operator<(const Ema& other) const { return decay < other.decay; }
};

Ema ema(double x) { return {x, torch::full({2}, x)}; }

/// Can only be loaded in place.
struct Pinned {
  explicit Pinned(int n) : value(n) {}
  int value;
  static constexpr auto describe() { return ts::component<Pinned>("pinned", ts::state("value", &Pinned::value)); }
};

}  // namespace

TEST_CASE("maps with string, integer and enum keys are dicts") {
  laws::hold_for(std::map<std::string, int>{{"b", 1}, {"a/b~c.d", 2}, {"", 3}, {"7", 4}}, {{"x", 1}});
  laws::hold_for(std::map<int, std::string>{{-3, "m"}, {10, "t"}, {9, "n"}}, {{1, ""}});
  laws::hold_for(std::map<std::uint64_t, bool>{{INT64_MAX, true}}, {{1, true}});
  laws::hold_for(std::map<Split, std::vector<double>>{{Split::val, {0.5}}, {Split::train, {}}}, {});
  const ts::StateDict tree = ts::state_dict(std::map<Split, int>{{Split::val, 3}});
  CHECK(tree.at_key(7) == ts::Value(3));
  CHECK(ts::state_dict(std::map<std::string, int>{{"7", 4}}).at_key("7") == ts::Value(4));
}

TEST_CASE("maps with other keys are lists of pairs") {
  using Point = std::pair<int, int>;
  laws::hold_for(std::map<Point, double>{{{2, 1}, 0.5}, {{1, 2}, 1.5}}, {{{0, 0}, 0}});
  laws::hold_for(std::map<bool, int>{{true, 1}, {false, 0}}, {});
  laws::hold_for(std::map<double, std::string>{{0.5, "half"}, {-1e300, "low"}}, {});
  laws::hold_for(std::map<std::filesystem::path, int>{{"a/b", 1}}, {});
  CHECK(ts::state_dict(std::map<bool, int>{{true, 5}}).at_key("") == ts::Value(ts::List{ts::List{true, 5}}));

  std::map<bool, int> live{{true, 5}};
  for (const ts::Value& wrong : {ts::Value(ts::List{ts::List{true}}), ts::Value(ts::List{5}),
                                 ts::Value(ts::List{ts::List{1, 5}}), ts::Value(ts::StateDict{{"true", 5}})}) {
    CHECK_THROWS_AS(ts::load_state_dict(live, ts::StateDict{{"", wrong}}), ts::MismatchError);
    CHECK(live == std::map<bool, int>{{true, 5}});
  }
}

TEST_CASE("a key that occurs twice is refused") {
  std::map<std::pair<int, int>, int> live{{{1, 1}, 5}};
  const ts::List pair{ts::List{1, 2}, 3}, again{ts::List{1, 2}, 4};
  CHECK_THROWS_AS(ts::load_state_dict(live, ts::StateDict{{"", ts::List{pair, again}}}), ts::MismatchError);
  CHECK(live.size() == 1);
}

TEST_CASE("unordered maps are written sorted, whatever their history") {
  laws::hold_for(std::unordered_map<std::string, int>{{"b", 1}, {"a", 2}}, {});
  std::unordered_map<int, int> one(1), other(5000);
  for (int i = 0; i < 300; ++i) {
    one[i * 3] = i;
    other[(299 - i) * 3] = 299 - i;
  }
  CHECK(laws::image_of(one) == laws::image_of(other));
  std::int64_t last = -1;
  for (const auto& [key, value] : ts::state_dict(one)) {
    CHECK(std::get<std::int64_t>(key) > last);
    last = std::get<std::int64_t>(key);
  }
}

TEST_CASE("maps of components and tensors: in place with the same keys, else replaced") {
  using Emas = std::map<std::string, Ema>;
  laws::hold([] { return Emas{{"a", ema(1)}, {"b", ema(2)}}; }, [] { return Emas{{"a", ema(3)}, {"b", ema(4)}}; });
  laws::hold([] { return Emas{{"a", ema(1)}}; }, [] { return Emas{{"b", ema(3)}}; });
  laws::hold(
      [] {
        return std::unordered_map<int, at::Tensor>{{1, torch::ones({2})}, {2, at::Tensor()}};
      },
      [] { return std::unordered_map<int, at::Tensor>{}; });
  laws::hold(
      [] {
        return std::map<std::pair<int, int>, Ema>{{{1, 2}, ema(1)}};
      },
      [] { return std::map<std::pair<int, int>, Ema>{}; });

  Emas live{{"a", ema(0)}, {"b", ema(0)}};
  const at::Tensor alias = live["b"].shadow;
  ts::load_state_dict(live, ts::state_dict(Emas{{"b", ema(6)}, {"a", ema(5)}}).clone());
  CHECK(alias[0].item<double>() == 6);
  CHECK(live["a"].decay == 5);
}

TEST_CASE("values that cannot be built need the same keys") {
  std::map<std::string, Pinned> live;
  live.emplace("a", 1);
  ts::load_state_dict(live, ts::StateDict{{"a", ts::StateDict{{"state", ts::StateDict{{"value", 5}}}}}});
  CHECK(live.at("a").value == 5);
  CHECK_THROWS_AS(
      ts::load_state_dict(live, ts::StateDict{{"b", ts::StateDict{{"state", ts::StateDict{{"value", 6}}}}}}),
      ts::MismatchError);
  CHECK(live.at("a").value == 5);
}

TEST_CASE("components inside maps of any key are migrated") {
  const auto old = [] {
    return ts::StateDict{
        {"version", 1}, {"params", ts::StateDict{{"decay", 0.5}}}, {"state", ts::StateDict{{"avg", torch::ones({2})}}}};
  };
  std::map<int, Ema> by_number;
  const auto report = ts::load_state_dict(by_number, ts::StateDict{{4, old()}});
  CHECK(report.migrated == std::vector<ts::Report::Migration>{{"4", 1, 2}});
  CHECK(by_number.at(4).shadow.sum().item<double>() == 2);

  std::map<std::pair<int, int>, Ema> by_pair;
  const ts::List entry{ts::List{1, 2}, old()};
  CHECK(ts::load_state_dict(by_pair, ts::StateDict{{"", ts::List{entry}}}).migrated ==
        std::vector<ts::Report::Migration>{{"0/1", 1, 2}});
  CHECK(by_pair.at({1, 2}).shadow.sum().item<double>() == 2);
}

TEST_CASE("every entry that does not fit is reported by its path") {
  std::map<std::string, std::vector<int>> live{{"a/b", {1}}, {"c", {2}}};
  const auto before = live;
  try {
    ts::load_state_dict(live, ts::StateDict{{"a/b", ts::List{"x"}}, {"c", 1}, {7, ts::List{}}});
    FAIL("it was loaded");
  } catch (const ts::MismatchError& e) {
    REQUIRE(e.report().mismatched.size() == 3);
    CHECK(e.report().mismatched[0].path == "a~1b/0");
    CHECK(e.report().mismatched[1].path == "c");
    CHECK(e.report().mismatched[2].path == "7");
  }
  CHECK(live == before);
  std::map<std::uint8_t, int> narrow;
  CHECK_THROWS_AS(ts::load_state_dict(narrow, ts::StateDict{{256, 1}}), ts::MismatchError);
  CHECK_THROWS_AS(ts::load_state_dict(narrow, ts::StateDict{{"1", 1}}), ts::MismatchError);
  CHECK(narrow.empty());
}

TEST_CASE("an unsigned key above INT64_MAX is an error that names its path") {
  const std::map<std::string, std::map<std::uint64_t, int>> x{{"keys", {{UINT64_MAX, 1}}}};
  CHECK_THROWS_WITH_AS(ts::state_dict(x), doctest::Contains("keys: "), ts::Error);
}
