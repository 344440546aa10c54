// Copies of bytes from one place to another, many small ones or few large ones, by several threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "trainstate/io/chunks.hpp"
#include "trainstate/io/mapped_file.hpp"

namespace trainstate::io {

/// A copy of bytes, read from `file` unless that is null; see MappedFile::copy.
struct DenseCopy {
  std::byte* to;
  std::span<const std::byte> from;
  const MappedFile* file;

  void run() const noexcept {
    if (file) {
      file->copy(from, to);
    } else {
      std::memmove(to, from.data(), from.size());
    }
  }
};

/// Such copies as pieces for several threads.
class DenseJob final : public ChunkJob {
 public:
  /// Small ones are joined in this order, which should be that of their sources.
  void add(const DenseCopy& copy) {
    copies_.push_back(copy);
    sizes_.push_back(copy.from.size());
  }
  [[nodiscard]] std::span<const std::uint64_t> sizes() const noexcept { return sizes_; }

  [[nodiscard]] bool digests_in_order() const override { return false; }
  std::span<const std::byte> load(const Chunk& chunk, Scratch& scratch) override {
    const std::span group(copies_.data() + chunk.first, chunk.last - chunk.first);
    if (group.size() == 1) {
      const auto& [to, from, file] = group[0];
      DenseCopy{to + chunk.from, from.subspan(chunk.from, chunk.size), file}.run();
    } else if (const auto neighbours = together(group); neighbours.empty()) {
      for (const DenseCopy& copy : group) copy.run();
    } else {
      const auto read = bytes_once(neighbours, group.front().file, scratch);
      for (const DenseCopy& copy : group) {
        std::memcpy(copy.to, read.data() + (copy.from.data() - neighbours.data()), copy.from.size());
      }
    }
    return {};
  }

 private:
  // From this size on, reading straight to where the bytes belong costs less than reading them together.
  static constexpr std::size_t read_alone = std::size_t{64} << 10;

  // What to read at once where small copies come from one place in the file; nothing where they do not.
  static std::span<const std::byte> together(std::span<const DenseCopy> group) noexcept {
    const std::byte* const begin = group.front().from.data();
    const std::byte* end = begin;
    std::size_t wanted = 0;
    for (const DenseCopy& copy : group) {
      if (!copy.file) return {};
      end = std::max(end, copy.from.data() + copy.from.size());
      wanted += copy.from.size();
    }
    const std::span all(begin, end);
    const bool worth_it = all.size() <= most_at_once && wanted < group.size() * read_alone;
    return worth_it ? all : std::span<const std::byte>();
  }

  std::vector<DenseCopy> copies_;
  std::vector<std::uint64_t> sizes_;
};

}  // namespace trainstate::io
