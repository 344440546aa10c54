// A running average of a model's weights: PyTorch's `torch.optim.swa_utils.AveragedModel`.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <torch/nn/module.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "trainstate/codec/alternative.hpp"
#include "trainstate/component.hpp"
#include "trainstate/error.hpp"
#include "trainstate/torch/module.hpp"

namespace trainstate {

/// How AveragedModel averages.
struct AveragedModelOptions {
  /// Of an exponential moving average, as in `get_ema_multi_avg_fn(decay)`; without it, all updates weigh the same.
  std::optional<double> decay = std::nullopt;
  bool use_buffers = false;  ///< averages the buffers, too (those of floating point); else they are the latest ones
};

/// The average of a model's parameters over the updates so far: an exponential moving average (EMA), or the equal one
/// of stochastic weight averaging (SWA). The first update takes the weights as they are, so that the average needs no
/// correction of its beginning.
///
///     ts::AveragedModel ema(*net, {.decay = 0.999});
///     for (…) { train(batch); ema.update_parameters(*net); }       // "ema"_key = ema in the checkpoint
///     ema.swap(*net); evaluate(net); ema.swap(*net);               // the averaged weights, and back
///
/// It is a module that holds the averaged tensors alone, under the names of Python's `AveragedModel.state_dict()`:
/// `n_averaged`, `module.0.weight`. As of every module, tensors are loaded by name, and a `decay` other than the file's
/// is a mismatch unless `LoadOptions::hyper` says otherwise.
class AveragedModel : public torch::nn::Module {
 public:
  /// Begins with a copy of `model`. Throws Error if `decay` is not between 0 and 1.
  explicit AveragedModel(const torch::nn::Module& model, const AveragedModelOptions& options = {})
      : torch::nn::Module("AveragedModel"), decay_(options.decay), use_buffers_(options.use_buffers) {
    if (decay_ && !(*decay_ >= 0 && *decay_ <= 1)) throw Error("AveragedModel: decay should be between 0 and 1");
    n_averaged_ = register_buffer("n_averaged", at::zeros({}, at::kLong));
    Clones clones;
    module_ = register_module("module", copy_of(model, clones));
  }

  /// Takes the present weights of `model` into the average. Throws Error, and nothing has changed, if its tensors are
  /// not those that this average began with, by name, type and shape.
  void update_parameters(const torch::nn::Module& model) {
    const auto pairs = paired(model);
    const c10::NoGradGuard no_grad;
    const auto n = n_averaged_.item<std::int64_t>();
    for (const auto& [average, now, averaged] : pairs) {
      if (n == 0 || !averaged) {
        average.copy_(now);
      } else if (decay_) {
        average.lerp_(now, 1 - *decay_);
      } else {
        average.add_((now - average) / (n + 1));
      }
    }
    n_averaged_.fill_(n + 1);
  }

  /// Copies the averaged weights into `model`. Throws Error as `update_parameters` does.
  void copy_to(const torch::nn::Module& model) const {
    const auto pairs = paired(model);
    const c10::NoGradGuard no_grad;
    for (const auto& [average, now, averaged] : pairs) now.copy_(average);
  }

  /// Exchanges the averaged weights and those of `model`; twice is nothing. A checkpoint that is saved in between holds
  /// them exchanged. Throws Error as `update_parameters` does.
  void swap(const torch::nn::Module& model) {
    const auto pairs = paired(model);
    const c10::NoGradGuard no_grad;
    for (const auto& [average, now, averaged] : pairs) {
      const at::Tensor kept = average.clone();
      average.copy_(now);
      now.copy_(kept);
    }
  }

  /// How many updates the average is of.
  [[nodiscard]] std::int64_t n_averaged() const { return n_averaged_.item<std::int64_t>(); }
  /// The averaged tensors, with the names of the model's own.
  [[nodiscard]] const torch::nn::Module& module() const { return *module_; }

  static constexpr auto describe() {
    return component<AveragedModel>("averaged_model", version<1>, hyper("decay", &AveragedModel::decay_),
                                    hyper("use_buffers", &AveragedModel::use_buffers_));
  }

 private:
  using Clones = std::unordered_map<const c10::TensorImpl*, at::Tensor>;

  struct Pair {
    at::Tensor average, now;
    bool averaged = false;  ///< or copied
  };

  /// Copies of the tensors below `model`, in modules of the same names. Tied ones stay tied.
  static std::shared_ptr<torch::nn::Module> copy_of(const torch::nn::Module& model, Clones& clones) {
    const c10::NoGradGuard no_grad;
    const auto clone = [&](const at::Tensor& tensor) {
      auto& copy = clones[tensor.unsafeGetTensorImpl()];
      if (!copy.defined()) copy = at::empty_like(tensor).copy_(tensor);
      return copy;
    };
    auto copy = std::make_shared<torch::nn::Module>(model.name());
    for (const auto& item : model.named_parameters(/*recurse=*/false)) {
      if (item.value().defined()) copy->register_parameter(item.key(), clone(item.value()), /*requires_grad=*/false);
    }
    for (const auto& item : model.named_buffers(/*recurse=*/false)) {
      if (item.value().defined()) copy->register_buffer(item.key(), clone(item.value()));
    }
    for (const auto& child : model.named_children())
      copy->register_module(child.key(), copy_of(*child.value(), clones));
    return copy;
  }

  static void collect(const torch::nn::Module& module, const std::string& prefix, bool use_buffers,
                      std::vector<std::pair<std::string, Pair>>& into) {
    for (const auto& item : module.named_parameters(/*recurse=*/false)) {
      if (item.value().defined()) into.push_back({prefix + item.key(), {{}, item.value(), true}});
    }
    for (const auto& item : module.named_buffers(/*recurse=*/false)) {
      if (!item.value().defined()) continue;
      const bool averaged = use_buffers && item.value().is_floating_point();
      into.push_back({prefix + item.key(), {{}, item.value(), averaged}});
    }
    for (const auto& child : module.named_children()) {
      collect(*child.value(), prefix + child.key() + '.', use_buffers, into);
    }
  }

  /// Each tensor of the average and that of `model`; of tied ones, the first.
  [[nodiscard]] std::vector<Pair> paired(const torch::nn::Module& model) const {
    std::vector<std::pair<std::string, Pair>> ours, theirs;
    collect(*module_, "", use_buffers_, ours);
    collect(model, "", use_buffers_, theirs);
    if (ours.size() != theirs.size()) {
      throw Error("AveragedModel: it has " + std::to_string(ours.size()) + " tensors, the model " +
                  std::to_string(theirs.size()));
    }
    std::vector<Pair> pairs;
    std::unordered_map<const c10::TensorImpl*, bool> seen;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const at::Tensor &average = ours[i].second.now, &now = theirs[i].second.now;
      if (ours[i].first != theirs[i].first || average.scalar_type() != now.scalar_type() ||
          average.sizes() != now.sizes()) {
        throw Error("AveragedModel: expected " + ours[i].first + ", a " + detail::tensor_text(average) +
                    ", found the model's " + theirs[i].first + ", a " + detail::tensor_text(now));
      }
      if (seen.emplace(average.unsafeGetTensorImpl(), true).second) {
        pairs.push_back({average, now, theirs[i].second.averaged});
      }
    }
    return pairs;
  }

  std::optional<double> decay_;
  bool use_buffers_;
  at::Tensor n_averaged_;
  std::shared_ptr<torch::nn::Module> module_;
};

}  // namespace trainstate
