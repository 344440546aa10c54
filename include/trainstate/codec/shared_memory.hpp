// Live tensors may share memory (tied weights, flat buffers with views). A load must not write one over the other.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "trainstate/codec/context.hpp"
#include "trainstate/codec/plan.hpp"
#include "trainstate/state_dict.hpp"

namespace trainstate::detail {

/// The bytes of its storage that a tensor touches: [first, last).
inline std::pair<std::size_t, std::size_t> extent(const at::Tensor& t) {
  if (t.numel() == 0) return {0, 0};
  std::int64_t last = t.storage_offset() + 1;
  for (std::int64_t d = 0; d < t.dim(); ++d) last += (t.size(d) - 1) * t.stride(d);
  const auto item = static_cast<std::int64_t>(t.element_size());
  return {static_cast<std::size_t>(t.storage_offset() * item), static_cast<std::size_t>(last * item)};
}

inline bool same_source(const at::Tensor& a, const at::Tensor& b) {
  return a.is_same(b) || (a.data_ptr() == b.data_ptr() && a.dtype() == b.dtype() && a.sizes() == b.sizes() &&
                          a.strides() == b.strides() && a.device() == b.device());
}

/// Whether the copies into one storage can be made in any order with the same result.
inline bool overlap_differently(std::span<const Copy* const> copies) {
  for (std::size_t i = 0; i < copies.size(); ++i) {
    for (std::size_t j = i + 1; j < copies.size(); ++j) {
      const auto [a0, a1] = extent(copies[i]->live);
      const auto [b0, b1] = extent(copies[j]->live);
      if (a0 >= b1 || b0 >= a1) continue;
      if (!same_source(copies[i]->live, copies[j]->live) || !same_source(copies[i]->from, copies[j]->from)) return true;
    }
  }
  return false;
}

/// Notes a mismatch for every planned copy whose memory another one would fill with other values. Storages with one
/// tensor, the usual case, cost nothing; others are tried out on scratch memory.
inline void check_shared_memory(LoadContext& context) {
  std::vector<const Copy*> by_storage;
  by_storage.reserve(context.plan->copies().size());
  for (const auto& copy : context.plan->copies()) {
    if (copy.live.numel() != 0) by_storage.push_back(&copy);
  }
  const auto storage_of = [](const Copy* copy) { return copy->live.storage().unsafeGetStorageImpl(); };
  std::stable_sort(by_storage.begin(), by_storage.end(),
                   [&](const Copy* a, const Copy* b) { return std::less<>()(storage_of(a), storage_of(b)); });
  const c10::NoGradGuard no_grad;
  for (auto first = by_storage.begin(); first != by_storage.end();) {
    const auto last =
        std::find_if(first, by_storage.end(), [&](const Copy* copy) { return storage_of(copy) != storage_of(*first); });
    const std::span<const Copy* const> group(first, last);
    first = last;
    if (group.size() == 1 || !overlap_differently(group)) continue;
    const at::Tensor& live = group.front()->live;
    const at::Tensor scratch =
        at::empty({static_cast<std::int64_t>(live.storage().nbytes())}, at::TensorOptions().dtype(at::kByte));
    std::vector<at::Tensor> views;
    for (const Copy* one : group) {
      auto* at = static_cast<std::byte*>(scratch.data_ptr()) + extent(one->live).first;
      views.push_back(at::from_blob(at, one->live.sizes(), one->live.strides(),
                                    at::TensorOptions().dtype(one->live.scalar_type())));
      views.back().copy_(one->from);
    }
    for (std::size_t i = 0; i < views.size(); ++i) {
      if (bitwise_equal(views[i], group[i]->from)) continue;
      context.report.mismatched.push_back({group[i]->path,
                                           "values that agree with those of the live tensors "
                                           "it shares memory with",
                                           "other values"});
    }
  }
}

}  // namespace trainstate::detail
