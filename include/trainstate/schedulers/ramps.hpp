// Rates that begin with a factor, or come to an end, within the first epochs.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "trainstate/schedulers/base.hpp"
#include "trainstate/schedulers/codec.hpp"

namespace trainstate {

/// Multiplies the rates by `factor` for the first `total_iters` epochs: `torch.optim.lr_scheduler.ConstantLR`.
class ConstantLR : public LRScheduler {
 public:
  /// Throws Error if `factor` is not between 0 and 1.
  explicit ConstantLR(torch::optim::Optimizer& optimizer, double factor = 1.0 / 3, std::int64_t total_iters = 5,
                      std::int64_t last_epoch = -1)
      : LRScheduler(optimizer, last_epoch), factor_(factor), total_iters_(total_iters) {
    if (factor > 1 || factor < 0) throw Error("ConstantLR: factor should be between 0 and 1");
    initial_step();
  }

  static constexpr auto describe() {
    return component<ConstantLR>("torch.optim.lr_scheduler.ConstantLR", flat, hyper("factor", &ConstantLR::factor_),
                                 hyper("total_iters", &ConstantLR::total_iters_), base<LRScheduler>);
  }

 protected:
  std::vector<double> get_lr() override {
    if (last_epoch_ == 0) return from_current([&](double lr) { return lr * factor_; });
    if (last_epoch_ != total_iters_) return current_rates();
    return from_current([&](double lr) { return lr * detail::quotient(1.0, factor_); });
  }

  std::vector<double> closed_form_lr() override {
    const double over = last_epoch_ >= total_iters_ ? 1 : 0;
    return from_base([&](double lr) { return lr * (factor_ + over * (1 - factor_)); });
  }

 private:
  double factor_;
  std::int64_t total_iters_;
};

/// Moves the rates' factor on a line from `start_factor` to `end_factor`, over `total_iters` epochs:
/// `torch.optim.lr_scheduler.LinearLR`. The usual warmup.
class LinearLR : public LRScheduler {
 public:
  /// Throws Error if a factor is above 1 or negative, or if `start_factor` is zero.
  explicit LinearLR(torch::optim::Optimizer& optimizer, double start_factor = 1.0 / 3, double end_factor = 1.0,
                    std::int64_t total_iters = 5, std::int64_t last_epoch = -1)
      : LRScheduler(optimizer, last_epoch),
        start_factor_(start_factor),
        end_factor_(end_factor),
        total_iters_(total_iters) {
    if (start_factor > 1 || start_factor <= 0) {
      throw Error("LinearLR: start_factor should be greater than 0 and at most 1");
    }
    if (end_factor > 1 || end_factor < 0) throw Error("LinearLR: end_factor should be between 0 and 1");
    initial_step();
  }

  static constexpr auto describe() {
    return component<LinearLR>(
        "torch.optim.lr_scheduler.LinearLR", flat, hyper("start_factor", &LinearLR::start_factor_),
        hyper("end_factor", &LinearLR::end_factor_), hyper("total_iters", &LinearLR::total_iters_), base<LRScheduler>);
  }

 protected:
  std::vector<double> get_lr() override {
    if (last_epoch_ == 0) return from_current([&](double lr) { return lr * start_factor_; });
    if (is_initial() || last_epoch_ > total_iters_) return current_rates();
    const double rise = end_factor_ - start_factor_;
    const double present =
        static_cast<double>(total_iters_) * start_factor_ + static_cast<double>(last_epoch_ - 1) * rise;
    return from_current([&](double lr) { return lr * (1.0 + detail::quotient(rise, present)); });
  }

  std::vector<double> closed_form_lr() override {
    const auto done = static_cast<double>(std::min(total_iters_, last_epoch_));
    return from_base([&](double lr) {
      const double rise = (end_factor_ - start_factor_) * done;
      return lr * (start_factor_ + detail::quotient(rise, static_cast<double>(total_iters_)));
    });
  }

 private:
  double start_factor_, end_factor_;
  std::int64_t total_iters_;
};

/// Lets the rates fall to zero over `total_iters` epochs as the power `power` of what is left of them:
/// `torch.optim.lr_scheduler.PolynomialLR`.
class PolynomialLR : public LRScheduler {
 public:
  /// Throws Error if `last_epoch` needs rates that no scheduler has recorded.
  explicit PolynomialLR(torch::optim::Optimizer& optimizer, std::int64_t total_iters = 5, double power = 1.0,
                        std::int64_t last_epoch = -1)
      : LRScheduler(optimizer, last_epoch), total_iters_(total_iters), power_(power) {
    initial_step();
  }

  static constexpr auto describe() {
    return component<PolynomialLR>("torch.optim.lr_scheduler.PolynomialLR", flat,
                                   hyper("total_iters", &PolynomialLR::total_iters_),
                                   hyper("power", &PolynomialLR::power_), base<LRScheduler>);
  }

 protected:
  std::vector<double> get_lr() override {
    if (is_initial() || last_epoch_ > total_iters_) return current_rates();
    const double decay = std::pow(detail::quotient(left(last_epoch_), left(last_epoch_ - 1)), power_);
    return from_current([&](double lr) { return lr * decay; });
  }

  std::vector<double> closed_form_lr() override {
    const double decay = std::pow(left(std::min(total_iters_, last_epoch_)), power_);
    return from_base([&](double lr) { return lr * decay; });
  }

 private:
  /// Which part of the schedule is left at an epoch.
  [[nodiscard]] double left(std::int64_t epoch) const {
    return 1.0 - detail::quotient(static_cast<double>(epoch), static_cast<double>(total_iters_));
  }

  std::int64_t total_iters_;
  double power_;
};

}  // namespace trainstate
