// CRC-32, the checksum of zip archives: by libdeflate where the build says that it is there, else by zlib.
#pragma once

#ifdef TRAINSTATE_WITH_LIBDEFLATE
#include <libdeflate.h>
#endif
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "trainstate/io/chunks.hpp"

namespace trainstate::format::zip {

/// As `crc32`, by zlib in any case.
[[nodiscard]] inline std::uint32_t zlib_crc32(std::span<const std::byte> bytes, std::uint32_t before = 0) {
  uLong crc = before;
  while (!bytes.empty()) {
    const auto part = std::min<std::size_t>(bytes.size(), std::numeric_limits<uInt>::max());
    crc = ::crc32(crc, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(part));
    bytes = bytes.subspan(part);
  }
  return static_cast<std::uint32_t>(crc);
}

/// CRC-32 of bytes that come after those with the CRC `before`.
[[nodiscard]] inline std::uint32_t crc32(std::span<const std::byte> bytes, std::uint32_t before = 0) {
#ifdef TRAINSTATE_WITH_LIBDEFLATE
  return bytes.empty() ? before : libdeflate_crc32(before, bytes.data(), bytes.size());
#else
  return zlib_crc32(bytes, before);
#endif
}

/// CRC-32 of two parts as a whole, from those of each; `size` is the second one's. O(log size).
[[nodiscard]] inline std::uint32_t crc32_joined(std::uint32_t first, std::uint32_t second, std::uint64_t size) {
  return static_cast<std::uint32_t>(::crc32_combine(first, second, static_cast<z_off_t>(size)));
}

/// CRC-32 of every one of many pieces that come in chunks, in any order and on any threads.
class ChunkedCrcs {
 public:
  explicit ChunkedCrcs(std::span<const std::uint64_t> sizes) : sizes_(sizes), parts_(sizes.size()) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      parts_[i].resize(static_cast<std::size_t>((sizes[i] + io::chunk_size - 1) / io::chunk_size));
    }
  }

  /// Takes bytes of piece `i`, as many as a chunk has or all to its end, from a multiple of the chunk's size on.
  void update(std::size_t i, std::uint64_t from, std::span<const std::byte> bytes) {
    if (!bytes.empty()) parts_[i][static_cast<std::size_t>(from / io::chunk_size)] = crc32(bytes);
  }

  /// Of piece `i`, once all its bytes were seen.
  [[nodiscard]] std::uint32_t operator[](std::size_t i) const {
    std::uint32_t crc = 0;
    std::uint64_t left = sizes_[i];
    for (const std::uint32_t part : parts_[i]) {
      const std::uint64_t size = std::min(left, io::chunk_size);
      crc = crc32_joined(crc, part, size);
      left -= size;
    }
    return crc;
  }

 private:
  std::span<const std::uint64_t> sizes_;
  std::vector<std::vector<std::uint32_t>> parts_;
};

}  // namespace trainstate::format::zip
