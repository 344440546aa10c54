#include "trainstate/torch/scheduler.hpp"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "torch/training.hpp"

namespace ts = trainstate;
namespace optim = torch::optim;
using namespace ts::literals;
using training::Net;
using training::refused;
using training::restore;
using training::store;

static_assert(ts::Component<optim::StepLR>);

namespace {

std::vector<double> rates(const optim::Optimizer& optimizer) {
  std::vector<double> lrs;
  for (const auto& group : optimizer.param_groups()) lrs.push_back(group.options().get_lr());
  return lrs;
}

/// A scheduler as a user writes one.
class Linear : public optim::LRScheduler {
 public:
  Linear(optim::Optimizer& optimizer, double slope) : LRScheduler(optimizer), slope_(slope) {}

  static constexpr auto describe() {
    return ts::component<Linear>("linear", ts::hyper("slope", &Linear::slope_),
                                 ts::state("step_count", &Linear::step_count_));
  }
  unsigned count() const { return step_count_; }

 private:
  std::vector<double> get_lrs() override {
    auto lrs = get_current_lrs();
    for (double& lr : lrs) lr += slope_ * step_count_;
    return lrs;
  }
  double slope_;
};

}  // namespace

TEST_CASE("StepLR goes on where it was") {
  Net net, again(2);
  auto sgd = training::make<optim::SGD>(net, true), resumed = training::make<optim::SGD>(again, false);
  optim::StepLR steps(*sgd, 3, 0.5), other(*resumed, 3, 0.5);
  const auto turn = [](optim::StepLR& scheduler, int n) {
    for (int i = 0; i < n; ++i) scheduler.step();
  };
  turn(steps, 5);
  const auto bytes = ts::to_bytes(ts::checkpoint("optimizer"_key = *sgd, "scheduler"_key = steps));
  turn(steps, 4);
  ts::from_bytes(ts::checkpoint("optimizer"_key = *resumed, "scheduler"_key = other), bytes);
  turn(other, 4);
  CHECK(rates(*resumed) == rates(*sgd));
  CHECK(ts::state_dict(other) == ts::state_dict(steps));
  CHECK(ts::state_dict(steps) == ts::StateDict{{"version", 1},
                                               {"params", ts::StateDict{{"step_size", 3}, {"gamma", 0.5}}},
                                               {"state", ts::StateDict{{"step_count", 9}}}});
}

TEST_CASE("restoring a scheduler leaves the optimizer alone, in either order") {
  Net net;
  auto sgd = training::make<optim::SGD>(net, true), live = training::make<optim::SGD>(net, true);
  optim::StepLR steps(*sgd, 1, 0.5), other(*live, 1, 0.5);
  for (int i = 0; i < 3; ++i) steps.step();
  const auto scheduler_only = store(ts::checkpoint("scheduler"_key = steps));
  auto into = ts::checkpoint("scheduler"_key = other);
  const auto before = rates(*live);
  restore(into, scheduler_only);
  CHECK(rates(*live) == before);

  const auto both = store(ts::checkpoint("scheduler"_key = steps, "optimizer"_key = *sgd));
  SUBCASE("scheduler first") {
    auto ckpt = ts::checkpoint("scheduler"_key = other, "optimizer"_key = *live);
    restore(ckpt, both);
  }
  SUBCASE("optimizer first") {
    auto ckpt = ts::checkpoint("optimizer"_key = *live, "scheduler"_key = other);
    restore(ckpt, both);
  }
  CHECK(rates(*live) == rates(*sgd));
}

TEST_CASE("StepLR's const members are compared, never written") {
  Net net;
  auto sgd = training::make<optim::SGD>(net, true);
  optim::StepLR steps(*sgd, 3, 0.5), other(*sgd, 4, 0.25);
  steps.step();
  const auto stored = store(steps);
  const auto report = refused(other, stored);
  REQUIRE(report.mismatched.size() == 2);
  CHECK(report.mismatched[0].path == "params/step_size");
  CHECK(report.mismatched[1].path == "params/gamma");
  CHECK(restore(other, stored, {.hyper = ts::HyperPolicy::code}).hyper_changes.size() == 2);
  CHECK(ts::state_dict(other).at("params/gamma") == ts::Value(0.25));
  CHECK(ts::state_dict(other).at("state/step_count") == ts::Value(1));
}

TEST_CASE("a scheduler of one's own lists the protected count of its base") {
  Net net;
  auto sgd = training::make<optim::SGD>(net, true);
  Linear linear(*sgd, 0.125), other(*sgd, 0.5);
  for (int i = 0; i < 4; ++i) linear.step();
  const auto stored = store(linear);
  const auto before = rates(*sgd);
  const auto report = restore(other, stored);
  CHECK(other.count() == 4);
  CHECK(report.hyper_changes.size() == 1);
  CHECK(rates(*sgd) == before);
  auto bad = stored;
  bad.tree.set("state/step_count", -1);
  CHECK(refused(other, bad).mismatched.size() == 1);
}

#ifdef TRAINSTATE_HAS_REDUCE_ON_PLATEAU

TEST_CASE("ReduceLROnPlateau goes on where it was, with all its private fields") {
  using Plateau = optim::ReduceLROnPlateauScheduler;
  Net net, again(2);
  auto sgd = training::make<optim::SGD>(net, true), resumed = training::make<optim::SGD>(again, false);
  Plateau plateau(*sgd, Plateau::max, 0.5F, 1, 0.01, Plateau::abs, 2, {1e-3F, 2e-3F}, 1e-9);
  Plateau other(*resumed);
  const auto metric = [](int step) { return 1.0F + 0.1F * static_cast<float>(step % 3); };
  for (int i = 0; i < 7; ++i) plateau.step(metric(i));
  const auto bytes = ts::to_bytes(ts::checkpoint("optimizer"_key = *sgd, "scheduler"_key = plateau));
  const auto report = ts::from_bytes(ts::checkpoint("optimizer"_key = *resumed, "scheduler"_key = other), bytes);
  CHECK(report.hyper_changes.size() > 8);
  CHECK(ts::state_dict(other) == ts::state_dict(plateau));
  for (int i = 7; i < 30; ++i) {
    plateau.step(metric(i));
    other.step(metric(i));
    CHECK(rates(*resumed) == rates(*sgd));
  }
  CHECK(ts::state_dict(other) == ts::state_dict(plateau));
}

TEST_CASE("ReduceLROnPlateau has one minimum for each group") {
  Net net;
  auto two_groups = training::make<optim::SGD>(net, true);
  optim::SGD one_group(net->parameters(), 0.1);
  optim::ReduceLROnPlateauScheduler two(*two_groups), one(one_group);
  CHECK(refused(two, store(one)).mismatched.at(0).path == "params/min_lrs");
}

#endif
