#include "trainstate/io/dense_copy.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace io = trainstate::io;
using trainstate::tests::put;
using trainstate::tests::TemporaryFolder;

namespace {

std::string some_text(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * i / 7 + i);
  return text;
}

struct Reads : io::Posix {
  std::atomic<std::size_t> calls{0}, bytes{0};
  ssize_t pread(int fd, void* to, std::size_t size, off_t at) override {
    ++calls;
    bytes += size;
    return Posix::pread(fd, to, size, at);
  }
};

struct Part {
  std::size_t at, size;
};

/// Copies these parts of a file's mapping, and says how they were read.
void check_copies(const io::MappedFile& file, const std::vector<Part>& parts, std::size_t calls, std::size_t bytes) {
  for (const unsigned threads : {1U, 3U}) {
    CAPTURE(threads);
    io::DenseJob job;
    std::vector<std::string> copies;
    copies.reserve(parts.size());
    for (const auto& [at, size] : parts) {
      copies.emplace_back(size, '\0');
      const std::span<const std::byte> from(file.storage()->data + at, size);
      job.add({reinterpret_cast<std::byte*>(copies.back().data()), from, &file});
    }
    Reads reads;
    const io::PosixOverride replaced(reads);
    io::run_chunks(job.sizes(), job, threads, {});
    CHECK(reads.calls == calls);
    CHECK(reads.bytes == bytes);
    const std::string_view all(reinterpret_cast<const char*>(file.storage()->data), file.storage()->size);
    for (std::size_t i = 0; i < parts.size(); ++i) CHECK(copies[i] == all.substr(parts[i].at, parts[i].size));
  }
}

}  // namespace

TEST_CASE("dense copies: neighbours in a file are read together, what lies apart by itself") {
  const TemporaryFolder folder;
  constexpr std::size_t mega = 1 << 20;
  put(folder / "file", some_text(9 * mega));
  const io::MappedFile file(folder / "file");
  check_copies(file, {}, 0, 0);
  check_copies(file, {{5, 0}}, 0, 0);
  check_copies(file, {{10, 1000}, {1500, 500}, {2000, 1}}, 1, 1991);
  check_copies(file, {{10, 1000}, {500, 1000}, {600, 20}}, 1, 1490);               // which overlap
  check_copies(file, {{0, 1000}, {8 * mega, 500}}, 2, 1500);                       // joined, but too far apart
  check_copies(file, {{7, 3 * mega + 5}, {4 * mega, 4 * mega}}, 8, 7 * mega + 5);  // chunk by chunk
  check_copies(file, {{0, 300'000}, {300'000, 300'000}}, 2, 600'000);              // each worth a call
  check_copies(file, {{7, mega - 3}, {2 * mega, 9}, {2 * mega + 9, 9}}, 2, mega + 15);
}

TEST_CASE("dense copies: out of memory, also onto itself") {
  const std::string text = some_text(5'000'000);
  std::string copy(text.size(), '\0'), own = text;
  const auto bytes = [](std::string& s) { return reinterpret_cast<std::byte*>(s.data()); };
  const auto from = std::as_bytes(std::span(text));
  io::DenseJob job;
  job.add({bytes(copy), from.first(10), nullptr});
  job.add({bytes(copy) + 10, from.subspan(10, 4'000'000), nullptr});
  job.add({bytes(copy) + 4'000'010, from.subspan(4'000'010), nullptr});
  job.add({bytes(own), std::as_bytes(std::span(own)), nullptr});
  io::run_chunks(job.sizes(), job, 2, {});
  CHECK(copy == text);
  CHECK(own == text);
}
