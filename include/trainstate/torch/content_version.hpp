// Whether the memory of a tensor was written to since it was last looked at, as far as autograd can tell.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Storage.h>
#include <c10/core/TensorImpl.h>
#include <torch/csrc/autograd/variable.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "trainstate/torch/private_access.hpp"

namespace trainstate::detail {

template struct Reveal<PrivateMember<c10::VariableVersion, "version_counter_">,
                       &c10::VariableVersion::version_counter_>;

/// The counter of writes that a tensor shares with its views and with what was detached from it; null if it has none.
inline const void* write_counter(const c10::VariableVersion& version) {
  return (version.*reveal<c10::VariableVersion, "version_counter_">).get();
}

/// Whether a gradient may have come to a tensor. Where one may, so may the step of an optimizer, and LibTorch's SGD
/// makes it through `data()`, whose writes are not counted.
class GradientTrace {
 public:
  /// Of a tensor that autograd has never met.
  GradientTrace() = default;
  explicit GradientTrace(const c10::TensorImpl& tensor) {
    const auto* const meta = static_cast<const torch::autograd::AutogradMeta*>(tensor.autograd_meta());
    if (!meta) return;
    const std::lock_guard lock(meta->mutex_);  // a forward pass in another thread may make the accumulator
    accumulator_ = meta->grad_accumulator_;
    is_open_ = meta->grad_.defined() || !accumulator_.expired();
  }

  /// False if a gradient was or may have been there at any time between the two.
  [[nodiscard]] bool is_untouched_since(const GradientTrace& before) const {
    return !is_open_ && !before.is_open_ && is_same(accumulator_, before.accumulator_);
  }

  /// Makes it the trace of two tensors that share their memory.
  void join(const GradientTrace& other) {
    const GradientTrace none;
    if (other.is_untouched_since(none)) return;
    if (is_untouched_since(none)) {
      *this = other;
    } else {
      is_open_ = true;  // which of them an optimizer steps is not known
    }
  }

 private:
  // A weak pointer, of a class that depends on LibTorch's version and may lack a default constructor. Graphs that a
  // leaf takes part in share one as long as any of them lives; a later graph has a new one, which cannot stand at the
  // address of one that is pointed to here.
  using Accumulator = decltype(torch::autograd::AutogradMeta::grad_accumulator_);

  template <class Node>
  static bool is_same(const std::weak_ptr<Node>& a, const std::weak_ptr<Node>& b) {
    return !a.owner_before(b) && !b.owner_before(a);
  }
  template <class Pointer>
  static bool is_same(const Pointer& a, const Pointer& b) {
    return a == b;
  }

  bool is_open_ = false;  // there is a gradient, or a graph that may bring one
  Accumulator accumulator_{decltype(std::declval<Accumulator>().lock()){}};
};

/// The traces of live tensors. Those of a state dict are detached from them, and know of no gradients.
class GradientTraces {
 public:
  void add(const c10::TensorImpl& live) {
    const GradientTrace trace(live);
    if (!trace.is_untouched_since({})) traces_[write_counter(live.version_counter())].join(trace);
  }

  /// That of a tensor, and of the live one that it was detached from or is a view of.
  [[nodiscard]] GradientTrace of(const at::Tensor& tensor) const {
    const auto& impl = *tensor.unsafeGetTensorImpl();
    const auto at = traces_.find(write_counter(impl.version_counter()));
    if (at != traces_.end()) return at->second;
    return GradientTrace(impl);
  }

 private:
  std::unordered_map<const void*, GradientTrace> traces_;  // by counter
};

/// What a tensor shows, and the count of writes to it. Every in-place operation of LibTorch on the tensor or a view of
/// it counts, also without gradients; writes through a raw pointer, `data()`, or another variable that shares the
/// memory through `set_data` do not. A tensor that a gradient may have come to counts as written to.
class ContentVersion {
 public:
  /// What two versions of the same elements have in common: the counter, the address, and the geometry.
  using Key = std::tuple<const void*, const void*, std::int8_t, std::vector<std::int64_t>, std::vector<std::int64_t>>;

  /// Nothing for a tensor whose writes nobody counts (an inference tensor, or one without a storage).
  static std::optional<ContentVersion> of(const at::Tensor& tensor, const GradientTraces& traces = {}) {
    if (tensor.is_inference() || !tensor.has_storage() || tensor.is_conj() || tensor.is_neg()) return std::nullopt;
    return ContentVersion(tensor, traces.of(tensor));
  }

  [[nodiscard]] Key key() const { return {write_counter(counter_), data_, scalar_type_, sizes_, strides_}; }

  /// True if nothing was written since `before`, which has the same key.
  [[nodiscard]] bool is_unchanged_since(const ContentVersion& before) const {
    return version_ == before.version_ && storage_.lock().get() == before.storage_.lock().get() &&
           trace_.is_untouched_since(before.trace_);
  }

 private:
  ContentVersion(const at::Tensor& tensor, GradientTrace trace)
      : counter_(tensor.unsafeGetTensorImpl()->version_counter()),
        version_(counter_.current_version()),
        storage_(tensor.storage().getWeakStorageImpl()),
        data_(tensor.data_ptr()),
        scalar_type_(static_cast<std::int8_t>(tensor.scalar_type())),
        sizes_(tensor.sizes().vec()),
        strides_(tensor.strides().vec()),
        trace_(std::move(trace)) {}

  c10::VariableVersion counter_;  // kept alive with this object, so that no other can come to stand at its address
  std::uint32_t version_;
  c10::weak_intrusive_ptr<c10::StorageImpl> storage_;
  const void* data_;
  std::int8_t scalar_type_;
  std::vector<std::int64_t> sizes_, strides_;
  GradientTrace trace_;
};

}  // namespace trainstate::detail
