// Between LibTorch's tensors and the formats' TensorInfo, and between whole trees of them. Nothing is copied that can
// be shared.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_strided.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
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

/// Waits until all that this thread has asked of a device is done.
inline void wait_for(const c10::Device& device) {
  const c10::impl::VirtualGuardImpl guard(device.type());
  guard.synchronizeStream(guard.getStream(device));
}

/// The dense bytes of a tensor of any device, copied piece by piece. Any thread may ask.
class DeviceBytes {
 public:
  explicit DeviceBytes(at::Tensor tensor) : tensor_(std::move(tensor)) {}

  /// Copies bytes [at, at + to.size()) to `to`, which is memory of the CPU; without waiting for it if `to` is pinned
  /// and `non_blocking` is set. Throws what LibTorch throws.
  void copy(std::size_t at, std::span<std::byte> to, bool non_blocking = false) {
    const c10::NoGradGuard no_grad;
    const auto size = static_cast<std::int64_t>(to.size());
    at::Tensor bytes = dense().view({-1}).view(c10::ScalarType::Byte);
    const bool last = static_cast<std::int64_t>(at) + size == bytes.numel();
    bytes = bytes.narrow(0, static_cast<std::int64_t>(at), size);
    at::from_blob(to.data(), {size}, at::TensorOptions().dtype(c10::ScalarType::Byte)).copy_(bytes, non_blocking);
    if (last) forget();
  }

 private:
  // A tensor that is not contiguous is made so on its device, for as long as its pieces are asked for.
  at::Tensor dense() {
    if (tensor_.is_contiguous()) return tensor_;
    const std::lock_guard lock(mutex_);
    if (!dense_.defined()) dense_ = tensor_.contiguous();
    return dense_;
  }

  void forget() {
    const std::lock_guard lock(mutex_);
    dense_.reset();
  }

  at::Tensor tensor_;
  std::mutex mutex_;
  at::Tensor dense_;
};

/// The tensor as the formats see it, sharing its memory; what is on another device is fetched from there when its bytes
/// are wanted. Throws Error for quantized, sparse and meta tensors.
inline TensorInfo to_info(const at::Tensor& tensor) {
  if (const auto why = why_not_storable(tensor)) throw Error("cannot be stored: " + *why);
  at::Tensor plain = tensor;
  if (tensor.is_conj() || tensor.is_neg()) {
    const c10::NoGradGuard no_grad;
    plain = tensor.resolve_conj().resolve_neg();
  }
  const std::string device = plain.is_cpu() ? "cpu" : plain.device().str();
  if (!plain.has_storage()) plain = plain.cpu();
  auto owner = std::make_shared<const at::Tensor>(plain);
  const auto& memory = plain.storage();
  Storage storage{owner, static_cast<std::byte*>(const_cast<void*>(static_cast<const void*>(memory.data()))),
                  memory.nbytes(), device};
  TensorInfo info{*dtype_of(plain.scalar_type()), plain.sizes().vec(), plain.strides().vec(),
                  std::make_shared<const Storage>(std::move(storage)),
                  static_cast<std::size_t>(plain.storage_offset()) * static_cast<std::size_t>(plain.element_size())};
  if (!plain.is_cpu()) {
    wait_for(plain.device());  // other threads fetch, in streams of their own
    using Fetch = std::function<void(std::size_t, std::span<std::byte>)>;
    info.fetch = std::make_shared<const Fetch>([bytes = std::make_shared<DeviceBytes>(plain)](
                                                   std::size_t at, std::span<std::byte> to) { bytes->copy(at, to); });
  }
  return info;
}

/// A tensor that views the same bytes and keeps them alive. Nothing if this LibTorch lacks the dtype.
inline std::optional<at::Tensor> to_tensor(const TensorInfo& info) {
  const auto scalar = scalar_type(info.dtype);
  if (!scalar) return std::nullopt;
  const auto options = at::TensorOptions().dtype(*scalar);
  if (info.numel() == 0) return at::empty_strided(info.shape, info.strides, options);
  // A context rather than a function, whose copies may allocate where LibTorch cannot bear it.
  using Owner = std::shared_ptr<const Storage>;
  auto owner = std::make_unique<Owner>(info.storage);
  auto maker = at::for_blob(info.storage->data + info.offset, info.shape);
  return maker.strides(info.strides)
      .options(options)
      .context(owner.release(), [](void* kept) { delete static_cast<Owner*>(kept); })
      .make_tensor();
}

template <class Convert>
BasicValue<TensorInfo> to_info(const Value& value, const std::string& path, const Convert& convert);

/// The tree with the formats' tensors, each made by `convert`. Throws Error beginning with the path of what cannot be
/// stored.
template <class Convert>
BasicStateDict<TensorInfo> to_info(const StateDict& dict, const std::string& path, const Convert& convert) {
  DictBuilder<TensorInfo> infos(dict.size());
  std::string place;
  for (const auto& [key, value] : dict) {
    place = path;
    append_key(place, key);
    infos.append(key, to_info(value, place, convert));
  }
  return infos.take_unindexed();
}

template <class Convert>
BasicValue<TensorInfo> to_info(const Value& value, const std::string& path, const Convert& convert) {
  return std::visit(
      [&]<class T>(const T& x) -> BasicValue<TensorInfo> {
        if constexpr (std::is_same_v<T, at::Tensor>) {
          if (!x.defined()) return {};
          if (const auto why = why_not_storable(x))
            throw Error((path.empty() ? "" : path + ": ") + "cannot be stored: " + *why);
          return convert(x);
        } else if constexpr (std::is_same_v<T, UnsupportedTensor>) {
          return x.info;
        } else if constexpr (std::is_same_v<T, List>) {
          BasicList<TensorInfo> list;
          list.reserve(x.size());
          for (std::size_t i = 0; i < x.size(); ++i) {
            list.push_back(to_info(x[i], join(path, static_cast<std::int64_t>(i)), convert));
          }
          return list;
        } else if constexpr (std::is_same_v<T, StateDict>) {
          return to_info(x, path, convert);
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
  DictBuilder<at::Tensor> tensors(dict.size());
  for (const auto& [key, value] : dict) tensors.append(key, to_torch(value, place));
  return tensors.take();
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
