#include "trainstate/training/gradient_accumulation.hpp"

#include "torch/training.hpp"

namespace ts = trainstate;
using namespace ts::literals;
using training::refused;
using training::restore;
using training::store;
using training::Stored;

namespace {

struct Run {
  explicit Run(std::uint64_t seed = 1) : net(seed) {}

  /// Batches whose data depend on their number only.
  void train(int from, int to) {
    for (int batch = from; batch < to; ++batch) {
      (training::loss_of(net, 0.1 * batch) / accumulation.steps()).backward();
      if (!accumulation.step()) continue;
      optimizer.step();
      optimizer.zero_grad();
    }
  }
  auto parts() {
    return ts::checkpoint("model"_key = net, "optimizer"_key = optimizer, "accumulation"_key = accumulation);
  }

  training::Net net;
  torch::optim::SGD optimizer{net->parameters(), torch::optim::SGDOptions(0.1).momentum(0.9)};
  ts::GradientAccumulation accumulation{*net, 4};
};

}  // namespace

TEST_CASE("every n-th batch is one for the optimizer") {
  Run run;
  std::vector<bool> steps;
  for (int i = 0; i < 9; ++i) steps.push_back(run.accumulation.step());
  CHECK(steps == std::vector<bool>{false, false, false, true, false, false, false, true, false});
  CHECK(run.accumulation.micro_step() == 1);
  CHECK_THROWS_AS(ts::GradientAccumulation(*run.net, 0), ts::Error);
}

TEST_CASE("a run that is resumed between two steps of the optimizer loses no batch") {
  for (const int stop : {1, 4, 6, 7}) {
    CAPTURE(stop);
    Run whole, first, second(2), third(3);
    whole.train(0, 14);
    first.train(0, stop);
    auto parts = second.parts();
    restore(parts, store(first.parts()));
    CHECK(second.accumulation.micro_step() == stop % 4);
    second.train(stop, stop + 1);
    auto last = third.parts();
    restore(last, store(second.parts()));
    third.train(stop + 1, 14);
    CHECK(ts::state_dict(third.parts()) == ts::state_dict(whole.parts()));
  }
}

TEST_CASE("the gradients stand in the record by the names of their parameters") {
  Run run;
  run.train(0, 2);
  const auto tree = ts::state_dict(run.accumulation);
  CHECK(tree.at("params/steps") == ts::Value(4));
  CHECK(tree.at("state/micro_step") == ts::Value(2));
  CHECK(tree.at<ts::StateDict>("state/grad").size() == 4);
  CHECK(tree.at<torch::Tensor>("state/grad/second.bias").equal(run.net->second->bias.grad()));
}

TEST_CASE("a gradient is loaded in place; one that the file lacks is gone afterwards") {
  Run saved, live(2);
  saved.train(0, 2);
  saved.net->first->bias.mutable_grad().reset();
  live.train(0, 1);
  const void* address = live.net->first->weight.grad().data_ptr();
  restore(live.accumulation, store(saved.accumulation));
  CHECK(live.net->first->weight.grad().data_ptr() == address);
  CHECK(live.net->first->weight.grad().equal(saved.net->first->weight.grad()));
  CHECK_FALSE(live.net->first->bias.grad().defined());
}

TEST_CASE("gradients that do not fit are refused, and nothing has changed") {
  Run saved;
  saved.train(0, 2);
  const auto good = store(saved.accumulation);
  const auto with = [&](const char* name, ts::Value value) {
    Stored bad{good.tree.clone(), good.components};
    bad.tree.at<ts::StateDict>("state/grad")[name] = std::move(value);
    return bad;
  };
  for (const int batches : {0, 1}) {
    CAPTURE(batches);
    Run live(2);
    live.train(0, batches);
    const auto before = ts::state_dict(live.accumulation).clone();
    CHECK(refused(live.accumulation, with("first.bias", torch::zeros({4}))).mismatched.size() == 1);
    CHECK(refused(live.accumulation, with("first.bias", torch::zeros({5}, torch::kDouble))).mismatched.size() == 1);
    CHECK(refused(live.accumulation, with("first.bias", "text")).mismatched.at(0).path == "state/grad/first.bias");
    CHECK(refused(live.accumulation, with("third.bias", torch::zeros({5}))).unexpected_keys.size() == 1);
    Stored none = good;
    none.tree.at<ts::StateDict>("state")["grad"] = 7;
    CHECK(refused(live.accumulation, none).mismatched.size() == 1);
    CHECK(ts::state_dict(live.accumulation) == before);
  }
  Run frozen(2);
  frozen.net->first->bias.set_requires_grad(false);
  CHECK(refused(frozen.accumulation, good).mismatched.at(0).path == "state/grad/first.bias");
}
