#include "trainstate/codec/members.hpp"

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "laws/laws.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/checkpoint.hpp"

namespace ts = trainstate;
using namespace ts::literals;

namespace {

/// Knows how to save itself, and refuses what it does not like while half loaded.
class ByHand {
 public:
  explicit ByHand(int a = 0, double b = 0) : a_(a), b_(torch::full({2}, b)) {}

  [[nodiscard]] ts::StateDict state_dict() const { return {{"a", a_}, {"b", b_}}; }

  void load_state_dict(const ts::StateDict& d) {
    a_ = static_cast<int>(d.at("a").as<std::int64_t>());
    if (a_ == 13) throw std::invalid_argument("thirteen");
    b_ = d.at("b").as<at::Tensor>();
    ++loads;
  }

  [[nodiscard]] int a() const { return a_; }
  [[nodiscard]] const at::Tensor& b() const { return b_; }
  int loads = 0;

 private:
  int a_;
  at::Tensor b_;
};

}  // namespace

TEST_CASE("a type with state_dict() and load_state_dict() of its own obeys the laws") {
  laws::hold([] { return ByHand(1, 2); }, [] { return ByHand(); });
  laws::hold([] { return std::vector<ByHand>{ByHand(1, 2), ByHand(3, 4)}; }, [] { return std::vector<ByHand>(); });
  laws::hold([] { return std::make_unique<ByHand>(1, 2); }, [] { return std::unique_ptr<ByHand>(); });
}

TEST_CASE("what it is given is its own: neither the caller's tree nor the file") {
  const ts::StateDict tree{{"a", 1}, {"b", torch::ones({2})}};
  ByHand live;
  ts::load_state_dict(live, tree);
  CHECK(live.loads == 1);
  live.b().fill_(5);
  CHECK(tree.at("b").as<at::Tensor>().sum().item<double>() == 2);
}

TEST_CASE("it is not asked to load when anything else does not fit") {
  ByHand live;
  int bad = 1;
  auto checkpoint = ts::checkpoint("by_hand"_key = live, "bad"_key = bad);
  const ts::StateDict tree{{"by_hand", ts::state_dict(ByHand(1, 2))}, {"bad", "x"}};
  CHECK_THROWS_AS(ts::load_state_dict(checkpoint, tree), ts::MismatchError);
  CHECK(live.loads == 0);
}

TEST_CASE("when it throws, whatever it throws, all is as before and the error names it") {
  ByHand first, second(4, 4);
  int number = 1;
  at::Tensor tensor = torch::zeros({1});
  auto checkpoint =
      ts::checkpoint("number"_key = number, "first"_key = first, "tensor"_key = tensor, "second"_key = second);
  const auto before = laws::image_of(checkpoint);
  ts::StateDict tree{{"number", 2},
                     {"first", ts::state_dict(ByHand(1, 1))},
                     {"tensor", torch::ones({1})},
                     {"second", ts::state_dict(ByHand(13, 1))}};
  CHECK_THROWS_WITH_AS(ts::load_state_dict(checkpoint, tree), doctest::Contains("second: "), ts::Error);
  CHECK_THROWS_WITH_AS(ts::load_state_dict(checkpoint, tree), doctest::Contains("thirteen"), ts::Error);
  CHECK(laws::image_of(checkpoint) == before);
  tree.set("second", ts::StateDict{{"a", 1}});
  CHECK_THROWS_AS(ts::load_state_dict(checkpoint, tree), ts::Error);
  CHECK(laws::image_of(checkpoint) == before);
  tree.set("second", 5);
  CHECK_THROWS_AS(ts::load_state_dict(checkpoint, tree), ts::MismatchError);
  CHECK(laws::image_of(checkpoint) == before);
}

TEST_CASE("check does not call it") {
  ByHand live;
  const auto bytes = ts::to_bytes(ByHand(1, 2));
  const auto image = laws::image_of(live);
  CHECK(laws::is_clean(ts::load_state_dict(live, ts::state_dict(live))));
  CHECK(live.loads == 1);
  CHECK(laws::image_of(live) == image);
}
