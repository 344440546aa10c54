// A small training run in one of several states, what a checkpoint of it is, and what a call on it came to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "laws/subject.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/checkpoint.hpp"

namespace faults {

namespace ts = trainstate;

inline constexpr ts::Format formats[] = {ts::Format::safetensors, ts::Format::pt};

inline std::string name_of(ts::Format format) { return format == ts::Format::pt ? "run.pt" : "run.safetensors"; }

struct NetImpl : torch::nn::Module {
  torch::Tensor forward(const torch::Tensor& x) { return out(torch::tanh(norm(in(x)))); }
  static constexpr auto describe() {
    return ts::component<NetImpl>("net", ts::hyper("hidden", &NetImpl::hidden), ts::state("seen", &NetImpl::seen));
  }
  std::int64_t hidden = 4, seen = 0;
  torch::nn::Linear in = register_module("in", torch::nn::Linear(3, hidden));
  torch::nn::BatchNorm1d norm = register_module("norm", torch::nn::BatchNorm1d(hidden));
  torch::nn::Linear out = register_module("out", torch::nn::Linear(hidden, 1));
};
TORCH_MODULE(Net);

/// Like a scheduler of a user's own.
struct Schedule {
  double base_lr = 0.1;
  std::int64_t steps = 0;
  static constexpr auto describe() {
    return ts::component<Schedule>("schedule", ts::hyper("base_lr", &Schedule::base_lr),
                                   ts::state("steps", &Schedule::steps));
  }
};

/// Model, optimizer, component, number, the random number generators of the process, and as many more floats as wanted.
struct Run {
  Net net;
  torch::optim::AdamW optimizer{net->parameters(), torch::optim::AdamWOptions(0.01)};
  Schedule schedule;
  double best;
  torch::Tensor ballast;

  /// The state depends on the number alone.
  explicit Run(int number, std::int64_t floats = 4) : best(0.5 * number) {
    torch::manual_seed(static_cast<std::uint64_t>(number));
    {
      const torch::NoGradGuard no_grad;
      for (auto& parameter : net->parameters()) parameter.uniform_(-1, 1);
    }
    ballast = torch::arange(floats, torch::kFloat32) + number;
    for (int step = 0; step < number; ++step) {
      optimizer.zero_grad();
      torch::mse_loss(net->forward(torch::rand({8, 3})), torch::rand({8, 1})).backward();
      optimizer.step();
      ++net->seen;
      ++schedule.steps;
    }
    schedule.base_lr /= number;
  }

  auto parts() {
    using namespace ts::literals;
    return ts::checkpoint("model"_key = net, "optimizer"_key = optimizer, "schedule"_key = schedule, "best"_key = best,
                          "ballast"_key = ballast, "rng"_key = ts::Rng{});
  }
  std::vector<std::byte> bytes(ts::Format format) { return ts::to_bytes(parts(), {.format = format}); }
};

/// The tensors in a tree.
inline void add_tensors(const ts::StateDict& dict, std::vector<torch::Tensor>& tensors) {
  for (const auto& [key, value] : dict) {
    if (const auto* inner = value.get_if<ts::StateDict>()) add_tensors(*inner, tensors);
    if (const auto* tensor = value.get_if<torch::Tensor>()) tensors.push_back(*tensor);
  }
}

/// The tensors that live objects hold: not those that are made anew for each state dict (numbers of steps, generators).
inline std::vector<torch::Tensor> live_tensors(Run& run) {
  std::vector<torch::Tensor> once, again, live;
  add_tensors(ts::state_dict(run.parts()), once);
  add_tensors(ts::state_dict(run.parts()), again);
  for (std::size_t i = 0; i < once.size(); ++i) {
    if (once[i].data_ptr() == again.at(i).data_ptr()) live.push_back(once[i]);
  }
  return live;
}

inline laws::Memory memory_of(Run& run) {
  laws::Memory memory;
  for (const auto& tensor : live_tensors(run)) laws::add_memory(tensor, memory);
  return memory;
}

/// What a call that may fail came to: an errno and the text with it, or neither.
struct Outcome {
  int code = 0;
  std::string text;
};

template <class F>
Outcome outcome_of(F&& f) {
  try {
    f();
  } catch (const ts::IoError& e) {
    return {e.code(), e.what()};
  }
  return {};
}

inline bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

inline std::string_view text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace faults
