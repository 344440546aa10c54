// The record of a module while a file is loaded: `{"version", "params", "state"}`, where the state has the tensors and
// what else the description calls state. In a file the tensors stand in the tree and the rest in the manifest.
#pragma once

#include <boost/hana/for_each.hpp>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "trainstate/codec/component.hpp"
#include "trainstate/migrate.hpp"
#include "trainstate/torch/module_tensors.hpp"

namespace trainstate::detail {

/// The entries of `state` under `name.`, without that prefix.
inline StateDict entries_below(const StateDict& state, const std::string& name) {
  StateDict part;
  for (const auto& [key, value] : state) {
    const auto* text = std::get_if<std::string>(&key);
    if (text && text->starts_with(name + '.')) part[text->substr(name.size() + 1)] = value;
  }
  return part;
}

/// Replaces the entries of `state` under `name.` by those of a submodule's record, in their place.
inline void put_below(StateDict& state, const std::string& name, const StateDict& record) {
  StateDict rebuilt;
  rebuilt.reserve(state.size());
  bool placed = false;
  for (auto& [key, value] : state) {
    const auto* text = std::get_if<std::string>(&key);
    if (!text || !text->starts_with(name + '.')) {
      rebuilt[key] = std::move(value);
    } else if (!std::exchange(placed, true)) {
      for (const auto& [k, v] : record.at_key("state").as<StateDict>()) rebuilt[name + '.' + to_string(k)] = v;
    }
  }
  rebuilt[submodule_key(name)] = StateDict{{"params", record.at_key("params")}};
  state = std::move(rebuilt);
}

/// The record of a submodule from its entries in the parent's state, with the manifest's part of it if it is there.
inline Value submodule_record(StateDict entries) {
  const Value* found = entries.find_key(manifest_key);
  if (!found || !found->is<StateDict>()) return entries;
  const StateDict manifest = found->as<StateDict>();
  entries.erase_key(manifest_key);
  const auto part = [&](const char* key) {
    const Value* value = manifest.find_key(std::string(key));
    return value && value->is<StateDict>() ? value->as<StateDict>() : StateDict();
  };
  for (const auto& [key, value] : part("state")) entries[key] = value;
  StateDict record;
  record["version"] = manifest.find_key("version") ? manifest.at_key("version") : Value(1);
  record["params"] = part("params");
  record["state"] = std::move(entries);
  return record;
}

/// A file without a manifest counts as today's version when its keys are today's, else as version 1.
template <ModuleClass T>
int guess_version(const T* live, const StateDict& flat) {
  bool todays = true;
  if (live) {
    for_each_tensor(*live, "",
                    [&](const std::string& name, const at::Tensor&) { todays = todays && flat.find_key(name); });
  }
  if constexpr (Component<T>) return todays ? component_version<T> : 1;
  return 1;
}

/// Makes a record of the flat dict of a module, and completes one that a hook made.
template <ModuleClass T>
void make_record(const T* live, StateDict& dict, LoadContext& context) {
  StateDict record;
  if (!is_module_record(dict)) {
    const bool plain = context.assembled.plain.contains(context.path);
    if (!plain) context.foreign_modules.insert(context.path);
    record["version"] = plain ? 1 : guess_version(live, dict);
    record["params"] = StateDict();
    record["state"] = std::move(dict);
  } else {
    record = StateDict{{"version", Value(1)}, {"params", Value(StateDict())}};
    for (auto& [key, value] : dict) record[key] = std::move(value);
  }
  dict = std::move(record);
}

/// Makes `value` a record at today's version: from the flat dict of a file without a manifest, or from the record that
/// `assemble` made. Runs the module's hooks, then those of the described submodules that it lists.
template <ModuleClass T>
void migrate_module(const T* live, Value& value, LoadContext& context, std::string_view kind) {
  auto* dict = value.get_if<StateDict>();
  if (!dict) return;
  make_record(live, *dict, context);
  if constexpr (Component<T>) {
    const int version = version_in(*dict, context.path, component_name<T>);
    own_tensors(*dict, version, component_version<T>, context);
    context.note_component(component_name<T>, component_version<T>, kind);
    run_migrations<T>(version, *dict, context);
    (*dict)["version"] = component_version<T>;
    migrate_fields(live, *dict, context);
    Value* state = dict->find("state");
    if (state && state->is<StateDict>()) migrate_submodules(live, state->as<StateDict>(), context);
  } else {
    context.note_component(live ? live->name() : "module", 1, kind);
  }
}

/// Brings the components among a module's fields to today's versions.
template <ModuleClass T>
void migrate_fields(const T* live, StateDict& record, LoadContext& context) {
  boost::hana::for_each(fields<T>, [&]<class F>(F) {
    using M = FieldType<F>;
    if constexpr (!ModuleField<M> && !ModuleRange<M>) {
      const Key part = std::string(section(F::role)), key = std::string(F::name());
      Value* values = record.find_key(part);
      Value* field = values && values->is<StateDict>() ? values->as<StateDict>().find_key(key) : nullptr;
      if (!field) return;
      const auto outer = context.enter(part);
      const auto scope = context.enter(key);
      migrate_value<M>(live ? &F::get(*live) : nullptr, *field, context);
    }
  });
}

template <ModuleClass T>
void migrate_submodules(const T* live, StateDict& state, LoadContext& context) {
  if (!live) return;
  boost::hana::for_each(fields<T>, [&]<class F>(F) {
    using M = FieldType<F>;
    if constexpr (F::role == Role::state && (ModuleField<M> || ModuleRange<M>)) {
      for_each_submodule(F::get(*live), std::string(F::name()),
                         [&]<class Sub>(const Sub& submodule, const std::string& key) {
                           if constexpr (Component<Sub>) {
                             const std::string name = submodule_name(*live, submodule, key);
                             Value record = submodule_record(entries_below(state, name));
                             const auto scope = context.enter(name);
                             migrate_module(&submodule, record, context, "submodule");
                             put_below(state, name, record.as<StateDict>());
                           }
                         });
    }
  });
}

}  // namespace trainstate::detail
