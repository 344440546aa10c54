// What tensors show, and what their memory holds: signs that are still to be changed, and elements shown repeatedly.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "trainstate/tensor_info.hpp"

namespace trainstate::detail {

/// What lazily conjugated or negated elements have other than their memory: the sign bits of their parts.
class SignFlip {
 public:
  /// No difference.
  SignFlip() = default;

  /// Nothing for a dtype whose negation changes more than signs.
  [[nodiscard]] static std::optional<SignFlip> of(Dtype dtype, bool conjugated, bool negated) {
    SignFlip flip;
    if (!conjugated && !negated) return flip;
    const bool complex = dtype == Dtype::c32 || dtype == Dtype::c64 || dtype == Dtype::c128;
    const bool real = dtype == Dtype::f16 || dtype == Dtype::bf16 || dtype == Dtype::f32 || dtype == Dtype::f64;
    if (!complex && (!real || conjugated)) return std::nullopt;
    const std::size_t part = bits(dtype) / 8 / (complex ? 2 : 1);
    for (std::size_t i = 0; i < flip.bits_.size() / part; ++i) {
      const bool imaginary = complex && i % 2 == 1;
      if ((imaginary && conjugated) != negated) flip.bits_[(i + 1) * part - 1] = std::byte{0x80};
    }
    flip.any_ = true;
    return flip;
  }

  [[nodiscard]] explicit operator bool() const noexcept { return any_; }

  /// Changes whole elements.
  void apply(std::span<std::byte> elements) const noexcept {
    const auto flip = [this](std::byte* at, std::size_t size) {
      for (std::size_t i = 0; i < size; ++i) at[i] ^= bits_[i];
    };
    for (; elements.size() >= sizeof bits_; elements = elements.subspan(sizeof bits_)) {
      flip(elements.data(), sizeof bits_);
    }
    flip(elements.data(), elements.size());
  }

 private:
  std::array<std::byte, 16> bits_{};  // of as many elements as fit
  bool any_ = false;
};

/// A view of what its memory holds, without the conjugation or negation that is still to be done.
inline at::Tensor as_in_memory(at::Tensor tensor) {
  if (tensor.is_conj()) tensor = tensor.conj();
  if (tensor.is_neg()) tensor = tensor._neg_view();
  return tensor;
}

/// The source as the live tensor's memory is to hold it, whatever either of them conjugates or negates lazily.
inline at::Tensor values_in_memory(const at::Tensor& live, at::Tensor from) {
  if (live.is_conj()) from = from.conj();
  if (live.is_neg()) from = from._neg_view();
  return from.resolve_conj().resolve_neg();
}

/// How many elements of memory there are from the first that a tensor shows to the last.
inline std::int64_t span_of(const at::Tensor& tensor) {
  if (tensor.numel() == 0) return 0;
  std::int64_t span = 1;
  for (std::int64_t d = 0; d < tensor.dim(); ++d) span += (tensor.size(d) - 1) * tensor.stride(d);
  return span;
}

/// `copy(tensor)`, but of the memory alone where elements are shown more than once, as expanded tensors do: so that a
/// copy takes no more than there is. It shows them as often.
template <class Copy>
at::Tensor copy_once_each(const at::Tensor& tensor, const Copy& copy) {
  const std::int64_t span = span_of(tensor);
  if (tensor.numel() <= span) return copy(tensor);
  const at::Tensor copied = copy(tensor.as_strided({span}, {1}, tensor.storage_offset()));
  return copied.as_strided(tensor.sizes(), tensor.strides(), copied.storage_offset());
}

}  // namespace trainstate::detail
