// Safetensors files: https://github.com/huggingface/safetensors, written so that the reference reader takes them.
//
// Tensors stand under their paths, joined with dots. The rest of a document is JSON (see json_tree.hpp) in the header's
// `__metadata__`, which readers that do not know trainstate pass over:
//   "format"           "pt", as PyTorch's own files say
//   "trainstate.xxh3"  XXH3-64 in hexadecimal: of all bytes before the data (these 16 digits taken as zeros), then of
//                      every tensor in the order of the file
//   "trainstate"       {"format": 1, "tree": {...}, "manifest": {...}}; instead of a tree longer than 1 MiB the name of
//                      the U8 tensor that holds its text (trainstate.tree, trainstate.manifest)
// Tensors in a tree are numbered in the order of the file, those two left out. A file without these keys is foreign:
// one flat dict.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/format/document.hpp"
#include "trainstate/format/safetensors_reader.hpp"
#include "trainstate/format/safetensors_writer.hpp"
#include "trainstate/io/atomic_file.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format {

/// The bytes of a safetensors file. The same document gives the same bytes, whatever the options. Throws Error for
/// reserved or non-UTF-8 metadata and for tensors that lie outside their storage, FormatError for a tree nested deeper
/// than `max_depth` or a header beyond the format's limit. The texts begin with the path inside the document.
[[nodiscard]] inline std::vector<std::byte> write_safetensors(const Document& document,
                                                              const WriteOptions& options = {}) {
  return safetensors::write_to_memory(document, options);
}

/// Writes a safetensors file, atomically (see io::AtomicFile), with several threads and at most a chunk of extra memory
/// in each. Throws as above, and IoError; every text begins with the path. What `options.progress` throws passes
/// through. In all these cases an older file stays as it was.
inline void write_safetensors(const Document& document, const std::filesystem::path& path,
                              const io::WriteMode& mode = {}, const WriteOptions& options = {}) {
  safetensors::write_to_file(document, path, mode, options);
}

/// Reads the bytes of a safetensors file, mapped or in memory. Tensors alias `image`, save those that are not aligned
/// there, which are copied; tied ones stay tied. `where` (the file's name) begins every error text. Throws FormatError
/// for a malformed file, IntegrityError where a checksum disagrees (those of the header always, of tensors with
/// `options.verify`), VersionError if the file is of a later format. No file makes it allocate more than
/// `memory_bound` says.
[[nodiscard]] inline Document read_safetensors(std::shared_ptr<const Storage> image, std::string_view where,
                                               const ReadOptions& options = {}) {
  return safetensors::Reader(std::move(image), where, options).read();
}

/// True if the beginning of a file can be that of a safetensors file: a possible length, then an opening brace.
[[nodiscard]] inline bool looks_like_safetensors(std::span<const std::byte> bytes) {
  std::uint64_t length = 0;
  if (bytes.size() <= sizeof length) return false;
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > safetensors::longest_header) return false;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof length,
                              bytes.size() - sizeof length);
  const auto first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

}  // namespace trainstate::format
