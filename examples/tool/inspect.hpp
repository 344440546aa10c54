// `trainstate inspect`: what a checkpoint holds, as a tree for people.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "checkpoint_file.hpp"
#include "console.hpp"
#include "inspect_json.hpp"
#include "rows.hpp"
#include "text.hpp"
#include "trainstate/format/views.hpp"

namespace tool {

struct InspectOptions {
  bool json = false;
  bool all = false;  ///< every tensor, also where many are alike
};

/// Turns a document into rows.
class Inspection {
 public:
  Inspection(const ts::format::Document& document, bool all)
      : document_(document), components_(components_of(document)), all_(all) {
    if (components_) {
      for (const auto& [key, component] : *components_) {
        const auto* path = std::get_if<std::string>(&key);
        const auto* dict = component.get_if<Tree>();
        if (path && dict && !path->empty() && !document.tree.contains(*path)) {
          inner_[path->substr(0, path->find('/'))].emplace_back(*path, dict);
        }
      }
    }
  }

  /// The rows of the tree's root.
  std::vector<Row> rows() { return rows_of_component(document_.tree, ""); }

  /// The record of what stands at a path in the manifest; nullptr if there is none.
  [[nodiscard]] const Tree* component(const std::string& path) const { return member<Tree>(components_, path); }

 private:
  // Of a dict that may be a component: its hyperparameters and state from the manifest, then its own entries.
  std::vector<Row> rows_of_component(const Tree& dict, const std::string& path) {
    std::vector<Row> rows;
    const Tree* record = component(path);
    add_record(rows, record);
    if (is_record(dict)) {
      for (const auto& [key, value] : dict) {
        const auto* fields = value.get_if<Tree>();
        if (!fields || fields->empty()) continue;
        rows.push_back(
            row_of(key == ts::Key("params") ? "hyperparameters" : "state", value, ts::detail::join(path, key)));
        rows.back().style = Style::dim;
      }
      return rows;
    }
    names_ = member<List>(record, "param_names");
    auto own = rows_of(dict, path);
    std::move(own.begin(), own.end(), std::back_inserter(rows));
    for (const auto& [first, parts] : inner_) {
      if (path.empty() ? document_.tree.contains(first) : first != path) continue;
      for (const auto& [at, part] : parts) {
        Row row{printable(path.empty() ? at : at.substr(path.size() + 1)), Style::bold, {}, {component_text(part)}, {}};
        add_record(row.below, part);
        rows.push_back(std::move(row));
      }
    }
    return rows;
  }

  void add_record(std::vector<Row>& rows, const Tree* record) {
    for (const auto& [key, label] : {std::pair("params", "hyperparameters"), std::pair("state", "state")}) {
      const auto* fields = member<Tree>(record, key);
      if (!fields || fields->empty()) continue;
      rows.push_back(dict_row(label, *fields, beside_the_tree));
      rows.back().style = Style::dim;
    }
  }

  // {"version": 3, "params": {…}, "state": {…}}
  static bool is_record(const Tree& dict) {
    bool fields = false;
    for (const auto& [key, value] : dict) {
      if (key == ts::Key("version")) {
        if (!value.is<std::int64_t>()) return false;
      } else if (key == ts::Key("params") || key == ts::Key("state")) {
        if (!value.is<Tree>()) return false;
        fields = true;
      } else {
        return false;
      }
    }
    return fields && dict.find_key("version");
  }

  // What fits into a line: no tensors, no dicts with anything in them.
  static bool is_plain(const Value& value) {
    if (const auto* list = value.get_if<List>()) {
      return std::all_of(list->begin(), list->end(), [](const Value& item) {
        const auto* inner = item.get_if<List>();
        return inner ? std::all_of(inner->begin(), inner->end(), is_atom) : is_atom(item);
      });
    }
    return is_atom(value);
  }
  static bool is_atom(const Value& value) {
    const auto* dict = value.get_if<Tree>();
    const auto* list = value.get_if<List>();
    return !value.is<ts::TensorInfo>() && !(dict && !dict->empty()) && !(list && !list->empty());
  }

  std::vector<Row> rows_of(const Tree& dict, const std::string& path) {
    std::vector<Row> rows;
    if (const std::string summary = alike(dict); !summary.empty()) {
      rows.push_back({summary, Style::dim, {}, {}, {}});
      return rows;
    }
    const bool many = !all_ && std::count_if(dict.begin(), dict.end(), [](const auto& entry) {
                                 return entry.second.template is<ts::TensorInfo>();
                               }) > 32;
    std::map<std::tuple<std::string, std::string, std::string>, Family> families;
    std::vector<std::pair<std::size_t, const Family*>> shown;  // the row of each family
    for (const auto& [key, value] : dict) {
      const std::string below = ts::detail::join(path, key);
      const auto* tensor = value.get_if<ts::TensorInfo>();
      if (tensor && many && !is_tied(*tensor)) {
        const std::string label = key_label(key);
        const auto [at, added] =
            families.try_emplace({pattern_of(label), std::string(name(tensor->dtype)), shape_text(tensor->shape)});
        at->second.add(label);
        if (!added) {
          tied_.emplace(tensor, below);
          continue;
        }
        shown.emplace_back(rows.size(), &at->second);
      }
      rows.push_back(row_of(key_label(key), value, below));
    }
    for (const auto& [row, family] : shown) {
      if (family->count < 2) continue;
      rows[row].label = family->label();
      rows[row].cells[3] = "each of " + std::to_string(family->count);
    }
    return rows;
  }

  Row row_of(const std::string& label, const Value& value, const std::string& path) {
    if (const auto* tensor = value.get_if<ts::TensorInfo>()) return tensor_row(label, *tensor, path);
    if (const auto* dict = value.get_if<Tree>(); dict && !dict->empty()) {
      if (!component(path) && !is_record(*dict)) return dict_row(label, *dict, path);
      Row row{label, Style::bold, {}, {}, rows_of_component(*dict, path)};
      std::string what = component_text(component(path));
      if (const auto* version = member<std::int64_t>(dict, "version"); what.empty() && version) {
        what = "v" + std::to_string(*version);
      }
      if (!what.empty()) row.items.push_back(what);
      add_size(row, value);
      return row;
    }
    const auto* list = value.get_if<List>();
    if (list && !is_plain(value)) {
      Row row{label, Style::plain, {}, {}, {}};
      constexpr std::size_t first = 3;  // of many; and the last one
      for (std::size_t i = 0; i < list->size(); ++i) {
        if (!all_ && list->size() > longest_list && i == first) {
          row.below.push_back({"... " + std::to_string(list->size() - first - 1) + " more", Style::dim, {}, {}, {}});
          i = list->size() - 1;
        }
        const std::string at = ts::detail::join(path, static_cast<std::int64_t>(i));
        row.below.push_back(row_of(std::to_string(i), with_names((*list)[i], i), at));
      }
      return row;
    }
    return {label + " = " + value_text(value), Style::plain, {}, {}, {}};
  }

  Row dict_row(const std::string& label, const Tree& dict, const std::string& path) {
    Row row{label, Style::plain, {}, {}, {}};
    const bool plain = std::all_of(dict.begin(), dict.end(), [](const auto& entry) { return is_plain(entry.second); });
    if (plain) {
      for (const auto& [key, value] : dict) row.items.push_back(key_label(key) + " = " + value_text(value));
      return row;
    }
    if (const std::string summary = alike(dict); !summary.empty()) {
      row.items.push_back(summary);
      add_size(row, dict);
      return row;
    }
    row.below = rows_of(dict, path);
    if (path.find('/') == std::string::npos) {  // a part of a file without a manifest
      row.style = Style::bold;
      add_size(row, dict);
    }
    return row;
  }

  void add_size(Row& row, const Value& value) const {
    TensorCount tensors;
    tensors.add(value);
    if (tensors.count() != 0) {
      row.items.push_back(counted(tensors.count(), "tensor"));
      row.items.push_back(size_text(tensors.bytes()));
    }
  }

  Row tensor_row(const std::string& label, const ts::TensorInfo& tensor, const std::string& path) {
    std::string beside;
    if (tensor.storage && tensor.storage->device != "cpu") beside = printable(tensor.storage->device);
    if (tensor.numel() != 0) {
      const auto [first, added] = tied_.emplace(&tensor, path);
      if (!added && first->second != path)
        beside += (beside.empty() ? "same as " : ", same as ") + printable(first->second);
    }
    return {label,
            Style::plain,
            {std::string(name(tensor.dtype)), shape_text(tensor.shape), size_text(tensor.nbytes()), beside},
            {},
            {}};
  }

  [[nodiscard]] bool is_tied(const ts::TensorInfo& tensor) const {
    return tensor.numel() != 0 && tied_.contains(&tensor);
  }

  // Many dicts of the same keys, as an optimizer keeps for its parameters, in a few words; empty for all others.
  [[nodiscard]] std::string alike(const Tree& dict) const {
    if (all_ || dict.size() < 3) return "";
    const auto* first = (*dict.begin()).second.get_if<Tree>();
    if (!first || first->empty()) return "";
    for (const auto& [key, value] : dict) {
      const auto* other = value.get_if<Tree>();
      if (!other || other->size() != first->size()) return "";
      for (auto a = first->begin(), b = other->begin(); a != first->end(); ++a, ++b) {
        if (a->first != b->first || !is_leaf(b->second)) return "";
      }
    }
    std::string keys;
    for (const auto& [key, value] : *first) keys += (keys.empty() ? "" : ", ") + key_label(key);
    return std::to_string(dict.size()) + " dicts of {" + keys + "}";
  }
  static bool is_leaf(const Value& value) { return is_plain(value) || value.is<ts::TensorInfo>(); }

  // `params = [0, 1]` of an optimizer's group, by the names that the manifest has for them.
  [[nodiscard]] Value with_names(const Value& value, std::size_t group) const {
    const auto* dict = value.get_if<Tree>();
    if (!dict || !names_ || group >= names_->size()) return value;
    const auto* params = member<List>(dict, "params");
    const auto* names = (*names_)[group].get_if<List>();
    if (!params || !names || params->size() != names->size()) return value;
    Tree named = *dict;
    named["params"] = *names;
    return named;
  }

  // Tensors of one dtype and shape whose names differ in numbers only.
  struct Family {
    std::size_t count = 0;
    std::vector<std::string> parts;  // of the first one's name
    std::vector<std::pair<std::int64_t, std::int64_t>> ranges;

    void add(const std::string& label) {
      auto found = split(label);
      if (count++ == 0) {
        parts = found;
        ranges.assign(parts.size(), {-1, -1});
      }
      for (std::size_t i = 0; i < std::min(parts.size(), found.size()); ++i) {
        const auto number = ts::detail::integer_of(found[i]).value_or(-1);
        if (number < 0) continue;
        auto& [low, high] = ranges[i];
        low = low < 0 ? number : std::min(low, number);
        high = std::max(high, number);
      }
    }
    [[nodiscard]] std::string label() const {
      std::string text;
      for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto [low, high] = ranges[i];
        if (i != 0) text += '.';
        text += low == high ? parts[i] : "{" + std::to_string(low) + ".." + std::to_string(high) + "}";
      }
      return text;
    }
  };

  static std::vector<std::string> split(const std::string& label) {
    std::vector<std::string> parts(1);
    for (const char c : label) {
      if (c == '.') {
        parts.emplace_back();
      } else {
        parts.back() += c;
      }
    }
    return parts;
  }
  static std::string pattern_of(const std::string& label) {
    std::string pattern;
    for (const auto& part : split(label)) pattern += ts::detail::integer_of(part).value_or(-1) < 0 ? part + '.' : "*.";
    return pattern;
  }

  // Where nothing of the tree is.
  static constexpr const char* beside_the_tree = "/";

  const ts::format::Document& document_;
  const Tree* components_;
  bool all_;
  std::map<std::string, std::vector<std::pair<std::string, const Tree*>>>
      inner_;                              // components that are no dict, by part
  const List* names_ = nullptr;            // of the optimizer at hand
  ts::format::ViewMap<std::string> tied_;  // the path at which a view was seen first
};

/// What wrote a file: `trainstate 0.1.0, LibTorch 1.13.0, g++ 12.2.0`; empty where it does not say.
inline std::string writer_text(const ts::format::Document& document) {
  std::string text;
  const Tree* manifest = document.manifest ? &*document.manifest : nullptr;
  for (const auto& [key, label] :
       {std::pair("trainstate", "trainstate "), {"libtorch", "LibTorch "}, {"compiler", ""}, {"cuda", "CUDA "}}) {
    if (const auto* version = member<std::string>(manifest, key)) {
      text += (text.empty() ? "" : ", ") + std::string(label) + printable(*version);
    }
  }
  return text;
}

/// Prints what a file holds. Reads no tensor. Returns the exit code.
inline int inspect(const Console& console, const std::vector<std::filesystem::path>& paths,
                   const InspectOptions& options) {
  bool first = true;
  for (const auto& path : paths) {
    const CheckpointFile file = open_file(path);
    if (options.json) {
      console.out << inspect_json(file) << '\n';
      continue;
    }
    if (!first) console.out << '\n';
    first = false;
    const auto& document = file.document;
    Inspection inspection(document, options.all);
    TensorCount tensors;
    tensors.add(document.tree);
    const std::string writer = writer_text(document);
    console.out << console.paint(Style::bold, printable(path.string())) << "  " << size_text(file.size) << ", "
                << file.container << (writer.empty() ? "" : " by " + writer) << '\n';
    const std::string what = component_text(inspection.component(""));
    console.out << (what.empty() ? "" : what + ", ") << tensors.text() << '\n';
    for (const auto& warning : document.warnings) {
      console.out << console.paint(Style::yellow, "note: " + printable(warning)) << '\n';
    }
    if (!document.tree.empty()) console.out << '\n';
    RowPrinter(console).print(inspection.rows());
    if (!document.metadata.empty()) {
      Row row{"metadata", Style::bold, {}, {}, {}};
      for (const auto& [key, text] : document.metadata) {
        row.below.push_back({printable(key) + " = " + text_in_quotes(text), Style::plain, {}, {}, {}});
      }
      console.out << '\n';
      RowPrinter(console).print({row});
    }
  }
  return 0;
}

}  // namespace tool
