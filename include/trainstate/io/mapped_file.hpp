// A file as memory: mapped, copy on write, for as long as anything points into it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "trainstate/io/chunks.hpp"
#include "trainstate/io/posix.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::io {

/// Up to this size, those who go through all of a file may map all of it. A larger one is read piece by piece, since
/// mapped pages count as memory of the process.
inline constexpr std::size_t mapped_whole = std::size_t{8} << 20;

/// Maps a regular file. Its pages are read when they are touched; writing to them changes the memory, never the file.
/// The mapping lives as long as a copy of `storage()` does, longer than this object, also when the file is replaced or
/// removed meanwhile (a file that another program truncates in place must not be touched any more, as with every
/// mapping).
class MappedFile {
 public:
  /// Throws IoError if the file cannot be opened or mapped, or is no regular file.
  explicit MappedFile(const std::filesystem::path& path) {
    struct stat status {};
    // Before opening, since opening a device or a pipe may already do something.
    if (posix().stat(path.c_str(), &status) != 0) throw_io_error(path, "cannot be opened", errno);
    require_regular(path, status);
    file_ =
        Descriptor(retry_interrupted([&] { return posix().open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY, 0); }));
    if (!file_) throw_io_error(path, "cannot be opened", errno);
    if (posix().fstat(file_.get(), &status) != 0) throw_io_error(path, "cannot be examined", errno);
    require_regular(path, status);

    Storage storage;
    storage.size = static_cast<std::size_t>(status.st_size);
    if (storage.size != 0) {
      // No swap is reserved: a checkpoint larger than memory can be mapped, and few of its pages are ever written.
      void* const at = posix().mmap(storage.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file_.get());
      if (at == MAP_FAILED) throw_io_error(path, "cannot be mapped", errno);
      storage.data = static_cast<std::byte*>(at);
      storage.owner = std::shared_ptr<const void>(
          at, [size = storage.size](const void* mapped) { posix().munmap(const_cast<void*>(mapped), size); });
    }
    storage_ = std::make_shared<const Storage>(std::move(storage));
  }

  /// The whole file. No data pointer when the file is empty.
  [[nodiscard]] const std::shared_ptr<const Storage>& storage() const noexcept { return storage_; }

  /// See `mapped_whole`.
  [[nodiscard]] bool is_large() const noexcept { return storage_->size > mapped_whole; }

  /// True if all of `bytes` are in this mapping.
  [[nodiscard]] bool maps(std::span<const std::byte> bytes) const noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(bytes.data()),
               begin = reinterpret_cast<std::uintptr_t>(storage_->data);
    return at >= begin && at - begin <= storage_->size && bytes.size() <= storage_->size - (at - begin);
  }

  /// Copies bytes of the mapping that nobody has written to. They are read from the file once more, so that their pages
  /// need not be mapped one after the other; what the system does not read is copied from the mapping, so that this
  /// cannot fail. Any number of threads may call it at once. Requires `maps(from)`, and as much memory at `to`.
  void copy(std::span<const std::byte> from, std::byte* to) const noexcept {
    while (!from.empty()) {
      const auto offset = static_cast<off_t>(from.data() - storage_->data);
      const ssize_t got = retry_interrupted([&] { return posix().pread(file_.get(), to, from.size(), offset); });
      if (got <= 0) break;
      from = from.subspan(static_cast<std::size_t>(got));
      to += got;
    }
    if (!from.empty()) std::memcpy(to, from.data(), from.size());
  }

 private:
  Descriptor file_;
  std::shared_ptr<const Storage> storage_;
};

/// The most that is read into scratch memory to use some of it.
inline constexpr std::size_t most_at_once = 2 * chunk_size;

/// Bytes that are needed once, by the thread that `scratch` is of: where they are, or, if they are those of a `file`
/// (which may be null), in `scratch`, so that their pages need not be mapped. Where memory is short they are where they
/// are. As for `copy`, nobody has written to them.
inline std::span<const std::byte> bytes_once(std::span<const std::byte> bytes, const MappedFile* file,
                                             Scratch& scratch) noexcept {
  if (!file || bytes.size() > most_at_once) return bytes;
  try {
    const std::span<std::byte> copy = scratch.room(bytes.size());
    file->copy(bytes, copy.data());
    return copy;
  } catch (const std::bad_alloc&) {
    return bytes;
  }
}

}  // namespace trainstate::io
