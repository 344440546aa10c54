// `trainstate extract`: one part as a file of its own, or one tensor for NumPy.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint_file.hpp"
#include "console.hpp"
#include "convert.hpp"
#include "npy.hpp"
#include "progress.hpp"
#include "select.hpp"
#include "text.hpp"
#include "trainstate/path.hpp"

namespace tool {

namespace extract_detail {

/// `path` seen from `part`; nothing if it lies elsewhere.
inline std::optional<std::string> relative(std::string_view path, std::string_view part) {
  if (path == part) return "";
  if (!path.starts_with(part) || path[part.size()] != '/') return std::nullopt;
  return std::string(path.substr(part.size() + 1));
}

/// The manifest of a file that holds this part alone, as if it had been saved so.
inline Tree manifest_of(const Tree& whole, const std::string& part) {
  Tree manifest = whole;
  manifest.erase_key("upgrades");
  if (const auto* components = member<Tree>(&whole, "components")) {
    Tree inside;
    for (const auto& [key, component] : *components) {
      const auto path = relative(ts::detail::to_string(key), part);
      if (!path) continue;
      auto& record = inside[*path] = component;
      // The parameters of an optimizer are those of another part.
      if (auto* dict = record.get_if<Tree>()) dict->erase_key("module");
    }
    manifest["components"] = std::move(inside);
  }
  if (const auto* ties = member<List>(&whole, "ties")) {
    List inside;
    for (const auto& tie : *ties) {
      List paths;
      const auto* all = tie.get_if<List>();
      for (std::size_t i = 0; all && i < all->size(); ++i) {
        const auto* text = (*all)[i].get_if<std::string>();
        if (auto path = text ? relative(*text, part) : std::nullopt) paths.emplace_back(std::move(*path));
      }
      if (paths.size() > 1) inside.emplace_back(std::move(paths));
    }
    manifest["ties"] = std::move(inside);
  }
  return manifest;
}

/// The tree of a part: the dict at a path, or of a flat tree the entries whose names begin with `part.`. Throws Refusal
/// if there is neither.
inline Tree tree_of(const CheckpointFile& file, const std::string& part) {
  const Tree& tree = file.document.tree;
  if (const Value* value = tree.find(part)) {
    if (const auto* dict = value->get_if<Tree>()) return *dict;
    throw Refusal(file.path.string() + ": " + part + ": expected a part, found " + value->describe());
  }
  Tree inside;
  std::vector<std::string> known;
  for (const auto& [key, value] : tree) {
    const std::string name = ts::detail::to_string(key);
    if (name.starts_with(part + '.')) inside[name.substr(part.size() + 1)] = value;
    known.push_back(value.is<Tree>() ? name : name.substr(0, name.find('.')));
  }
  if (inside.empty()) throw_not_found(file, "part", part, known);
  return inside;
}

}  // namespace extract_detail

/// Writes one part into a checkpoint of its own. Throws what reading and writing throw; then there is no new file.
inline int extract_part(const Console& console, const std::filesystem::path& from, const std::string& part,
                        const std::filesystem::path& to, const CopyOptions& options) {
  const ts::Format format = format_to_write(to);
  CheckpointFile file = read_for_copy(console, from, options.verify);
  ts::format::Document document;
  document.tree = extract_detail::tree_of(file, part);
  if (file.document.manifest) document.manifest = extract_detail::manifest_of(*file.document.manifest, part);
  document.metadata = file.document.metadata;
  drop_format(console, document);
  write_copy(console, document, to, format, options);
  return 0;
}

/// Writes one tensor as an .npy file; where NumPy lacks the dtype, widened without loss, which is said.
inline int extract_tensor(const Console& console, const std::filesystem::path& from, const std::string& name,
                          const std::filesystem::path& to, const CopyOptions& options) {
  if (to.extension() != ".npy") throw Refusal(to.string() + ": expected a name that ends in .npy");
  const CheckpointFile file = read_for_copy(console, from, options.verify);
  std::vector<NamedTensor> found;
  std::vector<std::string> known;
  for (auto& tensor : tensors_of(file.document.tree)) {
    known.push_back(tensor.dotted);
    if (tensor.path == name) {
      found = {std::move(tensor)};
      break;
    }
    if (tensor.dotted == name) found.push_back(std::move(tensor));
  }
  if (found.empty()) throw_not_found(file, "tensor", name, known);
  if (found.size() > 1) {
    throw Refusal(file.path.string() + ": '" + name + "' means " + found[0].path + " and " + found[1].path);
  }
  const ts::TensorInfo& tensor = found[0].tensor;
  write_unless_there(to, options.force, [&](const ts::io::WriteMode& mode) {
    ProgressBar bar(console, "writing");
    write_npy(tensor, to, mode, bar.callback());
  });
  if (is_widened_for_npy(tensor.dtype)) {
    console.note("note: NumPy has no " + std::string(ts::name(tensor.dtype)) + "; the elements are written as " +
                 (tensor.dtype == ts::Dtype::c32 ? "complex64" : "float32"));
  }
  console.out << "wrote " << printable(to.string()) << ": " << tensor_text(tensor) << '\n';
  return 0;
}

}  // namespace tool
