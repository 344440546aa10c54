// Tensors by what they show, so that tied ones are stored once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>

#include "trainstate/tensor_info.hpp"

namespace trainstate::format {

struct ViewHash {
  std::size_t operator()(const TensorInfo* t) const {
    const auto address = reinterpret_cast<std::uintptr_t>(t->storage ? t->storage->data + t->offset : nullptr);
    return std::hash<std::uintptr_t>()(address);
  }
};

struct SameView {
  bool operator()(const TensorInfo* a, const TensorInfo* b) const { return a == b || a->same_view(*b); }
};

/// From tensors to something, where those that show the very same elements are one.
template <class T>
using ViewMap = std::unordered_map<const TensorInfo*, T, ViewHash, SameView>;

}  // namespace trainstate::format
