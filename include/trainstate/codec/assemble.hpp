// Joins a file's tree and its manifest, so that migration hooks and codecs see whole records.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "trainstate/codec/component.hpp"
#include "trainstate/path.hpp"
#include "trainstate/state_dict.hpp"

namespace trainstate::detail {

/// The value at a path of the manifest; the empty path is the root, which may be a list.
inline Value* at_manifest_path(Value& root, std::string_view path) {
  if (path.empty()) return &root;
  if (auto* dict = root.get_if<StateDict>()) return dict->find(path);
  auto* list = root.get_if<List>();
  const auto [head, rest] = split_first(path);
  const auto i = integer_of(head);
  if (!list || !i || *i < 0 || static_cast<std::size_t>(*i) >= list->size()) return nullptr;
  return at_manifest_path((*list)[static_cast<std::size_t>(*i)], rest.value_or(""));
}

inline std::string_view text_in(const StateDict& record, const Key& key) {
  const Value* value = record.find_key(key);
  const auto* text = value ? value->get_if<std::string>() : nullptr;
  return text ? std::string_view(*text) : std::string_view();
}

inline StateDict dict_in(const StateDict& record, const Key& key) {
  const Value* value = record.find_key(key);
  const auto* dict = value ? value->get_if<StateDict>() : nullptr;
  return dict ? *dict : StateDict();
}

inline List list_in(const StateDict& record, const Key& key) {
  const Value* value = record.find_key(key);
  const auto* list = value ? value->get_if<List>() : nullptr;
  return list ? *list : List();
}

/// The dotted name of a submodule relative to the module that holds its tensors, and that module's path. The longest
/// path that the manifest calls a module is the one.
inline std::pair<std::string, std::string> owner_of(const std::string& path, const StateDict& components) {
  std::string_view owner = path;
  while (!owner.empty()) {
    owner = split_last(owner).first.value_or("");
    const Value* record = components.find_key(std::string(owner));
    if (record && record->is<StateDict>() && text_in(record->as<StateDict>(), "kind") == "module") break;
  }
  std::string name;
  std::optional<std::string_view> rest = std::string_view(path).substr(owner.empty() ? 0 : owner.size() + 1);
  while (rest) {
    const auto [head, tail] = split_first(*rest);
    name += (name.empty() ? "" : ".") + unescaped(head);
    rest = tail;
  }
  return {std::string(owner), name};
}

/// The kinds of components whose records in a tree have no place for a version.
inline constexpr std::string_view kinds_beside[] = {"flat", "checkpoint", "optimizer"};

/// Completes `root` from the manifest's `components`: a module becomes `{"version", "params", "state"}`, with the state
/// that is no tensor beside the tensors; other records whose place has none for it take theirs along as `manifest_key`.
inline void assemble(Value& root, StateDict components) {
  // What a module's own record holds is beside the tree still.
  for (auto& [key, value] : components) {
    const auto* owner = std::get_if<std::string>(&key);
    auto* module = value.get_if<StateDict>();
    const auto kind = module ? text_in(*module, "kind") : "";
    if (!owner || (kind != "module" && kind != "submodule")) continue;
    const std::string prefix = owner->empty() ? "" : *owner + '/';
    for (const auto& [inner_key, record] : components) {
      const auto* path = std::get_if<std::string>(&inner_key);
      if (!path || !path->starts_with(prefix) || path->size() == prefix.size() || !record.is<StateDict>()) continue;
      if (std::ranges::count(kinds_beside, text_in(record.as<StateDict>(), "kind")) == 0) continue;
      Value* inside = module->find(std::string_view(*path).substr(prefix.size()));
      if (inside && inside->is<StateDict>()) inside->as<StateDict>()[manifest_key] = record;
    }
  }
  const auto each = [&](std::string_view kind, const auto& f) {
    for (const auto& [key, value] : components) {
      const auto* path = std::get_if<std::string>(&key);
      const auto* record = value.template get_if<StateDict>();
      if (path && record && text_in(*record, "kind") == kind) f(*path, *record);
    }
  };
  each("submodule", [&](const std::string& path, const StateDict& record) {
    const auto [owner, name] = owner_of(path, components);
    Value* module = at_manifest_path(root, owner);
    if (!module || !module->is<StateDict>()) return;
    module->as<StateDict>()[name + '.' + std::get<std::string>(manifest_key)] = record;
  });
  each("module", [&](const std::string& path, const StateDict& manifest) {
    Value* module = at_manifest_path(root, path);
    if (!module || !module->is<StateDict>()) return;
    const Value* version = manifest.find_key("version");
    StateDict record;
    record["version"] = version ? *version : Value(1);
    record["params"] = dict_in(manifest, "params");
    StateDict state = std::move(module->as<StateDict>());
    for (const auto& [key, value] : dict_in(manifest, "state")) state[key] = value;
    record["state"] = std::move(state);
    *module = std::move(record);
  });
  for (const std::string_view kind : kinds_beside) {
    each(kind, [&](const std::string& path, const StateDict& record) {
      Value* value = at_manifest_path(root, path);
      if (value && value->is<StateDict>()) value->as<StateDict>()[manifest_key] = record;
    });
  }
}

}  // namespace trainstate::detail
