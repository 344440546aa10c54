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
using Image = std::vector<std::byte>;

template <class T>
Image image_of(const T& x) {
  return ts::to_bytes(x);
}

/// Address, autograd version and requires_grad of every tensor in a tree of live ones.
using Memory = std::vector<std::tuple<const void*, std::uint32_t, bool>>;

inline void add_memory(const ts::Value& value, Memory& memory) {
  if (const auto* tensor = value.get_if<at::Tensor>()) {
    if (tensor->defined()) memory.emplace_back(tensor->data_ptr(), tensor->_version(), tensor->requires_grad());
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

/// Nothing to complain about.
inline bool is_clean(const ts::Report& report) {
  return report.missing_keys.empty() && report.unexpected_keys.empty() && report.mismatched.empty() &&
         report.warnings.empty() && report.migrated.empty();
}

}  // namespace laws
