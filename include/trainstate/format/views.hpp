// Tensors by what they show, so that tied ones are stored once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "trainstate/tensor_info.hpp"

namespace trainstate::format {

/// An order in which those that show the very same elements (see `TensorInfo::same_view`) are equal. Those that show
/// none are as different as their addresses.
class ViewOrder {
  static bool shows(const TensorInfo& t) { return t.storage && t.numel() != 0; }
  static auto parts(const TensorInfo& t) {
    const auto address = reinterpret_cast<std::uintptr_t>(t.storage->data);
    return std::tuple<std::uintptr_t, std::size_t, std::size_t, Dtype, const std::vector<std::int64_t>&,
                      const std::vector<std::int64_t>&, const std::string&>(address, t.storage->size, t.offset, t.dtype,
                                                                            t.shape, t.strides, t.storage->device);
  }

 public:
  bool operator()(const TensorInfo* a, const TensorInfo* b) const {
    const bool a_shows = shows(*a), b_shows = shows(*b);
    if (a_shows != b_shows) return b_shows;
    return a_shows ? parts(*a) < parts(*b) : std::less<>()(a, b);
  }
};

/// From tensors to something, where those that show the very same elements are one. Ordered, since many views of one
/// place, as a hostile file may have them, would collide in a hash.
template <class T>
using ViewMap = std::map<const TensorInfo*, T, ViewOrder>;

}  // namespace trainstate::format
