// What a file says of one model in it: which class, at which version, with which hyperparameters, and its tensors.
#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "trainstate/codec/assemble.hpp"
#include "trainstate/error.hpp"
#include "trainstate/files.hpp"
#include "trainstate/objects.hpp"
#include "trainstate/options.hpp"
#include "trainstate/state_dict.hpp"
#include "trainstate/torch/module_record.hpp"

namespace trainstate::detail {

/// One model of a file.
struct ModelRecord {
  std::string file;
  std::string name = {};  ///< of its component; empty if the file does not say
  Source source = {};     ///< the tree is the model's own, which stands at `source.path` in the file
};

/// `model (digits_net, version 1)` for each model that the manifest names; none if it names none.
inline std::string models_text(const StateDict& components) {
  std::string text;
  for (const auto& [key, value] : components) {
    const auto* path = std::get_if<std::string>(&key);
    const auto* record = value.get_if<StateDict>();
    if (!path || !record || text_in(*record, "kind") != "module") continue;
    text += (text.empty() ? "" : ", ") + place_text(*path) + " (" + std::string(text_in(*record, "name")) + ')';
  }
  return text.empty() ? "none" : text;
}

/// Reads the model at the path `part`; the empty path is the whole file. Throws as `load` does, and Error for a path
/// where the file has no model.
inline ModelRecord read_model(const std::filesystem::path& path, const std::string& part, const LoadOptions& options) {
  ModelRecord model{.file = path.string()};
  Source source = read_source(path, options);
  at_the_border(model.file, [&] {
    Value root(std::move(source.tree));
    assemble(root, source.components);
    const Value* found = at_manifest_path(root, part);
    StateDict flat;
    if (!found && source.components.empty()) flat = entries_below(root.as<StateDict>(), part);
    if (found && found->is<StateDict>()) flat = found->as<StateDict>();
    if (flat.empty()) {
      throw Error(place_text(part) + ": expected a model, found " + (found ? found->describe() : "nothing") +
                  "; the models that the file names are: " + models_text(source.components));
    }
    if (const Value* component = source.components.find_key(part)) {
      const auto& record = component->as<StateDict>();
      if (text_in(record, "kind") != "module") {
        throw Error(place_text(part) + ": expected a model, found the component '" +
                    std::string(text_in(record, "name")) +
                    "'; the models that the file names are: " + models_text(source.components));
      }
      model.name = text_in(record, "name");
    }
    source.tree = std::move(flat);
  });
  source.components = {};  // they stand in the tree now
  source.path = part;
  model.source = std::move(source);
  return model;
}

}  // namespace trainstate::detail
