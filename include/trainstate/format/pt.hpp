// PyTorch's own files, `.pt` and `.pth`: a zip archive of a pickle and of storages, read and written without Python.
//
// What is written is what `torch.load(path)` reads with its defaults on every PyTorch since 1.13, also where that means
// `weights_only=True` (which in 1.13 itself knows no floats, not even in Python's own files). The manifest and XXH3-64
// checksums of all storages are records of the archive that PyTorch passes over. What is read is what PyTorch's
// weights-only loader takes, in the zip container and in the older one; nothing in a file is ever run.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/format/document.hpp"
#include "trainstate/format/pt/legacy.hpp"
#include "trainstate/format/pt/reader.hpp"
#include "trainstate/format/pt/writer.hpp"
#include "trainstate/format/zip.hpp"
#include "trainstate/io/atomic_file.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format {

/// The bytes of a .pt file. The same document gives the same bytes, whatever the options. Every tensor becomes a
/// storage of its own, dense; those that show the same elements share one. Throws Error for what PyTorch's files cannot
/// hold (texts that are not UTF-8, dtypes that PyTorch lacks), for reserved metadata and for tensors outside their
/// storage, FormatError for a tree nested deeper than `max_depth`. The texts begin with the path inside the document.
[[nodiscard]] inline std::vector<std::byte> write_pt(const Document& document, const WriteOptions& options = {}) {
  return pt::write_to_memory(document, options);
}

/// Writes a .pt file, atomically (see io::AtomicFile), with several threads. Throws as above, and IoError; every text
/// begins with the path. What `options.progress` throws passes through. In all these cases an older file stays as it
/// was.
inline void write_pt(const Document& document, const std::filesystem::path& path, const io::WriteMode& mode = {},
                     const WriteOptions& options = {}) {
  pt::write_to_file(document, path, mode, options);
}

/// True if a file begins as one of PyTorch's containers does.
[[nodiscard]] inline bool looks_like_pt(std::span<const std::byte> bytes) {
  return looks_like_zip(bytes) || pt::legacy_magic_end(bytes) != 0;
}

/// Reads the bytes of a .pt file, mapped or in memory. Tensors alias `image` with their strides, save those that are
/// not aligned there, which are copied; what shared a storage still does. Tuples, sets and sizes become lists, bytes
/// uint8 tensors, complex numbers zero-dim tensors, devices and dtypes texts; a root that is no dict is one entry with
/// the key "". `where` (the file's name) begins every error text. Throws FormatError for a malformed file, and for
/// whatever PyTorch's weights-only loader refuses, naming it; IntegrityError where a checksum disagrees (those of small
/// records always, of storages with `options.verify`); VersionError if the manifest is of a later format. No file makes
/// it run anything, or allocate more than `memory_bound` says.
[[nodiscard]] inline Document read_pt(std::shared_ptr<const Storage> image, std::string_view where,
                                      const ReadOptions& options = {}) {
  if (pt::legacy_magic_end({image->data, image->size}) != 0) {
    return pt::LegacyReader(std::move(image), where, options).read();
  }
  return pt::Reader(std::move(image), where, options).read();
}

}  // namespace trainstate::format
