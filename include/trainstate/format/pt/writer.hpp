// Documents to PyTorch's zip container: into memory, or into a file by several threads.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/format/dense.hpp"
#include "trainstate/format/digests.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/format/pt/layout.hpp"
#include "trainstate/format/text.hpp"
#include "trainstate/format/zip.hpp"
#include "trainstate/io/atomic_file.hpp"
#include "trainstate/io/chunks.hpp"

namespace trainstate::format::pt {

/// Refuses the keys that a user's metadata must not have. It is safetensors that needs them for itself; what one format
/// takes, so does the other.
inline void refuse_reserved_metadata(const Document& document) {
  for (const auto& [key, value] : document.metadata) {
    if (key == "format" || key == "trainstate" || key.starts_with("trainstate.")) {
      throw Error("the metadata key " + shown(key) + " is reserved");
    }
  }
}

/// Makes storages dense and takes their checksums, chunk by chunk.
class StorageJob : public io::ChunkJob {
 public:
  explicit StorageJob(const Layout& layout) : layout_(layout), digests_(layout.sizes()), crcs_(layout.sizes()) {}

  /// Of all storages, once all chunks are done.
  [[nodiscard]] std::span<const std::uint64_t> digests() const { return digests_.all(); }
  [[nodiscard]] std::vector<std::uint32_t> crcs() const {
    std::vector<std::uint32_t> all;
    all.reserve(layout_.sizes().size());
    for (std::size_t i = 0; i < layout_.sizes().size(); ++i) all.push_back(crcs_[i]);
    return all;
  }

 protected:
  static bool is_group(const io::Chunk& chunk) { return chunk.last > chunk.first + 1; }

  // A storage as a whole. Returns its CRC, for the header in front of it.
  std::uint32_t fill(std::size_t i, std::span<std::byte> to) {
    copy_dense(*layout_.storages()[i], 0, to);
    crcs_.update(i, 0, to);
    digests_.update({i, i + 1, 0, to.size()}, to);
    return crcs_[i];
  }

  const Layout& layout_;
  Digests digests_;
  zip::ChunkedCrcs crcs_;
};

/// Fills an image of the file; its headers come later.
class MemoryJob final : public StorageJob {
 public:
  MemoryJob(const Layout& layout, std::span<std::byte> image) : StorageJob(layout), image_(image) {}

  std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch&) override {
    if (is_group(chunk)) {
      for (std::size_t i = chunk.first; i < chunk.last; ++i) fill(i, room(i, 0, layout_.sizes()[i]));
      return {};
    }
    const auto part = room(chunk.first, chunk.from, chunk.size);
    copy_dense(*layout_.storages()[chunk.first], chunk.from, part);
    crcs_.update(chunk.first, chunk.from, part);
    return part;
  }
  void digest(const io::Chunk& chunk, std::span<const std::byte> part) override {
    if (!is_group(chunk)) digests_.update(chunk, part);
  }

 private:
  [[nodiscard]] std::span<std::byte> room(std::size_t i, std::uint64_t from, std::uint64_t size) const {
    return image_.subspan(static_cast<std::size_t>(layout_.record_of(i).data_at() + from),
                          static_cast<std::size_t>(size));
  }

  std::span<std::byte> image_;
};

/// Writes storages into a file. Small neighbours go together with the headers between them; the others' headers, which
/// hold a CRC of all that follows, come later.
class FileJob final : public StorageJob {
 public:
  FileJob(const Layout& layout, const io::AtomicFile& file)
      : StorageJob(layout), file_(file), has_header_(layout.sizes().size()) {}

  std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch& scratch) override {
    if (is_group(chunk)) return load_group(chunk, scratch);
    const TensorInfo& tensor = *layout_.storages()[chunk.first];
    const auto size = static_cast<std::size_t>(chunk.size);
    std::span<const std::byte> part;
    if (tensor.is_dense_in_memory()) {
      part = tensor.bytes().subspan(static_cast<std::size_t>(chunk.from), size);
    } else {
      const auto room = scratch.room(size);
      copy_dense(tensor, chunk.from, room);
      part = room;
    }
    crcs_.update(chunk.first, chunk.from, part);
    return part;
  }
  void digest(const io::Chunk& chunk, std::span<const std::byte> part) override {
    if (!is_group(chunk)) digests_.update(chunk, part);
  }
  void store(const io::Chunk& chunk, std::span<const std::byte> part) override {
    const zip::Record& first = layout_.record_of(chunk.first);
    file_.write_at(part, is_group(chunk) ? first.header_at : first.data_at() + chunk.from);
  }

  /// The headers that were not written with their data.
  void write_headers() const {
    for (std::size_t i = 0; i < has_header_.size(); ++i) {
      if (has_header_[i] != 0) continue;
      const std::string header = layout_.header(i, crcs_[i]);
      file_.write_at(std::as_bytes(std::span(header)), layout_.record_of(i).header_at);
    }
  }

 private:
  std::span<const std::byte> load_group(const io::Chunk& chunk, io::Scratch& scratch) {
    const std::uint64_t begin = layout_.record_of(chunk.first).header_at;
    const auto room = scratch.room(static_cast<std::size_t>(layout_.record_of(chunk.last - 1).end() - begin));
    for (std::size_t i = chunk.first; i < chunk.last; ++i) {
      const zip::Record& record = layout_.record_of(i);
      const auto crc = fill(
          i, room.subspan(static_cast<std::size_t>(record.data_at() - begin), static_cast<std::size_t>(record.size)));
      const std::string header = layout_.header(i, crc);
      std::memcpy(room.data() + (record.header_at - begin), header.data(), header.size());
      has_header_[i] = 1;
    }
    return room;
  }

  const io::AtomicFile& file_;
  std::vector<unsigned char> has_header_;
};

inline std::vector<std::byte> write_to_memory(const Document& document, const WriteOptions& options) {
  refuse_reserved_metadata(document);
  Layout layout(document);
  std::vector<std::byte> image(static_cast<std::size_t>(layout.file_size()));
  const auto place = [&](const std::string& bytes, std::uint64_t at) {
    std::memcpy(image.data() + at, bytes.data(), bytes.size());
  };
  MemoryJob job(layout, image);
  io::run_chunks(layout.sizes(), job, options.threads, options.progress);
  const auto crcs = job.crcs();
  for (std::size_t i = 0; i < crcs.size(); ++i) place(layout.header(i, crcs[i]), layout.record_of(i).header_at);
  place(layout.front(job.digests()), 0);
  place(layout.back(crcs), layout.directory_at());
  return image;
}

inline void write_to_file(const Document& document, const std::filesystem::path& path, const io::WriteMode& mode,
                          const WriteOptions& options) {
  Layout layout = detail::with_prefix(path.string() + ": ", [&] {
    refuse_reserved_metadata(document);
    return Layout(document);
  });
  io::AtomicFile file(path, mode);
  file.reserve(layout.file_size());
  FileJob job(layout, file);
  io::run_chunks(layout.sizes(), job, options.threads, options.progress);
  job.write_headers();
  const std::string front = layout.front(job.digests());
  file.write_at(std::as_bytes(std::span(front)), 0);
  const std::string back = layout.back(job.crcs());
  file.write_at(std::as_bytes(std::span(back)), layout.directory_at());
  file.commit();
}

}  // namespace trainstate::format::pt
