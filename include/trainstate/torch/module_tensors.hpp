// What a module holds: its tensors as Python's `state_dict()` lists them, and its submodules.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/pimpl.h>

#include <concepts>
#include <memory>
#include <ranges>
#include <string>
#include <type_traits>
#include <utility>

#include "trainstate/codec/component.hpp"
#include "trainstate/path.hpp"

namespace trainstate::detail {

template <class T>
concept ModuleClass = std::derived_from<T, torch::nn::Module>;

template <class T>
concept Holder = requires {
  typename T::ContainedType;
  requires std::derived_from<T, torch::nn::ModuleHolder<typename T::ContainedType>>;
};

/// The module that a field holds: the class itself, a ModuleHolder, a shared_ptr or unique_ptr; else void.
template <class F>
struct ModuleIn {
  using type = void;
};
template <ModuleClass F>
struct ModuleIn<F> {
  using type = F;
  static const F* get(const F& field) { return &field; }
};
template <Holder F>
struct ModuleIn<F> {
  using type = typename F::ContainedType;
  static const type* get(const F& field) { return field.is_empty() ? nullptr : field.ptr().get(); }
};
template <ModuleClass M>
struct ModuleIn<std::shared_ptr<M>> {
  using type = M;
  static const M* get(const std::shared_ptr<M>& field) { return field.get(); }
};
template <ModuleClass M>
struct ModuleIn<std::unique_ptr<M>> {
  using type = M;
  static const M* get(const std::unique_ptr<M>& field) { return field.get(); }
};

template <class F>
concept ModuleField = !std::is_void_v<typename ModuleIn<F>::type>;
template <class F>
concept ModuleRange = !ModuleField<F> && std::ranges::range<const F> && ModuleField<std::ranges::range_value_t<F>>;
template <class F>
concept TensorRange = std::ranges::range<const F> && std::same_as<std::ranges::range_value_t<F>, at::Tensor>;

/// Calls `f(submodule, key)` for the module of a field, or for each module of a range.
template <class F, class Visit>
void for_each_submodule(const F& field, const std::string& key, const Visit& visit) {
  if constexpr (ModuleField<F>) {
    if (const auto* submodule = ModuleIn<F>::get(field)) visit(*submodule, key);
  } else {
    std::size_t i = 0;
    for (const auto& item : field) for_each_submodule(item, key + '.' + std::to_string(i++), visit);
  }
}

/// Calls `f(name, tensor)` for what Python's `state_dict()` lists, in its order: a module's own parameters, its own
/// buffers, then its children. Undefined ones are not listed.
template <class F>
void for_each_tensor(const torch::nn::Module& module, const std::string& prefix, const F& f) {
  for (const auto& item : module.named_parameters(/*recurse=*/false)) {
    if (item.value().defined()) f(prefix + item.key(), item.value());
  }
  for (const auto& item : module.named_buffers(/*recurse=*/false)) {
    if (item.value().defined()) f(prefix + item.key(), item.value());
  }
  for (const auto& child : module.named_children()) for_each_tensor(*child.value(), prefix + child.key() + '.', f);
}

/// Whether the module, or one below it, registered this very tensor.
inline bool is_registered(const torch::nn::Module& module, const at::Tensor& tensor) {
  bool found = false;
  for_each_tensor(module, "", [&](const std::string&, const at::Tensor& own) { found = found || own.is_same(tensor); });
  return found;
}

template <TensorRange R>
bool all_registered(const torch::nn::Module& module, const R& tensors) {
  std::size_t registered = 0, all = 0;
  for (const at::Tensor& tensor : tensors) {
    ++all;
    if (tensor.defined() && is_registered(module, tensor)) ++registered;
  }
  return all != 0 && registered == all;
}

/// The dotted name under which `parent` registered `child`, directly or further down; empty if it did not.
inline std::string registered_name(const torch::nn::Module& parent, const torch::nn::Module& child) {
  for (const auto& item : parent.named_children()) {
    if (item.value().get() == &child) return item.key();
    if (auto below = registered_name(*item.value(), child); !below.empty()) return item.key() + '.' + below;
  }
  return {};
}

/// The name under which the tensors of a listed submodule stand in its parent's dict: the registered one, else `key`.
inline std::string submodule_name(const torch::nn::Module& parent, const torch::nn::Module& child,
                                  const std::string& key) {
  auto registered = registered_name(parent, child);
  return registered.empty() ? key : registered;
}

}  // namespace trainstate::detail
