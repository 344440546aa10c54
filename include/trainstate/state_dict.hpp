// The state dict of LibTorch tensors: StateDict, Value and List.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/basic_state_dict.hpp"

namespace trainstate {

/// An insertion-ordered map from Key to Value: what a module's or an optimizer's `state_dict()` is in Python.
using StateDict = BasicStateDict<at::Tensor>;
/// None, bool, int64, double, string, torch::Tensor, List or StateDict.
using Value = BasicValue<at::Tensor>;
/// A list of values.
using List = BasicList<at::Tensor>;

namespace detail {

/// The tensor's bytes as a dense CPU tensor without conjugation, negation or gradient.
inline at::Tensor dense_on_cpu(const at::Tensor& tensor) {
  const c10::NoGradGuard no_grad;
  return tensor.detach().resolve_conj().resolve_neg().cpu().contiguous();
}

/// Same dtype, sizes and bits.
inline bool bitwise_equal(const at::Tensor& a, const at::Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  if (a.is_same(b) || a.numel() == 0) return true;
  const at::Tensor x = dense_on_cpu(a), y = dense_on_cpu(b);
  return std::memcmp(x.data_ptr(), y.data_ptr(), x.nbytes()) == 0;
}

template <>
struct TensorTraits<at::Tensor> {
  static at::Tensor clone(const at::Tensor& t) {
    const c10::NoGradGuard no_grad;
    return t.defined() ? t.detach().clone() : t;
  }
  /// The parts of `whole`, in memory of their own. Throws Error beginning with `path`.
  static std::vector<at::Tensor> split(const at::Tensor& whole, const std::string& path, std::size_t count,
                                       std::int64_t dim, std::vector<std::int64_t> sizes) {
    const auto n = static_cast<std::int64_t>(count);
    const std::int64_t asked = dim, dims = whole.defined() ? whole.dim() : 0;
    if (dim < 0) dim += dims;
    const bool has_dim = dim >= 0 && dim < dims;
    if (has_dim && sizes.empty() && n > 0 && whole.size(dim) % n == 0) sizes.assign(count, whole.size(dim) / n);
    if (!has_dim || sizes.size() != count || std::any_of(sizes.begin(), sizes.end(), [](auto s) { return s < 0; }) ||
        std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0}) != whole.size(dim)) {
      std::ostringstream text;
      print(text, whole);
      throw Error(path + ": " + text.str() + " cannot be split into " + std::to_string(count) + " parts of " +
                  (sizes.empty() ? "equal length" : "these lengths") + " along dimension " + std::to_string(asked));
    }
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> parts;
    for (const at::Tensor& part : whole.detach().split_with_sizes(sizes, dim)) parts.push_back(part.clone());
    return parts;
  }
  /// The parts joined. Throws Error beginning with `path`.
  static at::Tensor merge(const std::vector<at::Tensor>& parts, const std::string& path, std::int64_t dim) {
    const c10::NoGradGuard no_grad;
    try {
      return at::cat(parts, dim);
    } catch (const c10::Error& e) {
      throw Error(path + ": the tensors cannot be merged along dimension " + std::to_string(dim) + ": " +
                  e.what_without_backtrace());
    }
  }
  static bool equal(const at::Tensor& a, const at::Tensor& b) { return bitwise_equal(a, b); }
  /// Where the elements are; nullptr if there are none, or none that can be pointed to.
  static const void* address(const at::Tensor& t) {
    return t.defined() && t.layout() == c10::kStrided && t.has_storage() && t.numel() != 0 ? t.data_ptr() : nullptr;
  }
  static bool same_view(const at::Tensor& a, const at::Tensor& b) {
    return a.is_same(b) ||
           (a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && a.strides() == b.strides() &&
            a.device() == b.device() && a.is_conj() == b.is_conj() && a.is_neg() == b.is_neg());
  }
  static void print(std::ostream& os, const at::Tensor& t) {
    if (!t.defined()) {
      os << "undefined tensor";
      return;
    }
    std::ostringstream dtype;
    dtype << t.scalar_type();
    print_shape(os, torch_name(dtype.str()), {t.sizes().data(), t.sizes().size()});
    if (!t.is_cpu()) os << " on " << t.device().str();
  }

 private:
  /// PyTorch's Python name of a dtype, from c10's (`Float` -> `float32`).
  static std::string torch_name(const std::string& c10_name) {
    static constexpr std::pair<std::string_view, std::string_view> names[] = {
        {"Byte", "uint8"},    {"Char", "int8"},         {"Short", "int16"},           {"Int", "int32"},
        {"Long", "int64"},    {"Half", "float16"},      {"Float", "float32"},         {"Double", "float64"},
        {"Bool", "bool"},     {"BFloat16", "bfloat16"}, {"ComplexHalf", "complex32"}, {"ComplexFloat", "complex64"},
        {"UInt16", "uint16"}, {"UInt32", "uint32"},     {"UInt64", "uint64"},         {"ComplexDouble", "complex128"}};
    for (const auto& [c10, torch] : names) {
      if (c10 == c10_name) return std::string(torch);
    }
    return c10_name;
  }
};

}  // namespace detail
}  // namespace trainstate
