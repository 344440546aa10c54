// Reading once more from a file what is mapped from it, unless that has been written to.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "trainstate/io/mapped_file.hpp"
#include "trainstate/io/posix.hpp"

namespace trainstate::io {

/// What the system says of the pages of this process. Follows Linux's Documentation/admin-guide/mm/pagemap.rst.
class WrittenPages {
 public:
  WrittenPages() : file_(retry_interrupted([] { return posix().open("/proc/self/pagemap", O_RDONLY, 0); })) {}

  [[nodiscard]] static std::size_t page_size() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

  /// True if `bytes`, which lie in a private mapping of a file, are what the file has: nobody wrote to their pages.
  /// False also where the system does not say. Linear in the pages, which are not touched; any number of threads may
  /// ask.
  [[nodiscard]] bool none_in(std::span<const std::byte> bytes) const noexcept {
    if (bytes.empty()) return true;
    if (!file_) return false;
    const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
    std::uintptr_t page = begin / page_size();
    const std::uintptr_t end = (begin + bytes.size() - 1) / page_size() + 1;
    std::array<std::uint64_t, 512> entries;
    while (page != end) {
      const auto wanted = static_cast<std::size_t>(std::min<std::uintptr_t>(end - page, entries.size()));
      const ssize_t got = retry_interrupted([&] {
        return posix().pread(file_.get(), entries.data(), wanted * sizeof(std::uint64_t),
                             static_cast<off_t>(page * sizeof(std::uint64_t)));
      });
      const auto read = got <= 0 ? 0 : static_cast<std::size_t>(got) / sizeof(std::uint64_t);
      if (read == 0 || std::any_of(entries.begin(), entries.begin() + read, is_own)) return false;
      page += read;
    }
    return true;
  }

 private:
  // A page that was written to belongs to the process alone, in memory or in swap. One of the file is marked as such.
  static bool is_own(std::uint64_t entry) noexcept {
    constexpr std::uint64_t of_file = std::uint64_t{1} << 61, in_swap = std::uint64_t{1} << 62,
                            in_memory = std::uint64_t{1} << 63;
    return (entry & (in_memory | in_swap)) != 0 && (entry & of_file) == 0;
  }

  Descriptor file_;
};

/// The file that sources are mapped from, if they may be read from it: that costs less than mapping page after page,
/// and mapped pages count as memory of the process.
class SourceFile {
 public:
  SourceFile() = default;
  /// `file` must live as long as this. `may_be_written`: somebody had the mapping in hand, and could write to it.
  SourceFile(const MappedFile& file, bool may_be_written) : file_(&file) {
    if (may_be_written) written_.emplace();
  }

  /// The file, if `bytes` are what it has; else null.
  [[nodiscard]] const MappedFile* of(std::span<const std::byte> bytes) const noexcept {
    return file_ && file_->maps(bytes) && (!written_ || written_->none_in(bytes)) ? file_ : nullptr;
  }

  /// Calls f(part, of(part)) for all of `bytes`, in one part or in up to three: who writes to a neighbour writes to
  /// the first or the last page only.
  template <class F>
  void for_each_part(std::span<const std::byte> bytes, const F& f) const {
    const MappedFile* const whole = of(bytes);
    if (whole || !written_ || !file_->maps(bytes)) return f(bytes, whole);
    const std::size_t page = WrittenPages::page_size(), begin = reinterpret_cast<std::uintptr_t>(bytes.data()) % page;
    const std::size_t head = std::min(page - begin, bytes.size()), tail = (begin + bytes.size()) % page;
    const std::array<std::size_t, 4> cuts{0, head, std::max(head, bytes.size() - std::min(tail, bytes.size())),
                                          bytes.size()};
    for (std::size_t i = 1; i < cuts.size(); ++i) {
      const auto part = bytes.subspan(cuts[i - 1], cuts[i] - cuts[i - 1]);
      if (!part.empty()) f(part, of(part));
    }
  }

 private:
  const MappedFile* file_ = nullptr;
  std::optional<WrittenPages> written_;
};

}  // namespace trainstate::io
