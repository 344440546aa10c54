// Zip archives as PyTorch uses them: entries stored, their data aligned, so that a reader can map it.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "trainstate/format/zip/crc.hpp"
#include "trainstate/format/zip/layout.hpp"
#include "trainstate/format/zip/reader.hpp"
#include "trainstate/io/mapped_file.hpp"

namespace trainstate::format {

/// True if a file begins as an archive with at least one entry does.
[[nodiscard]] inline bool looks_like_zip(std::span<const std::byte> bytes) {
  return bytes.size() >= sizeof zip::local_signature && zip::get<std::uint32_t>(bytes, 0) == zip::local_signature;
}

/// The entries of an archive, in the order of its directory; names and data point into `image`, nothing is copied.
/// `where` begins every error text. CRCs are left to the caller. Throws FormatError for whatever PyTorch does not
/// write: compressed or encrypted entries, several disks, entries that overlap or leave gaps, unsafe names, headers
/// that disagree. O(n log n) in the number of entries, which is bounded by the bytes of the directory.
/// `file`, unless null, is what `image` is mapped from.
[[nodiscard]] inline std::vector<zip::Entry> read_zip(std::span<const std::byte> image, std::string_view where,
                                                      const io::MappedFile* file = nullptr) {
  return zip::DirectoryReader(image, where, file).read();
}

}  // namespace trainstate::format
