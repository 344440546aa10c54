// Between LibTorch's tensors and the formats' TensorInfo, and between whole trees of them. Nothing is copied that can
// be shared.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>

#include <memory>
#include <string>
#include <utility>

#include "trainstate/error.hpp"
#include "trainstate/state_dict.hpp"
#include "trainstate/tensor_info.hpp"
#include "trainstate/torch/compat.hpp"

namespace trainstate::detail {

/// Why a tensor cannot be stored; nothing if it can.
inline std::optional<std::string> why_not_storable(const at::Tensor& tensor) {
  if (tensor.is_quantized()) return "a quantized tensor, which no format stores: dequantize() it";
  if (tensor.layout() != c10::kStrided) return "a sparse tensor, which no format stores: save its indices and values";
  if (tensor.is_meta()) return "a meta tensor, which has no data";
  if (!dtype_of(tensor.scalar_type()))
    return std::string("of dtype ") + c10::toString(tensor.scalar_type()) + ", which no format stores";
  return std::nullopt;
}

/// The tensor as the formats see it, sharing its memory when it is on the CPU. Throws Error for quantized, sparse and
/// meta tensors.
inline TensorInfo to_info(const at::Tensor& tensor) {
  if (const auto why = why_not_storable(tensor)) throw Error("cannot be stored: " + *why);
  const c10::NoGradGuard no_grad;
  at::Tensor plain = tensor.detach().resolve_conj().resolve_neg();
  const std::string device = plain.device().str();
  if (!plain.is_cpu()) plain = plain.cpu();
  auto owner = std::make_shared<const at::Tensor>(plain);
  const auto& memory = plain.storage();
  Storage storage{owner, static_cast<std::byte*>(const_cast<void*>(static_cast<const void*>(memory.data()))),
                  memory.nbytes(), device};
  return {*dtype_of(plain.scalar_type()), plain.sizes().vec(), plain.strides().vec(),
          std::make_shared<const Storage>(std::move(storage)),
          static_cast<std::size_t>(plain.storage_offset()) * static_cast<std::size_t>(plain.element_size())};
}

/// A tensor that views the same bytes and keeps them alive. Nothing if this LibTorch lacks the dtype.
inline std::optional<at::Tensor> to_tensor(const TensorInfo& info) {
  const auto scalar = scalar_type(info.dtype);
  if (!scalar) return std::nullopt;
  const auto options = at::TensorOptions().dtype(*scalar);
  if (info.numel() == 0) return at::empty_strided(info.shape, info.strides, options);
  auto keep = info.storage;
  return at::from_blob(
      info.storage->data + info.offset, info.shape, info.strides, [keep](void*) {}, options);
}

inline BasicValue<TensorInfo> to_info(const Value& value, const std::string& path);

/// The tree with the formats' tensors. Throws Error beginning with the path of what cannot be stored.
inline BasicStateDict<TensorInfo> to_info(const StateDict& dict, const std::string& path = {}) {
  BasicStateDict<TensorInfo> infos;
  infos.reserve(dict.size());
  for (const auto& [key, value] : dict) infos[key] = to_info(value, join(path, key));
  return infos;
}

inline BasicValue<TensorInfo> to_info(const Value& value, const std::string& path) {
  return std::visit(
      [&]<class T>(const T& x) -> BasicValue<TensorInfo> {
        if constexpr (std::is_same_v<T, at::Tensor>) {
          if (!x.defined()) return {};
          if (const auto why = why_not_storable(x)) throw Error(path + ": cannot be stored: " + *why);
          return to_info(x);
        } else if constexpr (std::is_same_v<T, UnsupportedTensor>) {
          return x.info;
        } else if constexpr (std::is_same_v<T, List>) {
          BasicList<TensorInfo> list;
          list.reserve(x.size());
          for (std::size_t i = 0; i < x.size(); ++i) {
            list.push_back(to_info(x[i], join(path, static_cast<std::int64_t>(i))));
          }
          return list;
        } else if constexpr (std::is_same_v<T, StateDict>) {
          return to_info(x, path);
        } else {
          return x;
        }
      },
      value.variant());
}

/// The tree with LibTorch's tensors; `place` is applied to each (to move it to a device).
template <class Place>
Value to_torch(const BasicValue<TensorInfo>& value, const Place& place);

template <class Place>
StateDict to_torch(const BasicStateDict<TensorInfo>& dict, const Place& place) {
  StateDict tensors;
  tensors.reserve(dict.size());
  for (const auto& [key, value] : dict) tensors[key] = to_torch(value, place);
  return tensors;
}

template <class Place>
Value to_torch(const BasicValue<TensorInfo>& value, const Place& place) {
  return std::visit(
      [&]<class T>(const T& x) -> Value {
        if constexpr (std::is_same_v<T, TensorInfo>) {
          auto tensor = to_tensor(x);
          return tensor ? Value(place(*std::move(tensor), x)) : Value(UnsupportedTensor{x});
        } else if constexpr (std::is_same_v<T, BasicList<TensorInfo>>) {
          List list;
          list.reserve(x.size());
          for (const auto& item : x) list.push_back(to_torch(item, place));
          return list;
        } else if constexpr (std::is_same_v<T, BasicStateDict<TensorInfo>>) {
          return to_torch(x, place);
        } else {
          return x;
        }
      },
      value.variant());
}

}  // namespace trainstate::detail
