#include "trainstate/codec/sequence.hpp"

#include <array>
#include <deque>
#include <list>
#include <set>
#include <string>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

#include "laws/laws.hpp"
#include "support/saved.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/objects.hpp"

namespace ts = trainstate;

namespace {

using ts::tests::saved;

struct Counter {
  std::int64_t count = 0;
  at::Tensor sum = torch::zeros({2});
  static constexpr auto describe() {
    return ts::component<Counter>("counter", ts::state("count", &Counter::count), ts::state("sum", &Counter::sum));
  }
};

Counter counter(std::int64_t n) { return {n, torch::full({2}, static_cast<double>(n))}; }

/// Neither default constructible nor assignable from a list, so only ever loaded in place.
struct Fixed {
  explicit Fixed(int n) : value(n) {}
  Fixed(const Fixed&) = delete;
  Fixed(Fixed&&) = default;
  int value;
  static constexpr auto describe() { return ts::component<Fixed>("fixed", ts::state("value", &Fixed::value)); }
};

struct Arrays {
  int flat[3] = {};
  double grid[2][2] = {};
  Counter counters[2] = {};
  const int constant[2] = {4, 5};
  static constexpr auto describe() {
    return ts::component<Arrays>("arrays", ts::state("flat", &Arrays::flat), ts::state("grid", &Arrays::grid),
                                 ts::state("counters", &Arrays::counters), ts::hyper("constant", &Arrays::constant));
  }
};

template <class T>
ts::Report refused(T& live, ts::Value value) {
  const auto before = saved(live).clone();
  try {
    ts::load_state_dict(live, ts::StateDict{{"", std::move(value)}});
  } catch (const ts::MismatchError& e) {
    CHECK(saved(live) == before);
    return e.report();
  }
  FAIL("it was loaded");
  return {};
}

}  // namespace

TEST_CASE("sequences that grow are lists") {
  laws::hold_for(std::vector<int>{3, 1, 2});
  laws::hold_for(std::vector<double>{0.5, -0.0}, {1, 2, 3});
  laws::hold_for(std::vector<bool>{true, false, true}, {false});
  laws::hold_for(std::deque<std::string>{"b", "", "a"}, {"x"});
  laws::hold_for(std::list<std::vector<int>>{{1}, {}, {2, 3}});
  laws::hold_for(std::vector<std::vector<bool>>{{}, {true}});
  laws::hold_for(std::vector<int>{}, {1});
  CHECK(saved(std::vector<int>{3, 1, 2}) == ts::Value(ts::List{3, 1, 2}));
  CHECK(saved(std::vector<bool>{true, false}) == ts::Value(ts::List{true, false}));
}

TEST_CASE("long lists of numbers come back as what they were") {
  std::vector<double> doubles(1000, 0.1);
  doubles[7] = std::numeric_limits<double>::quiet_NaN();
  laws::hold_for(doubles);
  laws::hold_for(std::vector<std::int64_t>(64, INT64_MIN));
  laws::hold_for(std::deque<bool>(100, true));
  laws::hold_for(std::vector<float>(65, 0.1F));
}

TEST_CASE("sequences of components and of tensors, longer, shorter and in place") {
  laws::hold([] { return std::vector<Counter>{}; }, [] { return std::vector<Counter>(1, counter(9)); });
  const auto three = [] {
    std::deque<Counter> list;
    for (int i = 1; i < 4; ++i) list.push_back(counter(i));
    return list;
  };
  laws::hold(three, [] { return std::deque<Counter>(3); });
  laws::hold(three, [] { return std::deque<Counter>(1); });
  laws::hold(
      [] {
        return std::vector<at::Tensor>{torch::ones({2}), at::Tensor()};
      },
      [] {
        return std::vector<at::Tensor>{at::Tensor(), torch::zeros({3})};
      });

  std::vector<at::Tensor> live{torch::zeros({2}), torch::zeros({3})};
  const at::Tensor alias = live[1];
  ts::load_state_dict(live, ts::StateDict{{"", ts::List{torch::ones({2}), torch::ones({3})}}});
  CHECK(alias.sum().item<double>() == 3);
}

TEST_CASE("items that cannot be built are loaded in place, or refused when there are too few of them") {
  std::vector<Fixed> live;
  live.emplace_back(1);
  live.emplace_back(2);
  const auto tree = ts::state_dict(live).clone();
  live[0].value = live[1].value = 0;
  ts::load_state_dict(live, tree);
  CHECK(live[1].value == 2);
  live.emplace_back(3);
  const auto report = refused(live, tree.at_key(""));
  REQUIRE(report.mismatched.size() == 1);
  CHECK(report.mismatched[0].expected.find("3") != std::string::npos);
  CHECK(report.mismatched[0].found == "a list of 2");
}

TEST_CASE("every item that does not fit is reported by its index, and none is loaded") {
  std::vector<int> live{1, 2, 3};
  const auto report = refused(live, ts::List{4, "x", 5, 1.5});
  REQUIRE(report.mismatched.size() == 2);
  CHECK(report.mismatched[0].path == "1");
  CHECK(report.mismatched[0].found == "string \"x\"");
  CHECK(report.mismatched[1].path == "3");
  CHECK(refused(live, ts::StateDict{}).mismatched.size() == 1);
  CHECK(refused(live, ts::None()).mismatched.size() == 1);
  CHECK(refused(live, torch::ones({3})).mismatched.size() == 1);
}

TEST_CASE("pair, tuple and array are lists of fixed length") {
  laws::hold_for(std::pair<int, std::string>{1, "one"});
  laws::hold_for(std::tuple<bool, double, std::vector<int>>{true, 0.5, {1, 2}});
  laws::hold_for(std::array<float, 3>{1, 2, 3});
  laws::hold_for(std::array<std::pair<int, bool>, 2>{{{1, true}, {2, false}}});
  laws::hold([] { return std::tuple(counter(1), torch::ones({2})); },
             [] { return std::tuple(counter(0), torch::zeros({2})); });
  CHECK(saved(std::tuple(1, std::string("two"))) == ts::Value(ts::List{1, "two"}));
  CHECK(saved(std::tuple<>()) == ts::Value(ts::List{}));

  std::pair<int, int> live{1, 2};
  CHECK(refused(live, ts::List{1}).mismatched.at(0).expected == "a list of 2");
  CHECK(refused(live, ts::List{1, 2, 3}).mismatched.at(0).found == "a list of 3");
  CHECK(refused(live, ts::List{true, "x"}).mismatched.size() == 2);
  std::array<int, 2> array{1, 2};
  CHECK(refused(array, ts::List{3}).mismatched.size() == 1);
  CHECK(refused(array, ts::List{3, "x"}).mismatched.at(0).path == "1");
}

TEST_CASE("a large array is no burden on the compiler") {
  std::array<float, 5000> saved_array{};
  for (std::size_t i = 0; i < saved_array.size(); ++i) saved_array[i] = static_cast<float>(i);
  laws::hold_for(saved_array);
}

TEST_CASE("C arrays of any rank are loaded in place") {
  Arrays saved_arrays;
  saved_arrays.flat[2] = 7;
  saved_arrays.grid[1][0] = 0.25;
  saved_arrays.counters[1] = counter(5);
  const auto tree = ts::state_dict(saved_arrays).clone();
  CHECK(tree.at("state/flat") == ts::Value(ts::List{0, 0, 7}));
  CHECK(tree.at("state/grid/1/0") == ts::Value(0.25));
  CHECK(tree.at("state/counters/1/state/count") == ts::Value(5));
  Arrays live;
  const at::Tensor alias = live.counters[1].sum;
  ts::load_state_dict(live, tree);
  CHECK(ts::state_dict(live) == tree);
  CHECK(alias[0].item<double>() == 5);

  auto wrong = tree.clone();
  wrong.set("state/flat", ts::List{1, 2});
  wrong.set("state/grid/0", ts::List{1.0, "x"});
  wrong.set("params/constant/0", 6);
  try {
    ts::load_state_dict(live, wrong);
    FAIL("it was loaded");
  } catch (const ts::MismatchError& e) {
    REQUIRE(e.report().mismatched.size() == 3);
    CHECK(e.report().mismatched[0].path == "state/flat");
    CHECK(e.report().mismatched[1].path == "state/grid/0/1");
    CHECK(e.report().mismatched[2].path == "params/constant");
  }
  CHECK(ts::state_dict(live) == tree);
}

TEST_CASE("sets are lists, unordered ones sorted") {
  laws::hold_for(std::set<int>{3, 1, 2}, {1});
  laws::hold_for(std::unordered_set<std::string>{"c", "a", "b"}, {"x"});
  laws::hold_for(std::unordered_set<int>{}, {1});
  CHECK(saved(std::unordered_set<int>{30, 10, 20}) == ts::Value(ts::List{10, 20, 30}));
  CHECK(saved(std::set<int, std::greater<>>{1, 3, 2}) == ts::Value(ts::List{3, 2, 1}));
  std::unordered_set<int> few(1), many(1000);
  for (int i = 0; i < 200; ++i) {
    few.insert(i * 7);
    many.insert((199 - i) * 7);
  }
  CHECK(laws::image_of(few) == laws::image_of(many));
  std::set<int> live{1};
  CHECK(refused(live, ts::List{1, "x"}).mismatched.at(0).path == "1");
}

TEST_CASE("containers nest") {
  laws::hold_for(std::vector<std::pair<std::string, std::array<std::deque<int>, 2>>>{{"a", {{{1}, {}}}}});
  laws::hold_inside([] { return counter(3); }, [] { return counter(0); });
}
