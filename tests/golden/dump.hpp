// A tree as text, one leaf a line, tensors by dtype, shape and the checksum of their bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "trainstate/io/checksum.hpp"
#include "trainstate/state_dict.hpp"

namespace golden {

inline void dump(const trainstate::Value& value, const std::string& path, std::string& text) {
  if (const auto* dict = value.get_if<trainstate::StateDict>(); dict && !dict->empty()) {
    for (const auto& [key, item] : *dict) {
      dump(item, path + (key.index() == 0 ? "/#" : "/") + trainstate::detail::join("", key), text);
    }
  } else if (const auto* list = value.get_if<trainstate::List>(); list && !list->empty()) {
    for (std::size_t i = 0; i < list->size(); ++i) dump((*list)[i], path + '[' + std::to_string(i) + ']', text);
  } else {
    text += path + " = " + value.describe();
    if (const auto* tensor = value.get_if<at::Tensor>()) {
      const at::Tensor dense = trainstate::detail::dense_on_cpu(*tensor);
      text += ' ' + trainstate::io::hex_text(
                        trainstate::io::checksum({static_cast<const std::byte*>(dense.data_ptr()), dense.nbytes()}));
    }
    text += '\n';
  }
}

inline std::string dump(const trainstate::StateDict& tree) {
  std::string text;
  dump(trainstate::Value(tree), "", text);
  return text;
}

}  // namespace golden
