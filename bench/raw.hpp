// What the machine itself does with the same bytes: the limits that saves and loads are measured against. Knows neither
// LibTorch nor the library; everything runs on as many threads as the machine has cores, in chunks of 1 MiB.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <thread>
#include <vector>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>

namespace raw {

inline constexpr std::size_t chunk_size = std::size_t{1} << 20;

/// The state in memory, piece by piece as its tensors lie.
using Pieces = std::vector<std::span<std::byte>>;

/// Part of a piece; `at` counts from the first byte of all pieces.
struct Chunk {
  std::span<std::byte> bytes;
  std::uint64_t at;
};

/// A limit that could not be measured is no limit: says why and ends the program.
inline void require(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::_Exit(1);
}

inline std::uint64_t bytes_of(const Pieces& pieces) {
  std::uint64_t bytes = 0;
  for (const auto& piece : pieces) bytes += piece.size();
  return bytes;
}

inline std::vector<Chunk> chunks_of(const Pieces& pieces) {
  std::vector<Chunk> chunks;
  std::uint64_t at = 0;
  for (auto piece : pieces) {
    while (!piece.empty()) {
      chunks.push_back({piece.first(std::min(chunk_size, piece.size())), at});
      at += chunks.back().bytes.size();
      piece = piece.subspan(chunks.back().bytes.size());
    }
  }
  return chunks;
}

/// Calls f(chunk) for all of them, on threads that end with the call.
template <class F>
void in_parallel(const std::vector<Chunk>& chunks, const F& f) {
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = 0; (i = next++) < chunks.size();) f(chunks[i]);
  };
  std::vector<std::thread> threads;
  const auto wanted = std::min<std::size_t>(std::thread::hardware_concurrency(), chunks.size());
  for (std::size_t i = 1; i < wanted; ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
}

/// Uses so many bytes of free memory once, or half of it if there is less. A virtual machine may have handed back to
/// its host what has been free for a second or two; to get that again takes several times as long as what is measured.
inline void touch_free_memory(std::uint64_t bytes) {
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const auto available = static_cast<std::uint64_t>(::sysconf(_SC_AVPHYS_PAGES)) * page;
  const auto size = static_cast<std::size_t>(std::min(bytes, available / 2));
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  require(memory != MAP_FAILED, "mmap");
  static_cast<void>(::madvise(memory, size, MADV_HUGEPAGE));  // only faster
  for (std::size_t at = 0; at < size; at += page) static_cast<volatile char*>(memory)[at] = 1;
  require(::munmap(memory, size) == 0, "munmap");
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags) : value_(::open(path.c_str(), flags | O_CLOEXEC, 0666)) {
    require(value_ >= 0, path.c_str());
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { ::close(value_); }
  [[nodiscard]] int get() const { return value_; }

 private:
  int value_;
};

/// What stands before the tensors in a file. Without it every chunk would be aligned to its own size, for which Linux
/// 6.18 looks for as large a page, and takes up to ten times as long when memory is in pieces.
inline constexpr std::size_t header_size = 4096;

/// What a save has to do at the least: a new file with its space reserved, all bytes behind a header, and the old file
/// replaced. With `sync`, file and folder reach the disk.
inline void write(const Pieces& pieces, const std::filesystem::path& target, bool sync) {
  const std::filesystem::path temporary = target.string() + ".tmp";
  {
    const Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    // Where a file system cannot reserve, nobody can.
    static_cast<void>(::fallocate(file.get(), 0, 0, static_cast<off_t>(header_size + bytes_of(pieces))));
    in_parallel(chunks_of(pieces), [&](const Chunk& chunk) {
      const auto at = static_cast<off_t>(header_size + chunk.at);
      const auto written = ::pwrite(file.get(), chunk.bytes.data(), chunk.bytes.size(), at);
      require(written == static_cast<ssize_t>(chunk.bytes.size()), "pwrite");
    });
    if (sync) require(::fsync(file.get()) == 0, "fsync");
  }
  require(::rename(temporary.c_str(), target.c_str()) == 0, "rename");
  if (sync) require(::fsync(Descriptor(target.parent_path(), O_RDONLY | O_DIRECTORY).get()) == 0, "fsync");
}

/// Fills all pieces with the end of a file, which is where its tensors are.
inline void read(const std::filesystem::path& path, const Pieces& pieces) {
  const Descriptor file(path, O_RDONLY);
  const std::uint64_t from = std::filesystem::file_size(path) - bytes_of(pieces);
  in_parallel(chunks_of(pieces), [&](const Chunk& chunk) {
    const auto got = ::pread(file.get(), chunk.bytes.data(), chunk.bytes.size(), static_cast<off_t>(from + chunk.at));
    require(got == static_cast<ssize_t>(chunk.bytes.size()), "pread");
  });
}

/// XXH3 of every chunk of memory.
inline std::uint64_t hash(const Pieces& pieces) {
  std::atomic<std::uint64_t> all = 0;
  in_parallel(chunks_of(pieces),
              [&](const Chunk& chunk) { all ^= XXH3_64bits(chunk.bytes.data(), chunk.bytes.size()); });
  return all;
}

/// The same of the end of a file, as long as the pieces are. It is mapped: that is a third faster here than to read it
/// into a chunk of memory that stays in the cache.
inline std::uint64_t hash(const std::filesystem::path& path, const Pieces& pieces) {
  const Descriptor file(path, O_RDONLY);
  const std::size_t size = std::filesystem::file_size(path), from = size - bytes_of(pieces);
  void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  require(mapped != MAP_FAILED, "mmap");
  const std::uint64_t all = hash({std::span(static_cast<std::byte*>(mapped) + from, size - from)});
  require(::munmap(mapped, size) == 0, "munmap");
  return all;
}

/// Copies pieces into memory that is as long as all of them.
inline void copy(const Pieces& from, std::span<std::byte> to) {
  in_parallel(chunks_of(from),
              [&](const Chunk& chunk) { std::memcpy(to.data() + chunk.at, chunk.bytes.data(), chunk.bytes.size()); });
}

/// Takes a file out of the page cache.
inline void make_cold(const std::filesystem::path& path) {
  const Descriptor file(path, O_RDONLY);
  require(::fsync(file.get()) == 0, "fsync");  // dirty pages cannot be dropped
  require(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED) == 0, "posix_fadvise");
}

}  // namespace raw
