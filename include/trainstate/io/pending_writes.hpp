// Files that are still being written behind the caller's back, so that writes to one path end in the order of the
// calls.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <utility>

#include "trainstate/error.hpp"
#include "trainstate/io/atomic_file.hpp"
#include "trainstate/io/posix.hpp"

namespace trainstate::io {

/// The writes of this process that were announced and have not ended. Any thread may use it.
class PendingWrites {
 public:
  /// A write to come, which others wait for until this object goes.
  class Announced {
   public:
    Announced(Announced&& other) noexcept
        : all_(std::exchange(other.all_, nullptr)), target_(std::move(other.target_)), number_(other.number_) {}
    Announced& operator=(Announced&&) = delete;
    ~Announced() {
      if (all_) all_->end({std::move(target_), number_});
    }

   private:
    friend PendingWrites;
    Announced(PendingWrites& all, std::string target, std::uint64_t number)
        : all_(&all), target_(std::move(target)), number_(number) {}

    PendingWrites* all_;
    std::string target_;
    std::uint64_t number_;
  };

  /// While it lives, the calling thread does what was announced, and `wait_for` returns at once on it: it would wait
  /// for itself, or for a write that waits for it.
  class Behind {
   public:
    Behind() : before_(std::exchange(is_behind_, true)) {}
    Behind(const Behind&) = delete;
    Behind& operator=(const Behind&) = delete;
    ~Behind() { is_behind_ = before_; }

   private:
    bool before_;
  };

  /// Announces a write to the file at this path, or where its symbolic links lead. Throws nothing for a path that
  /// cannot be written: the write will.
  [[nodiscard]] Announced announce(const std::filesystem::path& path) {
    std::string target = target_of(path);
    const std::lock_guard lock(mutex_);
    forget_those_of_the_parent();
    pending_.emplace(target, next_);
    return {*this, std::move(target), next_++};
  }

  /// Waits until all writes to this file that were announced before have ended.
  void wait_for(const std::filesystem::path& path) {
    if (is_behind_) return;
    std::uint64_t now = 0;
    {
      const std::lock_guard lock(mutex_);
      forget_those_of_the_parent();
      if (pending_.empty()) return;  // as most times, and then nobody asks the file system
      now = next_;
    }
    const std::pair<std::string, std::uint64_t> first(target_of(path), 0);
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [&] {
      const auto at = pending_.lower_bound(first);
      return at == pending_.end() || at->first != first.first || at->second >= now;
    });
  }

 private:
  // Two paths of one file give one text.
  static std::string target_of(const std::filesystem::path& path) {
    std::filesystem::path target = path;
    try {
      target = follow_links(path);
    } catch (const Error&) {  // the write itself will say what is wrong
    }
    std::error_code error;
    target = std::filesystem::absolute(target, error);
    if (error) return path.native();
    const auto folder = std::filesystem::weakly_canonical(target.parent_path(), error);
    return error ? target.native() : (folder / target.filename()).native();
  }

  void end(const std::pair<std::string, std::uint64_t>& write) {
    {
      const std::lock_guard lock(mutex_);
      pending_.erase(write);
    }
    ended_.notify_all();
  }

  // A process that forked has the announcements, and not the threads that would end them.
  void forget_those_of_the_parent() {
    const auto process = ::getpid();
    if (std::exchange(process_, process) != process) pending_.clear();
  }

  static inline thread_local bool is_behind_ = false;

  std::mutex mutex_;  // guards what follows
  std::condition_variable ended_;
  std::set<std::pair<std::string, std::uint64_t>> pending_;  // by target, then in the order of the announcements
  std::uint64_t next_ = 0;
  pid_t process_ = ::getpid();
};

/// Those of this process. Never destroyed, since writes may outlive other objects of static lifetime.
inline PendingWrites& pending_writes() {
  static PendingWrites& writes = *new PendingWrites;
  return writes;
}

}  // namespace trainstate::io
