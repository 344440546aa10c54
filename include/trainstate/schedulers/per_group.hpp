// One number for all parameter groups, or one for each.
#pragma once

#include <torch/optim/optimizer.h>

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"

namespace trainstate {

/// An argument that is one number for all parameter groups (`0.1`) or one for each (`{0.1, 0.01}`), as several of
/// PyTorch's schedulers take it.
class PerGroup {
 public:
  PerGroup(double one) : values_{one}, is_one_(true) {}             // NOLINT: meant to convert
  PerGroup(std::initializer_list<double> each) : values_(each) {}   // NOLINT
  PerGroup(std::vector<double> each) : values_(std::move(each)) {}  // NOLINT

  /// The number that holds for all groups; nothing if each has its own.
  [[nodiscard]] std::optional<double> one() const { return is_one_ ? std::optional(values_.front()) : std::nullopt; }

  /// A number for each group of `optimizer`. Throws Error, naming `argument`, if there are not as many.
  [[nodiscard]] std::vector<double> expand(const torch::optim::Optimizer& optimizer, const char* argument) const {
    const std::size_t groups = optimizer.param_groups().size();
    if (is_one_) return std::vector<double>(groups, values_.front());
    if (values_.size() == groups) return values_;
    throw Error(std::string(argument) + " has " + std::to_string(values_.size()) + " values, the optimizer has " +
                std::to_string(groups) + " parameter groups");
  }

 private:
  std::vector<double> values_;
  bool is_one_ = false;
};

}  // namespace trainstate
