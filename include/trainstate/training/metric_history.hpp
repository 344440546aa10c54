// What was measured, step by step.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trainstate/component.hpp"
#include "trainstate/mode.hpp"

namespace trainstate {

/// What was measured of one metric, in the order in which it came.
struct MetricSeries {
  std::vector<std::int64_t> steps;
  std::vector<double> values;

  static constexpr auto describe() {
    return component<MetricSeries>("metric_series", version<1>, state("steps", &MetricSeries::steps),
                                   state("values", &MetricSeries::values));
  }
  bool operator==(const MetricSeries&) const = default;
};

/// All metrics of a run, each with the steps at which it was measured. In a file, a series that has grown long is two
/// tensors (`steps` and `values`), 16 bytes a measurement.
///
///     ts::MetricHistory history;
///     history.add(step, {{"val_loss", loss}, {"accuracy", accuracy}});
///     if (auto best = history.best("accuracy", ts::Mode::max)) std::cout << best->value << " at " << best->step;
class MetricHistory {
 public:
  /// One measurement.
  struct Entry {
    std::int64_t step = 0;
    double value = 0;
    bool operator==(const Entry&) const = default;
  };

  /// Appends a measurement, in amortized constant time.
  void add(std::string_view metric, std::int64_t step, double value) {
    auto at = series_.find(metric);
    if (at == series_.end()) at = series_.emplace(metric, MetricSeries{}).first;
    at->second.steps.push_back(step);
    at->second.values.push_back(value);
  }

  /// Appends what was measured at one step.
  void add(std::int64_t step, const std::map<std::string, double>& metrics) {
    for (const auto& [metric, value] : metrics) add(metric, step, value);
  }

  /// The series of every metric, by name.
  [[nodiscard]] const auto& series() const noexcept { return series_; }

  /// The latest measurement; nothing if there is none.
  [[nodiscard]] std::optional<Entry> latest(std::string_view metric) const {
    const auto at = series_.find(metric);
    const std::size_t n = at == series_.end() ? 0 : size(at->second);
    return n == 0 ? std::nullopt : std::optional(entry(at->second, n - 1));
  }

  /// The best measurement, the earlier of two equal ones; nothing if all are NaN, or if there is none. O(n).
  [[nodiscard]] std::optional<Entry> best(std::string_view metric, Mode mode) const {
    const auto at = series_.find(metric);
    std::optional<Entry> best;
    for (std::size_t i = 0; at != series_.end() && i < size(at->second); ++i) {
      const Entry next = entry(at->second, i);
      if (std::isnan(next.value)) continue;
      const bool better = !best || (mode == Mode::max ? next.value > best->value : next.value < best->value);
      if (better) best = next;
    }
    return best;
  }

  static constexpr auto describe() {
    return component<MetricHistory>("metric_history", version<1>, state("series", &MetricHistory::series_));
  }
  bool operator==(const MetricHistory&) const = default;

 private:
  /// A file may hold one list longer than the other.
  static std::size_t size(const MetricSeries& series) { return std::min(series.steps.size(), series.values.size()); }
  static Entry entry(const MetricSeries& series, std::size_t i) { return {series.steps[i], series.values[i]}; }

  std::map<std::string, MetricSeries, std::less<>> series_;
};

}  // namespace trainstate
