// Many byte ranges through several threads, in chunks that fit a processor's cache.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace trainstate::io {

/// Called with the bytes done and their total, on the thread that made the call only. What it throws cancels the call.
using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Large enough that a system call's cost vanishes, small enough to stay in cache between a hash and a write.
inline constexpr std::uint64_t chunk_size = std::uint64_t{1} << 20;

/// Bounds the memory for scratch: one chunk a thread.
inline constexpr unsigned max_threads = 16;

/// One step of work: the neighbouring pieces [first, last) as a whole, or bytes [from, from + size) of one large piece.
struct Chunk {
  std::size_t first = 0, last = 0;
  std::uint64_t from = 0, size = 0;
};

/// Memory of one thread, whose content is good until room is asked for again. Empty until it is used.
class Scratch {
 public:
  /// Room for `size` bytes, whatever they hold.
  [[nodiscard]] std::span<std::byte> room(std::size_t size) {
    if (memory_.size() < size) memory_.resize(size);
    return std::span(memory_).first(size);
  }

 private:
  std::vector<std::byte> memory_;
};

/// What is done with the bytes of chunks: all three for one chunk on one thread, one after the other.
class ChunkJob {
 public:
  ChunkJob() = default;
  ChunkJob(const ChunkJob&) = delete;
  ChunkJob& operator=(const ChunkJob&) = delete;
  virtual ~ChunkJob() = default;

  /// True if the chunks of one piece must go through `digest` in their order.
  [[nodiscard]] virtual bool digests_in_order() const { return true; }

  virtual std::span<const std::byte> load(const Chunk& chunk, Scratch& scratch) = 0;
  virtual void digest(const Chunk&, std::span<const std::byte>) {}
  virtual void store(const Chunk&, std::span<const std::byte>) {}
};

/// Takes pieces of the given sizes through `job`, small neighbours together, large ones chunk by chunk and several
/// threads on one if there are no others left. Threads end with the call. The first exception, from `job` or
/// `progress`, stops the work and passes through.
class ChunkRun {
 public:
  ChunkRun(std::span<const std::uint64_t> sizes, ChunkJob& job, const Progress& progress)
      : job_(job), progress_(progress), in_order_(job.digests_in_order()) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const bool joins = !tasks_.empty() && tasks_.back().size + sizes[i] <= chunk_size;
      if (!joins) tasks_.push_back({i, i, 0, 0, 0});
      tasks_.back().last = i + 1;
      tasks_.back().size += sizes[i];
      total_ += sizes[i];
    }
    chunks_ = tasks_.size() + static_cast<std::size_t>(total_ / chunk_size);
  }
  ChunkRun(const ChunkRun&) = delete;
  ChunkRun& operator=(const ChunkRun&) = delete;
  ~ChunkRun() { join(); }

  /// Does all the work with `threads` threads, this one among them; 0 means as many as the machine has cores.
  void run(unsigned threads) {
    // A thread costs about as much as a chunk, so a few chunks are done alone.
    const auto useful = static_cast<unsigned>(std::min<std::size_t>(max_threads, chunks_ / 4));
    if (threads == 0 && useful > 1) threads = std::thread::hardware_concurrency();
    for (unsigned i = 1; i < std::min(threads, useful); ++i) {
      try {
        threads_.emplace_back([this] { work(nullptr); });
      } catch (const std::exception&) {
        break;  // the system has no more threads for us, or no memory; those that run do it all
      }
    }
    work(&progress_);
    join();
    if (error_) std::rethrow_exception(error_);
    if (progress_) progress_(total_, total_);
  }

 private:
  // A group of small pieces, or one piece. `claimed` bytes were handed out, `digested` went through digest().
  struct Task {
    std::size_t first, last;
    std::uint64_t size, claimed, digested;
  };

  void work(const Progress* progress) noexcept {
    Scratch scratch;
    Task* task = nullptr;
    Chunk chunk;
    try {
      while (claim(task, chunk)) {
        const std::span<const std::byte> bytes = job_.load(chunk, scratch);
        if (!await_turn(*task, chunk)) return;
        job_.digest(chunk, bytes);
        end_turn(*task, chunk);
        job_.store(chunk, bytes);
        const std::uint64_t done = count(chunk);
        if (progress && *progress && done != total_) (*progress)(done, total_);
      }
    } catch (...) {
      stop(std::current_exception());
    }
  }

  // Goes on with `task`, or opens the next one, or helps with the one of which most is left.
  bool claim(Task*& task, Chunk& chunk) {
    const std::lock_guard lock(mutex_);
    if (stopped_) return false;
    if (!task || task->claimed == task->size) {
      if (next_ < tasks_.size()) {
        task = &tasks_[next_++];
      } else {
        while (first_open_ < tasks_.size() && tasks_[first_open_].claimed == tasks_[first_open_].size) ++first_open_;
        task = nullptr;
        for (std::size_t i = first_open_; i < tasks_.size(); ++i) {
          if (tasks_[i].claimed == tasks_[i].size) continue;
          if (!task || tasks_[i].size - tasks_[i].claimed > task->size - task->claimed) task = &tasks_[i];
        }
        if (!task) return false;
      }
    }
    chunk = {task->first, task->last, task->claimed, std::min(chunk_size, task->size - task->claimed)};
    task->claimed += chunk.size;
    return true;
  }

  bool await_turn(const Task& task, const Chunk& chunk) {
    if (!in_order_ || chunk.size == task.size) return true;
    std::unique_lock lock(mutex_);
    turn_.wait(lock, [&] { return stopped_ || task.digested == chunk.from; });
    return !stopped_;
  }

  void end_turn(Task& task, const Chunk& chunk) {
    if (!in_order_ || chunk.size == task.size) return;
    {
      const std::lock_guard lock(mutex_);
      task.digested += chunk.size;
    }
    turn_.notify_all();
  }

  std::uint64_t count(const Chunk& chunk) {
    const std::lock_guard lock(mutex_);
    return done_ += chunk.size;
  }

  void stop(std::exception_ptr error) noexcept {
    {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::move(error);
      stopped_ = true;
    }
    turn_.notify_all();
  }

  void join() {
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }

  ChunkJob& job_;
  const Progress& progress_;
  const bool in_order_;
  std::vector<Task> tasks_;
  std::uint64_t total_ = 0;
  std::size_t chunks_ = 0;
  std::vector<std::thread> threads_;

  std::mutex mutex_;  // guards everything below, and claimed and digested of every task
  std::condition_variable turn_;
  std::size_t next_ = 0, first_open_ = 0;
  std::uint64_t done_ = 0;
  bool stopped_ = false;
  std::exception_ptr error_;
};

/// Takes pieces of the given sizes through `job` (see ChunkRun). The last call of `progress` has done == total.
inline void run_chunks(std::span<const std::uint64_t> sizes, ChunkJob& job, unsigned threads,
                       const Progress& progress) {
  ChunkRun(sizes, job, progress).run(threads);
}

}  // namespace trainstate::io
