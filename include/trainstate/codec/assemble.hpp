// Joins a file's tree and its manifest, so that migration hooks and codecs see whole records.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
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

/// The path of the nearest component above `path` that is of this kind; nothing if there is none.
inline std::optional<std::string> component_above(std::string_view path, std::string_view kind,
                                                  const StateDict& components) {
  constexpr std::ptrdiff_t deepest = 1024;  // no tree is: a file with such a path is not worth the time
  if (std::ranges::count(path, '/') > deepest) return std::nullopt;
  while (!path.empty()) {
    path = split_last(path).first.value_or("");
    std::string above(path);
    const Value* record = components.find_key(above);
    if (record && record->is<StateDict>() && text_in(record->as<StateDict>(), "kind") == kind) return above;
  }
  return std::nullopt;
}

/// What comes after the path `above`, which is not all of `path`.
inline std::string_view path_below(std::string_view path, std::string_view above) {
  return path.substr(above.empty() ? 0 : above.size() + 1);
}

/// The path of the module that holds a submodule's tensors, and the submodule's dotted name relative to it.
inline std::pair<std::string, std::string> owner_of(const std::string& path, const StateDict& components) {
  std::string owner = component_above(path, "module", components).value_or("");
  std::string name;
  std::optional<std::string_view> rest = path_below(path, owner);
  while (rest) {
    const auto [head, tail] = split_first(*rest);
    name += (name.empty() ? "" : ".") + unescaped(head);
    rest = tail;
  }
  return {std::move(owner), std::move(name)};
}

/// The value at the path of a component that stands in the record of a described submodule, which `assemble` put beside
/// the submodule's tensors.
inline Value* in_submodule(Value& root, const std::string& path, const StateDict& components) {
  const auto submodule = component_above(path, "submodule", components);
  if (!submodule) return nullptr;
  const auto [owner, name] = owner_of(*submodule, components);
  Value* module = at_manifest_path(root, owner);
  Value* state = module && module->is<StateDict>() ? module->as<StateDict>().find("state") : nullptr;
  Value* record = state && state->is<StateDict>() ? state->as<StateDict>().find_key(submodule_key(name)) : nullptr;
  return record && record->is<StateDict>() ? record->as<StateDict>().find(path_below(path, *submodule)) : nullptr;
}

/// Completes `root` from the manifest's `components`: a described module becomes `{"version", "params", "state"}`, with
/// the state that is no tensor beside the tensors; other records whose place has none for it take theirs along as
/// `manifest_key`.
inline Assembled assemble(Value& root, const StateDict& components) {
  Assembled done;
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
    module->as<StateDict>()[submodule_key(name)] = record;
  });
  each("module", [&](const std::string& path, const StateDict& manifest) {
    Value* module = at_manifest_path(root, path);
    if (!module || !module->is<StateDict>()) return;
    if (!manifest.find_key("params")) return void(done.plain.insert(path));
    done.described.insert(path);
    const Value* version = manifest.find_key("version");
    StateDict record;
    record["version"] = version ? *version : Value(1);
    record["params"] = dict_in(manifest, "params");
    StateDict state = std::move(module->as<StateDict>());
    for (const auto& [key, value] : dict_in(manifest, "state")) state[key] = value;
    record["state"] = std::move(state);
    *module = std::move(record);
  });
  for (const std::string_view kind : {"flat", "checkpoint", "optimizer"}) {
    each(kind, [&](const std::string& path, const StateDict& record) {
      Value* value = at_manifest_path(root, path);
      if (!value) value = in_submodule(root, path, components);
      if (!value || !value->is<StateDict>()) return;
      value->as<StateDict>()[manifest_key] = record;
      done.annotated.insert(path);
    });
  }
  return done;
}

}  // namespace trainstate::detail
