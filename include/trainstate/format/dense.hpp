// Strided tensors as the dense row-major bytes that files hold.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "trainstate/tensor_info.hpp"

namespace trainstate::format {

/// Bytes of a dense tensor. Nothing if a dimension is negative, the count of elements (dimensions of zero taken as one)
/// leaves int64, the bits leave 64, or they do not fill whole bytes.
inline std::optional<std::uint64_t> dense_size(Dtype dtype, std::span<const std::int64_t> shape) {
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t d : shape) {
    if (d < 0) return std::nullopt;
    if (d == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(count, d, &count)) {
      return std::nullopt;
    }
  }
  if (empty) return 0;
  std::uint64_t size = 0;
  if (__builtin_mul_overflow(static_cast<std::uint64_t>(count), std::uint64_t{bits(dtype)}, &size)) return std::nullopt;
  if (size % 8 != 0) return std::nullopt;
  return size / 8;
}

/// Why a tensor cannot be written (an impossible shape, elements outside its storage, …); empty if it can.
inline std::string_view defect_of(const TensorInfo& tensor) {
  if (tensor.strides.size() != tensor.shape.size()) return "its shape and strides differ in length";
  const auto size = dense_size(tensor.dtype, tensor.shape);
  if (!size) return "its shape is impossible";
  if (*size == 0) return {};
  if (tensor.fetch) return {};
  if (!tensor.storage || tensor.storage->data == nullptr) return "it has no memory";
  const std::size_t available = tensor.storage->size;
  if (tensor.offset > available) return "it begins past the end of its storage";
  if (bits(tensor.dtype) % 8 != 0) {
    if (!tensor.is_contiguous()) return "a tensor of elements below a byte must be dense";
    return *size <= available - tensor.offset ? std::string_view() : "it ends past the end of its storage";
  }
  std::int64_t last = 0;  // element
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    std::int64_t extent = 0;
    if (tensor.strides[i] < 0) return "it has a negative stride";
    if (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &extent) ||
        __builtin_add_overflow(last, extent, &last)) {
      return "it ends past the end of its storage";
    }
  }
  const std::size_t elements = (available - tensor.offset) / (bits(tensor.dtype) / 8);
  return static_cast<std::uint64_t>(last) < elements ? std::string_view() : "it ends past the end of its storage";
}

namespace dense_detail {

struct Dimension {
  std::int64_t size, stride;
};

// Dimensions that are traversed as one are joined; at least one is left.
inline std::vector<Dimension> joined_dimensions(const TensorInfo& tensor) {
  std::vector<Dimension> joined;
  for (std::size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] == 1) continue;
    if (!joined.empty() && joined.back().stride == tensor.strides[i] * tensor.shape[i]) {
      joined.back() = {joined.back().size * tensor.shape[i], tensor.strides[i]};
    } else {
      joined.push_back({tensor.shape[i], tensor.strides[i]});
    }
  }
  if (joined.empty()) joined.push_back({1, 1});
  return joined;
}

// `item` is a constant at each call, so that every memcpy is a plain load and store.
template <std::size_t Item>
void gather(const std::byte* from, std::int64_t stride, std::byte* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i, to += Item) {
    std::memcpy(to, from + i * stride * static_cast<std::int64_t>(Item), Item);
  }
}

inline void copy_row(const std::byte* from, std::int64_t stride, std::byte* to, std::int64_t count, std::size_t item) {
  if (stride == 1) {
    std::memcpy(to, from, static_cast<std::size_t>(count) * item);
    return;
  }
  switch (item) {
    case 1:
      return gather<1>(from, stride, to, count);
    case 2:
      return gather<2>(from, stride, to, count);
    case 4:
      return gather<4>(from, stride, to, count);
    case 8:
      return gather<8>(from, stride, to, count);
    default:
      return gather<16>(from, stride, to, count);
  }
}

}  // namespace dense_detail

/// Copies bytes [begin, begin + to.size()) of the dense form of a tensor without defects; both ends lie between
/// elements.
inline void copy_dense(const TensorInfo& tensor, std::uint64_t begin, std::span<std::byte> to) {
  if (to.empty()) return;
  if (tensor.fetch) return (*tensor.fetch)(static_cast<std::size_t>(begin), to);
  const std::byte* const base = tensor.storage->data + tensor.offset;
  if (tensor.is_contiguous()) {
    std::memcpy(to.data(), base + begin, to.size());
    return;
  }
  const std::size_t item = bits(tensor.dtype) / 8;
  const auto dimensions = dense_detail::joined_dimensions(tensor);
  const std::size_t inner = dimensions.size() - 1;
  std::vector<std::int64_t> index(dimensions.size());
  auto rest = static_cast<std::int64_t>(begin / item);
  for (std::size_t d = dimensions.size(); d-- > 0; rest /= dimensions[d].size) index[d] = rest % dimensions[d].size;

  while (!to.empty()) {
    std::int64_t element = 0;
    for (std::size_t d = 0; d < dimensions.size(); ++d) element += index[d] * dimensions[d].stride;
    const std::int64_t count =
        std::min(dimensions[inner].size - index[inner], static_cast<std::int64_t>(to.size() / item));
    dense_detail::copy_row(base + element * static_cast<std::int64_t>(item), dimensions[inner].stride, to.data(), count,
                           item);
    to = to.subspan(static_cast<std::size_t>(count) * item);
    index[inner] += count;
    for (std::size_t d = inner; d > 0 && index[d] == dimensions[d].size; --d) {
      index[d] = 0;
      ++index[d - 1];
    }
  }
}

}  // namespace trainstate::format
