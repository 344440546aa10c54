// Inputs to try a trace with, made from the examples.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace trainstate::detail {

/// Inputs that nobody gave: made from the examples, always the same.
class OtherInputs {
 public:
  OtherInputs(const std::vector<at::Tensor>& examples, const std::vector<std::optional<std::int64_t>>& batch_dims)
      : examples_(examples), batch_dims_(batch_dims) {}

  /// The elements of each example in another order: within its range, and valid where they are indices.
  [[nodiscard]] std::vector<at::Tensor> shuffled() {
    return map([&](const at::Tensor& x, std::size_t) {
      const auto order = at::randperm(x.numel(), generator_, at::TensorOptions(at::kLong)).to(x.device());
      return x.reshape({-1}).index_select(0, order).view(x.sizes());
    });
  }

  /// Normal random numbers as large as the example's, where it has floating point numbers.
  [[nodiscard]] std::vector<at::Tensor> normal() {
    return map([&](const at::Tensor& x, std::size_t) {
      if (!x.is_floating_point()) return x.clone();
      const auto noise = at::randn(x.sizes(), generator_, at::TensorOptions(at::kDouble)).to(x.options());
      const double scale = x.numel() == 0 ? 0.0 : x.abs().max().item<double>();
      return noise.mul(scale > 0 && std::isfinite(scale) ? scale : 1.0);
    });
  }

  /// The rows of the examples again and again, until there are `size`.
  [[nodiscard]] std::vector<at::Tensor> of_batch_size(std::int64_t size) {
    return map([&](const at::Tensor& x, std::size_t i) {
      if (!batch_dims_[i]) return x.clone();
      const auto rows = at::arange(size, x.options().dtype(at::kLong)).remainder(x.size(*batch_dims_[i]));
      return x.index_select(*batch_dims_[i], rows);
    });
  }

 private:
  template <class F>
  std::vector<at::Tensor> map(const F& f) const {
    std::vector<at::Tensor> tensors;
    for (std::size_t i = 0; i < examples_.size(); ++i) {
      const at::Tensor& x = examples_[i];
      tensors.push_back(x.layout() == at::kStrided ? f(x, i) : x.clone());
    }
    return tensors;
  }

  const std::vector<at::Tensor>& examples_;
  const std::vector<std::optional<std::int64_t>>& batch_dims_;
  at::Generator generator_ = at::make_generator<at::CPUGeneratorImpl>(2147483647);
};

}  // namespace trainstate::detail
