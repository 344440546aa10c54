// How much memory a piece of work takes at its peak. Programs that ask link memory_use.cpp, which counts.
#pragma once

#include <cstddef>
#include <utility>

namespace trainstate::tests {

/// Bytes that are allocated now, the most that were since `restart_peak`, and all that ever were; of all threads.
std::size_t memory_in_use();
std::size_t memory_peak();
std::size_t memory_ever();
void restart_peak();

/// Runs `work`; returns the most memory that it had at any moment, beyond what was allocated before.
template <class Work>
std::size_t peak_of(Work&& work) {
  restart_peak();
  const std::size_t before = memory_in_use();
  std::forward<Work>(work)();
  return memory_peak() - before;
}

}  // namespace trainstate::tests
