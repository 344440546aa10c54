// Documents to safetensors: into memory, or into a file by several threads.
#pragma once

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
#include "trainstate/format/safetensors_layout.hpp"
#include "trainstate/io/atomic_file.hpp"
#include "trainstate/io/chunks.hpp"

namespace trainstate::format::safetensors {

/// Makes the items of a layout dense, chunk by chunk.
class ItemJob : public io::ChunkJob {
 public:
  ItemJob(const Layout& layout, std::span<const std::uint64_t> sizes) : layout_(layout), digests_(sizes) {}

  void digest(const io::Chunk& chunk, std::span<const std::byte> bytes) final { digests_.update(chunk, bytes); }

  [[nodiscard]] std::string header() const { return layout_.header(digests_.all()); }

 protected:
  [[nodiscard]] std::uint64_t offset(const io::Chunk& chunk) const {
    return layout_.header_size() + layout_.items()[chunk.first].begin + chunk.from;
  }

  void copy(const io::Chunk& chunk, std::span<std::byte> to) const {
    if (chunk.last == chunk.first + 1) {
      copy_dense(*layout_.items()[chunk.first].tensor, chunk.from, to);
      return;
    }
    for (std::size_t i = chunk.first; i < chunk.last; ++i) {
      const Item& item = layout_.items()[i];
      copy_dense(*item.tensor, 0, to.first(static_cast<std::size_t>(item.size)));
      to = to.subspan(static_cast<std::size_t>(item.size));
    }
  }

  const Layout& layout_;

 private:
  Digests digests_;
};

class MemoryJob final : public ItemJob {
 public:
  MemoryJob(const Layout& layout, std::span<const std::uint64_t> sizes, std::span<std::byte> image)
      : ItemJob(layout, sizes), image_(image) {}

  std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch&) override {
    const auto part = image_.subspan(static_cast<std::size_t>(offset(chunk)), static_cast<std::size_t>(chunk.size));
    copy(chunk, part);
    return part;
  }

 private:
  std::span<std::byte> image_;
};

class FileJob final : public ItemJob {
 public:
  FileJob(const Layout& layout, std::span<const std::uint64_t> sizes, const io::AtomicFile& file)
      : ItemJob(layout, sizes), file_(file) {}

  std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch& scratch) override {
    const TensorInfo& tensor = *layout_.items()[chunk.first].tensor;
    const auto size = static_cast<std::size_t>(chunk.size);
    if (chunk.last == chunk.first + 1 && tensor.is_dense_in_memory()) {
      return tensor.bytes().subspan(static_cast<std::size_t>(chunk.from), size);
    }
    const auto room = scratch.room(size);
    copy(chunk, room);
    return room;
  }
  void store(const io::Chunk& chunk, std::span<const std::byte> bytes) override {
    file_.write_at(bytes, offset(chunk));
  }

 private:
  const io::AtomicFile& file_;
};

inline std::vector<std::uint64_t> sizes_of(const Layout& layout) {
  std::vector<std::uint64_t> sizes;
  sizes.reserve(layout.items().size());
  for (const auto& item : layout.items()) sizes.push_back(item.size);
  return sizes;
}

inline std::vector<std::byte> write_to_memory(const Document& document, const WriteOptions& options) {
  const Layout layout(document);
  const auto sizes = sizes_of(layout);
  std::vector<std::byte> image(static_cast<std::size_t>(layout.file_size()));
  MemoryJob job(layout, sizes, image);
  io::run_chunks(sizes, job, options.threads, options.progress);
  const std::string header = job.header();
  std::memcpy(image.data(), header.data(), header.size());
  return image;
}

inline void write_to_file(const Document& document, const std::filesystem::path& path, const io::WriteMode& mode,
                          const WriteOptions& options) {
  const Layout layout = detail::with_prefix(path.string() + ": ", [&] { return Layout(document); });
  const auto sizes = sizes_of(layout);
  io::AtomicFile file(path, mode);
  file.reserve(layout.file_size());
  FileJob job(layout, sizes, file);
  io::run_chunks(sizes, job, options.threads, options.progress);
  const std::string header = job.header();
  file.write_at(std::as_bytes(std::span(header)), 0);
  file.commit();
}

}  // namespace trainstate::format::safetensors
