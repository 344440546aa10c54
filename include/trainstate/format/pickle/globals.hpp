// The names that a pickle may refer to: those that PyTorch's weights-only loader knows. Every other one is refused.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "trainstate/tensor_info.hpp"

namespace trainstate::format::pickle {

/// What a global does when it is called, or stands for.
enum class Action : std::uint8_t {
  make_dict,       ///< OrderedDict and Counter, of pairs or of a dict
  make_set,        ///< of an iterable
  make_bytes,      ///< bytes and bytearray, of nothing, bytes, or a text with an encoding
  encode,          ///< a text and the name of an encoding to bytes
  make_complex,    ///< two floats
  make_size,       ///< torch.Size, of a tuple
  make_device,     ///< torch.device, of a type and perhaps an index
  name_layout,     ///< the text that it is given
  tensor_class,    ///< torch.Tensor and Parameter
  rebuild_tensor,  ///< v1, v2 and v3
  rebuild_same,    ///< what gives back its first argument: a parameter, a tensor from the CPU
  rebuild_typed,   ///< a tensor with attributes: calls another global
  storage_class,   ///< what a storage's elements are
  dtype,           ///< a dtype
  unsupported      ///< known, and refused with its own reason
};

/// One known global.
struct Global {
  Action action;
  std::optional<Dtype> dtype = std::nullopt;  ///< of a storage class (nothing: untyped) or a dtype
  std::string_view reason = {};               ///< of one that is unsupported
};

namespace globals_detail {

struct Named {
  std::string_view name;
  Global global;
};

inline constexpr std::string_view sparse = "a sparse tensor, which cannot be read; save its indices and values",
                                  quantized = "a quantized tensor, which cannot be read; dequantize() it before saving",
                                  meta = "a meta tensor, which has no data",
                                  nested = "a nested tensor, which cannot be read; save its parts",
                                  subclass = "a tensor of a class of its own, which cannot be read",
                                  numpy = "a tensor kept as a NumPy array, which cannot be read";

inline constexpr Named named[] = {
    {"collections.OrderedDict", {Action::make_dict}},
    {"collections.Counter", {Action::make_dict}},
    {"builtins.set", {Action::make_set}},
    {"builtins.frozenset", {Action::make_set}},
    {"builtins.bytearray", {Action::make_bytes}},
    {"builtins.bytes", {Action::make_bytes}},
    {"builtins.complex", {Action::make_complex}},
    {"_codecs.encode", {Action::encode}},
    {"torch.Size", {Action::make_size}},
    {"torch.device", {Action::make_device}},
    {"torch.serialization._get_layout", {Action::name_layout}},
    {"torch.Tensor", {Action::tensor_class}},
    {"torch.nn.parameter.Parameter", {Action::tensor_class}},
    {"torch.nn.parameter.Buffer", {Action::tensor_class}},
    {"torch._utils._rebuild_tensor", {Action::rebuild_tensor}},
    {"torch._utils._rebuild_tensor_v2", {Action::rebuild_tensor}},
    {"torch._utils._rebuild_tensor_v3", {Action::rebuild_tensor}},
    {"torch._utils._rebuild_parameter", {Action::rebuild_same}},
    {"torch._utils._rebuild_parameter_with_state", {Action::rebuild_same}},
    {"torch._utils._rebuild_device_tensor_from_cpu_tensor", {Action::rebuild_same}},
    {"torch._tensor._rebuild_from_type_v2", {Action::rebuild_typed}},
    {"torch.storage.UntypedStorage", {Action::storage_class}},
    {"torch.storage._UntypedStorage", {Action::storage_class}},
    {"torch.UntypedStorage", {Action::storage_class}},
    {"torch._utils._rebuild_sparse_tensor", {Action::unsupported, std::nullopt, sparse}},
    {"torch._utils._rebuild_sparse_csr_tensor", {Action::unsupported, std::nullopt, sparse}},
    {"torch._utils._rebuild_qtensor", {Action::unsupported, std::nullopt, quantized}},
    {"torch._utils._rebuild_meta_tensor_no_storage", {Action::unsupported, std::nullopt, meta}},
    {"torch._utils._rebuild_nested_tensor", {Action::unsupported, std::nullopt, nested}},
    {"torch._utils._rebuild_wrapper_subclass", {Action::unsupported, std::nullopt, subclass}},
    {"torch._utils._rebuild_device_tensor_from_numpy", {Action::unsupported, std::nullopt, numpy}},
};

// Under `torch.`, and `torch.cuda.` where the tensor was on a GPU in old files.
inline constexpr std::pair<std::string_view, Dtype> storages[] = {
    {"DoubleStorage", Dtype::f64},    {"FloatStorage", Dtype::f32},        {"HalfStorage", Dtype::f16},
    {"BFloat16Storage", Dtype::bf16}, {"LongStorage", Dtype::i64},         {"IntStorage", Dtype::i32},
    {"ShortStorage", Dtype::i16},     {"CharStorage", Dtype::i8},          {"ByteStorage", Dtype::u8},
    {"BoolStorage", Dtype::boolean},  {"ComplexFloatStorage", Dtype::c64}, {"ComplexDoubleStorage", Dtype::c128}};

// Dtypes that PyTorch has and this library's formats do not; they may be named, but no tensor is of them.
inline constexpr std::string_view other_dtypes[] = {
    "qint8",   "quint8", "qint32", "quint4x2", "quint2x4", "bits8", "bits16",    "bits1x8", "bits2x4",
    "bits4x2", "uint1",  "uint2",  "uint3",    "uint4",    "uint5", "uint6",     "uint7",   "int1",
    "int2",    "int3",   "int4",   "int5",     "int6",     "int7",  "bcomplex32"};

}  // namespace globals_detail

/// The dtype that PyTorch calls `torch.NAME`; nothing if the formats have none of that name.
constexpr std::optional<Dtype> dtype_named(std::string_view name) {
  for (std::size_t i = 0; i < detail::dtype_facts.size(); ++i) {
    if (detail::dtype_facts[i].name == name) return static_cast<Dtype>(i);
  }
  return std::nullopt;
}

/// Today's name of a global: Python 3 writes Python 2's module names in protocols below 3.
inline std::string full_name(std::string_view module, std::string_view name) {
  if (module == "__builtin__") module = "builtins";
  if (module == "torch.tensor") module = "torch._tensor";
  return std::string(module) + '.' + std::string(name);
}

/// The global of this full name, if a pickle may refer to it.
inline std::optional<Global> find_global(std::string_view full) {
  using namespace globals_detail;
  const auto* at = std::find_if(std::begin(named), std::end(named), [&](const Named& n) { return n.name == full; });
  if (at != std::end(named)) return at->global;
  if (!full.starts_with("torch.")) return std::nullopt;
  full.remove_prefix(6);
  if (const auto dtype = dtype_named(full)) return Global{Action::dtype, dtype};
  if (std::find(std::begin(other_dtypes), std::end(other_dtypes), full) != std::end(other_dtypes)) {
    return Global{Action::dtype};
  }
  if (full.starts_with("cuda.")) full.remove_prefix(5);
  for (const auto& [name, dtype] : storages) {
    if (name == full) return Global{Action::storage_class, dtype};
  }
  if (full == "QInt8Storage" || full == "QUInt8Storage" || full == "QInt32Storage" || full == "QUInt4x2Storage" ||
      full == "QUInt2x4Storage") {
    return Global{Action::unsupported, std::nullopt, quantized};
  }
  return std::nullopt;
}

}  // namespace trainstate::format::pickle
