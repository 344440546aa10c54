// The parameters of a live optimizer and of one in a file, with their names as far as they are known.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/optimizer.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "trainstate/codec/component.hpp"
#include "trainstate/codec/context.hpp"
#include "trainstate/codec/sequence.hpp"

namespace trainstate::detail {

struct LiveGroup {
  std::vector<at::Tensor> parameters;
  std::vector<std::int64_t> indices;              ///< Python's numbers for them, across all groups
  std::vector<const ParameterName*> known;        ///< nullptr for a nameless one
  std::optional<std::vector<std::string>> names;  ///< nothing if any is nameless
};

struct LiveParameters {
  std::vector<LiveGroup> groups;
  std::set<std::string> modules;  ///< to which the parameters belong

  /// Then names begin with the module's.
  [[nodiscard]] bool spans_modules() const { return modules.size() > 1; }
};

/// A module's path as the beginning of a parameter's name: `part/encoder` -> `part.encoder.`.
inline std::string module_prefix(const std::string& path) {
  std::string prefix;
  std::optional<std::string_view> rest = path;
  while (rest && !path.empty()) {
    const auto [head, tail] = split_first(*rest);
    prefix += unescaped(head) + '.';
    rest = tail;
  }
  return prefix;
}

/// Numbers the parameters as Python does: counting through the groups, and a parameter that stands twice keeps its
/// first number.
inline LiveParameters live_parameters(const torch::optim::Optimizer& optimizer, const ParameterNames& names) {
  LiveParameters live;
  std::unordered_map<const c10::TensorImpl*, std::int64_t> numbers;
  std::int64_t count = 0;
  for (const auto& group : optimizer.param_groups()) {
    LiveGroup& own = live.groups.emplace_back();
    for (const at::Tensor& parameter : group.params()) {
      own.parameters.push_back(parameter);
      own.indices.push_back(numbers.try_emplace(parameter.unsafeGetTensorImpl(), count).first->second);
      own.known.push_back(names.find(parameter));
      if (own.known.back()) live.modules.insert(own.known.back()->module);
      ++count;
    }
  }
  for (LiveGroup& group : live.groups) {
    std::vector<std::string> own;
    for (const ParameterName* name : group.known) {
      if (name) own.push_back((live.spans_modules() ? module_prefix(name->module) : "") + name->name);
    }
    if (own.size() == group.known.size()) group.names = std::move(own);
  }
  return live;
}

struct FileGroup {
  const StateDict* options = nullptr;             ///< the group as it stands in the file
  std::vector<Key> ids;                           ///< under which `state` has its parameters
  std::optional<std::vector<std::string>> names;  ///< aligned with `ids`
};

struct FileParameters {
  std::vector<FileGroup> groups;
  const StateDict* state = nullptr;
  std::string module;  ///< to which all parameters belonged, as far as it is known
};

/// The names of one group: a list of strings, or None.
inline std::optional<std::vector<std::string>> read_names(const Value& value, std::size_t size, LoadContext& context) {
  if (value.is<None>()) return std::nullopt;
  std::vector<std::string> names;
  if (const auto* list = value.get_if<List>()) {
    for (const Value& name : *list) {
      if (const auto* text = name.get_if<std::string>()) names.push_back(*text);
    }
    if (names.size() == size && list->size() == size) return names;
  }
  context.mismatch("a list of " + std::to_string(size) + " names", value.describe());
  return std::nullopt;
}

/// An entry of a dict that should be an `A`; else nullptr, and what is wrong is noted.
template <class A>
const A* expect_entry(const StateDict& dict, const char* key, const char* expected, LoadContext& context) {
  const Value* value = dict.find_key(std::string(key));
  if (!value) {
    context.missing(std::string(key));
    return nullptr;
  }
  const A* entry = value->get_if<A>();
  if (!entry) {
    const auto scope = context.enter(std::string(key));
    context.mismatch(expected, value->describe());
  }
  return entry;
}

inline std::optional<FileGroup> read_group(const Value& value, LoadContext& context) {
  FileGroup group;
  group.options = value.get_if<StateDict>();
  if (!group.options) {
    context.mismatch("a parameter group, a dict", value.describe());
    return std::nullopt;
  }
  const auto* ids = expect_entry<List>(*group.options, "params", "a list of parameter numbers", context);
  if (!ids) return std::nullopt;
  for (const Value& id : *ids) {
    if (const auto* number = id.get_if<std::int64_t>()) group.ids.push_back(*number);
  }
  if (group.ids.size() != ids->size()) {
    const auto scope = context.enter("params");
    context.mismatch("a list of parameter numbers", Value(*ids).describe());
    return std::nullopt;
  }
  return group;
}

/// Reads the structure of an optimizer's state dict, and the names of its parameters from the manifest's record, else
/// from Python's own `param_names`. Nothing (and what is wrong is noted) if it is not one.
inline std::optional<FileParameters> read_parameters(const StateDict& dict, LoadContext& context) {
  FileParameters file;
  file.state = expect_entry<StateDict>(dict, "state", "a dict of the parameters' states", context);
  const auto* groups = expect_entry<List>(dict, "param_groups", "a list of parameter groups", context);
  for (const auto& [key, value] : dict) {
    if (key != Key("state") && key != Key("param_groups") && key != manifest_key) context.unexpected(key);
  }
  if (!file.state || !groups) return std::nullopt;

  const Value* record = dict.find_key(manifest_key);
  const auto* manifest = record ? record->get_if<StateDict>() : nullptr;
  const Value* recorded = manifest ? manifest->find_key("param_names") : nullptr;
  const auto* names = recorded ? recorded->get_if<List>() : nullptr;
  const Value* module = manifest ? manifest->find_key("module") : nullptr;
  if (module && module->is<std::string>()) file.module = module->as<std::string>();
  const auto scope = context.enter("param_groups");
  if (names && names->size() != groups->size()) {
    context.mismatch("as many groups as the manifest names, " + std::to_string(names->size()),
                     Value(*groups).describe());
    return std::nullopt;
  }
  for (std::size_t i = 0; i < groups->size(); ++i) {
    const auto inner = context.enter(index_key(i));
    auto group = read_group((*groups)[i], context);
    if (!group) return std::nullopt;
    if (const Value* own = names ? &(*names)[i] : group->options->find_key("param_names")) {
      group->names = read_names(*own, group->ids.size(), context);
    }
    file.groups.push_back(*std::move(group));
  }
  return file;
}

}  // namespace trainstate::detail
