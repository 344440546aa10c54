// How much memory of the process is resident: its own, and pages of files that it has mapped.
#pragma once

#include <cstddef>
#include <fstream>
#include <optional>
#include <string>
#include <utility>

namespace trainstate::tests {

/// `VmRSS` (now) or `VmHWM` (at most, since it was last set back), in bytes.
inline std::size_t resident(const std::string& which) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(which + ':')) return std::stoul(line.substr(which.size() + 1)) << 10;
  }
  return 0;
}

/// How much more was resident at some moment of `work` than before. Nothing where the system cannot say so, or under a
/// sanitizer, whose own memory is resident, too.
template <class Work>
std::optional<std::size_t> most_resident(Work&& work) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  std::forward<Work>(work)();
  return std::nullopt;
#else
  if (!(std::ofstream("/proc/self/clear_refs") << "5" << std::flush)) return std::nullopt;  // sets VmHWM back to VmRSS
  const std::size_t before = resident("VmRSS");
  std::forward<Work>(work)();
  const std::size_t most = resident("VmHWM");
  if (before == 0 || most == 0) return std::nullopt;
  return most > before ? most - before : 0;
#endif
}

}  // namespace trainstate::tests
