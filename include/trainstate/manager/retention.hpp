// Which checkpoints of a folder stay: a pure function of what is there. No LibTorch.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "trainstate/manager/options.hpp"

namespace trainstate::manager {

/// What the rules look at.
struct Candidate {
  std::int64_t step = 0;
  std::chrono::system_clock::time_point time = {};
  std::int64_t sequence = 0;          ///< the order of writing
  std::optional<double> metric = {};  ///< that by which the best is found
};

/// What is to be done, as indices.
struct Retention {
  std::vector<std::size_t> removed = {};
  /// Those that stay for being among the latest or best: others go because these are there.
  std::vector<std::size_t> relied_on = {};
};

/// Indices of all with a metric that is a number, the best first; of equals the one that was written first.
[[nodiscard]] inline std::vector<std::size_t> by_merit(std::span<const Candidate> all, Mode mode) {
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].metric && !std::isnan(*all[i].metric)) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (*all[a].metric == *all[b].metric) return all[a].sequence < all[b].sequence;
    return (*all[a].metric < *all[b].metric) == (mode == Mode::min);
  });
  return order;
}

/// Applies the rules of `options` to whole checkpoints in the order of their names. O(n log n). What stays once stays
/// when others have come, as long as the options and the clock do: removing is the same in one go or in steps.
[[nodiscard]] inline Retention retention_of(std::span<const Candidate> all, const ManagerOptions& options) {
  const bool rules = options.keep_latest > 0 || options.keep_best > 0 || options.keep_every > 0 ||
                     options.keep_every_duration.count() > 0;
  if (!rules || all.empty()) return {};
  const std::size_t size = all.size();
  const auto at_least_one = [&](std::int64_t count) {
    return static_cast<std::size_t>(std::clamp<std::int64_t>(count, 1, static_cast<std::int64_t>(size)));
  };
  std::vector<char> relied_on(size, 0), stays(size, 0);

  const std::size_t latest = at_least_one(options.keep_latest);
  for (std::size_t i = size - latest; i < size; ++i) relied_on[i] = 1;
  // The same unless the training went back to an earlier step; then the way that it went on must not be lost either.
  std::vector<std::size_t> written(size);
  std::iota(written.begin(), written.end(), std::size_t{0});
  std::stable_sort(written.begin(), written.end(),
                   [&](std::size_t a, std::size_t b) { return all[a].sequence < all[b].sequence; });
  for (std::size_t i = size - latest; i < size; ++i) relied_on[written[i]] = 1;

  if (!options.metric.empty()) {
    const auto order = by_merit(all, options.mode);
    const std::size_t best = std::min(order.size(), at_least_one(options.keep_best));
    for (std::size_t i = 0; i < best; ++i) relied_on[order[i]] = 1;
  }

  for (std::size_t i = 0; i < size; ++i) {
    const std::int64_t step = all[i].step;
    const bool newest_of_step = i + 1 == size || all[i + 1].step != step;
    const auto& always = options.always_keep;
    const bool wanted = (options.keep_every > 0 && step % options.keep_every == 0) ||
                        std::find(always.begin(), always.end(), step) != always.end();
    if (newest_of_step && wanted) stays[i] = 1;
  }

  if (options.keep_every_duration.count() > 0) {
    std::optional<std::chrono::system_clock::time_point> last;
    for (const std::size_t i : written) {
      // A clock that was put back begins anew.
      const bool due = !last || all[i].time < *last || all[i].time - *last >= options.keep_every_duration;
      if (!due) continue;
      stays[i] = 1;
      last = all[i].time;
    }
  }

  Retention plan;
  for (std::size_t i = 0; i < size; ++i) {
    if (relied_on[i]) plan.relied_on.push_back(i);
    if (!relied_on[i] && !stays[i]) plan.removed.push_back(i);
  }
  return plan;
}

}  // namespace trainstate::manager
