// How the laws look at an object: the bytes that it is saved as, and the memory that its tensors live in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <vector>

#include "trainstate/checkpoint.hpp"

namespace laws {

namespace ts = trainstate;

/// Everything that a save keeps of an object, manifest included, so also what a tree has no place for.
struct Image {
  std::vector<std::byte> bytes;
  bool operator==(const Image&) const = default;
};

template <class T>
Image image_of(const T& x, const ts::SaveOptions& options = {}) {
  return {ts::to_bytes(x, options)};
}

/// Address, autograd version and requires_grad of every tensor in a tree of live ones. Some are made for the tree.
struct Memory {
  std::vector<std::tuple<const void*, std::uint32_t, bool>> tensors;
  bool operator==(const Memory&) const = default;
};

inline void add_memory(const ts::Value& value, Memory& memory) {
  if (const auto* tensor = value.get_if<at::Tensor>(); tensor && tensor->defined()) {
    const bool is_live = tensor->use_count() > 1 || tensor->storage().use_count() > 1;
    if (is_live) memory.tensors.emplace_back(tensor->data_ptr(), tensor->_version(), tensor->requires_grad());
  } else if (const auto* list = value.get_if<ts::List>()) {
    for (const auto& item : *list) add_memory(item, memory);
  } else if (const auto* dict = value.get_if<ts::StateDict>()) {
    for (const auto& entry : *dict) add_memory(entry.second, memory);
  }
}

template <class T>
Memory memory_of(const T& x) {
  Memory memory;
  add_memory(ts::state_dict(x), memory);
  return memory;
}

/// An object as one part of a checkpoint, between two others.
template <class T>
struct Run {
  at::Tensor before, after;
  T subject;

  Run(T x, int first, int last)
      : before(torch::full({2}, first)), after(torch::full({2}, last)), subject(std::move(x)) {}

  auto parts() {
    using namespace ts::literals;
    return ts::checkpoint("before"_key = before, "subject"_key = subject, "after"_key = after);
  }
};

/// Nothing to complain about.
inline bool is_clean(const ts::Report& report) {
  return report.missing_keys.empty() && report.unexpected_keys.empty() && report.mismatched.empty() &&
         report.warnings.empty() && report.migrated.empty();
}

}  // namespace laws
