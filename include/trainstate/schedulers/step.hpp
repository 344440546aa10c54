// Rates that fall by a factor: at every epoch, every few epochs, or at milestones.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "trainstate/codec/associative.hpp"
#include "trainstate/schedulers/base.hpp"
#include "trainstate/schedulers/codec.hpp"

namespace trainstate {

/// Multiplies the rates by `gamma` every `step_size` epochs: `torch.optim.lr_scheduler.StepLR`.
class StepLR : public LRScheduler {
 public:
  /// Throws Error if `step_size` is zero.
  StepLR(torch::optim::Optimizer& optimizer, std::int64_t step_size, double gamma = 0.1, std::int64_t last_epoch = -1)
      : LRScheduler(optimizer, last_epoch), step_size_(step_size), gamma_(gamma) {
    if (step_size == 0) throw Error("StepLR: step_size should not be zero");
    initial_step();
  }

  static constexpr auto describe() {
    return component<StepLR>("torch.optim.lr_scheduler.StepLR", flat, hyper("step_size", &StepLR::step_size_),
                             hyper("gamma", &StepLR::gamma_), base<LRScheduler>);
  }

 protected:
  std::vector<double> get_lr() override {
    if (last_epoch_ == 0 || last_epoch_ % step_size_ != 0) return current_rates();
    return from_current([&](double lr) { return lr * gamma_; });
  }

  std::vector<double> closed_form_lr() override {
    const double falls = std::floor(static_cast<double>(last_epoch_) / static_cast<double>(step_size_));
    return from_base([&](double lr) { return lr * std::pow(gamma_, falls); });
  }

  std::optional<detail::SchedulerFault> find_fault() override {
    if (step_size_ == 0) return detail::SchedulerFault{"step_size", "an integer other than zero", "0"};
    return LRScheduler::find_fault();
  }

 private:
  std::int64_t step_size_;
  double gamma_;
};

/// Multiplies the rates by `gamma` at each milestone: `torch.optim.lr_scheduler.MultiStepLR`. An epoch that is given
/// twice counts twice.
class MultiStepLR : public LRScheduler {
 public:
  /// `milestones` are epochs, in any order. Throws Error if `last_epoch` needs rates that no scheduler has recorded.
  MultiStepLR(torch::optim::Optimizer& optimizer, const std::vector<std::int64_t>& milestones, double gamma = 0.1,
              std::int64_t last_epoch = -1)
      : LRScheduler(optimizer, last_epoch), gamma_(gamma) {
    for (const std::int64_t epoch : milestones) ++milestones_[epoch];
    initial_step();
  }

  static constexpr auto describe() {
    return component<MultiStepLR>("torch.optim.lr_scheduler.MultiStepLR", flat,
                                  hyper("milestones", &MultiStepLR::milestones_), hyper("gamma", &MultiStepLR::gamma_),
                                  base<LRScheduler>);
  }

 protected:
  std::vector<double> get_lr() override {
    const auto at = milestones_.find(last_epoch_);
    if (at == milestones_.end()) return current_rates();
    return from_current([&](double lr) { return lr * std::pow(gamma_, static_cast<double>(at->second)); });
  }

  std::vector<double> closed_form_lr() override {
    double passed = 0;
    for (const auto& [epoch, times] : milestones_) {
      if (epoch <= last_epoch_ && times > 0) passed += static_cast<double>(times);
    }
    return from_base([&](double lr) { return lr * std::pow(gamma_, passed); });
  }

 private:
  std::map<std::int64_t, std::int64_t> milestones_;  // how often each epoch was given: Python's Counter
  double gamma_;
};

/// Multiplies the rates by `gamma` at every epoch: `torch.optim.lr_scheduler.ExponentialLR`.
class ExponentialLR : public LRScheduler {
 public:
  /// Throws Error if `last_epoch` needs rates that no scheduler has recorded.
  ExponentialLR(torch::optim::Optimizer& optimizer, double gamma, std::int64_t last_epoch = -1)
      : LRScheduler(optimizer, last_epoch), gamma_(gamma) {
    initial_step();
  }

  static constexpr auto describe() {
    return component<ExponentialLR>("torch.optim.lr_scheduler.ExponentialLR", flat,
                                    hyper("gamma", &ExponentialLR::gamma_), base<LRScheduler>);
  }

 protected:
  std::vector<double> get_lr() override {
    if (is_initial()) return current_rates();
    return from_current([&](double lr) { return lr * gamma_; });
  }

  std::vector<double> closed_form_lr() override {
    return from_base([&](double lr) { return lr * std::pow(gamma_, static_cast<double>(last_epoch_)); });
  }

 private:
  double gamma_;
};

}  // namespace trainstate
