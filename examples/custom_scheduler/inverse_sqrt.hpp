// The whole file of a scheduler's author: the rule, and describe() for its fields. No base class, no save() or load().
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <trainstate/component.hpp>

/// The rate of "Attention is all you need": up over `warmup` steps, then down with the square root of the step.
class InverseSqrt {
 public:
  InverseSqrt(double peak, std::int64_t warmup) : peak_(peak), warmup_(warmup) {}

  static constexpr auto describe() {
    namespace ts = trainstate;
    return ts::component<InverseSqrt>("inverse_sqrt", ts::version<1>,  //
                                      ts::hyper("peak", &InverseSqrt::peak_),
                                      ts::hyper("warmup", &InverseSqrt::warmup_),
                                      ts::state("steps", &InverseSqrt::steps_));
  }

  /// Moves on by one step and returns its learning rate.
  double next() {
    const auto step = static_cast<double>(++steps_), warmup = static_cast<double>(warmup_);
    return peak_ * std::min(step / warmup, std::sqrt(warmup / step));
  }

 private:
  double peak_;
  std::int64_t warmup_;
  std::int64_t steps_ = 0;
};
