// Memory that is used again and again: fresh pages cost several times what a copy into warm ones does.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

namespace trainstate::io {

/// Hands out blocks of memory, and takes them back when their last owner lets go. Any thread may do either, also after
/// the pool is gone.
class BlockPool {
 public:
  using Block = std::shared_ptr<std::byte>;

  /// Makes blocks, aligned to 64 bytes, with the pages' content left as it is.
  static Block allocate(std::size_t size) {
    constexpr std::align_val_t alignment{64};
    return {static_cast<std::byte*>(::operator new(size, alignment)),
            [](std::byte* at) { ::operator delete(at, alignment); }};
  }

  explicit BlockPool(std::function<Block(std::size_t)> make = allocate) : free_(std::make_shared<Free>()) {
    free_->make = std::move(make);
  }

  /// A block of at least `size` bytes: a free one that is at most a quarter larger, else a new one. Throws what making
  /// one throws.
  [[nodiscard]] Block take(std::size_t size) {
    std::pair<std::size_t, Block> taken{size, nullptr};
    {
      const std::lock_guard lock(free_->mutex);
      const auto at = free_->blocks.lower_bound(size);
      if (at != free_->blocks.end() && at->first - size <= size / 4) {
        taken = std::move(*at);
        free_->blocks.erase(at);
        free_->bytes -= taken.first;
      }
    }
    if (!taken.second) taken.second = free_->make(size);
    std::byte* const data = taken.second.get();
    return {data, Return{free_, std::move(taken.second), taken.first}};
  }

  /// Bytes of the blocks that nobody owns now.
  [[nodiscard]] std::size_t free_bytes() const {
    const std::lock_guard lock(free_->mutex);
    return free_->bytes;
  }

  /// Gives free blocks back to the system, the smallest first, until at most `bytes` of them are left.
  void trim(std::size_t bytes) {
    const std::lock_guard lock(free_->mutex);
    while (free_->bytes > bytes) {
      const auto at = free_->blocks.begin();
      free_->bytes -= at->first;
      free_->blocks.erase(at);
    }
  }

 private:
  struct Free {
    std::mutex mutex;
    std::function<Block(std::size_t)> make;
    std::multimap<std::size_t, Block> blocks;
    std::size_t bytes = 0;
  };

  struct Return {
    std::weak_ptr<Free> pool;
    Block block;
    std::size_t size;

    void operator()(std::byte*) noexcept {
      const auto there = pool.lock();
      if (!there) return;
      const std::lock_guard lock(there->mutex);
      try {
        there->blocks.emplace(size, std::move(block));
        there->bytes += size;
      } catch (const std::bad_alloc&) {  // then the block goes with this object
      }
    }
  };

  std::shared_ptr<Free> free_;
};

}  // namespace trainstate::io
