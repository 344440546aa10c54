// Many copies between tensors at once: large and dense ones by several threads. All that can fail is done before the
// first byte of live memory changes.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_strided.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/codec/memory.hpp"
#include "trainstate/codec/strided_copy.hpp"
#include "trainstate/error.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/io/dense_copy.hpp"
#include "trainstate/io/source_file.hpp"
#include "trainstate/torch/compat.hpp"

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

/// Copies that are ready to be made. Gradients must be off.
class CopyRun {
 public:
  /// Throws Error, or what LibTorch throws, if one cannot be made; nothing live has changed then.
  explicit CopyRun(const std::vector<Copy>& copies, const io::SourceFile& file = {}) : copies_(copies) {
    for (const Copy& copy : copies) {
      if (copy.live.sizes() != copy.from.sizes() || copy.live.scalar_type() != copy.from.scalar_type() ||
          copy.from.is_meta() || copy.from.layout() != c10::kStrided) {
        throw Error(copy.path + ": its values cannot be copied into the live tensor");
      }
      add(copy, file);
    }
    share_out_dense();
    share_out_strided(file);
    dense_chunks_.emplace(dense_job_.sizes(), dense_job_, no_progress_);
    strided_chunks_.emplace(strided_job_.sizes(), strided_job_, no_progress_);
  }
  CopyRun(const CopyRun&) = delete;
  CopyRun& operator=(const CopyRun&) = delete;
  ~CopyRun() = default;

  /// The copies to other devices than the CPU. Throws what LibTorch throws, which can only be that a device failed for
  /// good: dtypes, sizes and strides agree, so that no memory is asked for.
  void run_on_devices() {
    for (auto& [live, from, path] : on_devices_) live.copy_(from);
  }

  /// The others. Advances the autograd versions of all live tensors on the CPU. `threads`: 0 means as many as the
  /// machine has cores.
  void run(unsigned threads) noexcept {
    for (const io::DenseCopy& copy : dense_alone_) copy.run();
    for (const StridedCopy& copy : strided_alone_) copy.run();
    strided_chunks_->run(threads);
    dense_chunks_->run(threads);
    for (const Copy& copy : copies_) {
      if (copy.live.is_cpu()) copy.live.unsafeGetTensorImpl()->bump_version();
    }
  }

 private:
  void add(const Copy& copy, const io::SourceFile& file) {
    const at::Tensor live = as_in_memory(copy.live);
    const auto flip = flip_while_copying(copy);
    at::Tensor from = flip ? as_in_memory(copy.from) : values_in_memory(copy.live, copy.from);
    if (!live.is_cpu()) {
      if (!is_plain(live, from)) from = as_in(live, from);
      on_devices_.push_back({live, std::move(from), copy.path});
      return;
    }
    if (live.numel() == 0) return;
    if (!from.is_cpu()) from = from.cpu();
    sources_.push_back(from);
    if (is_plain(live, from) && !flip) {
      const std::span bytes(static_cast<const std::byte*>(from.data_ptr()), from.nbytes());
      auto* to = static_cast<std::byte*>(live.data_ptr());
      file.for_each_part(bytes, [&](std::span<const std::byte> part, const io::MappedFile* readable) {
        dense_.push_back({to, part, readable});
        to += part.size();
      });
    } else {
      strided_.emplace_back(live, from, flip);
    }
  }

  // What only one side conjugates or negates is changed on the way, so that no whole tensor has to be. Nothing where
  // that cannot be done, as for one that is its own source.
  static SignFlip flip_while_copying(const Copy& copy) {
    const auto& [live, from, path] = copy;
    const bool conjugated = live.is_conj() != from.is_conj(), negated = live.is_neg() != from.is_neg();
    if ((!conjugated && !negated) || !live.is_cpu() || !from.is_cpu() || live.is_alias_of(from)) return {};
    const auto dtype = dtype_of(live.scalar_type());
    return dtype ? SignFlip::of(*dtype, conjugated, negated).value_or(SignFlip()) : SignFlip();
  }

  // Those that share live memory with others receive the same values, but must not be made by two threads at once.
  void share_out_dense() {
    const std::less<> before;
    std::sort(dense_.begin(), dense_.end(), [&](const auto& a, const auto& b) { return before(a.to, b.to); });
    std::vector<io::DenseCopy> apart;
    for (const io::DenseCopy& copy : dense_) {
      const bool shares = !apart.empty() && before(copy.to, apart.back().to + apart.back().from.size());
      (shares ? dense_alone_ : apart).push_back(copy);
    }
    std::sort(apart.begin(), apart.end(),
              [&](const auto& a, const auto& b) { return before(a.from.data(), b.from.data()); });
    for (const io::DenseCopy& copy : apart) dense_job_.add(copy);
  }

  void share_out_strided(const io::SourceFile& file) {
    std::sort(strided_.begin(), strided_.end(), [](const StridedCopy& a, const StridedCopy& b) {
      return std::less<>()(a.target().data(), b.target().data());
    });
    const std::byte* end = nullptr;
    for (const StridedCopy& copy : strided_) {
      if (end && std::less<>()(copy.target().data(), end)) {
        strided_alone_.push_back(copy);
        continue;
      }
      strided_job_.add(copy, file.of(copy.source()));
      end = copy.target().data() + copy.target().size();
    }
  }

  /// The source in the order of the live elements; on the live device where there are holes between those.
  static at::Tensor as_in(const at::Tensor& live, const at::Tensor& from) {
    if (!live.is_non_overlapping_and_dense()) return from.to(live.device());
    return at::empty_strided(live.sizes(), live.strides(), from.options()).copy_(from);
  }

  const std::vector<Copy>& copies_;
  std::vector<at::Tensor> sources_;  // what the pieces point to
  std::vector<Copy> on_devices_;
  std::vector<io::DenseCopy> dense_, dense_alone_;
  std::vector<StridedCopy> strided_, strided_alone_;
  io::DenseJob dense_job_;
  StridedJob strided_job_;
  const io::Progress no_progress_;
  std::optional<io::ChunkRun> dense_chunks_, strided_chunks_;
};

}  // namespace trainstate::detail
