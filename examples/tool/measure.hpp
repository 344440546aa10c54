// Large tensors through several threads, and the numbers found put together in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "checkpoint_file.hpp"
#include "text.hpp"
#include "trainstate/format/dense.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/tensor_info.hpp"

namespace tool {

/// Calls `f(piece, from, size, partial)` for ranges of bytes that cover pieces of the given sizes, on several threads,
/// and joins the partial results of each piece by `Partial::merge` in the order of its bytes, so that the result does
/// not depend on the threads.
template <class Partial, class F>
std::vector<Partial> measured(const std::vector<std::uint64_t>& sizes, const F& f, const ts::io::Progress& progress) {
  static_assert(std::is_trivially_copyable_v<Partial>);
  class Job final : public ts::io::ChunkJob {
   public:
    Job(const std::vector<std::uint64_t>& sizes, const F& f, std::vector<Partial>& results)
        : sizes_(sizes), f_(f), results_(results) {}

    std::span<const std::byte> load(const ts::io::Chunk& chunk, ts::io::Scratch& scratch) override {
      if (chunk.last > chunk.first + 1 || chunk.size == sizes_[chunk.first]) {
        for (std::size_t i = chunk.first; i < chunk.last; ++i) f_(i, std::uint64_t{0}, sizes_[i], results_[i]);
        return {};
      }
      Partial partial;
      f_(chunk.first, chunk.from, chunk.size, partial);
      const auto room = scratch.room(sizeof partial);
      std::memcpy(room.data(), &partial, sizeof partial);
      return room;
    }
    void digest(const ts::io::Chunk& chunk, std::span<const std::byte> bytes) override {
      if (bytes.empty()) return;
      Partial partial;
      std::memcpy(&partial, bytes.data(), sizeof partial);
      results_[chunk.first].merge(partial);
    }

   private:
    const std::vector<std::uint64_t>& sizes_;
    const F& f_;
    std::vector<Partial>& results_;
  };
  std::vector<Partial> results(sizes.size());
  Job job(sizes, f, results);
  ts::io::run_chunks(sizes, job, 0, progress);
  return results;
}

/// Bytes [from, from + size) of a tensor's dense form: in place, or copied into `memory`.
inline std::span<const std::byte> dense_part(const ts::TensorInfo& tensor, std::uint64_t from, std::uint64_t size,
                                             std::vector<std::byte>& memory) {
  if (tensor.is_contiguous()) {
    return tensor.bytes().subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(size));
  }
  if (memory.size() < size) memory.resize(static_cast<std::size_t>(size));
  const auto part = std::span(memory).first(static_cast<std::size_t>(size));
  ts::format::copy_dense(tensor, from, part);
  return part;
}

/// Throws Refusal for a tensor that shows the same memory over and over, as only a file made to waste time has it.
inline void require_sensible(const std::string& path, const ts::TensorInfo& tensor) {
  constexpr std::size_t times = 64, small = std::size_t{1} << 20;
  if (tensor.nbytes() <= small || tensor.nbytes() / times <= tensor.storage->size) return;
  throw Refusal(path + ": shows " + size_text(tensor.storage->size) + " of memory as " + size_text(tensor.nbytes()) +
                ", which is not gone through");
}

}  // namespace tool
