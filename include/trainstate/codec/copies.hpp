// Many copies between tensors at once: large and dense ones by several threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/io/chunks.hpp"

namespace trainstate::detail {

/// One copy into live memory; dtypes and sizes agree.
struct Copy {
  at::Tensor live, from;
  std::string path;
};

/// True where the elements of both stand in the same order without holes, so that their bytes can be copied.
inline bool is_plain(const Copy& copy) {
  const auto dense = [](const at::Tensor& t) {
    return t.is_cpu() && !t.is_conj() && !t.is_neg() && t.is_non_overlapping_and_dense();
  };
  return dense(copy.live) && dense(copy.from) && copy.live.strides() == copy.from.strides() && copy.live.nbytes() != 0;
}

/// Copies bytes, chunk by chunk.
class CopyJob {
 public:
  struct Piece {
    std::byte* to;
    const std::byte* from;
  };

  explicit CopyJob(const std::vector<Piece>& pieces, std::span<const std::uint64_t> sizes)
      : pieces_(pieces), sizes_(sizes) {}

  std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch&) const {
    if (chunk.last == chunk.first + 1) {
      const Piece& piece = pieces_[chunk.first];
      std::memmove(piece.to + chunk.from, piece.from + chunk.from, static_cast<std::size_t>(chunk.size));
    } else {
      for (std::size_t i = chunk.first; i < chunk.last; ++i) {
        std::memmove(pieces_[i].to, pieces_[i].from, static_cast<std::size_t>(sizes_[i]));
      }
    }
    return {};
  }
  void digest(const io::Chunk&, std::span<const std::byte>) const {}
  void store(const io::Chunk&, std::span<const std::byte>) const {}

 private:
  const std::vector<Piece>& pieces_;
  std::span<const std::uint64_t> sizes_;
};

/// Does the copies, and advances the autograd versions of the live tensors. Gradients must be off. `threads`: 0 means
/// as many as the machine has cores.
inline void copy_all(std::vector<Copy>& copies, unsigned threads) {
  std::vector<Copy*> plain;
  for (Copy& copy : copies) {
    if (is_plain(copy)) {
      plain.push_back(&copy);
    } else {
      copy.live.copy_(copy.from);
    }
  }
  const auto begin_of = [](const Copy* copy) { return static_cast<std::byte*>(copy->live.data_ptr()); };
  std::sort(plain.begin(), plain.end(), [&](const Copy* a, const Copy* b) { return begin_of(a) < begin_of(b); });
  std::vector<CopyJob::Piece> pieces;
  std::vector<std::uint64_t> sizes;
  for (const Copy* copy : plain) {
    // Live tensors that share memory receive the same values, but not from two threads at once.
    if (!pieces.empty() && begin_of(copy) < pieces.back().to + sizes.back()) {
      copy->live.copy_(copy->from);
      continue;
    }
    pieces.push_back({begin_of(copy), static_cast<const std::byte*>(copy->from.data_ptr())});
    sizes.push_back(copy->live.nbytes());
    copy->live.unsafeGetTensorImpl()->bump_version();
  }
  CopyJob job(pieces, sizes);
  io::run_chunks(sizes, job, threads, {});
}

}  // namespace trainstate::detail
