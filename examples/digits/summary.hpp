// At the end: which checkpoints were kept, and why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <trainstate/manager.hpp>

namespace digits {

namespace ts = trainstate;

/// Prints a line for each checkpoint that the manager has kept by `keep_latest` and `keep_best = 1`.
inline void print_kept(const ts::CheckpointManager& manager, const std::string& metric, std::size_t keep_latest) {
  const auto all = manager.all();
  const auto best = manager.best();
  std::printf("kept in %s\n  step  %s  why                            file\n", manager.folder().c_str(),
              metric.c_str());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t later = all.size() - 1 - i;
    std::string why;
    if (best && best->path == all[i].path) why = "the best " + metric;
    if (later < keep_latest) why += std::string(why.empty() ? "" : ", ") + (later == 0 ? "the latest" : "a late one");
    const auto measured = all[i].metrics.find(metric);
    char value[16] = "-";
    if (measured != all[i].metrics.end()) std::snprintf(value, sizeof value, "%.4f", measured->second);
    std::printf("  %4lld  %*s  %-29s  %s\n", static_cast<long long>(all[i].step), static_cast<int>(metric.size()),
                value, why.c_str(), all[i].path.filename().c_str());
  }
}

}  // namespace digits
