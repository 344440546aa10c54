// Signals as flags that a training loop polls. No LibTorch.
#pragma once

#include <signal.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"

namespace trainstate {
namespace manager {

/// The signals of this process that are counted instead of what they did before.
class SignalCounts {
 public:
  static SignalCounts& get() {
    static SignalCounts& counts = *new SignalCounts;  // a signal may come when the program ends
    return counts;
  }

  [[nodiscard]] std::uint32_t count(int signal) const { return counts()[index(signal)].load(); }

  void install(int signal) {
    const std::lock_guard lock(mutex_);
    if (users_[index(signal)] == 0) {
      struct sigaction action {};
      action.sa_handler = &handle;
      action.sa_flags = SA_RESTART;
      ::sigemptyset(&action.sa_mask);
      if (::sigaction(signal, &action, &before_[index(signal)]) != 0) {
        throw IoError("signal " + std::to_string(signal) + ": cannot be handled", errno);
      }
    }
    ++users_[index(signal)];
  }

  void remove(int signal) noexcept {
    const std::lock_guard lock(mutex_);
    if (--users_[index(signal)] != 0) return;
    struct sigaction now {};
    // Somebody else's handler stays.
    if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == &handle) {
      ::sigaction(signal, &before_[index(signal)], nullptr);
    }
  }

 private:
  static constexpr std::size_t signals = 128;
  using Counts = std::array<std::atomic<std::uint32_t>, signals>;
  static_assert(std::atomic<std::uint32_t>::is_always_lock_free, "a signal handler may use nothing else");

  static std::size_t index(int signal) {
    if (signal <= 0 || static_cast<std::size_t>(signal) >= signals) {
      throw IoError("signal " + std::to_string(signal) + ": cannot be handled", EINVAL);
    }
    return static_cast<std::size_t>(signal);
  }

  static Counts& counts() {
    static constinit Counts all{};
    return all;
  }

  static void handle(int signal) { counts()[static_cast<std::size_t>(signal)].fetch_add(1); }

  std::mutex mutex_;
  std::array<int, signals> users_{};
  std::array<struct sigaction, signals> before_{};
};

}  // namespace manager

/// Counts signals for as long as it lives, instead of what they did before (SIGTERM ends a process); then that is put
/// back. Handlers do nothing but count, so that the training loop decides where to stop. Any number of them, on any
/// threads.
class SignalFlag {
 public:
  /// Throws IoError for a signal that cannot be handled, as SIGKILL.
  explicit SignalFlag(const std::vector<int>& signals) {
    try {
      for (const int signal : signals) {
        manager::SignalCounts::get().install(signal);
        const std::uint32_t count = manager::SignalCounts::get().count(signal);
        watched_.push_back({signal, count, count});
      }
    } catch (...) {
      remove();
      throw;
    }
  }
  SignalFlag(SignalFlag&& other) noexcept : watched_(std::exchange(other.watched_, {})) {}
  SignalFlag& operator=(SignalFlag&&) = delete;
  ~SignalFlag() { remove(); }

  /// True if one of them came since the last `clear`.
  [[nodiscard]] bool raised() const {
    return std::any_of(watched_.begin(), watched_.end(), [](const Watched& watched) {
      return manager::SignalCounts::get().count(watched.signal) != watched.cleared;
    });
  }

  /// True if this one came since the flag was made, whatever was cleared.
  [[nodiscard]] bool received(int signal) const {
    return std::any_of(watched_.begin(), watched_.end(), [&](const Watched& watched) {
      return watched.signal == signal && manager::SignalCounts::get().count(signal) != watched.first;
    });
  }

  /// How often each came until now.
  using Counts = std::vector<std::uint32_t>;
  [[nodiscard]] Counts counts() const {
    Counts all;
    for (const Watched& watched : watched_) all.push_back(manager::SignalCounts::get().count(watched.signal));
    return all;
  }

  /// Lowers the flag.
  void clear() { clear(counts()); }

  /// As if it had been lowered when `counts` were taken: what came since then raises it.
  void clear(const Counts& counts) {
    for (std::size_t i = 0; i < watched_.size(); ++i) watched_[i].cleared = counts.at(i);
  }

 private:
  struct Watched {
    int signal;
    std::uint32_t first, cleared;
  };

  void remove() noexcept {
    for (const auto& watched : watched_) manager::SignalCounts::get().remove(watched.signal);
  }

  std::vector<Watched> watched_;
};

}  // namespace trainstate
