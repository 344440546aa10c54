// Copies between tensors whose elements stand in different orders (channels_last weights, say), by several threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "trainstate/io/chunks.hpp"
#include "trainstate/io/mapped_file.hpp"

namespace trainstate::detail {

/// A copy in the CPU's memory between tensors whose elements stand in different orders. Allocates nothing once it is
/// made, so it cannot fail as a copy by LibTorch might.
class StridedCopy {
 public:
  StridedCopy(const at::Tensor& live, const at::Tensor& from)
      : to_(static_cast<std::byte*>(live.data_ptr())),
        from_(static_cast<const std::byte*>(from.data_ptr())),
        item_(static_cast<std::ptrdiff_t>(live.element_size())) {
    for (std::int64_t d = 0; d < live.dim(); ++d) {
      if (live.size(d) != 1) dims_.push_back({live.size(d), live.stride(d) * item_, from.stride(d) * item_});
    }
    // In the order of the memory that is written, and what stands in one row on both sides as one.
    std::stable_sort(dims_.begin(), dims_.end(), [](const Dim& a, const Dim& b) { return a.to > b.to; });
    for (std::size_t d = dims_.size(); d-- > 1;) {
      const Dim inner = dims_[d];
      Dim& outer = dims_[d - 1];
      if (outer.to != inner.to * inner.size || outer.from != inner.from * inner.size) continue;
      outer = {outer.size * inner.size, inner.to, inner.from};
      dims_.erase(dims_.begin() + static_cast<std::ptrdiff_t>(d));
    }
    if (dims_.empty()) dims_.push_back({1, item_, item_});
  }

  /// How often the outermost dimension can be cut.
  [[nodiscard]] std::ptrdiff_t rows() const noexcept { return dims_.front().size; }
  [[nodiscard]] std::uint64_t row_bytes() const noexcept {
    std::ptrdiff_t bytes = item_;
    for (std::size_t d = 1; d < dims_.size(); ++d) bytes *= dims_[d].size;
    return static_cast<std::uint64_t>(bytes);
  }

  /// True if each row writes to memory of its own, so that threads may share them.
  [[nodiscard]] bool rows_are_apart() const noexcept {
    return rows() == 1 || target(0, 1).size() <= static_cast<std::size_t>(dims_.front().to);
  }

  /// From the first byte to the last that rows [first, last) write, or read.
  [[nodiscard]] std::span<std::byte> target(std::ptrdiff_t first, std::ptrdiff_t last) const noexcept {
    return {to_ + first * dims_.front().to, extent(first, last, &Dim::to)};
  }
  [[nodiscard]] std::span<const std::byte> source(std::ptrdiff_t first, std::ptrdiff_t last) const noexcept {
    return {from_ + first * dims_.front().from, extent(first, last, &Dim::from)};
  }

  /// Copies it all.
  void run() const noexcept { run(0, rows(), from_); }

  /// Copies rows [first, last) out of what `source` says, or a copy of that.
  void run(std::ptrdiff_t first, std::ptrdiff_t last, const std::byte* from) const noexcept {
    Dim rows = dims_.front();
    rows.size = last - first;
    copy(to_ + first * rows.to, from, rows, 1);
  }

 private:
  struct Dim {
    std::ptrdiff_t size, to, from;  // strides in bytes
  };

  [[nodiscard]] std::size_t extent(std::ptrdiff_t first, std::ptrdiff_t last,
                                   std::ptrdiff_t Dim::*stride) const noexcept {
    std::ptrdiff_t bytes = item_ + (last - first - 1) * dims_.front().*stride;
    for (std::size_t d = 1; d < dims_.size(); ++d) bytes += (dims_[d].size - 1) * dims_[d].*stride;
    return static_cast<std::size_t>(bytes);
  }

  // `dim`, and within it all dimensions from `inner` on.
  void copy(std::byte* to, const std::byte* from, const Dim& dim, std::size_t inner) const noexcept {
    if (inner == dims_.size()) return copy_row(to, from, dim);
    for (std::ptrdiff_t i = 0; i < dim.size; ++i) copy(to + i * dim.to, from + i * dim.from, dims_[inner], inner + 1);
  }

  void copy_row(std::byte* to, const std::byte* from, const Dim& dim) const noexcept {
    if (dim.to == item_ && dim.from == item_) {
      std::memmove(to, from, static_cast<std::size_t>(dim.size * item_));
      return;
    }
    switch (item_) {
      case 1:
        return copy_items<1>(to, from, dim);
      case 2:
        return copy_items<2>(to, from, dim);
      case 4:
        return copy_items<4>(to, from, dim);
      case 8:
        return copy_items<8>(to, from, dim);
      default:
        for (std::ptrdiff_t i = 0; i < dim.size; ++i) {
          std::memmove(to + i * dim.to, from + i * dim.from, static_cast<std::size_t>(item_));
        }
    }
  }

  template <std::size_t Size>
  static void copy_items(std::byte* to, const std::byte* from, const Dim& dim) noexcept {
    for (std::ptrdiff_t i = 0; i < dim.size; ++i) std::memmove(to + i * dim.to, from + i * dim.from, Size);
  }

  std::byte* to_;
  const std::byte* from_;
  std::ptrdiff_t item_;
  std::vector<Dim> dims_;
};

/// Strided copies as pieces for several threads, about a chunk each.
class StridedJob final : public io::ChunkJob {
 public:
  /// Sources in `file` (which may be null) are read from it, see io::bytes_once.
  explicit StridedJob(const io::MappedFile* file) : file_(file) {}

  /// `copy` must live as long as this.
  void add(const StridedCopy& copy) {
    const std::uint64_t row = copy.row_bytes();
    const auto rows = static_cast<std::ptrdiff_t>(std::max<std::uint64_t>(1, io::chunk_size / row));
    for (std::ptrdiff_t first = 0; first < copy.rows(); first += rows) {
      const std::ptrdiff_t last = std::min(first + rows, copy.rows());
      slabs_.push_back({&copy, first, last});
      sizes_.push_back(row * static_cast<std::uint64_t>(last - first));
    }
  }
  [[nodiscard]] std::span<const std::uint64_t> sizes() const noexcept { return sizes_; }

  [[nodiscard]] bool digests_in_order() const override { return false; }
  std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch& scratch) override {
    if (chunk.from != 0) return {};  // a row that is longer than a chunk was copied with its first
    for (std::size_t i = chunk.first; i < chunk.last; ++i) {
      const Slab& slab = slabs_[i];
      std::span<const std::byte> source = slab.copy->source(slab.first, slab.last);
      if (file_ && file_->maps(source)) source = io::bytes_once(source, file_, scratch);
      slab.copy->run(slab.first, slab.last, source.data());
    }
    return {};
  }

 private:
  struct Slab {
    const StridedCopy* copy;
    std::ptrdiff_t first, last;
  };

  const io::MappedFile* file_;
  std::vector<Slab> slabs_;
  std::vector<std::uint64_t> sizes_;
};

}  // namespace trainstate::detail
