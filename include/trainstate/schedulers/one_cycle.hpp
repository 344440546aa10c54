// One cycle of the rates up and down, and of the momentum against them: super-convergence,
// https://arxiv.org/abs/1708.07120.
#pragma once

#include <torch/optim/optimizer.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numbers>
#include <optional>
#include <string>
#include <vector>

#include "trainstate/schedulers/base.hpp"
#include "trainstate/schedulers/codec.hpp"
#include "trainstate/schedulers/one_cycle_phase.hpp"
#include "trainstate/schedulers/per_group.hpp"

namespace trainstate {

/// The arguments of OneCycleLR after `max_lr`, with Python's defaults. Either `total_steps`, or `epochs` and
/// `steps_per_epoch`.
struct OneCycleLROptions {
  std::optional<std::int64_t> total_steps = std::nullopt;
  std::optional<std::int64_t> epochs = std::nullopt;
  std::optional<std::int64_t> steps_per_epoch = std::nullopt;
  double pct_start = 0.3;               ///< the part of the cycle in which the rates rise
  std::string anneal_strategy = "cos";  ///< or "linear"
  bool cycle_momentum = true;           ///< moves `momentum`, or the first of `betas`, against the rates
  PerGroup base_momentum = 0.85;
  PerGroup max_momentum = 0.95;
  double div_factor = 25;         ///< the initial rate is `max_lr / div_factor`,
  double final_div_factor = 1e4;  ///< the last one the initial one divided by this
  bool three_phase = false;
  std::int64_t last_epoch = -1;
};

/// Moves the rates from `max_lr / div_factor` up to `max_lr` and down to almost nothing, step by step:
/// `torch.optim.lr_scheduler.OneCycleLR`. The bounds of every group are the optimizer's, as in Python: they are saved
/// and restored with it.
class OneCycleLR : public LRScheduler {
 public:
  /// Throws Error for arguments that Python refuses, and if `cycle_momentum` asks for a momentum that the optimizer
  /// does not have: SGD and RMSprop have one, Adam and AdamW have betas.
  OneCycleLR(torch::optim::Optimizer& optimizer, const PerGroup& max_lr, const OneCycleLROptions& options)
      : LRScheduler(optimizer, options.last_epoch, bounds_noted(optimizer, max_lr, options)),
        total_steps_(steps_of(options)),
        phases_(phases_of(options, total_steps_)),
        strategy_(options.anneal_strategy),
        cycle_momentum_(options.cycle_momentum),
        use_beta1_(options.cycle_momentum && optimizer_has_betas()) {
    initial_step();
  }

  static constexpr auto describe() {
    return component<OneCycleLR>(
        "torch.optim.lr_scheduler.OneCycleLR", flat, hyper("total_steps", &OneCycleLR::total_steps_),
        hyper("_schedule_phases", &OneCycleLR::phases_), hyper("_anneal_func_type", &OneCycleLR::strategy_),
        hyper("cycle_momentum", &OneCycleLR::cycle_momentum_), hyper("use_beta1", &OneCycleLR::use_beta1_),
        base<LRScheduler>);
  }

 protected:
  std::vector<double> get_lr() override {
    if (last_epoch_ > total_steps_) {
      throw Error("OneCycleLR: step " + std::to_string(last_epoch_) + " of a cycle of " + std::to_string(total_steps_));
    }
    const auto step = static_cast<double>(last_epoch_);
    double start = 0;
    std::size_t p = 0;
    for (; p + 1 < phases_.size() && step > phases_[p].end_step; ++p) start = phases_[p].end_step;
    const auto& phase = phases_.at(p);
    const double done = detail::quotient(step - start, phase.end_step - start);

    auto& groups = optimizer_->param_groups();
    const auto notes = detail::NotesRegistry::obtain(*optimizer_);  // of groups that were added, too
    std::vector<double> rates, momenta;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const auto between = [&](const std::string& from, const std::string& to) {
        return anneal(detail::note_at((*notes)[g], from), detail::note_at((*notes)[g], to), done);
      };
      rates.push_back(between(phase.start_lr, phase.end_lr));
      if (cycle_momentum_) momenta.push_back(between(phase.start_momentum, phase.end_momentum));
    }
    for (std::size_t g = 0; g < momenta.size(); ++g) {
      detail::with_momentum(groups[g].options(), [&](double& momentum) { momentum = momenta[g]; });
    }
    return rates;
  }

  std::optional<detail::SchedulerFault> find_fault() override {
    if (auto fault = detail::outside("total_steps", total_steps_, 1)) return fault;
    if (phases_.empty()) return detail::SchedulerFault{"_schedule_phases", "at least one phase", "none"};
    if (strategy_ != "cos" && strategy_ != "linear") {
      return detail::SchedulerFault{"_anneal_func_type", "\"cos\" or \"linear\"", '"' + strategy_ + '"'};
    }
    if (cycle_momentum_ && !can_cycle(*optimizer_)) {
      return detail::SchedulerFault{"cycle_momentum", "false, as the optimizer has no momentum", "true"};
    }
    if (cycle_momentum_ && use_beta1_ != optimizer_has_betas()) {
      return detail::SchedulerFault{"use_beta1", use_beta1_ ? "false, as the optimizer has no betas" : "true",
                                    use_beta1_ ? "true" : "false"};
    }
    return LRScheduler::find_fault();
  }

 private:
  friend struct detail::SchedulerAccess;
  using Phase = detail::OneCyclePhase;

  /// Without cycle_momentum, Python has no `use_beta1`.
  static void adopt(StateDict& record) {
    const Value* cycles = record.find_key("cycle_momentum");
    if (cycles && *cycles == Value(false) && !record.find_key("use_beta1")) record["use_beta1"] = false;
  }
  void trim(StateDict& record) const {
    if (!cycle_momentum_) record.erase_key("use_beta1");
  }

  static bool can_cycle(torch::optim::Optimizer& optimizer) {
    auto& groups = optimizer.param_groups();
    return std::all_of(groups.begin(), groups.end(),
                       [](auto& group) { return detail::with_momentum(group.options(), [](double&) {}); });
  }

  [[nodiscard]] bool optimizer_has_betas() const {
    auto& groups = optimizer_->param_groups();
    return !groups.empty() && detail::has_betas(groups.front().options());
  }

  static std::int64_t steps_of(const OneCycleLROptions& options) {
    const auto positive = [](std::int64_t count, const char* name) {
      if (detail::outside(name, count, 1)) throw Error(std::string("OneCycleLR: ") + name + " should be at least 1");
      return count;
    };
    if (options.total_steps) return positive(*options.total_steps, "total_steps");
    if (!options.epochs || !options.steps_per_epoch) {
      throw Error("OneCycleLR: give total_steps, or epochs and steps_per_epoch");
    }
    std::int64_t product = 0;
    if (__builtin_mul_overflow(positive(*options.epochs, "epochs"),
                               positive(*options.steps_per_epoch, "steps_per_epoch"), &product)) {
      product = 0;
    }
    return positive(product, "epochs * steps_per_epoch");
  }

  /// Checks the arguments, and notes the bounds of each group.
  static std::shared_ptr<detail::OptimizerNotes> bounds_noted(torch::optim::Optimizer& optimizer,
                                                              const PerGroup& max_lr,
                                                              const OneCycleLROptions& options) {
    steps_of(options);
    if (!(options.pct_start >= 0 && options.pct_start <= 1)) {
      throw Error("OneCycleLR: pct_start should be between 0 and 1");
    }
    if (options.anneal_strategy != "cos" && options.anneal_strategy != "linear") {
      throw Error("OneCycleLR: anneal_strategy should be \"cos\" or \"linear\", not \"" + options.anneal_strategy +
                  '"');
    }
    if (options.cycle_momentum && !can_cycle(optimizer)) {
      throw Error("OneCycleLR: cycle_momentum needs an optimizer with momentum or betas");
    }
    const auto rates = max_lr.expand(optimizer, "max_lr");
    const auto high = options.max_momentum.expand(optimizer, "max_momentum");
    const auto low = options.base_momentum.expand(optimizer, "base_momentum");
    auto all = detail::NotesRegistry::obtain(optimizer);
    for (std::size_t g = 0; options.last_epoch == -1 && g < rates.size(); ++g) {
      auto& notes = (*all)[g];
      notes.initial_lr = rates[g] / options.div_factor;
      notes.max_lr = rates[g];
      notes.min_lr = *notes.initial_lr / options.final_div_factor;
      if (!options.cycle_momentum) continue;
      notes.max_momentum = high[g];
      notes.base_momentum = low[g];
    }
    return all;
  }

  static std::vector<Phase> phases_of(const OneCycleLROptions& options, std::int64_t total_steps) {
    const auto total = static_cast<double>(total_steps);
    const double top = options.pct_start * total - 1;
    const Phase up{top, "initial_lr", "max_lr", "max_momentum", "base_momentum"};
    if (!options.three_phase) return {up, {total - 1, "max_lr", "min_lr", "base_momentum", "max_momentum"}};
    return {up,
            {2 * options.pct_start * total - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"},
            {total - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"}};
  }

  [[nodiscard]] double anneal(double from, double to, double done) const {
    if (strategy_ == "linear") return (to - from) * done + from;
    return to + (from - to) / 2.0 * (std::cos(std::numbers::pi * done) + 1);
  }

  std::int64_t total_steps_;
  std::vector<Phase> phases_;
  std::string strategy_;
  bool cycle_momentum_, use_beta1_;
};

}  // namespace trainstate
