// The one file that knows LibTorch's versions: 1.13.1 to 2.14.
#pragma once

#include <c10/core/ScalarType.h>
#include <c10/core/TensorImpl.h>
#include <torch/version.h>

#include <optional>
#include <sstream>
#include <string>
#include <type_traits>

#include "trainstate/tensor_info.hpp"

#define TRAINSTATE_LIBTORCH_AT_LEAST(major, minor) \
  (TORCH_VERSION_MAJOR > (major) || (TORCH_VERSION_MAJOR == (major) && TORCH_VERSION_MINOR >= (minor)))

#if __has_include(<torch/optim/schedulers/reduce_on_plateau_scheduler.h>)
#define TRAINSTATE_HAS_REDUCE_ON_PLATEAU  // since 2.0
#endif

namespace trainstate::detail {

struct ScalarTypeOf {
  Dtype dtype;
  c10::ScalarType scalar;
};

/// Every dtype that both the formats and this LibTorch have.
inline constexpr ScalarTypeOf scalar_types[] = {
    {Dtype::boolean, c10::ScalarType::Bool},
    {Dtype::u8, c10::ScalarType::Byte},
    {Dtype::i8, c10::ScalarType::Char},
    {Dtype::i16, c10::ScalarType::Short},
    {Dtype::i32, c10::ScalarType::Int},
    {Dtype::i64, c10::ScalarType::Long},
    {Dtype::f16, c10::ScalarType::Half},
    {Dtype::bf16, c10::ScalarType::BFloat16},
    {Dtype::f32, c10::ScalarType::Float},
    {Dtype::f64, c10::ScalarType::Double},
    {Dtype::c32, c10::ScalarType::ComplexHalf},
    {Dtype::c64, c10::ScalarType::ComplexFloat},
    {Dtype::c128, c10::ScalarType::ComplexDouble},
#if TRAINSTATE_LIBTORCH_AT_LEAST(2, 2)
    {Dtype::f8_e5m2, c10::ScalarType::Float8_e5m2},
    {Dtype::f8_e4m3, c10::ScalarType::Float8_e4m3fn},
    {Dtype::f8_e5m2fnuz, c10::ScalarType::Float8_e5m2fnuz},
    {Dtype::f8_e4m3fnuz, c10::ScalarType::Float8_e4m3fnuz},
#endif
#if TRAINSTATE_LIBTORCH_AT_LEAST(2, 3)
    {Dtype::u16, c10::ScalarType::UInt16},
    {Dtype::u32, c10::ScalarType::UInt32},
    {Dtype::u64, c10::ScalarType::UInt64},
#endif
#if TRAINSTATE_LIBTORCH_AT_LEAST(2, 8)
    {Dtype::f8_e8m0, c10::ScalarType::Float8_e8m0fnu},
#endif
};

constexpr std::optional<c10::ScalarType> scalar_type(Dtype dtype) {
  for (const auto& [ours, theirs] : scalar_types) {
    if (ours == dtype) return theirs;
  }
  return std::nullopt;
}

constexpr std::optional<Dtype> dtype_of(c10::ScalarType scalar) {
  for (const auto& [ours, theirs] : scalar_types) {
    if (theirs == scalar) return ours;
  }
  return std::nullopt;
}

/// `Optimizer::state()` is keyed by the address of the parameter's TensorImpl: as text in 1.13, as void* later.
template <class StateMap>
typename StateMap::key_type optimizer_state_key(const c10::TensorImpl* parameter) {
  using StateKey = typename StateMap::key_type;
  if constexpr (std::is_same_v<StateKey, std::string>) {
    std::ostringstream text;  // what LibTorch itself does
    text.exceptions(std::ios::badbit);
    text << parameter;
    return text.str();
  } else {
    return const_cast<c10::TensorImpl*>(parameter);
  }
}

}  // namespace trainstate::detail
