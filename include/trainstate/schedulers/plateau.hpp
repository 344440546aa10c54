// Rates that fall when a metric has stopped to improve.
#pragma once

#include <torch/optim/optimizer.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "trainstate/codec/alternative.hpp"
#include "trainstate/schedulers/base.hpp"
#include "trainstate/schedulers/codec.hpp"
#include "trainstate/schedulers/per_group.hpp"

namespace trainstate {

/// The arguments of ReduceLROnPlateau, with Python's defaults.
struct ReduceLROnPlateauOptions {
  std::string mode = "min";  ///< whether the metric is to fall, or to rise: "max"
  double factor = 0.1;
  std::int64_t patience = 10;  ///< how many epochs without improvement are borne
  double threshold = 1e-4;
  std::string threshold_mode = "rel";  ///< the threshold is relative to the best metric; or "abs"
  std::int64_t cooldown = 0;
  PerGroup min_lr = 0.0;
  double eps = 1e-8;  ///< a smaller change of a rate is not made
};

/// Multiplies the rates by `factor` when a metric has not improved for more than `patience` epochs:
/// `torch.optim.lr_scheduler.ReduceLROnPlateau`.
class ReduceLROnPlateau {
 public:
  /// Throws Error if `factor` is not below 1, if a mode is unknown, or if there are not as many `min_lr` as groups.
  explicit ReduceLROnPlateau(torch::optim::Optimizer& optimizer, const ReduceLROnPlateauOptions& options = {})
      : optimizer_(&optimizer),
        factor_(options.factor),
        default_min_lr_(options.min_lr.one()),
        min_lrs_(options.min_lr.expand(optimizer, "ReduceLROnPlateau: min_lr")),
        patience_(options.patience),
        cooldown_(options.cooldown),
        eps_(options.eps),
        last_lr_(detail::current_rates(optimizer)),
        mode_(options.mode),
        threshold_(options.threshold),
        threshold_mode_(options.threshold_mode) {
    if (factor_ >= 1) throw Error("ReduceLROnPlateau: factor should be below 1");
    if (const auto fault = find_fault()) {
      throw Error("ReduceLROnPlateau: " + fault->key + ": expected " + fault->expected + ", found " + fault->found);
    }
    best_ = mode_worse_;
  }

  /// Takes the metric of an epoch, and lowers the rates if it is time to. Throws Error if groups were added to the
  /// optimizer and each had its own `min_lr`; then nothing has changed.
  void step(double metric) {
    auto next = *this;
    ++next.last_epoch_;
    if (is_better(metric)) {
      next.best_ = metric;
      next.bad_epochs_ = 0;
    } else {
      ++next.bad_epochs_;
    }
    if (next.cooldown_left_ > 0) {
      --next.cooldown_left_;
      next.bad_epochs_ = 0;
    }
    if (next.bad_epochs_ > patience_) {
      next.reduce();
      next.cooldown_left_ = cooldown_;
      next.bad_epochs_ = 0;
    }
    next.last_lr_ = detail::current_rates(*optimizer_);
    *this = std::move(next);
  }

  /// The learning rates after the last step, one for each parameter group.
  [[nodiscard]] const std::vector<double>& get_last_lr() const { return last_lr_; }
  /// How many steps were made.
  [[nodiscard]] std::int64_t last_epoch() const { return last_epoch_; }
  /// The best metric so far; infinitely bad before the first step.
  [[nodiscard]] double best() const { return best_; }
  /// The optimizer whose rates these are.
  [[nodiscard]] torch::optim::Optimizer& optimizer() const { return *optimizer_; }

  static constexpr auto describe() {
    using T = ReduceLROnPlateau;
    return component<T>(
        "torch.optim.lr_scheduler.ReduceLROnPlateau", flat, hyper("factor", &T::factor_),
        hyper("default_min_lr", &T::default_min_lr_), hyper("min_lrs", &T::min_lrs_), hyper("patience", &T::patience_),
        hyper("cooldown", &T::cooldown_), hyper("eps", &T::eps_), state("last_epoch", &T::last_epoch_),
        state("_last_lr", &T::last_lr_), hyper("mode_worse", &T::mode_worse_), hyper("mode", &T::mode_),
        hyper("threshold", &T::threshold_), hyper("threshold_mode", &T::threshold_mode_), state("best", &T::best_),
        state("cooldown_counter", &T::cooldown_left_), state("num_bad_epochs", &T::bad_epochs_));
  }

 private:
  friend struct detail::SchedulerAccess;

  [[nodiscard]] bool is_better(double metric) const {
    if (mode_ == "min") {
      return metric < (threshold_mode_ == "rel" ? best_ * (1.0 - threshold_) : best_ - threshold_);
    }
    return metric > (threshold_mode_ == "rel" ? best_ * (threshold_ + 1.0) : best_ + threshold_);
  }

  void reduce() {
    auto& groups = optimizer_->param_groups();
    if (min_lrs_.size() != groups.size()) {
      if (!default_min_lr_) {
        throw Error("ReduceLROnPlateau: the optimizer has " + std::to_string(groups.size()) +
                    " parameter groups now, and min_lr " + std::to_string(min_lrs_.size()) + " values");
      }
      min_lrs_.assign(groups.size(), *default_min_lr_);
    }
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const double present = groups[g].options().get_lr();
      const double lower = std::max(present * factor_, min_lrs_[g]);
      if (present - lower > eps_) groups[g].options().set_lr(lower);
    }
  }

  /// What is wrong with the fields, if anything. What follows from others is brought in line with them.
  std::optional<detail::SchedulerFault> find_fault() {
    using detail::SchedulerFault;
    constexpr double infinity = std::numeric_limits<double>::infinity();
    const auto groups = optimizer_->param_groups().size();
    if (mode_ != "min" && mode_ != "max") return SchedulerFault{"mode", "\"min\" or \"max\"", '"' + mode_ + '"'};
    mode_worse_ = mode_ == "min" ? infinity : -infinity;
    if (threshold_mode_ != "rel" && threshold_mode_ != "abs") {
      return SchedulerFault{"threshold_mode", "\"rel\" or \"abs\"", '"' + threshold_mode_ + '"'};
    }
    if (last_lr_.empty()) last_lr_ = detail::current_rates(*optimizer_);
    if (auto fault = detail::wrong_size("min_lrs", min_lrs_.size(), groups)) return fault;
    if (auto fault = detail::wrong_size("_last_lr", last_lr_.size(), groups)) return fault;
    if (auto fault = detail::outside("last_epoch", last_epoch_, 0)) return fault;
    if (auto fault = detail::outside("cooldown_counter", cooldown_left_, -detail::most_epochs)) return fault;
    return detail::outside("num_bad_epochs", bad_epochs_, 0);
  }

  /// 1.13 has no `default_min_lr`, nor, before the first step, `_last_lr`.
  static void adopt(StateDict& record) {
    if (!record.find_key("default_min_lr")) record["default_min_lr"] = None();
    if (!record.find_key("_last_lr")) record["_last_lr"] = List();
  }

  torch::optim::Optimizer* optimizer_;
  double factor_;
  std::optional<double> default_min_lr_;
  std::vector<double> min_lrs_;
  std::int64_t patience_, cooldown_;
  double eps_;
  std::int64_t last_epoch_ = 0;
  std::vector<double> last_lr_;
  double mode_worse_ = 0;
  std::string mode_;
  double threshold_;
  std::string threshold_mode_;
  double best_ = 0;
  std::int64_t cooldown_left_ = 0, bad_epochs_ = 0;
};

}  // namespace trainstate
