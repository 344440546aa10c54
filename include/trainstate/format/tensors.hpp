// The tensors of a tree, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "trainstate/basic_state_dict.hpp"
#include "trainstate/path.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format {

template <class F>
void for_each_tensor(const BasicValue<TensorInfo>& value, std::string& path, const F& f);

/// Calls `f(tensor, path)` for every tensor of a tree that has elements, in the tree's order. `path` is where the tree
/// itself stands, and is as before when the call ends.
template <class F>
void for_each_tensor(const BasicStateDict<TensorInfo>& tree, std::string& path, const F& f) {
  const std::size_t size = path.size();
  for (const auto& [key, value] : tree) {
    detail::append_key(path, key);
    for_each_tensor(value, path, f);
    path.resize(size);
  }
}

/// As above, of a value.
template <class F>
void for_each_tensor(const BasicValue<TensorInfo>& value, std::string& path, const F& f) {
  if (const auto* dict = value.get_if<BasicStateDict<TensorInfo>>()) {
    for_each_tensor(*dict, path, f);
  } else if (const auto* list = value.get_if<BasicList<TensorInfo>>()) {
    const std::size_t size = path.size();
    for (std::size_t i = 0; i < list->size(); ++i) {
      detail::append_key(path, static_cast<std::int64_t>(i));
      for_each_tensor((*list)[i], path, f);
      path.resize(size);
    }
  } else if (const auto* tensor = value.get_if<TensorInfo>(); tensor && tensor->numel() != 0) {
    f(*tensor, path);
  }
}

/// As above, of a tree that stands alone.
template <class F>
void for_each_tensor(const BasicStateDict<TensorInfo>& tree, const F& f) {
  std::string path;
  for_each_tensor(tree, path, f);
}

}  // namespace trainstate::format
