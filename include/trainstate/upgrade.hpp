// Rewrites an old file at today's versions.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "trainstate/checkpoint.hpp"
#include "trainstate/codec/assemble.hpp"
#include "trainstate/files.hpp"
#include "trainstate/objects.hpp"

namespace trainstate {
namespace detail {

/// The path in `components` of the submodule whose tensors stand under the dotted `prefix` of the module at `path`.
inline Key submodule_path(const std::string& path, const std::string& prefix, const StateDict& components) {
  for (const auto& [key, record] : components) {
    const auto& at = std::get<std::string>(key);
    if (text_in(record.template as<StateDict>(), "kind") != "submodule" || !at.starts_with(path)) continue;
    if (const auto [owner, name] = owner_of(at, components); owner == path && name == prefix) return key;
  }
  return join(path, prefix);
}

/// Takes a module's record apart again: tensors stay in the tree, the rest goes to the manifest.
inline void disassemble_module(Value& value, const std::string& path, StateDict& components) {
  StateDict record = std::move(value.as<StateDict>());
  auto& entries = record.at_key("state").as<StateDict>();
  StateDict flat;
  auto& manifest = components.at_key(path).as<StateDict>();
  manifest["params"] = std::move(record.at_key("params"));
  manifest["state"] = StateDict();
  // The described submodules: their dotted prefix and their own records, innermost last.
  std::vector<std::pair<std::string, StateDict*>> owners{{"", &manifest}};
  const std::string suffix = '.' + std::get<std::string>(manifest_key);
  for (auto& [key, item] : entries) {
    const auto* name = std::get_if<std::string>(&key);
    if (!name || !name->ends_with(suffix)) continue;
    std::string prefix = name->substr(0, name->size() - suffix.size());
    auto* component = components.find_key(submodule_path(path, prefix, components));
    if (!component) continue;
    auto& own = component->template as<StateDict>();
    own["params"] = std::move(item.template as<StateDict>().at_key("params"));
    own["state"] = StateDict();
    owners.emplace_back(std::move(prefix) + '.', &own);
  }
  std::sort(owners.begin(), owners.end(), [](const auto& a, const auto& b) { return a.first.size() < b.first.size(); });
  for (auto& [key, item] : entries) {
    const std::string name = to_string(key);
    if (name.ends_with(suffix)) continue;
    if (item.template is<at::Tensor>() || item.template is<UnsupportedTensor>()) {
      flat[key] = std::move(item);
      continue;
    }
    const auto owner =
        std::find_if(owners.rbegin(), owners.rend(), [&](const auto& o) { return name.starts_with(o.first); });
    owner->second->at_key("state").template as<StateDict>()[name.substr(owner->first.size())] = std::move(item);
  }
  value = std::move(flat);
}

/// Moves the manifest's records that `assemble` put into the tree, and that no migration took out, back to the
/// manifest.
inline void disassemble_records(Value& value, const std::string& path, StateDict& components) {
  auto* dict = value.get_if<StateDict>();
  if (!dict) return;
  if (Value* record = dict->find_key(manifest_key)) {
    components[path] = std::move(*record);
    dict->erase_key(manifest_key);
  }
  for (auto& [key, item] : *dict) disassemble_records(item, join(path, key), components);
}

/// The names of an optimizer's parameters as the modules' hooks renamed them, and its module as `live`, the components
/// of the live objects, name it.
inline void rename_parameters(StateDict& components, const StateDict& live, const LoadContext& context) {
  for (auto& [path, component] : components) {
    auto& record = component.template as<StateDict>();
    const Value* today = live.find_key(path);
    const Value* module = today ? today->template as<StateDict>().find_key("module") : nullptr;
    if (module && record.find_key("module")) record["module"] = *module;
    Value* groups = record.find_key("param_names");
    if (!groups || !groups->is<List>()) continue;
    for (Value& group : groups->as<List>()) {
      if (!group.is<List>()) continue;
      for (Value& name : group.as<List>()) {
        if (name.is<std::string>()) name = context.tracks.name_today(name.as<std::string>());
      }
    }
  }
}

}  // namespace detail

/// Rewrites the file `in` at the versions that the types in `x` have today, as `out`, which may be the same file: it is
/// replaced atomically. `x` is only asked for its types and names; it does not change. What the file has beyond `x`
/// stays as it is. The versions that the file had and the steps that were taken stand in the manifest, under
/// `upgrades`. Throws as `load` and `save` do, and then `out` is untouched.
template <class T>
Report upgrade(const T& x, const std::filesystem::path& in, const std::filesystem::path& out,
               const SaveOptions& options = {}) {
  const std::string where = in.string();
  const auto document = detail::at_the_border(
      "", [&] { return format::read_document(in, {.verify = true, .threads = options.threads}); });
  Report report;
  SaveOptions save_options = options;
  for (const auto& [key, text] : document.metadata) {
    if (key != "format") save_options.metadata.emplace(key, text);  // which others write, and the new file says again
  }
  const auto upgraded = detail::at_the_border(where, [&] {
    auto source = detail::source_of(document);
    detail::Plan plan;
    const LoadOptions load_options;
    detail::ParameterNames names;
    detail::LoadContext context(load_options, names, report, plan);
    detail::Saved saved;
    context.has_manifest = source.has_manifest;
    context.components_today = &saved.components;
    Value root = detail::root_value(x, std::move(source.tree));
    context.assembled = detail::assemble(root, source.components);
    detail::migrate_all<std::remove_const_t<T>>(&x, root, context);

    for (auto& [key, record] : StateDict(saved.components)) {
      const auto& path = std::get<std::string>(key);
      if (detail::text_in(record.template as<StateDict>(), "kind") != "module") continue;
      if (Value* module = detail::at_manifest_path(root, path)) {
        detail::disassemble_module(*module, path, saved.components);
      } else {
        saved.components.erase_key(key);
      }
    }
    detail::disassemble_records(root, "", saved.components);
    for (const auto& [path, record] : source.components) {
      const bool stays = detail::at_manifest_path(root, std::get<std::string>(path)) != nullptr;
      if (stays && !saved.components.find_key(path)) saved.components[path] = record;
    }
    detail::rename_parameters(saved.components, detail::save_object(x).components, context);

    StateDict versions;
    for (const auto& [path, record] : source.components) {
      if (const Value* version = record.template as<StateDict>().find_key("version")) versions[path] = *version;
    }
    List steps;
    for (const auto& step : report.migrated) {
      steps.push_back(StateDict{{"path", step.path}, {"from", step.from}, {"to", step.to}});
    }
    saved.tree = detail::as_root(std::move(root));
    saved.upgrades = detail::list_in(source.manifest, "upgrades");
    saved.upgrades.push_back(StateDict{{"versions", versions}, {"steps", steps}});
    return detail::document_of(saved, save_options);
  });
  detail::at_the_border("", [&] { detail::write_document(upgraded, out, save_options); });
  return report;
}

}  // namespace trainstate
