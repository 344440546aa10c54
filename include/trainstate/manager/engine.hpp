// Saving, keeping and restoring the checkpoints of a folder, whatever writes and loads a file. No LibTorch.
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/io/posix.hpp"
#include "trainstate/manager/folder.hpp"
#include "trainstate/manager/lock.hpp"
#include "trainstate/manager/metadata.hpp"
#include "trainstate/manager/names.hpp"
#include "trainstate/manager/options.hpp"
#include "trainstate/manager/policy.hpp"
#include "trainstate/manager/retention.hpp"

namespace trainstate::manager {

/// Waits until a file is durable, and throws what went wrong. Empty: it is already.
using Completion = std::function<void()>;

/// What CheckpointManager does, without the objects. One thread saves and restores; any may list.
class Engine {
 public:
  Engine(std::filesystem::path folder, ManagerOptions options)
      : options_(checked(folder, std::move(options))),
        folder_(std::move(folder)),
        policy_(options_, std::chrono::steady_clock::now()) {
    std::error_code error;
    std::filesystem::create_directories(folder_.path(), error);
    if (error) io::throw_io_error(folder_.path(), "the folder cannot be made", error.value());
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() {
    settle();
    if (worker_.joinable()) worker_.join();
  }

  [[nodiscard]] const ManagerOptions& options() const noexcept { return options_; }
  [[nodiscard]] CheckpointFolder& folder() noexcept { return folder_; }
  [[nodiscard]] SavePolicy& policy() noexcept { return policy_; }

  /// Takes the folder for writing. Throws IoError.
  void lock() {
    if (!lock_.take(folder_.path())) return;
    if (!lock_.supported()) {
      warn(folder_.path().string() + ": cannot be locked, so nothing keeps a second manager from writing to it");
    }
    folder_.remove_debris();
    sequence_ = 0;
    for (const FolderFile& file : folder_.list()) sequence_ = std::max(sequence_, file.record.sequence);
  }

  /// Calls `write(path, metadata)`, which writes the file or begins to, and returns its Completion. Once the file is
  /// durable, those that nobody wants any more go: behind, if there was a completion to wait for.
  template <class Write>
  std::filesystem::path save(std::int64_t step, const Metrics& metrics, std::map<std::string, std::string> metadata,
                             const Write& write) {
    if (step < 0) {
      throw Error(folder_.path().string() + ": expected a step of 0 or more, found " + std::to_string(step));
    }
    await_room();
    throw_error();
    lock();
    const auto now = options_.clock ? options_.clock() : std::chrono::system_clock::now();
    metadata.insert(options_.metadata.begin(), options_.metadata.end());
    const auto texts = to_metadata({step, now, sequence_ + 1, metrics, std::move(metadata)});
    const FileName name = new_name(step, now);
    const std::filesystem::path path = folder_.path() / manager::text_of(name);
    const auto beginning = policy_.begin(step, std::chrono::steady_clock::now());
    Completion completion = write(path, texts);
    ++sequence_;
    policy_.saved(beginning);
    if (completion) {
      go_on_behind({std::move(completion), name});
    } else {
      finish(name);
    }
    return path;
  }

  /// Waits for all that goes on behind, then throws what went wrong and was not yet thrown, the oldest first.
  void wait() {
    settle();
    throw_error();
  }

  /// Waits, and leaves what went wrong for later.
  void settle() noexcept {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return jobs_.empty(); });
  }

  /// Calls `load(path)`, which returns a Report, with the newest file of a step (or of all) that is whole. Nothing if
  /// there is none at all; throws IntegrityError if there are only damaged ones, and what the load of a whole one
  /// throws.
  template <class Load>
  std::optional<RestoredEntry> restore(std::optional<std::int64_t> step, const Load& load) {
    settle();
    constexpr int attempts = 100;
    for (int i = 0; i < attempts; ++i) {
      bool vanished = false;
      auto restored = try_restore(step, load, vanished);
      if (restored) policy_.restored(restored->step, std::chrono::steady_clock::now());
      // Whoever deleted a file while it was being opened has written a newer one before.
      if (!vanished) return restored;
    }
    io::throw_io_error(folder_.path(), "files go faster than they can be read", EBUSY);
  }

  /// All whole checkpoints in their order.
  [[nodiscard]] std::vector<FolderFile> whole() {
    auto files = folder_.list();
    std::erase_if(files, [](const FolderFile& file) { return file.condition != Condition::whole; });
    return files;
  }

  /// The best of `files` by the metric.
  [[nodiscard]] std::optional<std::size_t> best_of(const std::vector<FolderFile>& files) const {
    if (options_.metric.empty()) return std::nullopt;
    const auto order = by_merit(candidates(files), options_.mode);
    return order.empty() ? std::nullopt : std::optional(order.front());
  }

  [[nodiscard]] std::vector<std::string> warnings() const {
    const std::lock_guard lock(mutex_);
    return warnings_;
  }

 private:
  struct Job {
    Completion completion;
    FileName name;
  };

  static ManagerOptions checked(const std::filesystem::path& folder, ManagerOptions options) {
    const auto refuse = [&](const std::string& what) { throw Error(folder.string() + ": " + what); };
    const auto require_count = [&](std::int64_t count, const char* name) {
      if (count < 0) refuse(std::string(name) + ": expected 0 or more, found " + std::to_string(count));
    };
    require_count(options.keep_latest, "keep_latest");
    require_count(options.keep_best, "keep_best");
    require_count(options.keep_every, "keep_every");
    require_count(options.keep_every_duration.count(), "keep_every_duration");
    require_count(options.save_every_steps, "save_every_steps");
    require_count(options.save_every.count(), "save_every");
    if (options.keep_best > 0 && options.metric.empty()) refuse("keep_best: expected the name of a metric, found none");
    static_cast<void>(to_metadata({.metadata = options.metadata}));
    return options;
  }

  [[nodiscard]] std::vector<Candidate> candidates(const std::vector<FolderFile>& files) const {
    std::vector<Candidate> all;
    all.reserve(files.size());
    for (const FolderFile& file : files) {
      const auto metric = file.record.metrics.find(options_.metric);
      all.push_back({file.record.step, file.record.time, file.record.sequence,
                     metric == file.record.metrics.end() ? std::nullopt : std::optional(metric->second)});
    }
    return all;
  }

  void await_room() {
    constexpr std::size_t most_outstanding = 2;
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return jobs_.size() < most_outstanding; });
  }

  void throw_error() {
    std::exception_ptr error;
    {
      const std::lock_guard lock(mutex_);
      if (errors_.empty()) return;
      error = std::move(errors_.front());
      errors_.pop_front();
    }
    std::rethrow_exception(error);
  }

  [[nodiscard]] FileName new_name(std::int64_t step, std::chrono::system_clock::time_point now) {
    auto taken = folder_.names();
    const std::lock_guard lock(mutex_);
    for (const Job& job : jobs_) taken.push_back(job.name);  // may not be there yet
    return next_name(step, now, options_.format, taken);
  }

  void go_on_behind(Job job) {
    bool idle = false;
    {
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
      idle = !std::exchange(working_, true);
    }
    if (!idle) return;
    if (worker_.joinable()) worker_.join();
    try {
      worker_ = std::thread([this] { work(); });
    } catch (const std::system_error&) {
      work();  // the system has no thread for us, so the caller waits
    }
  }

  // All jobs, until there are none.
  void work() noexcept {
    for (;;) {
      Job* job = nullptr;
      {
        const std::lock_guard lock(mutex_);
        working_ = !jobs_.empty();
        if (!working_) return;
        job = &jobs_.front();  // stays where it is while others are added
      }
      std::exception_ptr error;
      try {
        job->completion();
        finish(job->name);
      } catch (...) {
        error = std::current_exception();
      }
      {
        const std::lock_guard lock(mutex_);
        jobs_.pop_front();
        if (error) errors_.push_back(std::move(error));
      }
      changed_.notify_all();
    }
  }

  // A file is durable. Throws if it is not what was written; everything else that goes wrong is a warning.
  void finish(const FileName& name) {
    if (options_.verify) {
      const auto file =
          folder_.verify({.name = name, .path = folder_.path() / manager::text_of(name)}, options_.threads);
      if (!file) io::throw_io_error(folder_.path() / manager::text_of(name), "was written, and is gone", ENOENT);
      if (file->error) std::rethrow_exception(file->error);
    }
    try {
      folder_.remove_debris();
      remove_unwanted();
    } catch (const Error& e) {
      warn(e.what());
    }
  }

  void remove_unwanted() {
    constexpr int attempts = 100;  // each finds damage that was not known before
    for (int i = 0; i < attempts; ++i) {
      std::vector<FolderFile> files;
      for (FolderFile& file : folder_.list()) {
        if (file.condition == Condition::damaged) warn(manager::text_of(file.error) + "; the file stays");
        if (file.condition == Condition::whole) files.push_back(std::move(file));
      }
      const Retention plan = retention_of(candidates(files), options_);
      if (plan.removed.empty()) return;
      if (options_.verify && !all_whole(files, plan)) continue;
      for (const std::size_t index : plan.removed) {
        try {
          folder_.remove(files[index]);
        } catch (const IoError& e) {
          warn(e.what());
        }
      }
      return;
    }
  }

  // Damage that nobody has seen yet must neither be relied on nor be deleted. Files of this run were read already.
  bool all_whole(const std::vector<FolderFile>& files, const Retention& plan) {
    for (const auto* indices : {&plan.relied_on, &plan.removed}) {
      for (const std::size_t index : *indices) {
        const auto file = folder_.verify(files[index], options_.threads);
        if (file && file->condition == Condition::unreadable) std::rethrow_exception(file->error);
        if (!file || file->condition != Condition::whole) return false;
      }
    }
    return true;
  }

  template <class Load>
  std::optional<RestoredEntry> try_restore(std::optional<std::int64_t> step, const Load& load, bool& vanished) {
    auto files = folder_.list();
    std::vector<SkippedFile> skipped;
    for (auto at = files.rbegin(); at != files.rend(); ++at) {
      FolderFile& file = *at;
      if (file.condition == Condition::foreign || (step && file.name.step != *step)) continue;
      if (file.condition == Condition::unreadable) rethrow_unless_lost(file.error);
      if (file.condition == Condition::whole) {
        try {
          RestoredEntry restored{file.entry()};
          restored.report = load(file.path);
          for (const auto& other : skipped) restored.report.warnings.push_back("passed over " + other.reason);
          restored.skipped = std::move(skipped);
          return restored;
        } catch (const MismatchError&) {
          throw;
        } catch (const VersionError&) {
          throw;
        } catch (const Error&) {
          auto now = folder_.verify(file, options_.threads, true);
          vanished = !now;
          if (vanished) return std::nullopt;
          if (now->condition == Condition::whole) throw;  // nothing is wrong with the file
          if (now->condition == Condition::unreadable) rethrow_unless_lost(now->error);
          if (now->condition == Condition::foreign) continue;
          file = *std::move(now);
        }
      }
      skipped.push_back({file.path, manager::text_of(file.error)});
    }
    if (skipped.empty()) return std::nullopt;
    std::string text = folder_.path().string() + ": no checkpoint is whole";
    for (const auto& file : skipped) text += "\n  " + file.reason;
    throw IntegrityError(text);
  }

  // A file that the disk does not give back is as good as damaged. Any other reason may be gone next time, and to take
  // an older checkpoint for it would lose work.
  static void rethrow_unless_lost(const std::exception_ptr& error) {
    try {
      std::rethrow_exception(error);
    } catch (const IoError& e) {
      if (e.code() != EIO) throw;
    }
  }

  void warn(const std::string& text) {
    const std::lock_guard lock(mutex_);
    if (std::find(warnings_.begin(), warnings_.end(), text) == warnings_.end()) warnings_.push_back(text);
  }

  const ManagerOptions options_;
  CheckpointFolder folder_;
  FolderLock lock_;
  SavePolicy policy_;
  std::int64_t sequence_ = 0;  // of the last file that was written or begun
  std::thread worker_;         // ends when there are no jobs

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::deque<Job> jobs_;  // the first is at work
  bool working_ = false;
  std::deque<std::exception_ptr> errors_;
  std::vector<std::string> warnings_;
};

}  // namespace trainstate::manager
