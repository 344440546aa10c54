#include "trainstate/schedulers.hpp"

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numbers>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/torch_doctest.hpp"
#include "torch/training.hpp"

namespace ts = trainstate;
namespace optim = torch::optim;
using namespace ts::literals;
using training::refused;
using training::restore;
using training::store;
using training::Stored;

static_assert(ts::Component<ts::StepLR> && ts::Component<ts::OneCycleLR> && ts::Component<ts::ReduceLROnPlateau> &&
              ts::Component<ts::SequentialLR> && ts::Component<ts::ChainedScheduler>);

namespace {

using Rates = std::vector<double>;

/// Two groups with rates 0.1 and 0.025.
template <class O = optim::SGD, class Options = optim::SGDOptions>
std::unique_ptr<O> make(const Options& defaults = optim::SGDOptions(0.1).momentum(0.9)) {
  std::vector<optim::OptimizerParamGroup> groups;
  for (const double lr : {0.1, 0.025}) {
    auto options = std::make_unique<Options>(defaults);
    options->lr(lr);
    groups.emplace_back(std::vector<torch::Tensor>{torch::zeros({1}, torch::requires_grad())}, std::move(options));
  }
  return std::make_unique<O>(std::move(groups), defaults);
}

Rates rates(const optim::Optimizer& optimizer) {
  Rates all;
  for (const auto& group : optimizer.param_groups()) all.push_back(group.options().get_lr());
  return all;
}

Rates momenta(const optim::Optimizer& optimizer) {
  Rates all;
  for (const auto& group : optimizer.param_groups()) {
    all.push_back(static_cast<const optim::SGDOptions&>(group.options()).momentum());
  }
  return all;
}

template <class T>
void advance(T& scheduler, int steps) {
  for (int i = 0; i < steps; ++i) {
    if constexpr (std::is_same_v<T, ts::ReduceLROnPlateau>) {
      scheduler.step(1.0 + i % 4);
    } else {
      scheduler.step();
    }
  }
}

/// The rates of the first group at the beginning and after each step.
template <class T>
Rates course(const optim::Optimizer& optimizer, T& scheduler, int steps) {
  Rates all{rates(optimizer)[0]};
  for (int i = 0; i < steps; ++i) {
    advance(scheduler, 1);
    all.push_back(rates(optimizer)[0]);
  }
  return all;
}

/// Compares with a formula that gives the rate at each epoch.
template <class T>
void check_course(const optim::Optimizer& optimizer, T& scheduler, const std::function<double(int)>& rate_at) {
  const Rates found = course(optimizer, scheduler, 12);
  for (int i = 0; i <= 12; ++i) {
    CAPTURE(i);
    CHECK(found[static_cast<std::size_t>(i)] == doctest::Approx(rate_at(i)).epsilon(1e-12));
  }
}

double half_cosine(double part) { return (1 + std::cos(std::numbers::pi * part)) / 2; }

/// Nothing of either may change by a load that is refused.
template <class T>
ts::Report refused_whole(optim::Optimizer& optimizer, T& scheduler, const ts::StateDict& record) {
  const auto both = ts::checkpoint("optimizer"_key = optimizer, "scheduler"_key = scheduler);
  const auto before = ts::state_dict(both).clone();
  ts::Report report;
  try {
    ts::load_state_dict(scheduler, record);
    FAIL("the load was not refused");
  } catch (const ts::MismatchError& e) {
    report = e.report();
  }
  CHECK(ts::state_dict(both) == before);
  return report;
}

ts::StateDict with(const ts::StateDict& record, const char* path, ts::Value value) {
  auto changed = record.clone();
  changed.set(path, std::move(value));
  return changed;
}

/// A scheduler of one's own, in the way that the header recommends.
class InverseSqrt : public ts::LRScheduler {
 public:
  InverseSqrt(optim::Optimizer& optimizer, double scale) : LRScheduler(optimizer, -1), scale_(scale) { initial_step(); }

  static constexpr auto describe() {
    return ts::component<InverseSqrt>("inverse_sqrt", ts::flat, ts::hyper("scale", &InverseSqrt::scale_),
                                      ts::hyper("verbose", &InverseSqrt::verbose_), ts::base<ts::LRScheduler>);
  }

 private:
  Rates get_lr() override {
    return from_base([&](double lr) { return lr * scale_ / std::sqrt(static_cast<double>(last_epoch() + 1)); });
  }
  double scale_;
  bool verbose_ = true;  // a key that PyTorch's own had once
};

}  // namespace

TEST_CASE("each schedule follows its formula") {
  const auto sgd = make();
  const double base = 0.1;
  SUBCASE("StepLR") {
    ts::StepLR scheduler(*sgd, 5, 0.5);
    check_course(*sgd, scheduler, [&](int e) { return base * std::pow(0.5, e / 5); });
  }
  SUBCASE("MultiStepLR, with a milestone that counts twice") {
    ts::MultiStepLR scheduler(*sgd, {9, 2, 9}, 0.5);
    check_course(*sgd, scheduler, [&](int e) { return base * (e < 2 ? 1 : e < 9 ? 0.5 : 0.125); });
  }
  SUBCASE("ConstantLR") {
    ts::ConstantLR scheduler(*sgd, 0.25, 4);
    check_course(*sgd, scheduler, [&](int e) { return base * (e < 4 ? 0.25 : 1); });
  }
  SUBCASE("LinearLR") {
    ts::LinearLR scheduler(*sgd, 0.2, 0.8, 6);
    check_course(*sgd, scheduler, [&](int e) { return base * (0.2 + 0.6 * std::min(e, 6) / 6.0); });
  }
  SUBCASE("ExponentialLR") {
    ts::ExponentialLR scheduler(*sgd, 0.9);
    check_course(*sgd, scheduler, [&](int e) { return base * std::pow(0.9, e); });
  }
  SUBCASE("PolynomialLR") {
    ts::PolynomialLR scheduler(*sgd, 8, 2);
    check_course(*sgd, scheduler, [&](int e) { return base * std::pow(1 - std::min(e, 8) / 8.0, 2); });
  }
  SUBCASE("CosineAnnealingLR, down and up again") {
    ts::CosineAnnealingLR scheduler(*sgd, 5, 0.01);
    check_course(*sgd, scheduler, [&](int e) { return 0.01 + (base - 0.01) * half_cosine(e / 5.0); });
  }
  SUBCASE("CosineAnnealingWarmRestarts, in rounds of 3 and 6") {
    ts::CosineAnnealingWarmRestarts scheduler(*sgd, 3, 2);
    check_course(*sgd, scheduler, [&](int e) {
      return base * (e < 3 ? half_cosine(e / 3.0) : e < 9 ? half_cosine((e - 3) / 6.0) : half_cosine((e - 9) / 12.0));
    });
  }
  SUBCASE("OneCycleLR") {
    ts::OneCycleLR scheduler(*sgd, 0.5, {.total_steps = 13, .pct_start = 5.0 / 13, .div_factor = 10});
    check_course(*sgd, scheduler, [&](int e) {
      if (e <= 4) return 0.5 + (0.05 - 0.5) * half_cosine(e / 4.0);
      return 5e-6 + (0.5 - 5e-6) * half_cosine((e - 4) / 8.0);
    });
  }
  SUBCASE("LambdaLR") {
    ts::LambdaLR scheduler(*sgd, [](std::int64_t e) { return 1.0 / static_cast<double>(1 + e); });
    check_course(*sgd, scheduler, [&](int e) { return base / (1 + e); });
  }
  SUBCASE("SequentialLR") {
    ts::SequentialLR scheduler(*sgd, {ts::LinearLR(*sgd, 0.2, 1, 4), ts::ExponentialLR(*sgd, 0.5)}, {4});
    check_course(*sgd, scheduler, [&](int e) { return base * (e < 4 ? 0.2 + 0.8 * e / 4 : std::pow(0.5, e - 4)); });
  }
  SUBCASE("ChainedScheduler") {
    ts::ChainedScheduler scheduler({ts::ConstantLR(*sgd, 0.25, 4), ts::ExponentialLR(*sgd, 0.9)});
    check_course(*sgd, scheduler, [&](int e) { return base * (e < 4 ? 0.25 : 1) * std::pow(0.9, e); });
  }
  SUBCASE("one of one's own") {
    InverseSqrt scheduler(*sgd, 2);
    check_course(*sgd, scheduler, [&](int e) { return 2 * base / std::sqrt(e + 1); });
  }
}

TEST_CASE("ReduceLROnPlateau lowers the rates when the metric stays") {
  const auto sgd = make();
  ts::ReduceLROnPlateau scheduler(*sgd, {.factor = 0.5, .patience = 1, .cooldown = 1, .min_lr = {0.03, 0.0}});
  Rates seen;
  for (const double metric : {2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5}) {
    scheduler.step(metric);
    seen.push_back(rates(*sgd)[0]);
  }
  CHECK(seen == Rates{0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.03, 0.03, 0.03});
  CHECK(scheduler.best() == 0.5);
  CHECK(rates(*sgd)[1] == 0.025 / 4);
  CHECK(scheduler.get_last_lr() == rates(*sgd));
}

TEST_CASE("each scheduler goes on where it was, also in one with other hyperparameters") {
  const auto check = [](auto make_one, auto make_other) {
    const auto sgd = make(), resumed = make();
    auto scheduler = make_one(*sgd);
    advance(scheduler, 7);
    const auto bytes = ts::to_bytes(ts::checkpoint("optimizer"_key = *sgd, "scheduler"_key = scheduler));
    auto other = make_other(*resumed);
    advance(other, 2);
    ts::from_bytes(ts::checkpoint("optimizer"_key = *resumed, "scheduler"_key = other), bytes);
    CHECK(ts::state_dict(other) == ts::state_dict(scheduler));
    for (int i = 0; i < 20; ++i) {
      CAPTURE(i);
      CHECK(rates(*resumed) == rates(*sgd));
      CHECK(momenta(*resumed) == momenta(*sgd));
      advance(scheduler, 1);
      advance(other, 1);
    }
    CHECK(ts::state_dict(other) == ts::state_dict(scheduler));
    CHECK(other.get_last_lr() == rates(*resumed));
  };
  using O = optim::Optimizer;
  SUBCASE("StepLR") {
    check([](O& o) { return ts::StepLR(o, 3); }, [](O& o) { return ts::StepLR(o, 2, 0.7); });
  }
  SUBCASE("MultiStepLR") {
    check([](O& o) { return ts::MultiStepLR(o, {3, 9, 12, 12}); }, [](O& o) { return ts::MultiStepLR(o, {1}, 0.7); });
  }
  SUBCASE("CosineAnnealingLR") {
    check([](O& o) { return ts::CosineAnnealingLR(o, 9, 0.01); }, [](O& o) { return ts::CosineAnnealingLR(o, 50); });
  }
  SUBCASE("CosineAnnealingWarmRestarts") {
    using T = ts::CosineAnnealingWarmRestarts;
    check([](O& o) { return T(o, 3, 2, 0.01); }, [](O& o) { return T(o, 50); });
  }
  SUBCASE("OneCycleLR, whose bounds the optimizer brings along") {
    check(
        [](O& o) {
          return ts::OneCycleLR(o, {0.5, 0.2}, {.total_steps = 40});
        },
        [](O& o) { return ts::OneCycleLR(o, 0.3, {.total_steps = 30, .cycle_momentum = false}); });
  }
  SUBCASE("ReduceLROnPlateau") {
    using T = ts::ReduceLROnPlateau;
    check([](O& o) { return T(o, {.patience = 2, .cooldown = 1}); },
          [](O& o) {
            return T(o, {.mode = "max", .min_lr = {0.2, 0.1}});
          });
  }
  SUBCASE("SequentialLR") {
    check(
        [](O& o) {
          return ts::SequentialLR(o, {ts::ConstantLR(o, 0.1, 4), ts::CosineAnnealingLR(o, 9)}, {4});
        },
        [](O& o) {
          return ts::SequentialLR(o, {ts::ConstantLR(o, 0.5, 2), ts::CosineAnnealingLR(o, 30)}, {1});
        });
  }
  SUBCASE("ChainedScheduler") {
    check(
        [](O& o) {
          return ts::ChainedScheduler({ts::ConstantLR(o, 0.1, 10), ts::ExponentialLR(o, 0.9)});
        },
        [](O& o) {
          return ts::ChainedScheduler({ts::ConstantLR(o, 0.5, 3), ts::ExponentialLR(o, 0.5)});
        });
  }
  SUBCASE("one of one's own") {
    check([](O& o) { return InverseSqrt(o, 1); }, [](O& o) { return InverseSqrt(o, 3); });
  }
}

TEST_CASE("LambdaLR goes on with the functions that it has") {
  const auto sgd = make(), resumed = make();
  const auto halves = [](std::int64_t e) { return std::pow(0.5, e); };
  ts::LambdaLR scheduler(*sgd, halves), other(*resumed, {halves, [](std::int64_t) { return 3.0; }});
  advance(scheduler, 3);
  const auto record = ts::state_dict(scheduler);
  CHECK(record.at("lr_lambdas") == ts::Value(ts::List{ts::None(), ts::None()}));
  ts::load_state_dict(other, record);
  other.step();
  CHECK(rates(*resumed) == Rates{0.1 * std::pow(0.5, 4), 0.025 * 3.0});

  const auto callable = with(record, "lr_lambdas", ts::List{ts::None(), ts::StateDict{{"warmup", 5}}});
  const auto report = refused_whole(*resumed, other, callable);
  CHECK(report.mismatched.at(0).path == "lr_lambdas/1");
  CHECK(refused_whole(*resumed, other, with(record, "lr_lambdas", ts::List{ts::None()})).mismatched.size() == 1);
}

TEST_CASE("restoring a scheduler never changes the optimizer's rates") {
  const auto sgd = make();
  ts::OneCycleLR scheduler(*sgd, 0.5, {.total_steps = 40});
  advance(scheduler, 9);
  const auto record = ts::state_dict(scheduler).clone();
  advance(scheduler, 9);
  const auto before = ts::state_dict(*sgd).clone();
  ts::load_state_dict(scheduler, record);
  CHECK(scheduler.last_epoch() == 9);
  CHECK(ts::state_dict(*sgd) == before);
}

TEST_CASE("an optimizer with a scheduler has in its groups what Python's has") {
  const auto sgd = make();
  const auto alone = ts::state_dict(*sgd).clone();
  {
    ts::StepLR first(*sgd, 1, 0.5);
    first.step();
    auto dict = ts::state_dict(*sgd).clone();
    CHECK(dict.at("param_groups/1/initial_lr") == ts::Value(0.025));
    ts::ExponentialLR second(*sgd, 0.5);  // the initial rates stay those of the first
    CHECK(second.base_lrs() == Rates{0.1, 0.025});
    CHECK(ts::ExponentialLR(*sgd, 0.5, 3).last_epoch() == 4);
    second.step();
    CHECK(ts::state_dict(*sgd).at("param_groups/0/initial_lr") == ts::Value(0.1));

    ts::OneCycleLR cycle(*sgd, {0.5, 0.2}, {.total_steps = 10});
    const auto found = ts::state_dict(*sgd);
    const auto& group = found.at("param_groups/1").as<ts::StateDict>();
    CHECK(group.at("initial_lr") == ts::Value(0.2 / 25));
    CHECK(group.at("max_lr") == ts::Value(0.2));
    CHECK(group.at("min_lr") == ts::Value(0.2 / 25 / 1e4));
    CHECK(group.at("max_momentum") == ts::Value(0.95));
    CHECK(group.at("base_momentum") == ts::Value(0.85));
  }
  for (const char* key : {"initial_lr", "max_lr"}) {
    CHECK(!ts::state_dict(*sgd).contains(std::string("param_groups/0/") + key));
  }
  CHECK_THROWS_WITH_AS((ts::StepLR(*sgd, 1, 0.5, 3)), doctest::Contains("initial_lr"), ts::Error);
}

TEST_CASE("what the groups keep for schedulers is loaded by the policy, or stays") {
  const auto saved = make(), live = make();
  const ts::OneCycleLR theirs(*saved, 0.5, {.total_steps = 10});
  ts::OneCycleLR ours(*live, 0.25, {.total_steps = 10});
  const auto stored = store(*saved);
  const auto max_lr = [&] { return ts::state_dict(*live).at("param_groups/0/max_lr"); };
  SUBCASE("file") {
    const auto report = restore(*live, stored);
    CHECK(max_lr() == ts::Value(0.5));
    CHECK(std::count_if(report.hyper_changes.begin(), report.hyper_changes.end(),
                        [](const auto& change) { return change.path == "param_groups/1/max_lr"; }) == 1);
  }
  SUBCASE("code") {
    restore(*live, stored, {.hyper = ts::HyperPolicy::code});
    CHECK(max_lr() == ts::Value(0.25));
  }
  SUBCASE("match") {
    CHECK(!refused(*live, stored, {.hyper = ts::HyperPolicy::match}).mismatched.empty());
    CHECK(max_lr() == ts::Value(0.25));
  }
  SUBCASE("a file of an optimizer without a scheduler") {
    const auto report = restore(*live, store(*make()));
    CHECK(report.warnings.size() == 10);
    CHECK(max_lr() == ts::Value(0.25));
  }
  SUBCASE("no number") {
    auto bad = stored;
    bad.tree.set("param_groups/1/min_lr", "small");
    CHECK(refused(*live, bad).mismatched.at(0).path == "param_groups/1/min_lr");
    CHECK(max_lr() == ts::Value(0.25));
  }
  SUBCASE("an optimizer without a scheduler") {
    const auto lone = make();
    restore(*lone, stored);
    CHECK(!ts::state_dict(*lone).contains("param_groups/0/max_lr"));
  }
}

TEST_CASE("records of other releases of PyTorch are taken") {
  const auto sgd = make();
  ts::StepLR scheduler(*sgd, 3), other(*sgd, 4);
  advance(scheduler, 4);
  const auto record = ts::state_dict(scheduler);
  auto old = record.clone();
  old["verbose"] = false;
  old.erase("_is_initial");
  SUBCASE("in memory") { ts::load_state_dict(other, old); }
  SUBCASE("in a file without a manifest") { restore(other, Stored{old, {}}); }
  SUBCASE("within another one") {
    ts::ChainedScheduler one({ts::StepLR(*sgd, 5)});
    auto chained = ts::state_dict(one).clone();
    chained.set("_schedulers", ts::List{old});
    ts::load_state_dict(one, chained);
    CHECK(ts::state_dict(one).at("_schedulers/0") == ts::Value(record));
    ts::load_state_dict(other, old);
  }
  CHECK(ts::state_dict(other) == record);

  ts::ReduceLROnPlateau plateau(*sgd), fresh(*sgd, {.patience = 4});
  auto record_of_1_13 = ts::state_dict(plateau).clone();
  record_of_1_13["verbose"] = true;
  record_of_1_13.erase("default_min_lr");
  record_of_1_13.erase("_last_lr");
  ts::load_state_dict(fresh, record_of_1_13);
  CHECK(fresh.get_last_lr() == rates(*sgd));
  CHECK(ts::state_dict(fresh).at("patience") == ts::Value(10));

  ts::OneCycleLR cycle(*sgd, 0.5, {.total_steps = 10, .cycle_momentum = false});
  CHECK(!ts::state_dict(cycle).contains("use_beta1"));
  ts::load_state_dict(cycle, ts::state_dict(cycle));
  restore(cycle, store(cycle));
}

TEST_CASE("a record that no step could go on with is refused, and nothing changes") {
  const auto sgd = make();
  const auto path = [&](auto& scheduler, const char* key, ts::Value value) {
    const auto report = refused_whole(*sgd, scheduler, with(ts::state_dict(scheduler), key, std::move(value)));
    return report.mismatched.empty() ? report.unexpected_keys.at(0) : report.mismatched.at(0).path;
  };
  ts::StepLR step(*sgd, 3);
  CHECK(path(step, "step_size", 0) == "step_size");
  CHECK(path(step, "step_size", "three") == "step_size");
  CHECK(path(step, "gamma", ts::StateDict()) == "gamma");
  CHECK(path(step, "base_lrs", ts::List{0.1}) == "base_lrs");
  CHECK(path(step, "_last_lr", ts::List{0.1, "fast"}) == "_last_lr/1");
  CHECK(path(step, "last_epoch", std::numeric_limits<std::int64_t>::max()) == "last_epoch");
  CHECK(path(step, "callback", ts::None()) == "callback");
  auto incomplete = ts::state_dict(step).clone();
  incomplete.erase("gamma");
  CHECK(refused_whole(*sgd, step, incomplete).missing_keys == std::vector<std::string>{"gamma"});

  ts::CosineAnnealingLR cosine(*sgd, 3);
  CHECK(path(cosine, "T_max", 0) == "T_max");
  ts::CosineAnnealingWarmRestarts restarts(*sgd, 3);
  CHECK(path(restarts, "T_i", 0) == "T_i");
  CHECK(path(restarts, "T_mult", -1) == "T_mult");
  ts::MultiStepLR multi(*sgd, {3});
  CHECK(path(multi, "milestones", ts::List{3}) == "milestones");
  CHECK(path(multi, "milestones", ts::StateDict{{"three", 1}}) == "milestones/three");

  ts::OneCycleLR cycle(*sgd, 0.5, {.total_steps = 10});
  CHECK(path(cycle, "_anneal_func_type", "exp") == "_anneal_func_type");
  CHECK(path(cycle, "_schedule_phases", ts::List()) == "_schedule_phases");
  CHECK(path(cycle, "_schedule_phases/0/start_lr", "secret") == "_schedule_phases/0");
  CHECK(path(cycle, "_schedule_phases/1/end_step", "last") == "_schedule_phases/1");
  CHECK(path(cycle, "use_beta1", true) == "use_beta1");
  CHECK(path(cycle, "total_steps", 0) == "total_steps");
  CHECK(path(cycle, "anneal_func", "a function") == "anneal_func");

  ts::ReduceLROnPlateau plateau(*sgd);
  CHECK(path(plateau, "mode", "best") == "mode");
  CHECK(path(plateau, "threshold_mode", "far") == "threshold_mode");
  CHECK(path(plateau, "min_lrs", ts::List{0.1}) == "min_lrs");

  ts::SequentialLR sequential(*sgd, {ts::ConstantLR(*sgd), ts::StepLR(*sgd, 3)}, {2});
  CHECK(path(sequential, "_milestones", ts::List{1, 2}) == "_milestones");
  CHECK(path(sequential, "_last_lr", ts::List{1.0}) == "_last_lr");
  CHECK(path(sequential, "last_epoch", -2) == "last_epoch");
  CHECK(path(sequential, "_schedulers/1/step_size", 0) == "_schedulers/1/step_size");
  CHECK(path(sequential, "_schedulers", ts::List{ts::StateDict()}) == "_schedulers");
}

TEST_CASE("a step that the schedule does not have throws, and nothing changes") {
  const auto sgd = make();
  const auto check = [&](auto& scheduler) {
    const auto both = ts::checkpoint("optimizer"_key = *sgd, "scheduler"_key = scheduler);
    const auto before = ts::state_dict(both).clone();
    CHECK_THROWS_AS(scheduler.step(), ts::Error);
    CHECK(ts::state_dict(both) == before);
  };
  SUBCASE("the cycle has ended") {
    ts::OneCycleLR cycle(*sgd, 0.5, {.total_steps = 10});
    advance(cycle, 10);
    check(cycle);
  }
  SUBCASE("a factor of zero has no inverse") {
    ts::ConstantLR constant(*sgd, 0, 1);
    check(constant);
  }
  SUBCASE("a group was added, of which the scheduler knows nothing") {
    ts::CosineAnnealingWarmRestarts restarts(*sgd, 5);
    sgd->add_param_group(optim::OptimizerParamGroup({torch::zeros({1}, torch::requires_grad())},
                                                    std::make_unique<optim::SGDOptions>(0.5)));
    check(restarts);
  }
}

TEST_CASE("arguments that Python refuses are refused") {
  const auto sgd = make(), other = make();
  CHECK_THROWS_AS(ts::StepLR(*sgd, 0), ts::Error);
  CHECK_THROWS_AS(ts::ConstantLR(*sgd, 1.5), ts::Error);
  CHECK_THROWS_AS(ts::LinearLR(*sgd, 0.0), ts::Error);
  CHECK_THROWS_AS(ts::LinearLR(*sgd, 0.5, 1.5), ts::Error);
  CHECK_THROWS_AS(ts::CosineAnnealingLR(*sgd, 0), ts::Error);
  CHECK_THROWS_AS(ts::CosineAnnealingWarmRestarts(*sgd, 0), ts::Error);
  CHECK_THROWS_AS(ts::CosineAnnealingWarmRestarts(*sgd, 1, 0), ts::Error);
  CHECK_THROWS_AS(ts::ReduceLROnPlateau(*sgd, {.factor = 1.0}), ts::Error);
  CHECK_THROWS_AS(ts::ReduceLROnPlateau(*sgd, {.mode = "best"}), ts::Error);
  CHECK_THROWS_AS(ts::ReduceLROnPlateau(*sgd, {.min_lr = {0.1, 0.2, 0.3}}), ts::Error);
  CHECK_THROWS_AS(ts::LambdaLR(*sgd, std::vector<ts::LambdaLR::Function>(3, [](auto) { return 1.0; })), ts::Error);
  CHECK_THROWS_AS(ts::OneCycleLR(*sgd, 0.1, {}), ts::Error);
  CHECK_THROWS_AS(ts::OneCycleLR(*sgd, 0.1, {.epochs = 3}), ts::Error);
  CHECK_THROWS_AS(ts::OneCycleLR(*sgd, 0.1, {.total_steps = 9, .pct_start = 1.5}), ts::Error);
  CHECK_THROWS_AS(ts::OneCycleLR(*sgd, 0.1, {.total_steps = 9, .anneal_strategy = "exp"}), ts::Error);
  CHECK_THROWS_AS(ts::SequentialLR(*sgd, {ts::StepLR(*sgd, 3)}, {2}), ts::Error);
  CHECK_THROWS_AS(ts::SequentialLR(*sgd, {ts::StepLR(*other, 3)}, {}), ts::Error);
  CHECK_THROWS_AS(ts::ChainedScheduler({}), ts::Error);
  CHECK_THROWS_AS(ts::ChainedScheduler({ts::StepLR(*sgd, 3), ts::StepLR(*other, 3)}), ts::Error);
  CHECK_THROWS_AS(ts::ChainedScheduler({ts::StepLR(*sgd, 3)}, *other), ts::Error);

  const auto adagrad = make<optim::Adagrad>(optim::AdagradOptions(0.1));
  CHECK_THROWS_WITH_AS(ts::OneCycleLR(*adagrad, 0.1, {.total_steps = 9}), doctest::Contains("momentum"), ts::Error);
  CHECK_NOTHROW(ts::OneCycleLR(*adagrad, 0.1, {.total_steps = 9, .cycle_momentum = false}));
}

TEST_CASE("a scheduler within another one may be shared") {
  const auto sgd = make();
  const auto constant = std::make_shared<ts::ConstantLR>(*sgd, 0.5, 3);
  ts::SequentialLR scheduler(*sgd, {constant, ts::StepLR(*sgd, 3)}, {2});
  scheduler.step();
  CHECK(constant->last_epoch() == 1);
  CHECK(&scheduler.optimizer() == sgd.get());
  CHECK_THROWS_AS(ts::ChainedScheduler({std::shared_ptr<ts::StepLR>()}), ts::Error);
}

TEST_CASE("versions of schedulers within another one stand in the manifest") {
  const auto sgd = make();
  ts::SequentialLR scheduler(*sgd, {ts::ConstantLR(*sgd), ts::StepLR(*sgd, 3)}, {2});
  auto stored = store(scheduler);
  auto& record = stored.components["_schedulers/1"].as<ts::StateDict>();
  CHECK(record.at("name") == ts::Value("torch.optim.lr_scheduler.StepLR"));
  record["version"] = 7;
  CHECK_THROWS_WITH_AS(restore(scheduler, stored), doctest::Contains("_schedulers/1"), ts::VersionError);
}
