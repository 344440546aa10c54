// The tensors that a person names.
#pragma once

#include <fnmatch.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint_file.hpp"
#include "text.hpp"

namespace tool {

/// True for the tensor's path or dotted name, for what it lies below, and for patterns with `*`, `?` and `[…]`.
inline bool is_meant(const NamedTensor& tensor, const std::string& name) {
  const auto below = [&](const std::string& whole, char separator) {
    return whole.starts_with(name) && (whole.size() == name.size() || whole[name.size()] == separator);
  };
  return below(tensor.path, '/') || below(tensor.dotted, '.') || below(tensor.path, '.') ||
         ::fnmatch(name.c_str(), tensor.path.c_str(), 0) == 0 || ::fnmatch(name.c_str(), tensor.dotted.c_str(), 0) == 0;
}

/// How many edits lead from one text to the other.
inline std::size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j] ? 1 : 0);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, diagonal + 1, row[j] + 1});
    }
  }
  return row.back();
}

/// Throws Refusal for a name that nothing has; says which one may have been meant.
[[noreturn]] inline void throw_not_found(const CheckpointFile& file, std::string_view kind, const std::string& name,
                                         const std::vector<std::string>& known) {
  std::string what = file.path.string() + ": no " + std::string(kind) + " '" + name + "'";
  const std::string* best = nullptr;
  std::size_t fewest = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const auto& each : known) {
    if (each.size() > 2 * name.size() + 8) continue;
    if (const std::size_t edits = edits_between(name, each); edits < fewest) {
      fewest = edits;
      best = &each;
    }
  }
  throw Refusal(best ? what + "; is '" + *best + "' meant?" : what);
}

/// All tensors that one of the names means, in the order of the file; every tensor where there are no names. Throws
/// Refusal for a name that means none.
inline std::vector<NamedTensor> selected(const CheckpointFile& file, const std::vector<std::string>& names) {
  auto tensors = tensors_of(file.document.tree);
  if (names.empty()) return tensors;
  std::vector<bool> taken(tensors.size());
  for (const auto& name : names) {
    bool found = false;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (!is_meant(tensors[i], name)) continue;
      taken[i] = found = true;
    }
    if (found) continue;
    std::vector<std::string> known;
    for (const auto& tensor : tensors) known.push_back(tensor.dotted);
    throw_not_found(file, "tensor", name, known);
  }
  std::vector<NamedTensor> chosen;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (taken[i]) chosen.push_back(std::move(tensors[i]));
  }
  return chosen;
}

}  // namespace tool
