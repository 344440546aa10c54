// When to stop: a metric that has not improved for long.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

#include "trainstate/component.hpp"
#include "trainstate/error.hpp"
#include "trainstate/mode.hpp"

namespace trainstate {

/// The arguments of EarlyStopping.
struct EarlyStoppingOptions {
  std::int64_t patience = 3;  ///< so many evaluations without improvement end the training
  double min_delta = 0;       ///< a smaller change is no improvement
  Mode mode = Mode::min;      ///< whether the metric is to fall or to rise
};

/// Counts evaluations without improvement, and says when there were too many. A resumed run counts on.
///
///     ts::EarlyStopping early_stopping({.patience = 5});
///     if (early_stopping.step(val_loss)) break;
class EarlyStopping {
 public:
  /// Throws Error if `patience` is below 1, or `min_delta` negative or NaN.
  explicit EarlyStopping(const EarlyStoppingOptions& options = {})
      : patience_(options.patience), min_delta_(options.min_delta), mode_(options.mode) {
    if (patience_ < 1) throw Error("EarlyStopping: patience should be at least 1, not " + std::to_string(patience_));
    if (!(min_delta_ >= 0)) throw Error("EarlyStopping: min_delta should not be negative");
  }

  /// Takes the metric of an evaluation. True if it is time to stop; then it stays true. NaN is no improvement.
  bool step(double metric) {
    if (is_better(metric)) {
      best_score_ = metric;
      wait_count_ = 0;
    } else {
      ++wait_count_;
    }
    stopped_ = stopped_ || wait_count_ >= patience_;
    return stopped_;
  }

  /// Whether it is time to stop. Worth asking after a load, too: the run may have been over.
  [[nodiscard]] bool should_stop() const noexcept { return stopped_; }
  /// The best metric so far; nothing before the first one.
  [[nodiscard]] std::optional<double> best_score() const noexcept { return best_score_; }
  /// How many evaluations there were since the best one.
  [[nodiscard]] std::int64_t wait_count() const noexcept { return wait_count_; }

  static constexpr auto describe() {
    using T = EarlyStopping;
    return component<T>("early_stopping", version<1>, hyper("patience", &T::patience_),
                        hyper("min_delta", &T::min_delta_), hyper("mode", &T::mode_),
                        state("best_score", &T::best_score_), state("wait_count", &T::wait_count_),
                        state("stopped", &T::stopped_));
  }

 private:
  [[nodiscard]] bool is_better(double metric) const {
    if (std::isnan(metric)) return false;
    if (!best_score_) return true;
    return mode_ == Mode::max ? metric - min_delta_ > *best_score_ : metric + min_delta_ < *best_score_;
  }

  std::int64_t patience_;
  double min_delta_;
  Mode mode_;
  std::optional<double> best_score_;
  std::int64_t wait_count_ = 0;
  bool stopped_ = false;
};

}  // namespace trainstate
