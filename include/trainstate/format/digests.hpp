// Checksums of many pieces that come in chunks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "trainstate/io/checksum.hpp"
#include "trainstate/io/chunks.hpp"

namespace trainstate::format {

/// XXH3-64 of every piece. The chunks of one piece must come in order; different pieces may come on different threads.
class Digests {
 public:
  /// `sizes` are those of the pieces, and must live as long as this.
  explicit Digests(std::span<const std::uint64_t> sizes) : sizes_(sizes), digests_(sizes.size()), open_(sizes.size()) {}

  /// Takes the bytes of a chunk: part of one piece, or several pieces as a whole.
  void update(const io::Chunk& chunk, std::span<const std::byte> bytes) {
    if (chunk.size < sizes_[chunk.first]) {
      auto& hasher = open_[chunk.first];
      if (!hasher) hasher = std::make_unique<io::Hasher>();
      hasher->update(bytes);
      if (chunk.from + chunk.size == sizes_[chunk.first]) {
        digests_[chunk.first] = hasher->digest();
        hasher.reset();
      }
      return;
    }
    for (std::size_t i = chunk.first; i < chunk.last; ++i) {
      const auto size = static_cast<std::size_t>(sizes_[i]);
      digests_[i] = io::checksum(bytes.first(size));
      bytes = bytes.subspan(size);
    }
  }

  /// Of every piece, once all chunks were seen.
  [[nodiscard]] std::span<const std::uint64_t> all() const noexcept { return digests_; }

 private:
  std::span<const std::uint64_t> sizes_;
  std::vector<std::uint64_t> digests_;
  std::vector<std::unique_ptr<io::Hasher>> open_;
};

}  // namespace trainstate::format
