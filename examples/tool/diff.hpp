// `trainstate diff`: what is different between two checkpoints, part by part.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint_file.hpp"
#include "console.hpp"
#include "elements.hpp"
#include "measure.hpp"
#include "progress.hpp"
#include "text.hpp"
#include "trainstate/path.hpp"

namespace tool {

/// How far two tensors of one dtype and shape are apart.
struct Distance {
  std::uint64_t elements = 0, changed = 0;  ///< changed in any bit
  double largest = 0, squares = 0, reference = 0;
  bool incomparable = false;  ///< NaN, or an infinity against something else

  void merge(const Distance& next) {
    elements += next.elements;
    changed += next.changed;
    largest = std::max(largest, next.largest);
    squares += next.squares;
    reference += next.reference;
    incomparable = incomparable || next.incomparable;
  }
  /// |a - b| / |a| (L2), of what is finite.
  [[nodiscard]] double relative() const { return std::sqrt(squares) / std::sqrt(reference); }
};

/// The distance of bytes [from, from + size) of the dense forms.
inline Distance distance_of(const ts::TensorInfo& a, const ts::TensorInfo& b, std::uint64_t from, std::uint64_t size) {
  Distance found;
  if (size == 0) return found;
  thread_local std::vector<std::byte> memory_a, memory_b;
  const auto left = dense_part(a, from, size, memory_a), right = dense_part(b, from, size, memory_b);
  const bool equal = std::memcmp(left.data(), right.data(), left.size()) == 0;
  const auto compare = [&](const auto element) {
    for (std::size_t at = 0; at < left.size(); at += element.size) {
      const auto x = element(left.data() + at);
      ++found.elements;
      const double size_of_x = as_double(x);
      if (size_of_x <= std::numeric_limits<double>::max()) found.reference += size_of_x * size_of_x;
      if (equal || std::memcmp(left.data() + at, right.data() + at, element.size) == 0) continue;
      ++found.changed;
      const double apart = distance(x, element(right.data() + at));
      if (!(apart <= std::numeric_limits<double>::max())) {
        found.incomparable = true;
        continue;
      }
      found.largest = std::max(found.largest, apart);
      found.squares += apart * apart;
    }
  };
  if (!with_elements(a.dtype, compare)) compare(PlainElements<std::uint8_t>());
  return found;
}

/// One finding. `kind` is `+` (only in the second file), `-` (only in the first) or `~`.
struct DiffLine {
  char kind;
  std::string label;
  std::vector<std::string> cells;  ///< one for a value, a few for a tensor
};

/// The findings within one part of a checkpoint.
struct DiffPart {
  std::string title;
  std::vector<DiffLine> lines = {};
  std::uint64_t equal_tensors = 0;
};

/// What is different between two documents.
class Difference {
 public:
  /// Compares everything but who wrote the files and in which format. Throws Refusal for a tensor that would take for
  /// ever.
  Difference(const ts::format::Document& a, const ts::format::Document& b, std::string arrow,
             const ts::io::Progress& progress)
      : arrow_(std::move(arrow)) {
    parts_.push_back({"the whole"});
    for (const auto& [key, value] : a.tree) compare_entry(key, &value, b.tree.find_key(key));
    for (const auto& [key, value] : b.tree) {
      if (!a.tree.find_key(key)) compare_entry(key, nullptr, &value);
    }
    compare_components(a, b);
    compare_metadata(a.metadata, b.metadata);
    compare_tensors(progress);
    std::erase_if(parts_, [](const DiffPart& part) { return part.lines.empty(); });
  }

  /// Those parts in which something is different.
  [[nodiscard]] const std::vector<DiffPart>& parts() const { return parts_; }

  std::uint64_t equal_tensors = 0, changed_tensors = 0, changed_values = 0, added = 0, removed = 0;

 private:
  struct Pair {
    ts::TensorInfo a, b;
    std::size_t part, line;
  };

  void compare_entry(const ts::Key& key, const Value* a, const Value* b) {
    const std::string label = key_label(key);
    const auto is_part = [](const Value* value) { return !value || value->is<Tree>(); };
    if (!is_part(a) || !is_part(b)) return compare(0, label, a, b);
    const auto* dict = (a ? a : b)->get_if<Tree>();
    if (!a || !b) {
      TensorCount tensors;
      tensors.add(*dict);
      return add(0, a ? '-' : '+', label, tensors.text());
    }
    part_of_.emplace(ts::detail::join("", key), parts_.size());
    parts_.push_back({label});
    compare(parts_.size() - 1, "", a, b);
  }

  void add(std::size_t part, char kind, const std::string& label, std::string text) {
    parts_[part].lines.push_back({kind, label, {std::move(text)}});
    (kind == '+' ? added : kind == '-' ? removed : changed_values) += 1;
  }

  static std::string below(const std::string& label, const std::string& key) {
    return label.empty() ? key : label + '/' + key;
  }

  void compare(std::size_t part, const std::string& label, const Value* a, const Value* b) {
    if (!a || !b) return add(part, a ? '-' : '+', label, value_text(a ? *a : *b));
    const auto *dict_a = a->get_if<Tree>(), *dict_b = b->get_if<Tree>();
    if (dict_a && dict_b) return compare_dicts(part, label, *dict_a, *dict_b);
    const auto *list_a = a->get_if<List>(), *list_b = b->get_if<List>();
    if (list_a && list_b && !(is_plain(*list_a) && is_plain(*list_b))) {
      for (std::size_t i = 0; i < std::max(list_a->size(), list_b->size()); ++i) {
        compare(part, below(label, std::to_string(i)), i < list_a->size() ? &(*list_a)[i] : nullptr,
                i < list_b->size() ? &(*list_b)[i] : nullptr);
      }
      return;
    }
    const auto *tensor_a = a->get_if<ts::TensorInfo>(), *tensor_b = b->get_if<ts::TensorInfo>();
    if (tensor_a && tensor_b && tensor_a->dtype == tensor_b->dtype && tensor_a->shape == tensor_b->shape) {
      require_sensible(label, *tensor_a);
      require_sensible(label, *tensor_b);
      pairs_.push_back({*tensor_a, *tensor_b, part, parts_[part].lines.size()});
      parts_[part].lines.push_back({' ', label, {}});  // its place in the order; what it says comes later
      return;
    }
    if (*a == *b) return;
    std::string before = value_text(*a), after = value_text(*b);
    if (before == after) after += " (what is not shown is different)";
    add(part, '~', label, before + arrow_ + after);
  }

  void compare_dicts(std::size_t part, const std::string& label, const Tree& a, const Tree& b) {
    for (const auto& [key, value] : a) compare(part, below(label, key_label(key)), &value, b.find_key(key));
    for (const auto& [key, value] : b) {
      if (!a.find_key(key)) compare(part, below(label, key_label(key)), nullptr, &value);
    }
  }

  static bool is_plain(const List& list) {
    return std::none_of(list.begin(), list.end(), [](const Value& item) {
      return item.is<Tree>() || item.is<List>() || item.is<ts::TensorInfo>();
    });
  }

  // Names and versions, and what the manifest has beside the tree: a module's hyperparameters and state. Only where
  // both files have a manifest.
  void compare_components(const ts::format::Document& a, const ts::format::Document& b) {
    const Tree *all_a = components_of(a), *all_b = components_of(b);
    if (!all_a || !all_b) return;
    for (const auto& [key, component] : *all_a) {
      const std::string path = ts::detail::to_string(key);
      const auto part_at = part_of_.find(path.substr(0, path.find('/')));
      const std::size_t part = part_at == part_of_.end() ? 0 : part_at->second;
      const std::string label = part == 0 ? path : path.substr(std::min(path.size(), part_at->first.size() + 1));
      const auto *left = component.get_if<Tree>(), *right = member<Tree>(all_b, path);
      if (!left || !right) continue;  // the tree says that the part is gone
      const std::string before = component_text(left), after = component_text(right);
      if (label.empty() && !after.empty() && part != 0) parts_[part].title += "  " + after;
      const bool said =
          before == after || (has_version(a.tree, path) && has_version(b.tree, path) && same_name(*left, *right));
      if (!said) add(part, '~', below(printable(label), "version"), before + arrow_ + after);
      for (const char* fields : {"params", "state", "param_names"}) {
        compare_optional(part, below(printable(label), fields), left->find_key(fields), right->find_key(fields));
      }
    }
  }

  void compare_optional(std::size_t part, const std::string& label, const Value* a, const Value* b) {
    if (a || b) compare(part, label, a, b);
  }

  static bool same_name(const Tree& a, const Tree& b) {
    const auto *left = a.find_key("name"), *right = b.find_key("name");
    return (left == nullptr) == (right == nullptr) && (!left || *left == *right);
  }
  static bool has_version(const Tree& tree, const std::string& path) {
    if (path.empty()) return tree.find_key("version") != nullptr;
    const Value* value = tree.find(path);
    const auto* dict = value ? value->get_if<Tree>() : nullptr;
    return dict && dict->find_key("version");
  }

  // `format` is about the container of a foreign file.
  void compare_metadata(const std::map<std::string, std::string>& a, const std::map<std::string, std::string>& b) {
    const std::size_t part = parts_.size();
    parts_.push_back({"metadata"});
    for (const auto& [key, text] : a) {
      if (key == "format") continue;
      const auto other = b.find(key);
      if (other == b.end()) {
        add(part, '-', printable(key), text_in_quotes(text));
      } else if (text != other->second) {
        add(part, '~', printable(key), text_in_quotes(text) + arrow_ + text_in_quotes(other->second));
      }
    }
    for (const auto& [key, text] : b) {
      if (key != "format" && !a.contains(key)) add(part, '+', printable(key), text_in_quotes(text));
    }
  }

  void compare_tensors(const ts::io::Progress& progress) {
    std::vector<std::uint64_t> sizes;
    for (const Pair& pair : pairs_) sizes.push_back(pair.a.nbytes());
    const auto distances = measured<Distance>(
        sizes,
        [&](std::size_t i, std::uint64_t from, std::uint64_t size, Distance& partial) {
          partial = distance_of(pairs_[i].a, pairs_[i].b, from, size);
        },
        progress);
    for (std::size_t i = 0; i < pairs_.size(); ++i) {
      const Distance& found = distances[i];
      DiffLine& line = parts_[pairs_[i].part].lines[pairs_[i].line];
      if (found.changed == 0) {
        ++equal_tensors;
        ++parts_[pairs_[i].part].equal_tensors;
        continue;
      }
      ++changed_tensors;
      line.kind = '~';
      const std::string changed = found.changed == found.elements
                                      ? "all"
                                      : std::to_string(found.changed) + " of " + std::to_string(found.elements);
      line.cells = {tensor_text(pairs_[i].a), changed + " changed", "max " + number_text(found.largest),
                    found.reference > 0 ? "relative " + number_text(found.relative()) : "",
                    found.incomparable ? "NaN or infinite" : ""};
    }
    for (DiffPart& part : parts_) std::erase_if(part.lines, [](const DiffLine& line) { return line.kind == ' '; });
  }

  std::string arrow_;
  std::vector<Pair> pairs_;
  std::vector<DiffPart> parts_;  // the first holds what stands in the root itself
  std::map<std::string, std::size_t> part_of_;
};

/// Prints what is different between two files. Returns 0 if nothing is, else 1, as diff(1) does.
inline int diff(const Console& console, const std::filesystem::path& a, const std::filesystem::path& b, bool quiet) {
  const CheckpointFile left = open_file(a), right = open_file(b);
  const Difference difference = [&] {
    ProgressBar bar(console, "comparing");
    return Difference(left.document, right.document, console.arrow(), bar.callback());
  }();
  const bool equal = difference.parts().empty();
  if (quiet) return equal ? 0 : 1;
  for (const DiffPart& part : difference.parts()) {
    console.out << console.paint(Style::bold, part.title) << '\n';
    std::size_t label = 0;
    std::vector<std::size_t> widths;
    for (const DiffLine& line : part.lines) {
      label = std::max(label, std::min<std::size_t>(width_of(line.label), 48));
      if (line.cells.size() == 1) continue;
      widths.resize(line.cells.size());
      for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], width_of(line.cells[i]));
    }
    for (const DiffLine& line : part.lines) {
      const Style style = line.kind == '+' ? Style::green : line.kind == '-' ? Style::red : Style::yellow;
      console.out << "  " << console.paint(style, std::string(1, line.kind) + ' ' + padded(line.label, label));
      std::string text;
      for (std::size_t i = 0; i < line.cells.size(); ++i) {
        text += "  " + (line.cells.size() == 1 ? line.cells[i] : padded(line.cells[i], widths[i]));
      }
      console.out << text.erase(text.find_last_not_of(' ') + 1) << '\n';
    }
    if (part.equal_tensors != 0) {
      console.out << console.paint(Style::dim, "    and " + counted(part.equal_tensors, "equal tensor")) << '\n';
    }
  }
  console.out << (equal ? "equal: " : "\n") << counted(difference.equal_tensors, "tensor") << " equal";
  if (!equal) {
    console.out << ", " << difference.changed_tensors << " changed; " << counted(difference.changed_values, "value")
                << " changed; " << difference.added << " added, " << difference.removed << " removed";
  }
  console.out << '\n';
  return equal ? 0 : 1;
}

}  // namespace tool
