// A tensor as the formats see it: a type, a shape and a view into bytes. No LibTorch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trainstate {

/// Element types. The first 22 are those of safetensors, in its own order (which decides the order of tensors in a
/// file); the complex ones after them have no name there.
// clang-format off
enum class Dtype : std::uint8_t {
  boolean, f4, f6_e2m3, f6_e3m2, u8, i8, f8_e5m2, f8_e4m3, f8_e8m0, f8_e4m3fnuz, f8_e5m2fnuz,
  i16, u16, f16, bf16, i32, u32, f32, c64, f64, i64, u64,
  c32, c128
};
// clang-format on

namespace detail {

struct DtypeFacts {
  std::string_view tag;   // as safetensors spells it
  std::string_view name;  // as PyTorch spells it
  unsigned bits;
};

inline constexpr std::array<DtypeFacts, 24> dtype_facts{{
    {"BOOL", "bool", 8},
    {"F4", "float4_e2m1fn_x2", 4},
    {"F6_E2M3", "float6_e2m3", 6},
    {"F6_E3M2", "float6_e3m2", 6},
    {"U8", "uint8", 8},
    {"I8", "int8", 8},
    {"F8_E5M2", "float8_e5m2", 8},
    {"F8_E4M3", "float8_e4m3fn", 8},
    {"F8_E8M0", "float8_e8m0fnu", 8},
    {"F8_E4M3FNUZ", "float8_e4m3fnuz", 8},
    {"F8_E5M2FNUZ", "float8_e5m2fnuz", 8},
    {"I16", "int16", 16},
    {"U16", "uint16", 16},
    {"F16", "float16", 16},
    {"BF16", "bfloat16", 16},
    {"I32", "int32", 32},
    {"U32", "uint32", 32},
    {"F32", "float32", 32},
    {"C64", "complex64", 64},
    {"F64", "float64", 64},
    {"I64", "int64", 64},
    {"U64", "uint64", 64},
    {"C32", "complex32", 32},
    {"C128", "complex128", 128},
}};

constexpr const DtypeFacts& facts(Dtype dtype) { return dtype_facts[static_cast<std::size_t>(dtype)]; }

}  // namespace detail

/// PyTorch's name of a dtype: `float32`, `bfloat16`, …
constexpr std::string_view name(Dtype dtype) { return detail::facts(dtype).name; }

/// Bits of one element.
constexpr unsigned bits(Dtype dtype) { return detail::facts(dtype).bits; }

/// Bytes that tensors view: one allocation or one mapped part of a file, kept alive by `owner`. `data` may be written
/// through only by who owns the memory; the formats never do.
struct Storage {
  std::shared_ptr<const void> owner;
  std::byte* data = nullptr;
  std::size_t size = 0;
  std::string device = "cpu";  ///< where the tensor lived when it was saved: `cpu`, `cuda:0`
};

/// A strided view into a storage. Strides are in elements, the offset in bytes. Sub-byte types are dense only.
struct TensorInfo {
  Dtype dtype = Dtype::f32;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;
  std::shared_ptr<const Storage> storage;
  std::size_t offset = 0;
  /// For memory that the processor cannot address (a GPU's): copies bytes [at, at + to.size()) of the dense tensor to
  /// `to`, on several threads at once. The storage's `data` then only tells storages apart.
  std::shared_ptr<const std::function<void(std::size_t at, std::span<std::byte> to)>> fetch = {};

  [[nodiscard]] std::int64_t numel() const {
    std::int64_t n = 1;
    for (const auto d : shape) n *= d;
    return n;
  }

  /// Bytes of the elements when stored densely.
  [[nodiscard]] std::size_t nbytes() const { return static_cast<std::size_t>(numel()) * bits(dtype) / 8; }

  /// True when the elements stand in row-major order without holes.
  [[nodiscard]] bool is_contiguous() const {
    if (numel() == 0) return true;
    std::int64_t expected = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
      if (shape[i] != 1 && strides[i] != expected) return false;
      expected *= shape[i];
    }
    return true;
  }

  /// True when the dense bytes can be read where they are.
  [[nodiscard]] bool is_dense_in_memory() const { return !fetch && is_contiguous(); }

  /// The dense bytes. Requires `is_dense_in_memory()`.
  [[nodiscard]] std::span<const std::byte> bytes() const {
    const auto n = nbytes();
    return n == 0 ? std::span<const std::byte>{} : std::span<const std::byte>{storage->data + offset, n};
  }

  /// The strides of a dense row-major tensor of this shape.
  [[nodiscard]] static std::vector<std::int64_t> contiguous_strides(std::span<const std::int64_t> shape) {
    std::vector<std::int64_t> strides(shape.size());
    std::int64_t next = 1;
    for (std::size_t i = shape.size(); i-- > 0;) {
      strides[i] = next;
      next *= shape[i] > 0 ? shape[i] : 1;
    }
    return strides;
  }

  /// True when both show the very same elements, so that a file stores them once.
  [[nodiscard]] bool same_view(const TensorInfo& other) const {
    return storage && other.storage && storage->data == other.storage->data && storage->size == other.storage->size &&
           storage->device == other.storage->device && numel() != 0 && dtype == other.dtype && offset == other.offset &&
           shape == other.shape && strides == other.strides;
  }
};

namespace detail {

/// What BasicStateDict needs to know of its tensor type: specialised here for TensorInfo, in state_dict.hpp for Tensor.
template <class Tensor>
struct TensorTraits;

/// A dense copy of `from` in memory of its own.
inline TensorInfo dense_copy(const TensorInfo& from) {
  auto memory = std::make_shared<std::vector<std::byte>>(from.nbytes());
  TensorInfo to{from.dtype, from.shape, TensorInfo::contiguous_strides(from.shape), nullptr, 0};
  if (from.fetch) {
    (*from.fetch)(0, *memory);
  } else if (from.is_contiguous()) {
    if (!memory->empty()) std::memcpy(memory->data(), from.bytes().data(), memory->size());
  } else {
    const std::size_t item = bits(from.dtype) / 8;
    std::vector<std::int64_t> index(from.shape.size(), 0);
    for (std::size_t at = 0; at < memory->size(); at += item) {
      std::int64_t element = 0;
      for (std::size_t d = 0; d < index.size(); ++d) element += index[d] * from.strides[d];
      std::memcpy(memory->data() + at, from.storage->data + from.offset + static_cast<std::size_t>(element) * item,
                  item);
      for (std::size_t d = index.size(); d-- > 0;) {
        if (++index[d] < from.shape[d]) break;
        index[d] = 0;
      }
    }
  }
  Storage storage{memory, memory->data(), memory->size(), from.storage ? from.storage->device : "cpu"};
  to.storage = std::make_shared<const Storage>(std::move(storage));
  return to;
}

inline void print_shape(std::ostream& os, std::string_view dtype, std::span<const std::int64_t> shape) {
  os << dtype << '[';
  for (std::size_t i = 0; i < shape.size(); ++i) os << (i == 0 ? "" : ", ") << shape[i];
  os << ']';
}

template <>
struct TensorTraits<TensorInfo> {
  static TensorInfo clone(const TensorInfo& t) { return dense_copy(t); }
  static bool equal(const TensorInfo& a, const TensorInfo& b) {
    if (a.dtype != b.dtype || a.shape != b.shape) return false;
    const TensorInfo x = a.is_dense_in_memory() ? a : dense_copy(a), y = b.is_dense_in_memory() ? b : dense_copy(b);
    return x.nbytes() == 0 || std::memcmp(x.bytes().data(), y.bytes().data(), x.nbytes()) == 0;
  }
  /// Where the elements are; nullptr if there are none.
  static const void* address(const TensorInfo& t) {
    return t.numel() != 0 && t.storage ? t.storage->data + t.offset : nullptr;
  }
  static bool same_view(const TensorInfo& a, const TensorInfo& b) { return a.same_view(b); }
  static void print(std::ostream& os, const TensorInfo& t) { print_shape(os, name(t.dtype), t.shape); }
};

}  // namespace detail
}  // namespace trainstate
