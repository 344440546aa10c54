// Names of parts: any but the empty one will do.
#include "support/torch_doctest.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "laws/subject.hpp"
#include "trainstate/checkpoint.hpp"
#include "trainstate/checkpoint_parts.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;
using torch::Tensor;

struct Counter {
  std::int64_t count = 0;
  double rate = 0;
  static constexpr auto describe() {
    return ts::component<Counter>("counter", ts::hyper("rate", &Counter::rate), ts::state("count", &Counter::count));
  }
};

/// Parts with names that mean something in paths, in tensor names or in Python.
struct Odd {
  torch::nn::Linear slash{2, 2}, dot{2, 2}, tilde{2, 2}, digits{2, 2}, model{2, 2}, ema{2, 2};
  torch::optim::SGD optimizer{slash->parameters(), torch::optim::SGDOptions(0.1).momentum(0.9)};
  Counter counter;
  Tensor tensor = torch::zeros({2});

  explicit Odd(double value) {
    const torch::NoGradGuard no_grad;
    for (auto* linear : {&slash, &dot, &tilde, &digits, &model, &ema}) {
      for (auto& p : (*linear)->parameters()) p.fill_(value += 1);
    }
    for (auto& p : slash->parameters()) p.mutable_grad() = torch::full_like(p, value);
    optimizer.step();
    counter = {static_cast<std::int64_t>(value), value};
    tensor.fill_(value);
  }
  auto parts() {
    return ts::checkpoint("a/b"_key = slash, "a.b"_key = dot, "~1"_key = tilde, "0"_key = digits, "model"_key = model,
                          "model.ema"_key = ema, "a/b/opt"_key = optimizer, "ü \"\\"_key = counter, "."_key = tensor);
  }
};

TEST_CASE("names with slashes, dots, tildes and digits come back, from a file and from a tree") {
  Odd saved(1);
  const auto image = laws::image_of(saved.parts());
  {
    Odd live(100);
    const auto report = ts::from_bytes(live.parts(), image.bytes);
    CHECK(report.warnings.empty());
    CHECK(laws::image_of(live.parts()) == image);
  }
  {
    Odd live(100);
    const auto tree = ts::state_dict(saved.parts());
    CHECK(tree.contains("a~1b/weight"));
    CHECK(tree.contains("~01/weight"));
    ts::load_state_dict(live.parts(), tree);
    CHECK(ts::state_dict(live.parts()) == tree);
  }
}

TEST_CASE("differences in such parts are named by the path that leads there") {
  Odd saved(1), live(100);
  auto tree = ts::state_dict(saved.parts());
  tree.set("a~1b/weight", torch::zeros({3}));
  tree.erase("a.b/bias");
  tree.set("model.ema/more", 1);
  const auto image = laws::image_of(live.parts());
  try {
    ts::load_state_dict(live.parts(), tree);
    FAIL_CHECK("should have thrown");
  } catch (const ts::MismatchError& e) {
    REQUIRE(e.report().mismatched.size() == 1);
    CHECK(e.report().mismatched[0].path == "a~1b/weight");
    CHECK(e.report().missing_keys == std::vector<std::string>{"a.b/bias"});
    CHECK(e.report().unexpected_keys == std::vector<std::string>{"model.ema/more"});
  }
  CHECK(laws::image_of(live.parts()) == image);
}

TEST_CASE("keys with dots are put together to parts only where the part does not stand there itself") {
  std::int64_t ema = 0;
  ts::StateDict model, other;
  const auto parts = ts::checkpoint("model"_key = model, "model.ema"_key = other);
  ts::load_state_dict(parts, ts::StateDict{{"model.weight", 1}, {"model.ema.weight", 2}});
  CHECK(model == ts::StateDict{{"weight", 1}});
  CHECK(other == ts::StateDict{{"weight", 2}});
  ts::load_state_dict(parts, ts::StateDict{{"model.ema", ts::StateDict{{"x", 3}}}, {"model.weight", 4}});
  CHECK(model == ts::StateDict{{"weight", 4}});
  CHECK(other == ts::StateDict{{"x", 3}});

  try {
    ts::load_state_dict(ts::checkpoint("model"_key = ema), ts::StateDict{{"model.more", 1}, {"model", 2}});
    FAIL_CHECK("should have thrown");
  } catch (const ts::MismatchError& e) {
    CHECK(e.report().unexpected_keys == std::vector<std::string>{"model.more"});
  }
  CHECK(ema == 0);
}

TEST_CASE("only and except take names, not paths") {
  Odd saved(1), live(100);
  const auto tree = ts::state_dict(saved.parts());
  ts::load_state_dict(live.parts(), tree, {.only = {"a/b", "0"}});
  CHECK(live.slash->bias.equal(saved.slash->bias));
  CHECK(live.digits->bias.equal(saved.digits->bias));
  CHECK_FALSE(live.dot->bias.equal(saved.dot->bias));
  for (const char* path : {"model/weight", "a~1b", ""}) {
    CHECK_THROWS_WITH_AS(ts::load_state_dict(live.parts(), tree, {.only = {path}}),
                         doctest::Contains(("'" + std::string(path) + "'").c_str()), ts::Error);
  }
}

}  // namespace
