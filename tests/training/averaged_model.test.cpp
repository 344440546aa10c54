#include "trainstate/training/averaged_model.hpp"

#include "torch/training.hpp"

namespace ts = trainstate;
using namespace ts::literals;
using training::refused;
using training::restore;
using training::store;

namespace {

/// Weights of one value, one buffer of floating point and one that counts.
struct TinyImpl : torch::nn::Module {
  explicit TinyImpl(double value) {
    weight = register_parameter("weight", torch::full({3}, value));
    mean = register_buffer("mean", torch::full({2}, value));
    batches = register_buffer("batches", torch::full({}, static_cast<std::int64_t>(value)));
  }
  void fill(double value) {
    const torch::NoGradGuard no_grad;
    weight.fill_(value);
    mean.fill_(value);
    batches.fill_(static_cast<std::int64_t>(value));
  }
  torch::Tensor weight, mean, batches;
};

/// Two layers, registered in either order.
struct PairImpl : torch::nn::Module {
  explicit PairImpl(bool reversed) {
    torch::nn::Linear a(2, 2), b(2, 2);
    if (reversed) register_module("b", b);
    register_module("a", a);
    if (!reversed) register_module("b", b);
  }
};

double element(const torch::nn::Module& module, const char* name) {
  for (const auto& item : module.named_parameters()) {
    if (item.key() == name) return item.value().flatten()[0].item<double>();
  }
  for (const auto& item : module.named_buffers()) {
    if (item.key() == name) return item.value().flatten()[0].item<double>();
  }
  FAIL("no such tensor");
  return 0;
}

}  // namespace

TEST_CASE("the exponential moving average begins with the weights as they are") {
  TinyImpl model(1);
  ts::AveragedModel ema(model, {.decay = 0.75});
  CHECK(ema.n_averaged() == 0);
  model.fill(4);
  ema.update_parameters(model);
  CHECK(element(ema.module(), "weight") == 4);
  model.fill(8);
  ema.update_parameters(model);
  CHECK(element(ema.module(), "weight") == 5);  // 0.75 * 4 + 0.25 * 8
  model.fill(1);
  CHECK(element(ema.module(), "weight") == 5);
  ema.update_parameters(model);
  CHECK(element(ema.module(), "weight") == 4);
  CHECK(ema.n_averaged() == 3);
}

TEST_CASE("without a decay all updates weigh the same") {
  TinyImpl model(7);
  ts::AveragedModel average(model);
  for (const double value : {1.0, 2.0, 6.0}) {
    model.fill(value);
    average.update_parameters(model);
  }
  CHECK(element(average.module(), "weight") == 3);
}

TEST_CASE("buffers are the latest ones, or averaged where they are of floating point") {
  for (const bool use_buffers : {false, true}) {
    TinyImpl model(2);
    ts::AveragedModel ema(model, {.decay = 0.5, .use_buffers = use_buffers});
    ema.update_parameters(model);
    model.fill(4);
    ema.update_parameters(model);
    CHECK(element(ema.module(), "mean") == (use_buffers ? 3 : 4));
    CHECK(element(ema.module(), "batches") == 4);
  }
}

TEST_CASE("the keys are those of Python's AveragedModel, the hyperparameters stand in the manifest") {
  const torch::nn::Sequential net(torch::nn::Linear(2, 3), torch::nn::BatchNorm1d(3));
  const ts::AveragedModel ema(*net, {.decay = 0.9});
  const auto tree = ts::state_dict(ema);
  std::vector<std::string> keys, expected{"n_averaged"};
  for (const auto& entry : tree) keys.push_back(std::get<std::string>(entry.first));
  for (const auto& entry : ts::state_dict(net)) expected.push_back("module." + std::get<std::string>(entry.first));
  CHECK(keys == expected);
  CHECK(store(ema).components.at("/params/decay") == ts::Value(0.9));
}

TEST_CASE("the averaged weights into a model and back") {
  TinyImpl model(1), other(0);
  ts::AveragedModel ema(model, {.decay = 0.5});
  ema.update_parameters(model);
  model.fill(3);
  ema.update_parameters(model);
  model.fill(9);
  const void* address = model.weight.data_ptr();
  ema.swap(model);
  CHECK(element(model, "weight") == 2);
  CHECK(element(ema.module(), "weight") == 9);
  ema.swap(model);
  CHECK(element(model, "weight") == 9);
  CHECK(element(ema.module(), "weight") == 2);
  CHECK(model.weight.data_ptr() == address);
  CHECK(model.weight.requires_grad());
  ema.copy_to(other);
  CHECK(element(other, "weight") == 2);
  CHECK(element(ema.module(), "weight") == 2);
}

TEST_CASE("it goes on as if it had not been interrupted") {
  training::Net net, again;
  ts::AveragedModel ema(*net, {.decay = 0.9}), resumed(*again, {.decay = 0.9});
  auto optimizer = training::make<torch::optim::Adam>(net, true),
       second = training::make<torch::optim::Adam>(again, true);
  const auto run = [](training::Net& model, torch::optim::Optimizer& by, ts::AveragedModel& average, int from, int to) {
    for (int step = from; step < to; ++step) {
      training::train(model, by, step, step + 1);
      average.update_parameters(*model);
    }
  };
  auto from = ts::checkpoint("model"_key = net, "optimizer"_key = *optimizer, "ema"_key = ema);
  auto to = ts::checkpoint("model"_key = again, "optimizer"_key = *second, "ema"_key = resumed);
  run(net, *optimizer, ema, 0, 5);
  restore(to, store(from));
  run(net, *optimizer, ema, 5, 9);
  run(again, *second, resumed, 5, 9);
  CHECK(ts::state_dict(to) == ts::state_dict(from));
  CHECK(resumed.n_averaged() == 9);
  CHECK_FALSE(ts::state_dict(again) == ts::state_dict(resumed.module()));
}

TEST_CASE("tensors are loaded by name, whatever their order") {
  const PairImpl one(false), two(true);
  const ts::AveragedModel from(one);
  ts::AveragedModel to(two);
  CHECK_FALSE(element(to.module(), "a.weight") == element(from.module(), "a.weight"));
  restore(to, store(from));
  for (const char* name : {"a.weight", "a.bias", "b.weight", "b.bias"}) {
    CHECK(element(to.module(), name) == element(from.module(), name));
  }
}

TEST_CASE("another decay is a mismatch, as of every module, unless the code's is asked for") {
  const TinyImpl model(1);
  const ts::AveragedModel saved(model, {.decay = 0.9});
  ts::AveragedModel live(TinyImpl(2), {.decay = 0.5});
  const auto stored = store(saved);
  CHECK(refused(live, stored).mismatched.at(0).path == "params/decay");
  CHECK(element(live.module(), "weight") == 2);
  restore(live, stored, {.hyper = ts::HyperPolicy::code});
  CHECK(element(live.module(), "weight") == 1);
}

TEST_CASE("tied weights stay tied, and are averaged once") {
  struct Tied : torch::nn::Module {
    Tied() {
      const auto layer = register_module("in", torch::nn::Linear(2, 2));
      register_module("out", layer);
    }
  } model;
  ts::AveragedModel ema(model, {.decay = 0.5});
  CHECK(ema.module().parameters()[0].is_same(ema.module().parameters()[2]));
  const torch::NoGradGuard no_grad;
  model.parameters()[0].fill_(2);
  ema.update_parameters(model);
  model.parameters()[0].fill_(4);
  ema.update_parameters(model);
  CHECK(element(ema.module(), "out.weight") == 3);
  ema.swap(model);
  CHECK(element(model, "in.weight") == 3);
  CHECK(element(ema.module(), "in.weight") == 4);
}

TEST_CASE("a model that is another one is refused, and nothing has changed") {
  TinyImpl model(1), other(5);
  ts::AveragedModel ema(model);
  other.register_parameter("more", torch::ones({1}));
  CHECK_THROWS_AS(ema.update_parameters(other), ts::Error);
  CHECK_THROWS_AS(ema.update_parameters(torch::nn::LinearImpl(2, 2)), ts::Error);
  torch::nn::Linear small(2, 2), large(2, 3);
  const ts::AveragedModel of_small(*small);
  CHECK_THROWS_WITH_AS(of_small.copy_to(*large),
                       "AveragedModel: expected weight, a float32[2, 2], found the model's weight, a float32[3, 2]",
                       ts::Error);
  CHECK_THROWS_AS(ema.swap(other), ts::Error);
  CHECK(element(ema.module(), "weight") == 1);
  CHECK(ema.n_averaged() == 0);
  CHECK_THROWS_AS(ts::AveragedModel(model, {.decay = 1.5}), ts::Error);
}
