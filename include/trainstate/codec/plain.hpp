// Takes out of a file's tree what `assemble` put there, for objects that want the tree as it stands in the file.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "trainstate/codec/context.hpp"
#include "trainstate/codec/tensor_tracks.hpp"
#include "trainstate/state_dict.hpp"

namespace trainstate::detail {

/// Where the manifest's record of a component stands in the tree while a file is loaded, for components whose own
/// record has no place for a version (and for the names of an optimizer's parameters). Moving the component in a hook
/// moves it along.
inline const Key manifest_key = std::string("__trainstate__");

/// Where the manifest's record of a described submodule stands among the tensors while a file is loaded: beside them,
/// under their prefix, so that a hook that renames the prefix takes it along.
inline std::string submodule_key(const std::string& name) { return name + '.' + std::get<std::string>(manifest_key); }

/// Makes the dict at the current path what the file has there: a module's is flat again.
inline void restore_dict(StateDict& dict, const LoadContext& context) {
  if (context.assembled.annotated.contains(context.path)) dict.erase_key(manifest_key);
  if (!context.assembled.described.contains(context.path) || !is_module_record(dict)) return;
  StateDict state = std::move(dict.at_key("state").as<StateDict>()), flat;
  flat.reserve(state.size());
  for (auto& [key, value] : state) {
    if (value.is<at::Tensor>() || value.is<UnsupportedTensor>()) flat[key] = std::move(value);
  }
  dict = std::move(flat);
}

/// The same for all that the value at the current path holds.
inline void restore_plain(Value& value, LoadContext& context) {
  if (!context.has_manifest) return;
  if (auto* dict = value.get_if<StateDict>()) {
    restore_dict(*dict, context);
    for (auto& [key, item] : *dict) {
      if (!item.is<StateDict>() && !item.is<List>()) continue;
      const auto scope = context.enter(key);
      restore_plain(item, context);
    }
  } else if (auto* list = value.get_if<List>()) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      if (!(*list)[i].is<StateDict>() && !(*list)[i].is<List>()) continue;
      const auto scope = context.enter(static_cast<std::int64_t>(i));
      restore_plain((*list)[i], context);
    }
  }
}

}  // namespace trainstate::detail
