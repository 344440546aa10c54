// When a save is due: every so many steps, every so much time, or because a signal came. No LibTorch.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "trainstate/manager/options.hpp"
#include "trainstate/manager/signals.hpp"

namespace trainstate::manager {

/// The time at which the last save was, for `save_every`: a clock that nobody sets.
using PolicyTime = std::chrono::steady_clock::time_point;

/// Says when to save. For one thread.
class SavePolicy {
 public:
  SavePolicy(const ManagerOptions& options, PolicyTime now)
      : every_steps_(options.save_every_steps),
        every_(options.save_every),
        signals_(options.signals),
        last_time_(now) {}

  /// True if a save is due at `step`. Multiples of `save_every_steps` that the loop stepped over count, too.
  [[nodiscard]] bool due(std::int64_t step, PolicyTime now) {
    if (!last_step_ || step < *last_step_) last_step_ = step - 1;
    const bool steps = every_steps_ > 0 && multiples(step) > multiples(*last_step_);
    const bool time = every_.count() > 0 && now - last_time_ >= every_;
    return steps || time || signals_.raised();
  }

  /// The beginning of a save.
  struct Beginning {
    std::int64_t step;
    PolicyTime time;
    SignalFlag::Counts signals;
  };
  [[nodiscard]] Beginning begin(std::int64_t step, PolicyTime now) const { return {step, now, signals_.counts()}; }

  /// A save has succeeded. It answers only the signals that came before it began.
  void saved(const Beginning& beginning) {
    restored(beginning.step, beginning.time);
    signals_.clear(beginning.signals);
  }

  /// The training goes on behind `step`.
  void restored(std::int64_t step, PolicyTime now) {
    last_step_ = step;
    last_time_ = now;
  }

  [[nodiscard]] const SignalFlag& signals() const noexcept { return signals_; }

 private:
  // Rounded down, for -1, too.
  [[nodiscard]] std::int64_t multiples(std::int64_t step) const { return step < 0 ? -1 : step / every_steps_; }

  std::int64_t every_steps_;
  std::chrono::nanoseconds every_;
  SignalFlag signals_;
  std::optional<std::int64_t> last_step_;
  PolicyTime last_time_;
};

}  // namespace trainstate::manager
