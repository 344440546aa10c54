#include "trainstate/io/block_pool.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <thread>
#include <vector>

using trainstate::io::BlockPool;

TEST_CASE("block pool: a block that was let go is handed out again, to sizes near its own") {
  BlockPool pool;
  auto first = pool.take(1000);
  std::byte* const at = first.get();
  CHECK(reinterpret_cast<std::uintptr_t>(at) % 64 == 0);
  std::memset(at, 1, 1000);
  CHECK(pool.free_bytes() == 0);
  const auto second = pool.take(1000);
  CHECK(second.get() != at);
  first.reset();
  CHECK(pool.free_bytes() == 1000);
  CHECK(pool.take(1001).get() != at);  // too large
  CHECK(pool.take(799).get() != at);   // a waste
  auto again = pool.take(800);
  CHECK(again.get() == at);
  again.reset();
  CHECK(pool.take(1000).get() == at);  // with its whole size
}

TEST_CASE("block pool: a block with several owners comes back with the last") {
  BlockPool pool;
  auto one = pool.take(64);
  BlockPool::Block other(one, one.get() + 8);
  one.reset();
  CHECK(pool.free_bytes() == 0);
  other.reset();
  CHECK(pool.free_bytes() == 64);
}

TEST_CASE("block pool: trim gives back free blocks only") {
  BlockPool pool;
  auto used = pool.take(500);
  for (const std::size_t size : {100, 200, 300}) std::vector<BlockPool::Block>{pool.take(size), pool.take(size + 1)};
  const std::size_t before = pool.free_bytes();
  CHECK(before >= 600);
  pool.trim(before);
  CHECK(pool.free_bytes() == before);
  pool.trim(400);
  CHECK(pool.free_bytes() <= 400);
  CHECK(pool.free_bytes() > 0);
  pool.trim(0);
  CHECK(pool.free_bytes() == 0);
  std::memset(used.get(), 1, 500);
}

TEST_CASE("block pool: blocks outlive their pool, and what making one throws passes through") {
  std::optional<BlockPool> pool(std::in_place);
  const auto block = pool->take(10);
  pool.reset();
  std::memset(block.get(), 1, 10);

  int calls = 0;
  BlockPool failing([&](std::size_t size) {
    if (++calls == 2) throw std::bad_alloc();
    return BlockPool::allocate(size);
  });
  CHECK(failing.take(8) != nullptr);
  CHECK(failing.take(8) != nullptr);  // the first one, again
  const auto held = failing.take(8);
  CHECK_THROWS_AS(static_cast<void>(failing.take(8)), std::bad_alloc);
  CHECK(failing.take(8) != nullptr);
}

TEST_CASE("block pool: any thread takes and returns") {
  BlockPool pool;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, t] {
      std::vector<BlockPool::Block> held(5);
      for (std::size_t i = 0; i < 2000; ++i) {
        auto& slot = held[i % held.size()];
        slot = pool.take(100 + 50 * (i % 7));
        std::memset(slot.get(), static_cast<int>(t), 100);
        CHECK(slot.get()[50] == static_cast<std::byte>(t));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(pool.free_bytes() > 0);
}
