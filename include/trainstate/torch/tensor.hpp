// Tensors, and StateDict and Value themselves, as they stand in a state dict.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/scalar_tensor.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/memory.hpp"
#include "trainstate/codec/scalar.hpp"

namespace trainstate::detail {

/// `float32[16, 3]`, for reports.
inline std::string tensor_text(const at::Tensor& tensor) {
  std::ostringstream text;
  TensorTraits<at::Tensor>::print(text, tensor);
  return text.str();
}

/// Why a live tensor cannot be copied into; nothing if it can.
inline std::optional<std::string> why_not_writable(const at::Tensor& live) {
  if (live.is_meta()) return "a meta tensor, which has no memory to load into";
  if (live.is_inference()) return "an inference tensor, which cannot be written in place";
  if (live.layout() != c10::kStrided || live.is_quantized()) return "a sparse or quantized tensor";
  if (live.is_non_overlapping_and_dense()) return std::nullopt;
  std::vector<std::pair<std::int64_t, std::int64_t>> dims;  // stride and size of those that move
  for (std::int64_t d = 0; d < live.dim(); ++d) {
    if (live.size(d) == 0) return std::nullopt;
    if (live.size(d) > 1) dims.emplace_back(live.stride(d), live.size(d));
  }
  std::sort(dims.begin(), dims.end());
  std::int64_t reach = 0;  // of all smaller strides together
  for (const auto& [stride, size] : dims) {
    if (stride <= reach) return "an expanded or overlapping tensor, whose elements share memory";
    reach += stride * (size - 1);
  }
  return std::nullopt;
}

/// Whether a tensor has elements that can be copied; those of a file always have.
inline bool holds_values(const at::Tensor& from) {
  return !from.is_meta() && from.layout() == c10::kStrided && !from.is_quantized();
}

/// A value as a tensor for `live`, which may also be the number of a zero-dim tensor; nothing (and a mismatch) if it is
/// neither.
inline std::optional<at::Tensor> tensor_for(const at::Tensor& live, const Value& value, LoadContext& context) {
  if (const auto* tensor = value.get_if<at::Tensor>(); tensor && tensor->defined()) return *tensor;
  if (live.defined() && live.dim() == 0) {
    const Number number(value);
    const auto dtype = live.scalar_type();
    // Made in the number's own type first: asking for the live one directly throws where it does not fit.
    if (number.kind == Number::Kind::boolean && dtype == c10::ScalarType::Bool) {
      return at::scalar_tensor(number.integer != 0, dtype);
    }
    if (number.kind == Number::Kind::floating && at::isFloatingType(dtype)) {
      const at::Tensor converted = at::scalar_tensor(number.floating, c10::ScalarType::Double).to(dtype);
      if (std::isinf(converted.item().toDouble()) == std::isinf(number.floating)) return converted;
    }
    if (number.kind == Number::Kind::integer && dtype != c10::ScalarType::Bool) {
      const at::Tensor converted = at::scalar_tensor(number.integer, c10::ScalarType::Long).to(dtype);
      if (Number(Value(converted)).as_integer() == number.integer) return converted;
    }
  }
  context.mismatch(live.defined() ? tensor_text(live) : "a tensor", value.describe());
  return std::nullopt;
}

/// Plans a copy of `from` into the memory of `live`, if dtype and sizes agree and the memory can be written.
inline void plan_copy(const at::Tensor& live, const at::Tensor& from, LoadContext& context) {
  if (live.scalar_type() != from.scalar_type() || live.sizes() != from.sizes()) {
    return context.mismatch(tensor_text(live), tensor_text(from));
  }
  if (const auto why = why_not_writable(live)) return context.mismatch("a tensor that can be loaded into", *why);
  if (!holds_values(from)) return context.mismatch(tensor_text(live), "a meta, sparse or quantized tensor");
  context.report.bytes += live.nbytes();
  context.plan->copy(live, from, context.path);
}

/// A tensor of its own that the plan gives the values of the file's, on `map_location`, else on the device it was saved
/// from if this machine has that, else on the CPU. Tied ones stay tied, expanded ones expanded.
inline at::Tensor fresh_tensor(const at::Tensor& from, LoadContext& context) {
  const auto device = context.options.map_location.value_or(context.recorded_device());
  return context.copies.of(from, [&](const at::Tensor& tensor) {
    const c10::NoGradGuard no_grad;
    const auto now = [&](const at::Tensor& t) {
      return device == t.device() ? t.detach().clone() : t.detach().to(device);
    };
    if (!holds_values(tensor)) {
      context.report.bytes += tensor.nbytes();
      return now(tensor);
    }
    return copy_once_each(tensor, [&](const at::Tensor& elements) {
      context.report.bytes += elements.nbytes();
      // What the caller has in memory may be written to before the copies of the plan are made.
      if (context.in_memory) return now(elements);
      const at::Tensor fresh = at::empty_like(elements, elements.options().device(device));
      context.plan->copy(fresh, elements, context.path);
      return fresh;
    });
  });
}

/// A value with tensors of its own.
inline Value fresh_value(const Value& value, LoadContext& context) {
  if (const auto* tensor = value.get_if<at::Tensor>())
    return tensor->defined() ? fresh_tensor(*tensor, context) : *tensor;
  if (const auto* list = value.get_if<List>()) {
    List fresh;
    fresh.reserve(list->size());
    for (std::size_t i = 0; i < list->size(); ++i) {
      const auto scope = context.enter(static_cast<std::int64_t>(i));
      fresh.push_back(fresh_value((*list)[i], context));
    }
    return fresh;
  }
  if (const auto* dict = value.get_if<StateDict>()) {
    StateDict fresh;
    fresh.reserve(dict->size());
    for (const auto& [key, item] : *dict) {
      const auto scope = context.enter(key);
      fresh[key] = fresh_value(item, context);
    }
    return fresh;
  }
  return value;
}

/// A defined tensor is loaded in place: it keeps its memory, device, strides and requires_grad. An undefined one is
/// None.
template <>
struct TorchCodec<at::Tensor> {
  static constexpr bool may_be_none = true;

  static Value save(const at::Tensor& x, SaveContext&) { return x.defined() ? Value(x.detach()) : Value(); }

  static void plan(at::Tensor& live, const Value& value, LoadContext& context) {
    if (value.is<None>()) {
      if (live.defined()) context.plan->assign([&live]() noexcept { live.reset(); });
    } else if (!live.defined()) {
      plan_by_building(live, value, context);
    } else if (const auto from = tensor_for(live, value, context)) {
      plan_copy(live, *from, context);
    }
  }

  static std::optional<at::Tensor> build(const Value& value, LoadContext& context) {
    if (value.is<None>()) return at::Tensor();
    const auto from = tensor_for(at::Tensor(), value, context);
    return from ? std::optional(fresh_tensor(*from, context)) : std::nullopt;
  }
};

/// Free-form extras: whatever the file has replaces what is there.
template <>
struct TorchCodec<Value> {
  static constexpr bool is_value = true;
  static constexpr bool may_be_none = true;

  static Value save(const Value& x, SaveContext&) { return x; }
  static std::optional<Value> build(const Value& value, LoadContext& context) { return fresh_value(value, context); }
  static void plan(Value& live, const Value& value, LoadContext& context) { plan_by_building(live, value, context); }
};

template <>
struct TorchCodec<StateDict> {
  static constexpr bool is_value = true;
  static constexpr bool is_object = true;

  static Value save(const StateDict& x, SaveContext&) { return x; }
  static std::optional<StateDict> build(const Value& value, LoadContext& context) {
    if (value.is<StateDict>()) return fresh_value(value, context).as<StateDict>();
    context.mismatch("a dict", value.describe());
    return std::nullopt;
  }
  static void plan(StateDict& live, const Value& value, LoadContext& context) {
    plan_by_building(live, value, context);
  }
};

}  // namespace trainstate::detail
