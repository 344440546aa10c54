// A few bytes here and there of a large file.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "trainstate/io/mapped_file.hpp"

namespace trainstate::io {

/// Shows bytes of a mapping from its file, so that the pages around them need not be mapped; neighbours are read at
/// once.
class Window {
 public:
  /// More bytes than these are shown where they are mapped.
  static constexpr std::size_t reach = std::size_t{16} << 10;

  /// `all` is shown from `file`, or, if that is null, where it is. Nobody has written to it. Both must outlive this.
  Window(std::span<const std::byte> all, const MappedFile* file) : all_(all), file_(file) {}

  /// `size` bytes from `at` on, which must be there; good until the next call.
  [[nodiscard]] std::span<const std::byte> show(std::size_t at, std::size_t size) noexcept {
    if (!file_ || size > reach) return all_.subspan(at, size);
    if (at < begin_ || at + size > begin_ + held_) {
      begin_ = at;
      held_ = std::min(reach, all_.size() - at);
      file_->copy(all_.subspan(begin_, held_), bytes_.data());
    }
    return std::span<const std::byte>(bytes_).subspan(at - begin_, size);
  }

 private:
  std::span<const std::byte> all_;
  const MappedFile* file_;
  std::size_t begin_ = 0, held_ = 0;
  std::array<std::byte, reach> bytes_;
};

}  // namespace trainstate::io
