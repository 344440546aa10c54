// Live tensors may share memory (tied weights, flat buffers with views). A load must not write one over the other.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "trainstate/codec/context.hpp"
#include "trainstate/codec/copies.hpp"
#include "trainstate/codec/memory.hpp"
#include "trainstate/codec/plan.hpp"
#include "trainstate/codec/strided_copy.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/io/mapped_file.hpp"
#include "trainstate/io/source_file.hpp"
#include "trainstate/state_dict.hpp"

namespace trainstate::detail {

inline bool same_source(const at::Tensor& a, const at::Tensor& b) {
  return a.is_same(b) || (a.data_ptr() == b.data_ptr() && TensorTraits<at::Tensor>::same_view(a, b));
}

/// Where a planned copy writes to: from the first byte to the last, whichever storage has them.
struct Target {
  const Copy* copy;
  c10::Device device;
  std::uintptr_t begin, end;

  explicit Target(const Copy& planned)
      : copy(&planned),
        device(planned.live.device()),
        begin(reinterpret_cast<std::uintptr_t>(planned.live.data_ptr())),
        end(begin + static_cast<std::uintptr_t>(span_of(planned.live)) * planned.live.element_size()) {}

  /// By place; those that write the same from the same source stand together.
  [[nodiscard]] bool before(const Target& other) const {
    if (device != other.device) {
      return std::pair(device.type(), device.index()) < std::pair(other.device.type(), other.device.index());
    }
    if (begin != other.begin || end != other.end) return std::tie(begin, end) < std::tie(other.begin, other.end);
    const auto a = reinterpret_cast<std::uintptr_t>(copy->from.data_ptr()),
               b = reinterpret_cast<std::uintptr_t>(other.copy->from.data_ptr());
    return std::tie(a, copy) < std::tie(b, other.copy);
  }
};

/// What a planned copy writes, byte by byte.
class WrittenBytes {
 public:
  WrittenBytes(const Target& target, const io::SourceFile& file)
      : copy_(target.copy), begin_(target.begin), end_(target.end) {
    const at::Tensor live = as_in_memory(copy_->live);
    from_ = values_in_memory(copy_->live, copy_->from).cpu();
    const auto item = static_cast<std::ptrdiff_t>(live.element_size());
    dims_ = common_dims(live, from_, &CommonDim::to);
    if (dims_.back().to == item && dims_.back().from == item) {
      dims_.back() = {dims_.back().size * item, 1, 1};
    } else {
      dims_.push_back({item, 1, 1});
    }
    const auto source = static_cast<std::size_t>(span_of(from_) * item);
    file_ = file.of({static_cast<const std::byte*>(from_.data_ptr()), source});
  }

  [[nodiscard]] const Copy* copy() const { return copy_; }
  [[nodiscard]] std::uintptr_t end() const { return end_; }

  /// Calls `f(at, bytes)` for what it writes to [first, first + size), in runs; `at` counts from `first` on.
  template <class F>
  void for_each_run(std::uintptr_t first, std::size_t size, io::Scratch& scratch, const F& f) const {
    const auto at = static_cast<std::ptrdiff_t>(begin_) - static_cast<std::ptrdiff_t>(first);
    visit(0, at, static_cast<const std::byte*>(from_.data_ptr()), static_cast<std::ptrdiff_t>(size), scratch, f);
  }

 private:
  // Below this size, reading from the file costs more than mapping does.
  static constexpr std::size_t read_from_file = 512;

  // Dimension `d` and those within it, which begin at `at`.
  template <class F>
  void visit(std::size_t d, std::ptrdiff_t at, const std::byte* from, std::ptrdiff_t size, io::Scratch& scratch,
             const F& f) const {
    const CommonDim& dim = dims_[d];
    std::ptrdiff_t inner = 1;  // bytes from the first to the last that one step of `d` writes
    for (std::size_t i = d + 1; i < dims_.size(); ++i) inner += (dims_[i].size - 1) * dims_[i].to;
    // Only the steps that reach into the range.
    const std::ptrdiff_t first = at + inner > 0 ? 0 : (-at - inner) / dim.to + 1;
    const std::ptrdiff_t last = size > at ? std::min(dim.size, (size - at - 1) / dim.to + 1) : 0;
    if (first >= last) return;
    if (d + 1 == dims_.size()) {
      const std::span run(from + first, static_cast<std::size_t>(last - first));
      f(static_cast<std::size_t>(at + first),
        io::bytes_once(run, run.size() < read_from_file ? nullptr : file_, scratch));
      return;
    }
    for (std::ptrdiff_t i = first; i < last; ++i) visit(d + 1, at + i * dim.to, from + i * dim.from, size, scratch, f);
  }

  const Copy* copy_;
  std::uintptr_t begin_, end_;
  at::Tensor from_;
  std::vector<CommonDim> dims_;  // the last one is of single bytes
  const io::MappedFile* file_;
};

/// Finds the copies whose memory later ones fill with other values: all of them are made to scratch memory, piece by
/// piece, and compared with what stands there then.
class Overwritten {
 public:
  explicit Overwritten(const io::SourceFile& file) : file_(file), room_(io::chunk_size) {}

  /// Looks at copies that overlap, in the order of their targets.
  void look_at(std::span<const Target> targets) {
    std::vector<WrittenBytes> all;
    all.reserve(targets.size());
    for (const Target& target : targets) all.emplace_back(target, file_);
    std::vector<const WrittenBytes*> here;
    std::size_t next = 0;
    for (std::uintptr_t at = targets.front().begin; next < targets.size() || !here.empty(); at += room_.size()) {
      std::erase_if(here, [&](const WrittenBytes* one) { return one->end() <= at; });
      while (next < targets.size() && targets[next].begin < at + room_.size()) here.push_back(&all[next++]);
      if (here.size() > 1) compare(here, at);
    }
  }

  /// In the order of the plan.
  [[nodiscard]] std::vector<const Copy*> take() {
    std::sort(found_.begin(), found_.end());
    found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
    return std::move(found_);
  }

 private:
  void compare(std::vector<const WrittenBytes*>& here, std::uintptr_t at) {
    std::sort(here.begin(), here.end(),
              [](const WrittenBytes* a, const WrittenBytes* b) { return a->copy() < b->copy(); });
    for (const WrittenBytes* one : here) {
      one->for_each_run(at, room_.size(), scratch_, [&](std::size_t to, std::span<const std::byte> run) {
        std::memcpy(room_.data() + to, run.data(), run.size());
      });
    }
    for (const WrittenBytes* one : std::span(here).first(here.size() - 1)) {
      bool stays = true;
      one->for_each_run(at, room_.size(), scratch_, [&](std::size_t to, std::span<const std::byte> run) {
        stays = stays && std::memcmp(room_.data() + to, run.data(), run.size()) == 0;
      });
      if (!stays) found_.push_back(one->copy());
    }
  }

  const io::SourceFile& file_;
  std::vector<std::byte> room_;
  io::Scratch scratch_;
  std::vector<const Copy*> found_;
};

/// Notes a mismatch for every planned copy whose memory another one would fill with other values. Memory of one tensor,
/// the usual case, costs no look at values, nor does that of tied tensors with one source.
inline void check_shared_memory(LoadContext& context) {
  std::vector<Target> targets;
  targets.reserve(context.plan->copies().size());
  for (const auto& copy : context.plan->copies()) {
    if (copy.live.numel() != 0) targets.emplace_back(copy);
  }
  std::sort(targets.begin(), targets.end(), [](const Target& a, const Target& b) { return a.before(b); });
  const auto same = [](const Target& a, const Target& b) {
    return same_source(a.copy->live, b.copy->live) && same_source(a.copy->from, b.copy->from);
  };
  targets.erase(std::unique(targets.begin(), targets.end(), same), targets.end());

  const c10::NoGradGuard no_grad;
  std::optional<io::SourceFile> file;
  std::optional<Overwritten> overwritten;
  for (auto first = targets.begin(); first != targets.end();) {
    auto last = first + 1;
    for (std::uintptr_t end = first->end; last != targets.end() && last->device == first->device && last->begin < end;
         ++last) {
      end = std::max(end, last->end);
    }
    if (last - first > 1) {
      if (!file) overwritten.emplace(file.emplace(context.sources()));
      overwritten->look_at({first, last});
    }
    first = last;
  }
  if (!overwritten) return;
  for (const Copy* copy : overwritten->take()) {
    context.report.mismatched.push_back(
        {copy->path, "values that agree with those of the live tensors it shares memory with", "other values"});
  }
}

}  // namespace trainstate::detail
