// Rates on a cosine: SGDR, https://arxiv.org/abs/1608.03983.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "trainstate/schedulers/base.hpp"
#include "trainstate/schedulers/codec.hpp"

namespace trainstate {

/// Lets the rates fall to `eta_min` along half a cosine of `T_max` epochs, and rise again along the other half:
/// `torch.optim.lr_scheduler.CosineAnnealingLR`, without the restarts of SGDR.
class CosineAnnealingLR : public LRScheduler {
 public:
  /// Throws Error if `T_max` is not from 1 to 2^53.
  CosineAnnealingLR(torch::optim::Optimizer& optimizer, std::int64_t T_max, double eta_min = 0.0,
                    std::int64_t last_epoch = -1)
      : LRScheduler(optimizer, last_epoch), t_max_(T_max), eta_min_(eta_min) {
    if (detail::outside("T_max", T_max, 1)) throw Error("CosineAnnealingLR: T_max should be at least 1");
    initial_step();
  }

  static constexpr auto describe() {
    return component<CosineAnnealingLR>("torch.optim.lr_scheduler.CosineAnnealingLR", flat,
                                        hyper("T_max", &CosineAnnealingLR::t_max_),
                                        hyper("eta_min", &CosineAnnealingLR::eta_min_), base<LRScheduler>);
  }

 protected:
  std::vector<double> get_lr() override {
    constexpr double pi = std::numbers::pi;
    if (is_initial()) return current_rates();
    const auto epoch = static_cast<double>(last_epoch_), t_max = static_cast<double>(t_max_);
    if (step_count() == 1 && last_epoch_ > 0) {
      return from_base(
          [&](double base) { return eta_min_ + (base - eta_min_) * (1 + std::cos(epoch * pi / t_max)) / 2; });
    }
    if ((last_epoch_ - 1 - t_max_) % (2 * t_max_) == 0) {  // the bottom, from where no factor leads up
      auto rates = current_rates();
      for (std::size_t g = 0; g < rates.size() && g < base_lrs_.size(); ++g) {
        rates[g] = rates[g] + (base_lrs_[g] - eta_min_) * (1 - std::cos(pi / t_max)) / 2;
      }
      return rates;
    }
    const double factor = detail::quotient(1 + std::cos(pi * epoch / t_max), 1 + std::cos(pi * (epoch - 1) / t_max));
    return from_current([&](double lr) { return factor * (lr - eta_min_) + eta_min_; });
  }

  std::vector<double> closed_form_lr() override {
    const double height =
        1 + std::cos(std::numbers::pi * static_cast<double>(last_epoch_) / static_cast<double>(t_max_));
    return from_base([&](double base) { return eta_min_ + (base - eta_min_) * height / 2; });
  }

  std::optional<detail::SchedulerFault> find_fault() override {
    if (auto fault = detail::outside("T_max", t_max_, 1)) return fault;
    return LRScheduler::find_fault();
  }

 private:
  std::int64_t t_max_;
  double eta_min_;
};

/// Lets the rates fall to `eta_min` along half a cosine of `T_0` epochs, starts over, and makes each round `T_mult`
/// times as long as the one before: `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts`, SGDR itself.
class CosineAnnealingWarmRestarts : public LRScheduler {
 public:
  /// Throws Error if `T_0` or `T_mult` is not from 1 to 2^53.
  CosineAnnealingWarmRestarts(torch::optim::Optimizer& optimizer, std::int64_t T_0, std::int64_t T_mult = 1,
                              double eta_min = 0.0, std::int64_t last_epoch = -1)
      : LRScheduler(optimizer, last_epoch),
        t_0_(T_0),
        t_i_(T_0),
        t_mult_(T_mult),
        eta_min_(eta_min),
        t_cur_(static_cast<double>(last_epoch)) {
    if (detail::outside("T_0", T_0, 1)) throw Error("CosineAnnealingWarmRestarts: T_0 should be at least 1");
    if (detail::outside("T_mult", T_mult, 1)) throw Error("CosineAnnealingWarmRestarts: T_mult should be at least 1");
    initial_step();
  }

  /// Goes on by one epoch.
  void step() override {
    if (last_epoch_ < 0) return step(0);
    double t_cur = t_cur_ + 1;
    std::int64_t t_i = t_i_;
    if (t_cur >= static_cast<double>(t_i)) {
      t_cur = std::fmod(t_cur, static_cast<double>(t_i));
      if (__builtin_mul_overflow(t_i, t_mult_, &t_i)) t_i = std::numeric_limits<std::int64_t>::max();
    }
    go_to(last_epoch_ + 1, t_cur, t_i);
  }

  /// Goes to an epoch, which may lie between two: `epoch + batch / batches` follows the cosine batch by batch. Throws
  /// Error if it is negative or above 2^53.
  void step(double epoch) {
    if (!(epoch >= 0 && epoch <= static_cast<double>(detail::most_epochs))) {
      throw Error("CosineAnnealingWarmRestarts: an epoch should be from 0 to 2^53");
    }
    const auto t_0 = static_cast<double>(t_0_), t_mult = static_cast<double>(t_mult_);
    double t_cur = epoch;
    std::int64_t t_i = t_0_;
    if (epoch >= t_0 && t_mult_ == 1) {
      t_cur = std::fmod(epoch, t_0);
      t_i = t_i_;
    } else if (epoch >= t_0) {
      const double rounds = std::trunc(std::log(epoch / t_0 * (t_mult - 1) + 1) / std::log(t_mult));
      const double growth = std::pow(t_mult, rounds);
      t_cur = epoch - t_0 * (growth - 1) / (t_mult - 1);
      t_i = static_cast<std::int64_t>(std::min(t_0 * growth, 0x1p62));
    }
    go_to(static_cast<std::int64_t>(std::floor(epoch)), t_cur, t_i);
  }

  static constexpr auto describe() {
    using T = CosineAnnealingWarmRestarts;
    return component<T>("torch.optim.lr_scheduler.CosineAnnealingWarmRestarts", flat, hyper("T_0", &T::t_0_),
                        state("T_i", &T::t_i_), hyper("T_mult", &T::t_mult_), hyper("eta_min", &T::eta_min_),
                        state("T_cur", &T::t_cur_), base<LRScheduler>);
  }

 protected:
  std::vector<double> get_lr() override {
    const double height = 1 + std::cos(std::numbers::pi * t_cur_ / static_cast<double>(t_i_));
    return from_base([&](double base) { return eta_min_ + (base - eta_min_) * height / 2; });
  }

  std::optional<detail::SchedulerFault> find_fault() override {
    if (auto fault = detail::outside("T_0", t_0_, 1)) return fault;
    if (auto fault = detail::outside("T_mult", t_mult_, 1)) return fault;
    if (t_i_ < 1) return detail::SchedulerFault{"T_i", "at least 1", std::to_string(t_i_)};
    return LRScheduler::find_fault();
  }

 private:
  void go_to(std::int64_t epoch, double t_cur, std::int64_t t_i) {
    std::swap(t_cur_, t_cur);
    std::swap(t_i_, t_i);
    try {
      update_lr(epoch, false);
    } catch (...) {
      t_cur_ = t_cur;
      t_i_ = t_i;
      throw;
    }
  }

  std::int64_t t_0_, t_i_, t_mult_;
  double eta_min_;
  double t_cur_;  // epochs since the last restart
};

}  // namespace trainstate
