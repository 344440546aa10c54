// What annotations declare stands in a file byte for byte as what describe() declares.
// Version 14 does not know C++26.
// clang-format off
#include "support/torch_doctest.hpp"

#include <trainstate/trainstate.hpp>

#include <cstdint>
#include <optional>
#include <vector>

// clang-format off: it does not know the syntax

namespace ts = trainstate;

namespace {

namespace described {

struct Warmup {
  std::int64_t steps = 100;
  static constexpr auto describe() { return ts::component<Warmup>("warmup", ts::hyper("steps", &Warmup::steps)); }
};

class Scheduler : public torch::optim::LRScheduler {
 public:
  explicit Scheduler(torch::optim::Optimizer& optimizer) : LRScheduler(optimizer) {}
  static constexpr auto describe() {
    return ts::component<Scheduler>("scheduler", ts::version<2>,
        ts::hyper("base_lr", &Scheduler::base_lr_),
        ts::state("warmup", &Scheduler::warmup_),
        ts::state("history", &Scheduler::history_),
        ts::state("step_count", &Scheduler::step_count_),
        ts::migrate<1>([](auto& d) { d.rename("params/lr", "params/base_lr"); }));
  }

 private:
  std::vector<double> get_lrs() override { return {base_lr_}; }

  double base_lr_ = 0.5;
  std::optional<Warmup> warmup_{Warmup{}};
  std::vector<torch::Tensor> history_{torch::arange(3)};
};

class NetImpl : public torch::nn::Module {
 public:
  NetImpl() { register_module("layer", layer_); }
  static constexpr auto describe() {
    return ts::component<NetImpl>("net", ts::hyper("width", &NetImpl::width_), ts::state("seen", &NetImpl::seen_));
  }

 private:
  std::int64_t width_ = 3, seen_ = 5;
  torch::nn::Linear layer_{3, 2};
};

}  // namespace described

namespace annotated {

struct [[=ts::component("warmup")]] Warmup {
  [[=ts::hyper]] std::int64_t steps = 100;
};

class [[=ts::component("scheduler", ts::version<2>)]] Scheduler : public torch::optim::LRScheduler {
 public:
  explicit Scheduler(torch::optim::Optimizer& optimizer) : LRScheduler(optimizer) {}

 private:
  std::vector<double> get_lrs() override { return {base_lr_}; }

  [[=ts::hyper]] double base_lr_ = 0.5;
  [[=ts::state]] std::optional<Warmup> warmup_{Warmup{}};
  [[=ts::state]] std::vector<torch::Tensor> history_{torch::arange(3)};
  [[=ts::state]] static constexpr auto step_count = &Scheduler::step_count_;
  [[=ts::migrate<1>]] static constexpr auto from_1 = [](auto& d) { d.rename("params/lr", "params/base_lr"); };
};

class [[=ts::component("net")]] NetImpl : public torch::nn::Module {
 public:
  NetImpl() { register_module("layer", layer_); }

 private:
  [[=ts::hyper]] std::int64_t width_ = 3;
  [[=ts::state]] std::int64_t seen_ = 5;
  torch::nn::Linear layer_{3, 2};
};

}  // namespace annotated

template <class A, class B>
bool same_bytes(const A& a, const B& b) {
  return ts::to_bytes(a) == ts::to_bytes(b);
}

TEST_CASE("annotations and describe() write the same bytes, and read each other's") {
  torch::optim::SGD optimizer({torch::zeros(1)}, torch::optim::SGDOptions(0.1));
  described::Scheduler a(optimizer);
  annotated::Scheduler b(optimizer);
  CHECK(same_bytes(a, b));
  a.step();
  CHECK(!same_bytes(a, b));
  ts::from_bytes(b, ts::to_bytes(a));
  CHECK(same_bytes(a, b));
}

TEST_CASE("so do modules") {
  described::NetImpl a;
  annotated::NetImpl b;
  CHECK(!same_bytes(a, b));  // random weights
  ts::from_bytes(b, ts::to_bytes(a));
  CHECK(same_bytes(a, b));
}

TEST_CASE("the hooks of an annotated class run") {
  torch::optim::SGD optimizer({torch::zeros(1)}, torch::optim::SGDOptions(0.1));
  annotated::Scheduler scheduler(optimizer);
  ts::StateDict old = ts::state_dict(scheduler);
  old.set("version", 1);
  old.rename("params/base_lr", "params/lr");
  old.set("params/lr", 0.25);
  ts::load_state_dict(scheduler, old);
  CHECK(ts::state_dict(scheduler).at("params/base_lr").as<double>() == 0.25);
}

}  // namespace
