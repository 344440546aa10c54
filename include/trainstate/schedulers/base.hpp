// What the learning rate schedulers have in common: PyTorch's `torch.optim.lr_scheduler`, for LibTorch's optimizers.
//
// A scheduler holds a reference to its optimizer, which has to outlive it and to stay where it is. The formulas are the
// recursive ones of PyTorch (the next rate from the group's present one), term for term, so that the rates are the same
// to the last bit.
#pragma once

#include <torch/optim/optimizer.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/component.hpp"
#include "trainstate/error.hpp"
#include "trainstate/torch/optimizer/group_notes.hpp"

namespace trainstate {
namespace detail {

struct SchedulerAccess;  // schedulers/codec.hpp

/// A field whose value no step could go on with.
struct SchedulerFault {
  std::string key, expected, found;
};

/// The present learning rate of each parameter group.
inline std::vector<double> current_rates(const torch::optim::Optimizer& optimizer) {
  std::vector<double> rates;
  for (const auto& group : optimizer.param_groups()) rates.push_back(group.options().get_lr());
  return rates;
}

/// Python's division, which has no infinite results: throws Error if `b` is zero.
inline double quotient(double a, double b) {
  if (b == 0) throw Error("a learning rate scheduler divides by zero: its hyperparameters allow no such step");
  return a / b;
}

/// Beyond, an integer is not exact as a double, and counting on would soon overflow.
inline constexpr std::int64_t most_epochs = std::int64_t{1} << 53;

inline std::optional<SchedulerFault> outside(std::string_view key, std::int64_t value, std::int64_t least) {
  if (value >= least && value <= most_epochs) return std::nullopt;
  return SchedulerFault{std::string(key), "an integer from " + std::to_string(least) + " to 2^53",
                        std::to_string(value)};
}

inline std::optional<SchedulerFault> wrong_size(std::string_view key, std::size_t size, std::size_t groups) {
  if (size == groups) return std::nullopt;
  return SchedulerFault{std::string(key), "one for each parameter group, " + std::to_string(groups),
                        "a list of " + std::to_string(size)};
}

}  // namespace detail

/// Anything that sets an optimizer's learning rates as `step()` is called, after each epoch or batch.
class Scheduler {
 public:
  virtual ~Scheduler() = default;

  /// Sets the next learning rate of every parameter group. Throws Error where the schedule has no next one; then
  /// nothing has changed.
  virtual void step() = 0;

  /// The learning rates that the last step left behind, one for each parameter group.
  [[nodiscard]] const std::vector<double>& get_last_lr() const { return last_lr_; }

  /// The optimizer whose rates these are.
  [[nodiscard]] torch::optim::Optimizer& optimizer() const { return *optimizer_; }

 protected:
  explicit Scheduler(torch::optim::Optimizer& optimizer) : optimizer_(&optimizer) {}
  Scheduler(const Scheduler&) = default;
  Scheduler(Scheduler&&) noexcept = default;
  Scheduler& operator=(const Scheduler&) = default;
  Scheduler& operator=(Scheduler&&) noexcept = default;

  friend struct detail::SchedulerAccess;

  torch::optim::Optimizer* optimizer_;
  std::vector<double> last_lr_;
};

/// The base of every scheduler that counts epochs and computes one rate for each group: PyTorch's `LRScheduler`.
///
/// A scheduler of your own derives from it, says in `get_lr` what the next rates are, calls `initial_step()` at the end
/// of its constructor, and lists `ts::base<ts::LRScheduler>` in its `describe()`, with `ts::flat`.
class LRScheduler : public Scheduler {
 public:
  void step() override {
    ++step_count_;
    try {
      update_lr(last_epoch_ + 1, false);
    } catch (...) {
      --step_count_;
      throw;
    }
  }

  /// How many steps were made after the one of the constructor.
  [[nodiscard]] std::int64_t last_epoch() const { return last_epoch_; }

  /// The rates at the start, one for each parameter group. An optimizer's first scheduler records them; those that are
  /// added while it lives take them over.
  [[nodiscard]] const std::vector<double>& base_lrs() const { return base_lrs_; }

  static constexpr auto describe() {
    return component<LRScheduler>(
        "torch.optim.lr_scheduler.LRScheduler", flat, state("base_lrs", &LRScheduler::base_lrs_),
        state("last_epoch", &LRScheduler::last_epoch_), state("_step_count", &LRScheduler::step_count_),
        state("_is_initial", &LRScheduler::is_initial_),
        state("_get_lr_called_within_step", &LRScheduler::get_lr_called_within_step_),
        state("_last_lr", &LRScheduler::last_lr_));
  }

 protected:
  /// `last_epoch`: -1 to begin; else where to go on, which needs the initial rates that another scheduler of the
  /// optimizer has recorded. Throws Error if there are none.
  LRScheduler(torch::optim::Optimizer& optimizer, std::int64_t last_epoch)
      : LRScheduler(optimizer, last_epoch, detail::NotesRegistry::obtain(optimizer)) {}

  /// As above, with notes on the groups that were made before.
  LRScheduler(torch::optim::Optimizer& optimizer, std::int64_t last_epoch,
              std::shared_ptr<detail::OptimizerNotes> notes)
      : Scheduler(optimizer), notes_(std::move(notes)), last_epoch_(last_epoch) {
    const auto rates = detail::current_rates(optimizer);
    for (std::size_t g = 0; g < rates.size(); ++g) {
      auto& initial = (*notes_)[g].initial_lr;
      if (!initial && last_epoch != -1) {
        throw Error("a scheduler that starts at last_epoch " + std::to_string(last_epoch) +
                    " finds no initial_lr in parameter group " + std::to_string(g) +
                    ": construct it with -1 and load its state");
      }
      if (!initial) initial = rates[g];
      base_lrs_.push_back(*initial);
    }
  }

  LRScheduler(const LRScheduler&) = default;
  LRScheduler(LRScheduler&&) noexcept = default;
  LRScheduler& operator=(const LRScheduler&) = default;
  LRScheduler& operator=(LRScheduler&&) noexcept = default;

  /// The next rate of each parameter group, from the present ones and `last_epoch()`, which is the epoch that begins.
  [[nodiscard]] virtual std::vector<double> get_lr() = 0;

  /// The rates at epoch `last_epoch()`, whatever the present ones are; as `get_lr` where the formula has no such form.
  [[nodiscard]] virtual std::vector<double> closed_form_lr() { return get_lr(); }

  /// What is wrong with the fields, as they have just been read from a file; nothing if a step can go on with them.
  [[nodiscard]] virtual std::optional<detail::SchedulerFault> find_fault() {
    const auto groups = optimizer_->param_groups().size();
    if (auto fault = detail::wrong_size("base_lrs", base_lrs_.size(), groups)) return fault;
    if (auto fault = detail::wrong_size("_last_lr", last_lr_.size(), groups)) return fault;
    if (auto fault = detail::outside("last_epoch", last_epoch_, -1)) return fault;
    return detail::outside("_step_count", step_count_, 0);
  }

  /// The first step, which sets the rates of epoch 0.
  void initial_step() {
    step_count_ = 0;
    is_initial_ = true;
    try {
      step();
    } catch (...) {
      is_initial_ = false;
      throw;
    }
    is_initial_ = false;
  }

  /// Goes to an epoch. Throws what `get_lr` throws; then nothing has changed.
  void update_lr(std::int64_t epoch, bool closed_form) {
    const auto before = std::exchange(last_epoch_, epoch);
    try {
      const auto rates = closed_form ? closed_form_lr() : get_lr();
      auto& groups = optimizer_->param_groups();
      if (rates.size() != groups.size()) {
        throw Error("a scheduler of " + std::to_string(rates.size()) + " learning rates steps an optimizer of " +
                    std::to_string(groups.size()) + " parameter groups");
      }
      for (std::size_t g = 0; g < rates.size(); ++g) groups[g].options().set_lr(rates[g]);
    } catch (...) {
      last_epoch_ = before;
      throw;
    }
    last_lr_ = current_rates();
  }

  [[nodiscard]] std::vector<double> current_rates() const { return detail::current_rates(*optimizer_); }

  /// `f(rate)` of each group's present rate.
  template <class F>
  [[nodiscard]] std::vector<double> from_current(const F& f) const {
    auto rates = current_rates();
    for (double& rate : rates) rate = f(rate);
    return rates;
  }

  /// `f(rate)` of each group's rate at the start.
  template <class F>
  [[nodiscard]] std::vector<double> from_base(const F& f) const {
    auto rates = base_lrs_;
    for (double& rate : rates) rate = f(rate);
    return rates;
  }

  /// Within the step that the constructor, or a SequentialLR that begins, makes.
  [[nodiscard]] bool is_initial() const { return is_initial_; }
  [[nodiscard]] std::int64_t step_count() const { return step_count_; }

  std::shared_ptr<detail::OptimizerNotes> notes_;
  std::vector<double> base_lrs_;
  std::int64_t last_epoch_;

 private:
  friend class SequentialLR;
  friend struct detail::SchedulerAccess;

  std::int64_t step_count_ = 0;
  bool is_initial_ = false;
  bool get_lr_called_within_step_ = false;  // Python's, for a warning of its own
};

}  // namespace trainstate
