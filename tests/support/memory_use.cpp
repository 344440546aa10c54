#include "support/memory_use.hpp"

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TRAINSTATE_HAS_HOOKS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TRAINSTATE_HAS_HOOKS
#endif
#endif

#ifdef TRAINSTATE_HAS_HOOKS
// Of <sanitizer/allocator_interface.h>, which g++ comes without.
extern "C" {
std::size_t __sanitizer_get_allocated_size(const volatile void* memory);
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, std::size_t),
                                              void (*on_free)(const volatile void*));
}
#endif

namespace {

std::atomic<std::size_t> in_use = 0, peak = 0, ever = 0;

void count_new(std::size_t size) {
  ever.fetch_add(size, std::memory_order_relaxed);
  const std::size_t now = in_use.fetch_add(size, std::memory_order_relaxed) + size;
  std::size_t before = peak.load(std::memory_order_relaxed);
  while (before < now && !peak.compare_exchange_weak(before, now, std::memory_order_relaxed)) {
  }
}
void count_delete(std::size_t size) { in_use.fetch_sub(size, std::memory_order_relaxed); }

}  // namespace

namespace trainstate::tests {

std::size_t memory_in_use() { return in_use; }
std::size_t memory_peak() { return peak; }
std::size_t memory_ever() { return ever; }
void restart_peak() { peak.store(in_use.load()); }

}  // namespace trainstate::tests

#ifdef TRAINSTATE_HAS_HOOKS

// The sanitizer replaces operator new itself, and tells of each call.
namespace {

void on_malloc(const volatile void*, std::size_t size) { count_new(size); }
void on_free(const volatile void* memory) {
  if (memory != nullptr) count_delete(__sanitizer_get_allocated_size(memory));
}
[[maybe_unused]] const int installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);

}  // namespace

#else

// With what malloc adds to round sizes up, and its own word in front of each block.
void* operator new(std::size_t size) {
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  count_new(::malloc_usable_size(memory) + sizeof(std::size_t));
  return memory;
}
void operator delete(void* memory) noexcept {
  if (memory != nullptr) count_delete(::malloc_usable_size(memory) + sizeof(std::size_t));
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

#endif
