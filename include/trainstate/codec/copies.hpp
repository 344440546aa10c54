// Many copies between tensors at once: large and dense ones by several threads. All that can fail is done before the
// first byte of live memory changes.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_strided.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/codec/strided_copy.hpp"
#include "trainstate/error.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/io/mapped_file.hpp"

namespace trainstate::detail {

/// One copy into live memory; dtypes and sizes agree.
struct Copy {
  at::Tensor live, from;
  std::string path;
};

/// True where the elements of both stand in the same order without holes, so that their bytes can be copied.
inline bool is_plain(const at::Tensor& live, const at::Tensor& from) {
  return live.is_non_overlapping_and_dense() && from.is_non_overlapping_and_dense() && live.strides() == from.strides();
}

/// From this size on, reading from a file costs less than copying from pages of it that are not mapped yet.
inline constexpr std::size_t least_read = std::size_t{128} << 10;

/// Copies bytes, chunk by chunk.
class CopyJob final : public io::ChunkJob {
 public:
  struct Piece {
    std::byte* to;
    const std::byte* from;
  };

  /// Large parts of `file` (which may be null) are read, see io::MappedFile::copy.
  CopyJob(const std::vector<Piece>& pieces, const std::vector<std::uint64_t>& sizes, const io::MappedFile* file)
      : pieces_(pieces), sizes_(sizes), file_(file) {}

  [[nodiscard]] bool digests_in_order() const override { return false; }
  std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch&) override {
    if (chunk.last == chunk.first + 1) {
      const Piece& piece = pieces_[chunk.first];
      copy(piece.from + chunk.from, static_cast<std::size_t>(chunk.size), piece.to + chunk.from);
    } else {
      for (std::size_t i = chunk.first; i < chunk.last; ++i) {
        copy(pieces_[i].from, static_cast<std::size_t>(sizes_[i]), pieces_[i].to);
      }
    }
    return {};
  }

 private:
  void copy(const std::byte* from, std::size_t size, std::byte* to) const noexcept {
    if (file_ && size >= least_read && file_->maps({from, size})) {
      file_->copy({from, size}, to);
    } else {
      std::memmove(to, from, size);
    }
  }

  const std::vector<Piece>& pieces_;
  const std::vector<std::uint64_t>& sizes_;
  const io::MappedFile* file_;
};

/// Copies that are ready to be made. Gradients must be off.
class CopyRun {
 public:
  /// Throws Error, or what LibTorch throws, if one cannot be made; nothing live has changed then. `file`, unless null,
  /// maps sources that nobody has written to, and must live as long as this.
  explicit CopyRun(const std::vector<Copy>& copies, const io::MappedFile* file = nullptr)
      : copies_(copies), job_(pieces_, sizes_, file), strided_job_(file) {
    std::vector<Plain> plain;
    for (const Copy& copy : copies) {
      if (copy.live.sizes() != copy.from.sizes() || copy.live.scalar_type() != copy.from.scalar_type() ||
          copy.from.is_meta() || copy.from.layout() != c10::kStrided) {
        throw Error(copy.path + ": its values cannot be copied into the live tensor");
      }
      add(copy, plain);
    }
    std::sort(plain.begin(), plain.end(),
              [](const Plain& a, const Plain& b) { return std::less<>()(a.live.data_ptr(), b.live.data_ptr()); });
    for (const Plain& copy : plain) {
      auto* to = static_cast<std::byte*>(copy.live.data_ptr());
      // Live tensors that share memory receive the same values, but not from two threads at once.
      if (!pieces_.empty() && to < pieces_.back().to + sizes_.back()) {
        alone_.emplace_back(copy.live, copy.from);
        continue;
      }
      pieces_.push_back({to, static_cast<const std::byte*>(copy.from.data_ptr())});
      sizes_.push_back(copy.live.nbytes());
    }
    chunks_.emplace(sizes_, job_, no_progress_);
    share_out_strided();
    strided_chunks_.emplace(strided_job_.sizes(), strided_job_, no_progress_);
  }
  CopyRun(const CopyRun&) = delete;
  CopyRun& operator=(const CopyRun&) = delete;
  ~CopyRun() = default;

  /// The copies to other devices than the CPU. Throws what LibTorch throws, which can only be that a device failed for
  /// good: dtypes, sizes and strides agree, so that no memory is asked for.
  void run_on_devices() {
    for (auto& [live, from] : on_devices_) live.copy_(from);
  }

  /// The others. Advances the autograd versions of all live tensors on the CPU. `threads`: 0 means as many as the
  /// machine has cores.
  void run(unsigned threads) noexcept {
    for (const StridedCopy& copy : alone_) copy.run();
    strided_chunks_->run(threads);
    chunks_->run(threads);
    for (const Copy& copy : copies_) {
      if (copy.live.is_cpu()) copy.live.unsafeGetTensorImpl()->bump_version();
    }
  }

 private:
  struct Plain {
    at::Tensor live, from;
  };

  void add(const Copy& copy, std::vector<Plain>& plain) {
    at::Tensor live = copy.live, from = copy.from;
    if (live.is_conj()) {
      live = live.conj();
      from = from.conj();
    }
    if (live.is_neg()) {
      live = live._neg_view();
      from = from._neg_view();
    }
    from = from.resolve_conj().resolve_neg();
    if (!live.is_cpu()) {
      if (!is_plain(live, from)) from = as_in(live, from);
      on_devices_.push_back({std::move(live), std::move(from)});
      return;
    }
    if (live.numel() == 0) return;
    if (!from.is_cpu()) from = from.cpu();
    sources_.push_back(from);
    if (is_plain(live, from)) {
      plain.push_back({std::move(live), std::move(from)});
    } else {
      strided_.emplace_back(live, from);
    }
  }

  /// Those that share live memory with others, or within themselves, must not be made by two threads at once.
  void share_out_strided() {
    const auto begin = [](const StridedCopy& copy) { return copy.target(0, copy.rows()).data(); };
    std::sort(strided_.begin(), strided_.end(),
              [&](const StridedCopy& a, const StridedCopy& b) { return std::less<>()(begin(a), begin(b)); });
    const std::byte* end = nullptr;
    for (const StridedCopy& copy : strided_) {
      const auto target = copy.target(0, copy.rows());
      if (!copy.rows_are_apart() || (end && std::less<>()(target.data(), end))) {
        alone_.push_back(copy);
        continue;
      }
      strided_job_.add(copy);
      end = target.data() + target.size();
    }
  }

  /// The source in the order of the live elements; on the live device where there are holes between those.
  static at::Tensor as_in(const at::Tensor& live, const at::Tensor& from) {
    if (!live.is_non_overlapping_and_dense()) return from.to(live.device());
    return at::empty_strided(live.sizes(), live.strides(), from.options()).copy_(from);
  }

  const std::vector<Copy>& copies_;
  std::vector<at::Tensor> sources_;  // what the pieces point to
  std::vector<Plain> on_devices_;
  std::vector<StridedCopy> strided_, alone_;
  std::vector<CopyJob::Piece> pieces_;
  std::vector<std::uint64_t> sizes_;
  CopyJob job_;
  StridedJob strided_job_;
  const io::Progress no_progress_;
  std::optional<io::ChunkRun> chunks_, strided_chunks_;
};

}  // namespace trainstate::detail
