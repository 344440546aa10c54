// Elements of tensors as numbers: every dtype, without LibTorch.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

#include "trainstate/tensor_info.hpp"

namespace tool {

namespace ts = trainstate;

/// The kinds of 8-bit floats.
enum class Float8 { e5m2, e4m3fn, e8m0fnu, e4m3fnuz, e5m2fnuz };

namespace elements_detail {

constexpr float power_of_two(int exponent) {
  float value = 1;
  for (; exponent > 0; --exponent) value *= 2;
  for (; exponent < 0; ++exponent) value /= 2;
  return value;
}

constexpr float decoded(Float8 kind, unsigned bits) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  if (kind == Float8::e8m0fnu) return bits == 0xFF ? nan : power_of_two(static_cast<int>(bits) - 127);
  const bool fnuz = kind == Float8::e4m3fnuz || kind == Float8::e5m2fnuz;
  const unsigned mantissa_bits = kind == Float8::e4m3fn || kind == Float8::e4m3fnuz ? 3 : 2;
  const int bias = (mantissa_bits == 3 ? 7 : 15) + (fnuz ? 1 : 0);
  const unsigned magnitude = bits & 0x7F, mantissa = magnitude & ((1U << mantissa_bits) - 1);
  const unsigned exponent = magnitude >> mantissa_bits;
  if (fnuz && bits == 0x80) return nan;
  if (kind == Float8::e4m3fn && magnitude == 0x7F) return nan;
  if (kind == Float8::e5m2 && exponent == 31) return mantissa != 0 ? nan : (bits & 0x80) != 0 ? -infinity : infinity;
  const float fraction = static_cast<float>(mantissa) / static_cast<float>(1U << mantissa_bits);
  const float value = exponent == 0 ? fraction * power_of_two(1 - bias)
                                    : (1 + fraction) * power_of_two(static_cast<int>(exponent) - bias);
  return (bits & 0x80) != 0 ? -value : value;
}

template <Float8 Kind>
inline constexpr std::array<float, 256> table = [] {
  std::array<float, 256> values{};
  for (unsigned bits = 0; bits < 256; ++bits) values[bits] = decoded(Kind, bits);
  return values;
}();

}  // namespace elements_detail

/// Reads numbers as they are in memory, aligned or not.
template <class T>
struct PlainElements {
  static constexpr std::size_t size = sizeof(T);
  T operator()(const std::byte* at) const {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
  }
};

struct BoolElements {
  static constexpr std::size_t size = 1;
  std::uint8_t operator()(const std::byte* at) const { return *at != std::byte{0} ? 1 : 0; }
};

struct HalfElements {
  static constexpr std::size_t size = 2;
  float operator()(const std::byte* at) const {
    const std::uint32_t half = PlainElements<std::uint16_t>()(at);
    // As the bits of a float, an exponent of 112 too little, which a multiplication mends; also of subnormal ones.
    const std::uint32_t magnitude = (half & 0x7FFFU) << 13;
    const float value = (half & 0x7C00U) == 0x7C00U ? std::bit_cast<float>(magnitude | 0x7F800000U)
                                                    : std::bit_cast<float>(magnitude) * 0x1p112F;
    return (half & 0x8000U) != 0 ? -value : value;
  }
};

struct BfloatElements {
  static constexpr std::size_t size = 2;
  float operator()(const std::byte* at) const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(PlainElements<std::uint16_t>()(at)) << 16);
  }
};

template <Float8 Kind>
struct Float8Elements {
  static constexpr std::size_t size = 1;
  float operator()(const std::byte* at) const {
    return elements_detail::table<Kind>[std::to_integer<std::size_t>(*at)];
  }
};

template <class Part>
struct ComplexElements {
  static constexpr std::size_t size = 2 * Part::size;
  std::complex<double> operator()(const std::byte* at) const {
    return {static_cast<double>(Part()(at)), static_cast<double>(Part()(at + Part::size))};
  }
};

/// Calls `f` with what reads elements of a dtype; false, without a call, for those that share bytes.
template <class F>
bool with_elements(ts::Dtype dtype, F&& f) {
  using ts::Dtype;
  // clang-format off
  switch (dtype) {
    case Dtype::f4: case Dtype::f6_e2m3: case Dtype::f6_e3m2: return false;
    case Dtype::boolean: f(BoolElements()); return true;
    case Dtype::u8: f(PlainElements<std::uint8_t>()); return true;
    case Dtype::i8: f(PlainElements<std::int8_t>()); return true;
    case Dtype::u16: f(PlainElements<std::uint16_t>()); return true;
    case Dtype::i16: f(PlainElements<std::int16_t>()); return true;
    case Dtype::u32: f(PlainElements<std::uint32_t>()); return true;
    case Dtype::i32: f(PlainElements<std::int32_t>()); return true;
    case Dtype::u64: f(PlainElements<std::uint64_t>()); return true;
    case Dtype::i64: f(PlainElements<std::int64_t>()); return true;
    case Dtype::f32: f(PlainElements<float>()); return true;
    case Dtype::f64: f(PlainElements<double>()); return true;
    case Dtype::f16: f(HalfElements()); return true;
    case Dtype::bf16: f(BfloatElements()); return true;
    case Dtype::f8_e5m2: f(Float8Elements<Float8::e5m2>()); return true;
    case Dtype::f8_e4m3: f(Float8Elements<Float8::e4m3fn>()); return true;
    case Dtype::f8_e8m0: f(Float8Elements<Float8::e8m0fnu>()); return true;
    case Dtype::f8_e4m3fnuz: f(Float8Elements<Float8::e4m3fnuz>()); return true;
    case Dtype::f8_e5m2fnuz: f(Float8Elements<Float8::e5m2fnuz>()); return true;
    case Dtype::c32: f(ComplexElements<HalfElements>()); return true;
    case Dtype::c64: f(ComplexElements<PlainElements<float>>()); return true;
    case Dtype::c128: f(ComplexElements<PlainElements<double>>()); return true;
  }
  // clang-format on
  return false;
}

/// A number as a double; of a complex one its magnitude.
template <class T>
double as_double(const T& value) {
  if constexpr (std::is_arithmetic_v<T>) {
    return static_cast<double>(value);
  } else {
    return std::abs(value);
  }
}

/// |a - b|, of integers without loss.
template <class T>
double distance(const T& a, const T& b) {
  if constexpr (std::is_integral_v<T>) {
    const auto low = static_cast<std::uint64_t>(a < b ? a : b), high = static_cast<std::uint64_t>(a < b ? b : a);
    return static_cast<double>(high - low);
  } else if constexpr (std::is_floating_point_v<T>) {
    return a == b ? 0.0 : std::abs(static_cast<double>(a) - static_cast<double>(b));
  } else {
    return a == b ? 0.0 : std::abs(a - b);
  }
}

}  // namespace tool
