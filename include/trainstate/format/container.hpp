// Documents in either format: written in the one that is asked for, read by what the bytes are.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/file_format.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/format/pt.hpp"
#include "trainstate/format/safetensors.hpp"
#include "trainstate/io/atomic_file.hpp"
#include "trainstate/io/mapped_file.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format {

/// Writes a file, atomically (see io::AtomicFile). Throws as `write_safetensors` and `write_pt` do.
inline void write_document(const Document& document, const std::filesystem::path& path, Format format,
                           const io::WriteMode& mode = {}, const WriteOptions& options = {}) {
  if (format == Format::pt) {
    write_pt(document, path, mode, options);
  } else {
    write_safetensors(document, path, mode, options);
  }
}

/// The same bytes in memory.
[[nodiscard]] inline std::vector<std::byte> write_document(const Document& document, Format format,
                                                           const WriteOptions& options = {}) {
  return format == Format::pt ? write_pt(document, options) : write_safetensors(document, options);
}

/// Reads either format, by what the bytes are; a file's name says nothing. Throws as `read_safetensors` and `read_pt`
/// do, with `where` in front of every text.
[[nodiscard]] inline Document read_document(std::shared_ptr<const Storage> image, std::string_view where,
                                            const ReadOptions& options = {}) {
  if (looks_like_pt({image->data, image->size})) return read_pt(std::move(image), where, options);
  return read_safetensors(std::move(image), where, options);
}

/// As above, of a file that is mapped: the tensors alias its pages, copy on write.
[[nodiscard]] inline Document read_document(const io::MappedFile& file, std::string_view where, ReadOptions options) {
  options.file = file.is_large() ? &file : nullptr;
  return read_document(file.storage(), where, options);
}

/// The same. Throws IoError, too.
[[nodiscard]] inline Document read_document(const std::filesystem::path& path, const ReadOptions& options = {}) {
  return read_document(io::MappedFile(path), path.string(), options);
}

}  // namespace trainstate::format
