// Tensors as NumPy's files (format 1.0): a header that is a Python dict, then the elements in C order.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "checkpoint_file.hpp"
#include "elements.hpp"
#include "measure.hpp"
#include "text.hpp"
#include "trainstate/format/dense.hpp"
#include "trainstate/io/atomic_file.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/tensor_info.hpp"

namespace tool {

/// How NumPy names what a dtype is written as; empty if it cannot be written.
inline std::string_view npy_type(ts::Dtype dtype) {
  using ts::Dtype;
  // clang-format off
  switch (dtype) {
    case Dtype::boolean: return "|b1";
    case Dtype::u8: return "|u1";
    case Dtype::i8: return "|i1";
    case Dtype::u16: return "<u2";
    case Dtype::i16: return "<i2";
    case Dtype::u32: return "<u4";
    case Dtype::i32: return "<i4";
    case Dtype::u64: return "<u8";
    case Dtype::i64: return "<i8";
    case Dtype::f16: return "<f2";
    case Dtype::f32: return "<f4";
    case Dtype::f64: return "<f8";
    case Dtype::c64: return "<c8";
    case Dtype::c128: return "<c16";
    case Dtype::c32: return "<c8";
    case Dtype::f4: case Dtype::f6_e2m3: case Dtype::f6_e3m2: return "";
    default: return "<f4";  // bfloat16 and the floats of 8 bits, which NumPy lacks
  }
  // clang-format on
}

/// True where elements change their type on the way, without loss.
inline bool is_widened_for_npy(ts::Dtype dtype) {
  const std::string_view type = npy_type(dtype);
  return (type == "<f4" && dtype != ts::Dtype::f32) || dtype == ts::Dtype::c32;
}

/// The bytes before the elements.
inline std::string npy_header(std::string_view type, const std::vector<std::int64_t>& shape) {
  std::string dict = "{'descr': '" + std::string(type) + "', 'fortran_order': False, 'shape': (";
  for (std::size_t i = 0; i < shape.size(); ++i) dict += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  dict += shape.size() == 1 ? ",), }" : "), }";
  constexpr std::size_t before = 10, alignment = 64;
  dict.append((alignment - (before + dict.size() + 1) % alignment) % alignment, ' ');
  dict += '\n';
  if (dict.size() > 0xFFFF) throw Refusal("a tensor of so many dimensions does not fit an .npy file");
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dict.size() & 0xFF);
  header += static_cast<char>(dict.size() >> 8);
  return header + dict;
}

/// Writes a tensor, atomically. Throws Refusal for elements below a byte, IoError.
inline void write_npy(const ts::TensorInfo& tensor, const std::filesystem::path& path, const ts::io::WriteMode& mode,
                      const ts::io::Progress& progress) {
  const std::string_view type = npy_type(tensor.dtype);
  if (type.empty()) {
    throw Refusal(path.string() + ": NumPy has no elements like those of " + std::string(name(tensor.dtype)));
  }
  const bool widened = is_widened_for_npy(tensor.dtype);
  const std::size_t item = bits(tensor.dtype) / 8, written = tensor.dtype == ts::Dtype::c32 ? 8 : widened ? 4 : item;
  const std::string header = npy_header(type, tensor.shape);
  const auto count = static_cast<std::uint64_t>(tensor.numel());
  ts::io::AtomicFile file(path, mode);
  file.reserve(header.size() + count * written);
  file.write_at(std::as_bytes(std::span(header)), 0);
  std::vector<std::byte> dense, wide;
  constexpr std::uint64_t step = std::uint64_t{1} << 18;  // elements
  for (std::uint64_t first = 0; first < count; first += step) {
    const std::uint64_t elements = std::min(step, count - first);
    auto part = dense_part(tensor, first * item, elements * item, dense);
    if (widened) {
      wide.resize(static_cast<std::size_t>(elements) * written);
      with_elements(tensor.dtype, [&](const auto element) {
        for (std::size_t i = 0; i < elements; ++i) {
          const auto value = element(part.data() + i * item);
          if constexpr (std::is_arithmetic_v<std::remove_const_t<decltype(value)>>) {
            const auto single = static_cast<float>(value);
            std::memcpy(wide.data() + i * written, &single, sizeof single);
          } else {
            const std::array<float, 2> pair{static_cast<float>(value.real()), static_cast<float>(value.imag())};
            std::memcpy(wide.data() + i * written, pair.data(), sizeof pair);
          }
        }
      });
      part = wide;
    }
    file.write_at(part, header.size() + first * written);
    if (progress) progress(first + elements, count);
  }
  file.commit();
}

}  // namespace tool
