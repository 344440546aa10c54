// A checkpoint file as the tool sees it: its document, its tensors by name, its components.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text.hpp"
#include "trainstate/error.hpp"
#include "trainstate/format/container.hpp"
#include "trainstate/format/views.hpp"
#include "trainstate/io/mapped_file.hpp"
#include "trainstate/path.hpp"

namespace tool {

/// What can go wrong that the library has no error for; its text is the whole message.
class Refusal : public ts::Error {
 public:
  using Error::Error;
};

struct CheckpointFile {
  std::filesystem::path path;
  std::uint64_t size = 0;
  std::string container;  ///< `safetensors`, `PyTorch zip` or `PyTorch before 1.6`
  ts::format::Document document;
};

/// Opens a file by what its bytes are. Throws what `read_document` throws.
inline CheckpointFile open_file(const std::filesystem::path& path, ts::format::ReadOptions options = {}) {
  options.align = false;     // the tool takes elements wherever they are
  options.checksums = true;  // to be shown
  CheckpointFile file{path, 0, "safetensors", {}};
  const ts::io::MappedFile mapped(path);
  file.size = mapped.storage()->size;
  const std::span<const std::byte> bytes(mapped.storage()->data, mapped.storage()->size);
  if (ts::format::looks_like_zip(bytes)) {
    file.container = "PyTorch zip";
  } else if (ts::format::looks_like_pt(bytes)) {
    file.container = "PyTorch before 1.6";
  }
  file.document = ts::format::read_document(mapped, path.string(), options);
  return file;
}

/// Calls `f(path, dotted, value)` for everything below a dict that is no dict or list; empty ones count, too. `dotted`
/// is the name of a tensor in a safetensors file.
template <class F>
void each_leaf(const Value& value, const std::string& path, const std::string& dotted, const F& f) {
  const auto below = [&](const ts::Key& key, const Value& item) {
    each_leaf(item, ts::detail::join(path, key), dotted + (path.empty() ? "" : ".") + ts::detail::to_string(key), f);
  };
  if (const auto* dict = value.get_if<Tree>(); dict && !dict->empty()) {
    for (const auto& [key, item] : *dict) below(key, item);
  } else if (const auto* list = value.get_if<List>(); list && !list->empty()) {
    for (std::size_t i = 0; i < list->size(); ++i) below(static_cast<std::int64_t>(i), (*list)[i]);
  } else {
    f(path, dotted, value);
  }
}
template <class F>
void each_leaf(const Tree& tree, const F& f) {
  for (const auto& [key, value] : tree) each_leaf(value, ts::detail::join("", key), ts::detail::to_string(key), f);
}

struct NamedTensor {
  std::string path, dotted;
  ts::TensorInfo tensor;
};

/// All tensors, in the order of the tree.
inline std::vector<NamedTensor> tensors_of(const Tree& tree) {
  std::vector<NamedTensor> found;
  each_leaf(tree, [&](const std::string& path, const std::string& dotted, const Value& value) {
    if (const auto* tensor = value.get_if<ts::TensorInfo>()) found.push_back({path, dotted, *tensor});
  });
  return found;
}

/// How many tensors there are and their bytes, tied ones once.
class TensorCount {
 public:
  void add(const Value& value) {
    if (const auto* dict = value.get_if<Tree>()) {
      add(*dict);
    } else if (const auto* list = value.get_if<List>()) {
      for (const auto& item : *list) add(item);
    } else if (const auto* tensor = value.get_if<ts::TensorInfo>()) {
      ++count_;
      if (tensor->numel() != 0 && !seen_.emplace(tensor, 0).second) return;
      if (__builtin_add_overflow(bytes_, tensor->nbytes(), &bytes_)) bytes_ = std::numeric_limits<std::uint64_t>::max();
    }
  }
  void add(const Tree& dict) {
    for (const auto& [key, value] : dict) add(value);
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }
  [[nodiscard]] std::string text() const { return counted(count_, "tensor") + ", " + size_text(bytes_); }

 private:
  std::uint64_t count_ = 0, bytes_ = 0;
  ts::format::ViewMap<int> seen_;
};

/// The value of a key, if it is a `T`.
template <class T>
const T* member(const Tree* dict, std::string_view key) {
  const Value* value = dict ? dict->find_key(std::string(key)) : nullptr;
  return value ? value->get_if<T>() : nullptr;
}

/// The manifest's records of components, by path; nullptr where there are none.
inline const Tree* components_of(const ts::format::Document& document) {
  return member<Tree>(document.manifest ? &*document.manifest : nullptr, "components");
}

/// `golden_net v2`; empty where a component has no name.
inline std::string component_text(const Tree* component) {
  const auto* name = member<std::string>(component, "name");
  const auto* version = member<std::int64_t>(component, "version");
  std::string text = name ? printable(*name) : "";
  if (version) text += (text.empty() ? "v" : " v") + std::to_string(*version);
  return text;
}

}  // namespace tool
