// What a forward must not change: the tensors of its module and the random number generators. Both are put back.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>
#include <c10/core/GradMode.h>

#include <exception>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/torch/module_tensors.hpp"
#include "trainstate/torch/rng.hpp"

namespace trainstate::detail {

/// The tensors of a module as they were; puts them back if its forward wrote to them.
class Contents {
 public:
  explicit Contents(const torch::nn::Module& module) {
    for_each_tensor(module, "", [&](const std::string& name, const at::Tensor& tensor) {
      entries_.push_back({name, tensor, tensor.detach().clone()});
    });
  }
  Contents(const Contents&) = delete;
  Contents& operator=(const Contents&) = delete;
  ~Contents() {
    try {
      put_back();
    } catch (const std::exception&) {  // they were copied from there
    }
  }

  /// The name of a tensor that has changed, after all have been put back; empty if none has.
  std::string put_back() {
    const c10::NoGradGuard no_grad;
    std::string changed;
    for (auto& [name, tensor, copy] : entries_) {
      if (is_equal(tensor.detach(), copy)) continue;
      tensor.detach().copy_(copy);
      if (changed.empty()) changed = name;
    }
    return changed;
  }

 private:
  struct Entry {
    std::string name;
    at::Tensor tensor, copy;
  };
  static bool is_equal(const at::Tensor& a, const at::Tensor& b) {
    return at::equal(a, b) || (a.is_floating_point() && at::allclose(a, b, 0, 0, /*equal_nan=*/true));
  }
  std::vector<Entry> entries_;
};

/// The default generators of some devices; they are put back when this goes.
class Generators {
 public:
  explicit Generators(const std::vector<at::Tensor>& tensors) {
    add(at::detail::getDefaultCPUGenerator());
    std::set<c10::DeviceIndex> cuda;
    for (const at::Tensor& tensor : tensors) {
      if (tensor.is_cuda() && cuda.insert(tensor.device().index()).second) add(cuda_generator(tensor.device().index()));
    }
  }
  Generators(const Generators&) = delete;
  Generators& operator=(const Generators&) = delete;
  ~Generators() {
    for (auto& [generator, state] : entries_) {
      const std::lock_guard lock(generator.mutex());
      generator.set_state(state);
    }
  }

  /// Whether a number was drawn since the construction.
  [[nodiscard]] bool have_drawn() const {
    for (const auto& [generator, state] : entries_) {
      if (!at::equal(generator_state(generator), state)) return true;
    }
    return false;
  }

 private:
  void add(const at::Generator& generator) { entries_.emplace_back(generator, generator_state(generator)); }
  std::vector<std::pair<at::Generator, at::Tensor>> entries_;
};

}  // namespace trainstate::detail
