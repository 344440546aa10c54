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

#include "trainstate/codec/memory.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/io/mapped_file.hpp"

namespace trainstate::detail {

/// A dimension of two tensors of the same sizes, with the strides of both in bytes.
struct CommonDim {
  std::ptrdiff_t size, to, from;
};

/// The dimensions of two tensors of the same sizes in the order of one side's memory, outermost first; what stands in
/// one row on both sides as one. At least one is left.
inline std::vector<CommonDim> common_dims(const at::Tensor& live, const at::Tensor& from,
                                          std::ptrdiff_t CommonDim::*order) {
  const auto item = static_cast<std::ptrdiff_t>(live.element_size());
  std::vector<CommonDim> dims;
  for (std::int64_t d = 0; d < live.dim(); ++d) {
    if (live.size(d) != 1) dims.push_back({live.size(d), live.stride(d) * item, from.stride(d) * item});
  }
  if (dims.empty()) dims.push_back({1, item, item});
  std::stable_sort(dims.begin(), dims.end(),
                   [&](const CommonDim& a, const CommonDim& b) { return a.*order > b.*order; });
  for (std::size_t d = dims.size(); d-- > 1;) {
    const CommonDim inner = dims[d];
    CommonDim& outer = dims[d - 1];
    if (outer.to != inner.to * inner.size || outer.from != inner.from * inner.size) continue;
    outer = {outer.size * inner.size, inner.to, inner.from};
    dims.erase(dims.begin() + static_cast<std::ptrdiff_t>(d));
  }
  return dims;
}

/// A copy in the CPU's memory between tensors whose elements stand in different orders, in slabs of a chunk at most.
/// What one slab reads lies together, as far as the source allows it; no two write to the same element. Allocates
/// nothing once it is made, so it cannot fail as a copy by LibTorch might.
class StridedCopy {
 public:
  /// `flip`: what the elements of `live` shall have other than those of `from`.
  StridedCopy(const at::Tensor& live, const at::Tensor& from, const SignFlip& flip = {})
      : item_(static_cast<std::ptrdiff_t>(live.element_size())), flip_(flip) {
    std::vector<Dim> dims = common_dims(live, from, &Dim::from);  // so that what a slab reads lies together
    std::ptrdiff_t written = item_, read = item_;
    for (const Dim& dim : dims) {
      written += (dim.size - 1) * dim.to;
      read += (dim.size - 1) * dim.from;
    }
    target_ = {static_cast<std::byte*>(live.data_ptr()), static_cast<std::size_t>(written)};
    source_ = {static_cast<const std::byte*>(from.data_ptr()), static_cast<std::size_t>(read)};
    cut(std::move(dims));
  }

  /// From the first byte to the last that is written, or read.
  [[nodiscard]] std::span<std::byte> target() const noexcept { return target_; }
  [[nodiscard]] std::span<const std::byte> source() const noexcept { return source_; }

  [[nodiscard]] std::size_t slabs() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t slab_bytes(std::size_t i) const noexcept {
    std::ptrdiff_t bytes = item_ * slab(i).rows;
    for (std::size_t d = 0; d < loops_.size(); ++d) {
      if (d != cut_) bytes *= loops_[d].size;
    }
    return static_cast<std::uint64_t>(bytes);
  }
  /// From the first byte to the last that slab `i` reads.
  [[nodiscard]] std::span<const std::byte> source(std::size_t i) const noexcept {
    const Slab at = slab(i);
    std::ptrdiff_t bytes = item_;
    for (std::size_t d = 0; d < loops_.size(); ++d) bytes += (loop_size(d, at.rows) - 1) * loops_[d].from;
    return source_.subspan(static_cast<std::size_t>(at.from), static_cast<std::size_t>(bytes));
  }

  /// Copies slab `i` out of what `source(i)` says, or a copy of that.
  void run(std::size_t i, const std::byte* from) const noexcept {
    const Slab at = slab(i);
    copy(target_.data() + at.to, from, 0, at.rows);
  }
  /// Copies it all.
  void run() const noexcept {
    for (std::size_t i = 0; i < count_; ++i) run(i, source(i).data());
  }

 private:
  using Dim = CommonDim;
  // Where a slab begins, and how much of the dimension that is cut belongs to it.
  struct Slab {
    std::ptrdiff_t to, from, rows;
  };

  // As many inner dimensions as fit into a chunk belong to every slab, and rows of the next one.
  void cut(std::vector<Dim> dims) {
    constexpr auto most = static_cast<std::ptrdiff_t>(io::chunk_size);
    std::ptrdiff_t row = item_;
    std::size_t cut = dims.size() - 1;
    while (cut > 0 && dims[cut].size <= most / row) row *= dims[cut--].size;
    const Dim rows = dims[cut];
    rows_ = std::min(rows.size, most / row);
    slabs_in_row_ = (rows.size + rows_ - 1) / rows_;
    count_ = static_cast<std::size_t>(slabs_in_row_);
    const auto middle = dims.begin() + static_cast<std::ptrdiff_t>(cut);
    outer_.assign(dims.begin(), middle);
    for (const Dim& dim : outer_) count_ *= static_cast<std::size_t>(dim.size);
    // Within a slab, in the order of the memory that is written.
    loops_.assign(middle, dims.end());
    std::stable_sort(loops_.begin(), loops_.end(), [](const Dim& a, const Dim& b) { return a.to > b.to; });
    while (loops_[cut_].to != rows.to) ++cut_;
  }

  [[nodiscard]] Slab slab(std::size_t i) const noexcept {
    auto rest = static_cast<std::ptrdiff_t>(i);
    const std::ptrdiff_t first = rest % slabs_in_row_ * rows_;
    rest /= slabs_in_row_;
    const Dim& rows = loops_[cut_];
    Slab at{first * rows.to, first * rows.from, std::min(rows_, rows.size - first)};
    for (std::size_t d = outer_.size(); d-- > 0; rest /= outer_[d].size) {
      const std::ptrdiff_t index = rest % outer_[d].size;
      at.to += index * outer_[d].to;
      at.from += index * outer_[d].from;
    }
    return at;
  }

  [[nodiscard]] std::ptrdiff_t loop_size(std::size_t d, std::ptrdiff_t rows) const noexcept {
    return d == cut_ ? rows : loops_[d].size;
  }

  // Loop `d` and those within it.
  void copy(std::byte* to, const std::byte* from, std::size_t d, std::ptrdiff_t rows) const noexcept {
    const Dim dim{loop_size(d, rows), loops_[d].to, loops_[d].from};
    if (d + 1 == loops_.size()) return copy_row(to, from, dim);
    for (std::ptrdiff_t i = 0; i < dim.size; ++i) copy(to + i * dim.to, from + i * dim.from, d + 1, rows);
  }

  void copy_row(std::byte* to, const std::byte* from, const Dim& dim) const noexcept {
    if (dim.to == item_ && dim.from == item_) {
      const auto size = static_cast<std::size_t>(dim.size * item_);
      std::memmove(to, from, size);
      if (flip_) flip_.apply({to, size});
      return;
    }
    copy_items(to, from, dim);
    for (std::ptrdiff_t i = 0; flip_ && i < dim.size; ++i) {
      flip_.apply({to + i * dim.to, static_cast<std::size_t>(item_)});
    }
  }

  void copy_items(std::byte* to, const std::byte* from, const Dim& dim) const noexcept {
    switch (item_) {
      case 1:
        return copy_items_of<1>(to, from, dim);
      case 2:
        return copy_items_of<2>(to, from, dim);
      case 4:
        return copy_items_of<4>(to, from, dim);
      case 8:
        return copy_items_of<8>(to, from, dim);
      default:
        for (std::ptrdiff_t i = 0; i < dim.size; ++i) {
          std::memmove(to + i * dim.to, from + i * dim.from, static_cast<std::size_t>(item_));
        }
    }
  }

  template <std::size_t Size>
  static void copy_items_of(std::byte* to, const std::byte* from, const Dim& dim) noexcept {
    for (std::ptrdiff_t i = 0; i < dim.size; ++i) std::memmove(to + i * dim.to, from + i * dim.from, Size);
  }

  std::span<std::byte> target_;
  std::span<const std::byte> source_;
  std::ptrdiff_t item_;
  SignFlip flip_;
  std::vector<Dim> outer_, loops_;
  std::size_t cut_ = 0, count_ = 0;  // which loop is cut, and into how many slabs in all
  std::ptrdiff_t rows_ = 1, slabs_in_row_ = 1;
};

/// Strided copies as pieces for several threads, about a chunk each.
class StridedJob final : public io::ChunkJob {
 public:
  /// `copy` must live as long as this; its source is read from `file` unless that is null, see io::bytes_once.
  void add(const StridedCopy& copy, const io::MappedFile* file) {
    for (std::size_t i = 0; i < copy.slabs(); ++i) {
      slabs_.push_back({&copy, i, file});
      sizes_.push_back(copy.slab_bytes(i));
    }
  }
  [[nodiscard]] std::span<const std::uint64_t> sizes() const noexcept { return sizes_; }

  [[nodiscard]] bool digests_in_order() const override { return false; }
  std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch& scratch) override {
    for (std::size_t i = chunk.first; i < chunk.last; ++i) {
      const auto& [copy, slab, file] = slabs_[i];
      copy->run(slab, io::bytes_once(copy->source(slab), file, scratch).data());
    }
    return {};
  }

 private:
  struct Slab {
    const StridedCopy* copy;
    std::size_t index;
    const io::MappedFile* file;
  };

  std::vector<Slab> slabs_;
  std::vector<std::uint64_t> sizes_;
};

}  // namespace trainstate::detail
