// Whether the memory of a tensor was written to since it was last looked at, as far as autograd counts it.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Storage.h>
#include <c10/core/TensorImpl.h>

#include <cstdint>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "trainstate/torch/private_access.hpp"

namespace trainstate::detail {

template struct Reveal<PrivateMember<c10::VariableVersion, "version_counter_">,
                       &c10::VariableVersion::version_counter_>;

/// What a tensor shows, and the count of writes to it. Every in-place operation of LibTorch on the tensor or a view of
/// it counts, also without gradients; writes through a raw pointer, `data()`, or `set_data` into the same storage do
/// not.
class ContentVersion {
 public:
  /// What two versions of the same elements have in common: the counter, the address, and the geometry.
  using Key = std::tuple<const void*, const void*, std::int8_t, std::vector<std::int64_t>, std::vector<std::int64_t>>;

  /// Nothing for a tensor whose writes nobody counts (an inference tensor, or one without a storage).
  static std::optional<ContentVersion> of(const at::Tensor& tensor) {
    if (tensor.is_inference() || !tensor.has_storage() || tensor.is_conj() || tensor.is_neg()) return std::nullopt;
    return ContentVersion(tensor);
  }

  [[nodiscard]] Key key() const { return {counter(), data_, scalar_type_, sizes_, strides_}; }

  /// True if nothing was written between the two, which have the same key.
  [[nodiscard]] bool same_as(const ContentVersion& other) const {
    return version_ == other.version_ && storage_.lock().get() == other.storage_.lock().get();
  }

 private:
  explicit ContentVersion(const at::Tensor& tensor)
      : counter_(tensor.unsafeGetTensorImpl()->version_counter()),
        version_(counter_.current_version()),
        storage_(tensor.storage().getWeakStorageImpl()),
        data_(tensor.data_ptr()),
        scalar_type_(static_cast<std::int8_t>(tensor.scalar_type())),
        sizes_(tensor.sizes().vec()),
        strides_(tensor.strides().vec()) {}

  // The counter is kept alive with this object, so that no other can come to stand at its address.
  [[nodiscard]] const void* counter() const {
    return (counter_.*reveal<c10::VariableVersion, "version_counter_">).get();
  }

  c10::VariableVersion counter_;
  std::uint32_t version_;
  c10::weak_intrusive_ptr<c10::StorageImpl> storage_;
  const void* data_;
  std::int8_t scalar_type_;
  std::vector<std::int64_t> sizes_, strides_;
};

}  // namespace trainstate::detail
