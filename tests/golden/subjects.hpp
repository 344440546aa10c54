// What the golden files were written from. Never edited: a later release adds to it.
#pragma once

#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/linear.h>
#include <torch/types.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "trainstate/checkpoint.hpp"

namespace golden {

namespace ts = trainstate;

namespace v1 {
struct Scheduler {
  double lr = 0.25;
  std::int64_t step = 17;
  static constexpr auto describe() {
    return ts::component<Scheduler>("golden_scheduler", ts::version<1>,  //
                                    ts::hyper("lr", &Scheduler::lr), ts::state("step", &Scheduler::step));
  }
};
}  // namespace v1

namespace v2 {
struct Scheduler {
  double base_lr = 0.5;
  std::optional<std::int64_t> warmup;
  std::int64_t step = 18;
  static constexpr auto describe() {
    return ts::component<Scheduler>("golden_scheduler", ts::version<2>,  //
                                    ts::hyper("base_lr", &Scheduler::base_lr),
                                    ts::hyper("warmup", &Scheduler::warmup),  //
                                    ts::state("step", &Scheduler::step),      //
                                    ts::migrate<1>([](auto& d) {
                                      d.rename("params/lr", "params/base_lr");
                                      d.set("params/warmup", trainstate::None());
                                    }));
  }
};
}  // namespace v2

struct BlockImpl : torch::nn::Module {
  explicit BlockImpl(std::int64_t features)
      : width(features), norm(register_module("norm", torch::nn::BatchNorm1d(features))) {}
  torch::Tensor forward(const torch::Tensor& x) { return norm(x); }
  static constexpr auto describe() {
    return ts::component<BlockImpl>("golden_block", ts::version<1>, ts::hyper("width", &BlockImpl::width));
  }
  std::int64_t width;
  torch::nn::BatchNorm1d norm;
};
TORCH_MODULE(Block);

struct NetImpl : torch::nn::Module {
  explicit NetImpl(std::int64_t features = 3)
      : hidden(features),
        in(register_module("in", torch::nn::Linear(2, features))),
        block(register_module("block", Block(features))),
        out(register_module("out", torch::nn::Linear(features, 1))) {}
  torch::Tensor forward(const torch::Tensor& x) {
    ++calls;
    return out(torch::tanh(block(in(x))));
  }
  static constexpr auto describe() {
    return ts::component<NetImpl>("golden_net", ts::version<1>, ts::hyper("hidden", &NetImpl::hidden),
                                  ts::state("calls", &NetImpl::calls), ts::state("block", &NetImpl::block));
  }
  std::int64_t hidden;
  std::int64_t calls = 0;
  torch::nn::Linear in;
  Block block;
  torch::nn::Linear out;
};
TORCH_MODULE(Net);

/// Every kind of value, and doubles, strings and keys that JSON cannot say.
inline ts::StateDict values() {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  ts::StateDict d;
  d["none"] = ts::None();
  d["bools"] = ts::List{true, false};
  d["ints"] = ts::List{0, -1, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
  d["doubles"] = ts::List{0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, nan, infinity, -infinity};
  d["strings"] = ts::List{"", "plain", "\"quoted\" \\ / \n", "Grüße, 世界", std::string("\xff\x00\x80", 3)};
  d[5] = "an int key";
  d["5"] = "a string key that looks like one";
  d["a/b~c"] = ts::StateDict{{"$t", "looks like a tag"}};
  d["empty"] = ts::List{ts::List(), ts::StateDict()};
  ts::List long_list;
  for (int i = 0; i < 100; ++i) long_list.push_back(i * 0.5);
  d["long_list"] = long_list;
  ts::StateDict tensors;
  for (const auto dtype :
       {torch::kBool, torch::kUInt8, torch::kInt8, torch::kInt16, torch::kInt32, torch::kInt64, torch::kFloat16,
        torch::kBFloat16, torch::kFloat32, torch::kFloat64, torch::kComplexFloat, torch::kComplexDouble}) {
    tensors[c10::toString(dtype)] = torch::arange(6, torch::kFloat64).view({2, 3}).to(dtype);
  }
  tensors["scalar"] = torch::tensor(3.5);
  tensors["empty"] = torch::zeros({2, 0, 3});
  tensors["transposed"] = torch::arange(6).view({2, 3}).t();
  tensors["tied"] = tensors.at("Float");
  d["tensors"] = tensors;
  return d;
}

/// What `.pt` can hold of them: a text that is not UTF-8 is left out.
inline ts::StateDict pt_values() {
  ts::StateDict d = values();
  d.at("strings").as<ts::List>().pop_back();
  return d;
}

}  // namespace golden
