#include "trainstate/io/chunks.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace io = trainstate::io;

namespace {

// Checks the promises that ChunkRun makes to jobs while it runs.
struct Recorder : io::ChunkJob {
  explicit Recorder(std::vector<std::uint64_t> piece_sizes) : sizes(std::move(piece_sizes)), digested(sizes.size()) {}

  std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch& scratch) override {
    const auto room = scratch.room(static_cast<std::size_t>(chunk.size));
    for (auto& b : room) b = static_cast<std::byte>(chunk.first);
    return room;
  }
  void digest(const io::Chunk& chunk, std::span<const std::byte> bytes) override {
    const std::lock_guard lock(mutex);
    if (bytes.size() != chunk.size || chunk.first >= chunk.last) ++faults;
    if (chunk.size > io::chunk_size) ++faults;
    if (chunk.last - chunk.first > 1) {
      std::uint64_t sum = 0;
      for (std::size_t i = chunk.first; i < chunk.last; ++i) sum += digested[i] = sizes[i];
      if (sum != chunk.size || chunk.from != 0) ++faults;
    } else {
      if (digested[chunk.first] != chunk.from) ++faults;  // out of order
      digested[chunk.first] += chunk.size;
    }
    for (std::size_t i = chunk.first; i < chunk.last; ++i) ++visits;
  }
  void store(const io::Chunk& chunk, std::span<const std::byte> bytes) override {
    for (const auto b : bytes) {
      if (b != static_cast<std::byte>(chunk.first)) ++faults;  // another chunk used this thread's scratch
    }
    stored += bytes.size();
    ++chunks;
  }

  std::vector<std::uint64_t> sizes;
  std::mutex mutex;
  std::vector<std::uint64_t> digested;
  std::atomic<int> faults{0}, visits{0}, chunks{0};
  std::atomic<std::uint64_t> stored{0};
};

constexpr std::uint64_t M = io::chunk_size;

std::vector<std::vector<std::uint64_t>> samples() {
  return {{},
          {0},
          {1},
          {M},
          {M + 1},
          {0, M, 0, 1, 0},
          {0, 40 * M + 3, 0},
          {5, 6, 7, M - 18, 1, 2, 3},
          {3 * M, 1, 2 * M, M - 1, 1, 9 * M + 5, 0, 0, 7 * M},
          std::vector<std::uint64_t>(5000, 4096)};
}

}  // namespace

TEST_CASE("chunks: every byte once, large pieces in order, small ones joined") {
  for (const unsigned threads : {0U, 1U, 2U, 3U, 8U, 1000U}) {
    for (const auto& sizes : samples()) {
      Recorder job(sizes);
      io::run_chunks(job.sizes, job, threads, {});
      CHECK(job.faults == 0);
      CHECK(job.digested == sizes);
      CHECK(job.stored == std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0}));
      CHECK(job.visits >= static_cast<int>(sizes.size()));
    }
  }
  Recorder many(std::vector<std::uint64_t>(5000, 4096));
  io::run_chunks(many.sizes, many, 1, {});
  CHECK(many.chunks == 20);  // 256 pieces in each
}

TEST_CASE("chunks: progress grows, on the calling thread, and ends with the total") {
  for (const unsigned threads : {1U, 4U}) {
    for (const auto& sizes : samples()) {
      Recorder job(sizes);
      const auto total = std::accumulate(sizes.begin(), sizes.end(), std::uint64_t{0});
      const auto caller = std::this_thread::get_id();
      std::uint64_t last = 0;
      int calls = 0, completions = 0;
      io::run_chunks(job.sizes, job, threads, [&](std::uint64_t done, std::uint64_t all) {
        CHECK(std::this_thread::get_id() == caller);
        CHECK(all == total);
        CHECK(done >= last);
        last = done;
        ++calls;
        completions += done == total;
      });
      CHECK(last == total);
      CHECK(completions == 1);
      CHECK(calls >= 1);
    }
  }
}

TEST_CASE("chunks: what progress throws ends the work and passes through") {
  for (const unsigned threads : {1U, 4U}) {
    Recorder job({64 * M});
    CHECK_THROWS_WITH_AS(
        io::run_chunks(job.sizes, job, threads, [](std::uint64_t, std::uint64_t) { throw std::logic_error("enough"); }),
        "enough", std::logic_error);
    CHECK(job.stored < 64 * M);
    CHECK(job.faults == 0);
  }
  Recorder small({1});
  CHECK_THROWS_AS(io::run_chunks(small.sizes, small, 1, [](std::uint64_t, std::uint64_t) { throw 1; }), int);
}

TEST_CASE("chunks: what a step throws on any thread ends the work and passes through") {
  struct Failing : Recorder {
    using Recorder::Recorder;
    int step = 0;
    std::uint64_t at = 0;
    void fail(int which, const io::Chunk& chunk) const {
      if (which == step && chunk.from == at) throw std::runtime_error("step " + std::to_string(step));
    }
    std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch& scratch) override {
      fail(0, chunk);
      return Recorder::load(chunk, scratch);
    }
    void digest(const io::Chunk& chunk, std::span<const std::byte> bytes) override {
      fail(1, chunk);
      Recorder::digest(chunk, bytes);
    }
    void store(const io::Chunk& chunk, std::span<const std::byte> bytes) override {
      fail(2, chunk);
      Recorder::store(chunk, bytes);
    }
  };
  for (const unsigned threads : {1U, 2U, 8U}) {
    for (int step = 0; step < 3; ++step) {
      for (const std::uint64_t at : {std::uint64_t{0}, M, 15 * M, 31 * M}) {
        Failing job({32 * M});
        job.step = step;
        job.at = at;
        CHECK_THROWS_WITH_AS(io::run_chunks(job.sizes, job, threads, {}), ("step " + std::to_string(step)).c_str(),
                             std::runtime_error);
        CHECK(job.faults == 0);
        CHECK(job.stored < 32 * M);
      }
    }
  }
}

TEST_CASE("chunks: a job that needs no order has all of one piece's chunks at any time, still each once") {
  struct Unordered final : Recorder {
    using Recorder::Recorder;
    [[nodiscard]] bool digests_in_order() const override { return false; }
    void digest(const io::Chunk& chunk, std::span<const std::byte>) override {
      const std::lock_guard lock(mutex);
      for (std::size_t i = chunk.first; i < chunk.last; ++i)
        digested[i] += chunk.last - chunk.first > 1 ? sizes[i] : chunk.size;
    }
  };
  for (const unsigned threads : {1U, 2U, 8U}) {
    for (const auto& sizes : samples()) {
      Unordered job(sizes);
      io::run_chunks(job.sizes, job, threads, {});
      CHECK(job.digested == sizes);
      CHECK(job.faults == 0);
    }
  }
}
