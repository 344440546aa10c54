// Copies of state that later changes cannot reach, in memory that is used again.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/Device.h>
#include <c10/core/TensorImpl.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "trainstate/format/dense.hpp"
#include "trainstate/format/views.hpp"
#include "trainstate/io/block_pool.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/tensor_info.hpp"
#include "trainstate/torch/content_version.hpp"
#include "trainstate/torch/convert.hpp"

namespace trainstate::detail {

/// The memory of all snapshots of this process. Any thread may use it.
class SnapshotMemory {
 public:
  SnapshotMemory() : pinned_(pinned_block) {}

  /// Room for a tensor's bytes; pinned, so that a GPU can write to it by itself, for tensors of other devices.
  [[nodiscard]] io::BlockPool::Block take(std::size_t size, bool pinned) {
    return pinned ? pinned_.take(size) : pageable_.take(size);
  }

  /// What the last snapshot held of memory that has not been written to since; nothing if there is no such copy.
  [[nodiscard]] std::optional<TensorInfo> unchanged(const ContentVersion& version) {
    const std::lock_guard lock(mutex_);
    const auto at = copies_.find(version.key());
    if (at == copies_.end() || !version.is_unchanged_since(at->second.version)) return std::nullopt;
    at->second.last_used = number_;
    return at->second.copy;
  }

  void remember(ContentVersion version, const TensorInfo& copy) {
    const std::lock_guard lock(mutex_);
    auto key = version.key();
    copies_.insert_or_assign(std::move(key), Copied{std::move(version), copy, number_});
  }

  /// Called after each snapshot, of `bytes`: if it `reuses`, forgets the copies that it had no use for; gives back free
  /// memory beyond that of two such snapshots. No copy outlives a snapshot without it, since a tensor that was given
  /// other memory by `set_data`, and then the first again, does not count what was written to that in the meantime.
  void end_snapshot(std::size_t bytes, bool reuses) {
    std::map<ContentVersion::Key, Copied> forgotten;  // goes without the lock
    if (reuses) {
      const std::lock_guard lock(mutex_);
      for (auto at = copies_.begin(); at != copies_.end();) {
        const auto next = std::next(at);
        if (at->second.last_used < number_) forgotten.insert(copies_.extract(at));
        at = next;
      }
      ++number_;
    }
    forgotten.clear();
    constexpr std::size_t always_kept = std::size_t{8} << 20;
    pageable_.trim(std::max(2 * bytes, always_kept));
    pinned_.trim(2 * bytes);
  }

  /// Gives back all memory that no save is using.
  void release() {
    decltype(copies_) forgotten;
    {
      const std::lock_guard lock(mutex_);
      forgotten.swap(copies_);
    }
    forgotten.clear();
    pageable_.trim(0);
    pinned_.trim(0);
  }

 private:
  struct Copied {
    ContentVersion version;
    TensorInfo copy;
    std::uint64_t last_used = 0;
  };

  static io::BlockPool::Block pinned_block(std::size_t size) {
    const auto options = at::TensorOptions().dtype(c10::ScalarType::Byte).pinned_memory(true);
    auto tensor = std::make_shared<at::Tensor>(at::empty({static_cast<std::int64_t>(size)}, options));
    return {tensor, static_cast<std::byte*>(tensor->data_ptr())};
  }

  io::BlockPool pageable_, pinned_;
  std::mutex mutex_;  // guards what follows
  std::map<ContentVersion::Key, Copied> copies_;
  std::uint64_t number_ = 0;
};

/// That of this process. Never destroyed, since saves may outlive other objects of static lifetime.
inline SnapshotMemory& snapshot_memory() {
  static SnapshotMemory& memory = *new SnapshotMemory;
  return memory;
}

/// One snapshot: first every tensor is taken, then all are copied at once.
class Snapshot {
 public:
  /// With `reuse_unchanged`, what the last snapshot held and nothing wrote to since is not copied again.
  Snapshot(SnapshotMemory& memory, bool reuse_unchanged) : memory_(memory), reuses_(reuse_unchanged) {}

  /// Looks for gradients of a live tensor that one to be taken is detached from.
  void watch(const c10::TensorImpl& live) { traces_.add(live); }

  /// The tensor that will be a dense copy of this one, once `copy` has run. Those that show the same elements share it.
  TensorInfo take(const at::Tensor& tensor) {
    const TensorInfo& live = live_.emplace_back(to_info(tensor));
    const auto [at, added] = copies_.try_emplace(&live);
    if (!added) {
      live_.pop_back();
      return at->second;
    }
    at->second = copy_of(tensor, live);
    return at->second;
  }

  /// Makes the copies, with `threads` threads (0: as many as the machine has cores).
  void copy(unsigned threads) {
    std::set<c10::Device, DeviceOrder> devices;
    for (auto& [tensor, to] : on_devices_) {
      DeviceBytes(tensor).copy(0, to, true);
      devices.insert(tensor.device());
    }
    Job job(pending_);
    io::run_chunks(sizes_, job, threads, {});
    for (const auto& device : devices) wait_for(device);
    for (auto& [version, copy] : to_remember_) memory_.remember(std::move(version), copy);
    memory_.end_snapshot(bytes_, reuses_);
  }

 private:
  static constexpr std::size_t slab_size = std::size_t{1} << 20;
  static constexpr std::size_t largest_in_slab = std::size_t{1} << 16;
  static constexpr std::size_t largest_statistics = std::size_t{1} << 20;
  static constexpr std::size_t alignment = 64;

  struct Pending {
    const TensorInfo* live;
    std::span<std::byte> to;
  };

  struct DeviceOrder {
    bool operator()(const c10::Device& a, const c10::Device& b) const {
      return std::pair(a.type(), a.index()) < std::pair(b.type(), b.index());
    }
  };

  class Job final : public io::ChunkJob {
   public:
    explicit Job(const std::vector<Pending>& pending) : pending_(pending) {}
    [[nodiscard]] bool digests_in_order() const override { return false; }
    std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch&) override {
      if (chunk.last == chunk.first + 1) {
        const auto part = pending_[chunk.first].to.subspan(static_cast<std::size_t>(chunk.from),
                                                           static_cast<std::size_t>(chunk.size));
        format::copy_dense(*pending_[chunk.first].live, chunk.from, part);
      } else {
        for (std::size_t i = chunk.first; i < chunk.last; ++i) {
          format::copy_dense(*pending_[i].live, 0, pending_[i].to);
        }
      }
      return {};
    }

   private:
    const std::vector<Pending>& pending_;
  };

  // Small tensors cost less than the question. The running statistics of normalization layers, one number a channel,
  // are written through raw pointers by LibTorch itself.
  static bool is_always_copied(const TensorInfo& live) {
    const std::size_t size = live.nbytes();
    return size <= largest_in_slab || (live.shape.size() == 1 && size <= largest_statistics);
  }

  TensorInfo copy_of(const at::Tensor& tensor, const TensorInfo& live) {
    const std::size_t size = live.nbytes();
    bytes_ += size;
    const bool small = size <= largest_in_slab;
    std::optional<ContentVersion> version;
    if (reuses_ && !is_always_copied(live)) version = ContentVersion::of(tensor, traces_);
    if (version) {
      if (auto copy = memory_.unchanged(*version)) return *std::move(copy);
    }
    TensorInfo copy{live.dtype, live.shape, TensorInfo::contiguous_strides(live.shape), nullptr, 0};
    if (size == 0) {
      copy.storage = std::make_shared<const Storage>(Storage{nullptr, nullptr, 0, live.storage->device});
      return copy;
    }
    auto block = small ? slab_part(size) : memory_.take(size, static_cast<bool>(live.fetch));
    const std::span<std::byte> to(block.get(), size);
    copy.storage = std::make_shared<const Storage>(Storage{std::move(block), to.data(), size, live.storage->device});
    if (live.fetch && !small) {
      on_devices_.emplace_back(tensor.detach().resolve_conj().resolve_neg(), to);
    } else {
      pending_.push_back({&live, to});
      sizes_.push_back(size);
    }
    if (version) to_remember_.emplace_back(*std::move(version), copy);
    return copy;
  }

  io::BlockPool::Block slab_part(std::size_t size) {
    const std::size_t room = (size + alignment - 1) / alignment * alignment;
    if (!slab_ || slab_used_ + room > slab_size) {
      slab_ = memory_.take(slab_size, false);
      slab_used_ = 0;
    }
    std::byte* const at = slab_.get() + std::exchange(slab_used_, slab_used_ + room);
    return {slab_, at};
  }

  SnapshotMemory& memory_;
  bool reuses_;
  GradientTraces traces_;
  std::deque<TensorInfo> live_;
  format::ViewMap<TensorInfo> copies_;
  std::vector<Pending> pending_;
  std::vector<std::pair<at::Tensor, std::span<std::byte>>> on_devices_;
  std::vector<std::uint64_t> sizes_;
  std::vector<std::pair<ContentVersion, TensorInfo>> to_remember_;
  io::BlockPool::Block slab_;
  std::size_t slab_used_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace trainstate::detail
