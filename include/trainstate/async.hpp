// Saves that go on behind the training: the call returns once the state is copied.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/context.hpp"
#include "trainstate/files.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/io/pending_writes.hpp"
#include "trainstate/objects.hpp"
#include "trainstate/options.hpp"
#include "trainstate/snapshot.hpp"

namespace trainstate {

class PendingSave;

namespace detail {

/// One save that goes on behind.
class BackgroundSave {
 public:
  [[nodiscard]] bool done() const {
    const std::lock_guard lock(mutex_);
    return done_;
  }

  /// Waits until it is done. Returns what went wrong, if anything did.
  [[nodiscard]] std::exception_ptr wait() const {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [&] { return done_; });
    return error_;
  }

  void finish(std::exception_ptr error) {
    {
      const std::lock_guard lock(mutex_);
      error_ = std::move(error);
      done_ = true;
    }
    finished_.notify_all();
  }

  std::atomic<std::uint64_t> bytes_done{0}, bytes_total{0};

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable finished_;
  bool done_ = false;
  std::exception_ptr error_;
};

/// All saves of this process that go on behind, at most two, one after the other.
class SaveQueue {
 public:
  static constexpr int most_outstanding = 2;

  /// Waits until there may be one more.
  void enter() {
    std::unique_lock lock(mutex_);
    left_.wait(lock, [&] { return outstanding_ < most_outstanding; });
    ++outstanding_;
  }

  void leave() {
    {
      const std::lock_guard lock(mutex_);
      --outstanding_;
    }
    left_.notify_all();
  }

  /// Puts `save` behind all that came before, of which the last is returned.
  std::shared_ptr<BackgroundSave> append(std::shared_ptr<BackgroundSave> save) {
    const std::lock_guard lock(mutex_);
    return std::exchange(last_, std::move(save));
  }

 private:
  std::mutex mutex_;
  std::condition_variable left_;
  int outstanding_ = 0;
  std::shared_ptr<BackgroundSave> last_;
};

/// That of this process. Never destroyed, since saves may outlive other objects of static lifetime.
inline SaveQueue& save_queue() {
  static SaveQueue& queue = *new SaveQueue;
  return queue;
}

/// A place in the queue, until it is left.
class QueuePlace {
 public:
  QueuePlace() { save_queue().enter(); }
  QueuePlace(QueuePlace&& other) noexcept : held_(std::exchange(other.held_, false)) {}
  QueuePlace& operator=(QueuePlace&&) = delete;
  ~QueuePlace() {
    if (held_) save_queue().leave();
  }

 private:
  bool held_ = true;
};

PendingSave begin_save(format::Document document, const std::filesystem::path& path, const SaveOptions& options,
                       QueuePlace place);

}  // namespace detail

/// A save that `save_async` began. Its thread ends with the save; destroying this object waits for it, and passes over
/// what went wrong if nobody asked.
class [[nodiscard]] PendingSave {
 public:
  /// No save: done, and nothing went wrong.
  PendingSave() = default;
  PendingSave(PendingSave&&) = default;
  PendingSave& operator=(PendingSave&& other) noexcept {
    join();
    save_ = std::move(other.save_);
    thread_ = std::move(other.thread_);
    return *this;
  }
  ~PendingSave() { join(); }

  /// Waits until the file is in place (and durable, unless `sync` was off). Throws what `save` would have thrown, each
  /// time that it is called; then the old file is untouched.
  void wait() {
    if (!save_) return;
    const auto error = save_->wait();
    join();
    if (error) std::rethrow_exception(error);
  }

  /// True once `wait` returns, or throws, at once.
  [[nodiscard]] bool done() const { return !save_ || save_->done(); }

  /// Bytes of tensors written so far, and of all; both 0 before the writing has begun.
  [[nodiscard]] std::uint64_t bytes_done() const { return save_ ? save_->bytes_done.load() : 0; }
  [[nodiscard]] std::uint64_t bytes_total() const { return save_ ? save_->bytes_total.load() : 0; }

 private:
  friend PendingSave detail::begin_save(format::Document document, const std::filesystem::path& path,
                                        const SaveOptions& options, detail::QueuePlace place);

  PendingSave(std::shared_ptr<detail::BackgroundSave> save, std::thread thread)
      : save_(std::move(save)), thread_(std::move(thread)) {}

  void join() {
    if (thread_.joinable()) thread_.join();
  }

  std::shared_ptr<detail::BackgroundSave> save_;
  std::thread thread_;
};

namespace detail {

/// Writes `document`, whose tensors nobody changes any more, behind all saves that were begun before.
inline PendingSave begin_save(format::Document document, const std::filesystem::path& path, const SaveOptions& options,
                              QueuePlace place) {
  struct Work {
    std::shared_ptr<BackgroundSave> save;
    std::shared_ptr<BackgroundSave> before;
    std::optional<format::Document> document;
    std::filesystem::path path;
    SaveOptions options;
    std::optional<QueuePlace> place;
    std::optional<io::PendingWrites::Announced> announced;

    void run() {
      const io::PendingWrites::Behind behind;
      if (before) static_cast<void>(before->wait());
      before.reset();
      std::exception_ptr error;
      try {
        options.progress = [this, tell = std::move(options.progress)](std::uint64_t done, std::uint64_t total) {
          save->bytes_total = total;
          save->bytes_done = done;
          if (tell) tell(done, total);
        };
        at_the_border("", [&] { write_document_now(*document, path, options); });
      } catch (...) {
        error = std::current_exception();
      }
      document.reset();  // so that the next snapshot finds the memory
      place.reset();
      save->finish(std::move(error));
      announced.reset();
    }
  };
  auto save = std::make_shared<BackgroundSave>();
  auto work =
      std::make_shared<Work>(Work{save, nullptr, std::move(document), path, options,
                                  std::optional<QueuePlace>(std::move(place)), io::pending_writes().announce(path)});
  work->before = save_queue().append(save);
  std::thread thread;
  try {
    thread = std::thread([work] { work->run(); });
  } catch (const std::system_error&) {
    work->run();  // the system has no thread for us, so the caller waits
  }
  return {std::move(save), std::move(thread)};
}

/// Shows `snapshot` the live tensors of all modules in `x`, for their gradients.
template <class T>
void watch_modules(const T& x, Snapshot& snapshot) {
  NamesContext context;
  collect_names<std::remove_cv_t<T>>(x, context);
  context.names.for_each([&](const c10::TensorImpl& live) { snapshot.watch(live); });
}

}  // namespace detail

/// As `save`, but returns as soon as the state is copied to memory (a snapshot: nothing that happens to `x` from then
/// on changes the file); the file is written by a thread of its own. At most two saves of a process are outstanding,
/// then this call waits for the older one; all of them are written one after the other, in the order of the calls. A
/// `save` or `write` to the same path waits for them, too, so that the file of the last call stays. The memory of
/// snapshots, at most that of two (with `options.reuse_unchanged` also the copies in the last such snapshot of this
/// process), is kept for the next: see `release_snapshot_memory`. That of tensors on a GPU is pinned.
/// `options.progress` is called on the writing thread, and must not begin a save itself. Throws at once what cannot be
/// stored; everything else that `save` throws comes from `wait`. O(bytes) for the copy, which is whole but for
/// `options.reuse_unchanged`.
template <class T>
PendingSave save_async(const T& x, const std::filesystem::path& path, const SaveOptions& options = {}) {
  detail::QueuePlace place;
  auto document = detail::at_the_border(path.string(), [&] {
    detail::Snapshot snapshot(detail::snapshot_memory(), options.reuse_unchanged);
    if (options.reuse_unchanged) detail::watch_modules(x, snapshot);
    auto copied = detail::document_of(detail::save_object(x), options,
                                      [&](const at::Tensor& tensor) { return snapshot.take(tensor); });
    snapshot.copy(options.threads);
    return copied;
  });
  return detail::begin_save(std::move(document), path, options, std::move(place));
}

/// Gives back the memory that `save_async` keeps for its next snapshots. What a save is writing stays until it is done.
inline void release_snapshot_memory() { detail::snapshot_memory().release(); }

}  // namespace trainstate
