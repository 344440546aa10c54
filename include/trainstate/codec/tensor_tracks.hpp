// Follows tensors through migrations: where each one stood before the first hook ran, and where it stands after the
// last, so that what is filed under a parameter's name (an optimizer's state) can follow, however a hook renamed it.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "trainstate/path.hpp"
#include "trainstate/state_dict.hpp"

namespace trainstate::detail {

/// True for the record of a module while a file is loaded: `{"version", "params", "state"}`, of which a hook that made
/// it may have left out all but the state. The flat dict of a module has only tensors.
inline bool is_module_record(const StateDict& dict) {
  const Value* state = dict.find_key("state");
  if (!state || !state->is<StateDict>()) return false;
  return std::all_of(dict.begin(), dict.end(), [](const auto& entry) {
    const auto& [key, value] = entry;
    if (key == Key("version")) return value.template is<std::int64_t>();
    return (key == Key("params") || key == Key("state")) && value.template is<StateDict>();
  });
}

class TensorTracks {
 public:
  [[nodiscard]] bool started() const noexcept { return started_; }

  /// Before the first hook.
  void start(const Value& root) {
    started_ = true;
    std::string path;
    visit(root, path, [&](const std::string& module, const Key& key, const at::Tensor& tensor) {
      places_.try_emplace(tensor.unsafeGetTensorImpl(), Track{tensor, {module, to_string(key)}});
    });
  }

  /// `fresh` counts as `old` from now on.
  void replace(const at::Tensor& old, const at::Tensor& fresh) {
    if (!old.defined() || !fresh.defined()) return;
    const auto at = places_.find(old.unsafeGetTensorImpl());
    if (at != places_.end()) places_.insert_or_assign(fresh.unsafeGetTensorImpl(), Track{fresh, at->second.place});
  }

  /// The same for all tensors of a value and its clone.
  void replace_all(const Value& old, const Value& fresh) {
    if (const auto* tensor = old.get_if<at::Tensor>()) {
      replace(*tensor, fresh.as<at::Tensor>());
    } else if (const auto* dict = old.get_if<StateDict>()) {
      for (const auto& [key, item] : *dict) replace_all(item, fresh.as<StateDict>().at_key(key));
    } else if (const auto* list = old.get_if<List>()) {
      for (std::size_t i = 0; i < list->size(); ++i) replace_all((*list)[i], fresh.as<List>()[i]);
    }
  }

  /// After the last hook. Only what is part of a record counts as named.
  void finish(const Value& root) {
    if (!started_) return;
    std::unordered_set<std::string> names;
    std::unordered_set<const c10::TensorImpl*> present;
    std::string path;
    visit(root, path, [&](const std::string& module, const Key& key, const at::Tensor& tensor) {
      Place now{module, to_string(key)};
      names.insert(now.text());
      if (!present.insert(tensor.unsafeGetTensorImpl()).second) return;  // tied to one that stands before it
      const auto was = places_.find(tensor.unsafeGetTensorImpl());
      if (was == places_.end() || was->second.place == now) return;
      renamed_.emplace(was->second.place.text(), now.text());
      today_.try_emplace(was->second.place.name, now.name);
      today_.try_emplace(was->second.place.dotted(), now.dotted());
    });
    for (const auto& [tensor, track] : places_) {
      if (present.contains(tensor) || names.contains(track.place.text())) continue;
      dropped_.insert(track.place.text());
      dropped_.insert(track.place.name);
      dropped_.insert(track.place.dotted());
    }
    places_.clear();
  }

  /// `module/old` -> `module/new`.
  [[nodiscard]] const std::map<std::string, std::string>& renamed() const noexcept { return renamed_; }

  /// Today's name of an optimizer's parameter, which is relative to the one module that the optimizer serves, or begins
  /// with its path where it serves several.
  [[nodiscard]] std::string name_today(const std::string& name) const {
    const auto at = today_.find(name);
    return at == today_.end() ? name : at->second;
  }

  /// Whether hooks took the parameter out. `module` is empty where the file does not say whose it was.
  [[nodiscard]] bool dropped(const std::string& module, const std::string& name) const {
    return dropped_.contains(module.empty() ? name : module + '/' + name);
  }

 private:
  struct Place {
    std::string module, name;

    [[nodiscard]] std::string text() const { return module + '/' + name; }
    [[nodiscard]] std::string dotted() const {
      std::string path = text();
      std::replace(path.begin(), path.end(), '/', '.');
      return path;
    }
    bool operator==(const Place&) const = default;
  };
  struct Track {
    at::Tensor tensor;  // kept, so that no other can come to stand at its address
    Place place;
  };

  /// Calls f(path of the dict or record, key, tensor) for all.
  template <class F>
  static void visit(const Value& value, std::string& path, const F& f) {
    const auto below = [&](const Value& child, const Key& key, std::string& at) {
      const std::size_t size = at.size();
      append_key(at, key);
      visit(child, at, f);
      at.resize(size);
    };
    if (const auto* list = value.get_if<List>()) {
      for (std::size_t i = 0; i < list->size(); ++i) below((*list)[i], static_cast<std::int64_t>(i), path);
      return;
    }
    const auto* dict = value.get_if<StateDict>();
    if (!dict) return;
    const auto each = [&](const StateDict& entries, std::string& at) {
      for (const auto& [key, child] : entries) {
        const auto* tensor = child.template get_if<at::Tensor>();
        if (tensor && tensor->defined()) {
          f(path, key, *tensor);
        } else {
          below(child, key, at);
        }
      }
    };
    if (!is_module_record(*dict)) return each(*dict, path);
    std::string inside = path;
    append_key(inside, "state");
    each(dict->at_key("state").as<StateDict>(), inside);
  }

  bool started_ = false;
  std::unordered_map<const c10::TensorImpl*, Track> places_;
  std::map<std::string, std::string> renamed_;
  std::unordered_map<std::string, std::string> today_;
  std::unordered_set<std::string> dropped_;
};

}  // namespace trainstate::detail
