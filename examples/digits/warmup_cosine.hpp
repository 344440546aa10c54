// A scheduler of the example's own. describe() is all that it does to be saved; it knows no LibTorch and no file.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <trainstate/component.hpp>

namespace digits {

namespace ts = trainstate;

/// Rises linearly to `base_lr` over `warmup_steps`, then falls to zero at `total_steps` along half a cosine.
class WarmupCosine {
 public:
  WarmupCosine(double base_lr, std::int64_t warmup_steps, std::int64_t total_steps)
      : base_lr_(base_lr), warmup_steps_(warmup_steps), total_steps_(total_steps) {}

  static constexpr auto describe() {
    return ts::component<WarmupCosine>(
        "warmup_cosine", ts::version<1>,  //
        ts::hyper("base_lr", &WarmupCosine::base_lr_), ts::hyper("warmup_steps", &WarmupCosine::warmup_steps_),
        ts::hyper("total_steps", &WarmupCosine::total_steps_), ts::state("step_num", &WarmupCosine::step_num_),
        ts::transient(&WarmupCosine::lr_));  // next() computes it anew
  }

  /// Moves on by one step and returns its learning rate.
  double next() {
    const auto step = static_cast<double>(++step_num_);
    const auto warmup = static_cast<double>(warmup_steps_), total = static_cast<double>(total_steps_);
    if (step <= warmup) {
      lr_ = base_lr_ * step / warmup;
    } else {
      const double done = std::min(1.0, (step - warmup) / std::max(1.0, total - warmup));
      lr_ = base_lr_ * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
    }
    return lr_;
  }

  /// The rate that next() returned last, for display.
  [[nodiscard]] double lr() const { return lr_; }

 private:
  double base_lr_;
  std::int64_t warmup_steps_;
  std::int64_t total_steps_;
  std::int64_t step_num_ = 0;
  double lr_ = 0;
};

}  // namespace digits
