// Modules: in the tree as Python's `model.state_dict()` has them; what a description adds stands in the manifest.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/any.h>
#include <torch/nn/pimpl.h>

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/component.hpp"
#include "trainstate/torch/tensor.hpp"

namespace trainstate::detail {

template <class T>
concept ModuleClass = std::derived_from<T, torch::nn::Module>;

template <class T>
concept Holder = requires {
  typename T::ContainedType;
  requires std::derived_from<T, torch::nn::ModuleHolder<typename T::ContainedType>>;
};

/// The module behind a field that holds one: the class itself, a ModuleHolder, a shared_ptr; else void.
template <class F>
struct ModuleIn {
  using type = void;
};
template <ModuleClass F>
struct ModuleIn<F> {
  using type = F;
  static const F* get(const F& field) { return &field; }
};
template <Holder F>
struct ModuleIn<F> {
  using type = typename F::ContainedType;
  static const type* get(const F& field) { return field.is_empty() ? nullptr : field.ptr().get(); }
};
template <ModuleClass M>
struct ModuleIn<std::shared_ptr<M>> {
  using type = M;
  static const M* get(const std::shared_ptr<M>& field) { return field.get(); }
};
template <class F>
concept ModuleField = !std::is_void_v<typename ModuleIn<F>::type>;

/// Calls `f(name, tensor)` for what Python's `state_dict()` lists, in its order: a module's own parameters, its own
/// buffers, then its children. Undefined ones are not listed.
template <class F>
void for_each_tensor(const torch::nn::Module& module, const std::string& prefix, F&& f) {
  for (const auto& item : module.named_parameters(/*recurse=*/false)) {
    if (item.value().defined()) f(prefix + item.key(), item.value());
  }
  for (const auto& item : module.named_buffers(/*recurse=*/false)) {
    if (item.value().defined()) f(prefix + item.key(), item.value());
  }
  for (const auto& child : module.named_children()) for_each_tensor(*child.value(), prefix + child.key() + '.', f);
}

/// The dotted name under which `parent` registered `child`; empty if it did not.
inline std::string registered_name(const torch::nn::Module& parent, const torch::nn::Module* child) {
  for (const auto& item : parent.named_children()) {
    if (item.value().get() == child) return item.key();
    if (auto below = registered_name(*item.value(), child); !below.empty()) return item.key() + '.' + below;
  }
  return {};
}

/// Where the manifest's record of a described submodule stands among the tensors while a file is loaded: beside them,
/// under their prefix, so that a hook that renames the prefix takes it along.
inline std::string submodule_key(const std::string& name) { return name + '.' + std::get<std::string>(manifest_key); }

/// One module, and below it the described submodules that it lists.
template <ModuleClass T>
struct ModuleRecord {
  /// Adds the tensors under `prefix` to `flat`, and to the manifest what is no tensor.
  static void save(const T& module, StateDict& flat, SaveContext& context) {
    for_each_tensor(module, "",
                    [&](const std::string& name, const at::Tensor& tensor) { flat[name] = tensor.detach(); });
    if constexpr (Component<T>) {
      note_manifest(module, flat, context, context.note_component(component_name<T>, component_version<T>, "module"));
    } else {
      static_assert(!inherits_describe<T>,
                    "trainstate: this module inherits describe() from its base; give it a describe() of its own that "
                    "lists ts::base<Base>");
      context.note_component(module.name(), 1, "module");
    }
  }

  /// Adds what the description says to the manifest's record of this module; tensors that are not registered join
  /// `flat`.
  static void note_manifest(const T& module, StateDict& flat, SaveContext& context,
                            StateDict& manifest) requires Component<T> {
    StateDict params, state;
    boost::hana::for_each(fields<T>, [&]<class F>(F) {
      using M = FieldType<F>;
      const std::string key(F::name());
      const M& field = F::get(module);
      if constexpr (F::role == Role::hyper) {
        const auto scope = context.enter("params");
        const auto inner = context.enter(key);
        params[key] = Codec<M>::save(field, context);
      } else if constexpr (ModuleField<M>) {
        save_submodule(module, field, key, flat, context);
      } else if constexpr (std::same_as<M, at::Tensor>) {
        if (field.defined() && !is_registered(module, field)) flat[key] = field.detach();
      } else {
        const auto scope = context.enter("state");
        const auto inner = context.enter(key);
        state[key] = Codec<M>::save(field, context);
      }
    });
    manifest["params"] = std::move(params);
    manifest["state"] = std::move(state);
  }

  static bool is_registered(const T& module, const at::Tensor& tensor) {
    bool found = false;
    for_each_tensor(module, "",
                    [&](const std::string&, const at::Tensor& other) { found = found || other.is_same(tensor); });
    return found;
  }

  /// The name under which the tensors of a field's module stand in this module's flat dict.
  template <class M>
  static std::string submodule_name(const T& module, const M& field, const std::string& key) {
    const std::string registered = registered_name(module, ModuleIn<M>::get(field));
    return registered.empty() ? key : registered;
  }

  /// Makes the record of this module from the raw flat dict or the one that `assemble` made, and runs its hooks and
  /// those of its submodules.
  static void migrate(const T* live, Value& value, LoadContext& context) {
    auto* dict = value.get_if<StateDict>();
    if (!dict) return;
    if (!is_record(*dict)) {
      StateDict record;
      record["version"] = Value(guess_version(live, *dict));
      record["params"] = StateDict();
      Value state(std::move(*dict));
      record["state"] = std::move(state);
      *dict = std::move(record);
    }
    const auto before = names_by_tensor(*dict);
    if constexpr (Component<T>) {
      run_migrations<T>(version_in(*dict, context, component_name<T>), *dict, context);
      (*dict)["version"] = component_version<T>;
      if (auto* state = dict->find("state"); state && state->template is<StateDict>()) {
        migrate_submodules(live, state->template as<StateDict>(), context);
      }
    }
    note_renames(before, *dict, context);
  }

  static void plan(T& live, const Value& value, LoadContext& context) {
    const auto* dict = value.get_if<StateDict>();
    if (!dict) return context.mismatch("the state dict of a module", value.describe());
    static const StateDict none;
    const StateDict* state = dict;
    const StateDict* params = &none;
    if (is_record(*dict)) {
      state = &dict->at_key("state").template as<StateDict>();
      params = &dict->at_key("params").template as<StateDict>();
    }
    plan_record(live, *params, *state, context);
  }

  static void plan_record(T& live, const StateDict& params, const StateDict& state, LoadContext& context) {
    std::vector<std::pair<std::string, at::Tensor>> tensors;
    for_each_tensor(live, "", [&](const std::string& name, const at::Tensor& t) { tensors.emplace_back(name, t); });
    std::unordered_map<std::string, bool> taken;
    std::unordered_map<const c10::TensorImpl*, std::string> present;
    for (const auto& [name, tensor] : tensors) {
      taken[name] = true;
      if (state.find_key(name)) present.emplace(tensor.unsafeGetTensorImpl(), name);
    }
    for (const auto& [name, tensor] : tensors) {
      const Value* value = state.find_key(name);
      // Tied parameters may stand in the file once, under either name.
      if (!value && present.contains(tensor.unsafeGetTensorImpl())) continue;
      if (!value) {
        context.missing(name);
        continue;
      }
      const auto scope = context.enter(name);
      if (const auto from = tensor_for(tensor, *value, context)) plan_copy(tensor, *from, context);
    }
    if constexpr (Component<T>) plan_fields(live, params, state, taken, context);
    for (const auto& [key, value] : state) {
      const auto* text = std::get_if<std::string>(&key);
      if (!text || !taken.contains(*text)) context.unexpected(key);
    }
  }

  /// The fields of the description that are not registered tensors. Marks the keys of `state` that they take.
  static void plan_fields(T& live, const StateDict& params, const StateDict& state,
                          std::unordered_map<std::string, bool>& taken, LoadContext& context) requires Component<T> {
    const HyperPolicy policy = context.hyper_policy(HyperPolicy::match);
    boost::hana::for_each(fields<T>, [&]<class F>(F) {
      using M = FieldType<F>;
      const std::string key(F::name());
      auto& field = F::get(live);
      if constexpr (F::role == Role::hyper) {
        const auto scope = context.enter("params");
        if (!params.find_key(key)) {
          const auto inner = context.enter(key);
          context.warn("the file lacks this hyperparameter; the live one is kept");
        } else {
          plan_field<F>(live, &params, policy, context);
        }
      } else if constexpr (ModuleField<M>) {
        plan_submodule(live, field, key, state, taken, context);
      } else if constexpr (std::same_as<M, at::Tensor>) {
        if (field.defined() && is_registered(live, field)) return;
        taken[key] = true;
        const auto scope = context.enter(key);
        if (const Value* value = state.find_key(key)) {
          if constexpr (F::is_const) {
            if (!same_meaning<M>(field, *value, context))
              context.mismatch("the const " + tensor_text(field), value->describe());
          } else {
            Codec<M>::plan(field, *value, context);
          }
        } else if (field.defined()) {
          context.missing();
        }
      } else {
        taken[key] = true;
        if (!state.find_key(key)) {
          const auto scope = context.enter(key);
          context.warn("the file lacks this field; the live one is kept");
        } else {
          plan_field<F>(live, &state, policy, context);
        }
      }
    });
    for (const auto& [key, value] : params) {
      if (!has_field<T>(key, Role::hyper)) {
        const auto scope = context.enter("params");
        context.unexpected(key);
      }
    }
  }

 private:
  static bool is_record(const StateDict& dict) {
    const auto is = [&]<class A>(std::string_view key, std::type_identity<A>) {
      const Value* value = dict.find_key(std::string(key));
      return value && value->is<A>();
    };
    return dict.size() == 3 && is("version", std::type_identity<std::int64_t>()) &&
           is("params", std::type_identity<StateDict>()) && is("state", std::type_identity<StateDict>());
  }

  /// A file without a manifest counts as today's version when its keys are today's, else as version 1.
  static int guess_version(const T* live, const StateDict& flat) {
    if constexpr (Component<T>) {
      if (!live) return component_version<T>;
      bool today = true;
      for_each_tensor(*live, "",
                      [&](const std::string& name, const at::Tensor&) { today = today && flat.find_key(name); });
      return today ? component_version<T> : 1;
    } else {
      return 1;
    }
  }

  template <class M>
  static void save_submodule(const T& module, const M& field, const std::string& key, StateDict& flat,
                             SaveContext& context) {
    using Sub = typename ModuleIn<M>::type;
    const Sub* sub = ModuleIn<M>::get(field);
    if (!sub) return;
    const std::string name = submodule_name(module, field, key);
    StateDict own;
    if constexpr (Component<Sub>) {
      const auto scope = context.enter(name);
      auto& manifest = context.note_component(component_name<Sub>, component_version<Sub>, "submodule");
      for_each_tensor(*sub, "", [&](const std::string& n, const at::Tensor& tensor) { own[n] = tensor.detach(); });
      ModuleRecord<Sub>::note_manifest(*sub, own, context, manifest);
    } else {
      for_each_tensor(*sub, "", [&](const std::string& n, const at::Tensor& tensor) { own[n] = tensor.detach(); });
    }
    for (auto& [n, tensor] : own) flat[name + '.' + to_string(n)] = std::move(tensor);
  }

  /// The entries of `state` under `name.`, without that prefix.
  static StateDict below(const StateDict& state, const std::string& name) {
    StateDict part;
    for (const auto& [key, value] : state) {
      const auto* text = std::get_if<std::string>(&key);
      if (text && text->starts_with(name + '.')) part[text->substr(name.size() + 1)] = value;
    }
    return part;
  }

  static void migrate_submodules(const T* live, StateDict& state, LoadContext& context) requires Component<T> {
    boost::hana::for_each(fields<T>, [&]<class F>(F) {
      using M = FieldType<F>;
      if constexpr (F::role == Role::state && ModuleField<M>) {
        using Sub = typename ModuleIn<M>::type;
        if constexpr (Component<Sub>) {
          const std::string key(F::name());
          const Sub* sub = live ? ModuleIn<M>::get(F::get(*live)) : nullptr;
          const std::string name = live ? submodule_name(*live, F::get(*live), key) : key;
          StateDict own = below(state, name);
          StateDict record;
          if (const Value* manifest = own.find_key(manifest_key); manifest && manifest->is<StateDict>()) {
            record = manifest->as<StateDict>();
            own.erase(std::get<std::string>(manifest_key));
            auto& extra = record.set_default("state", StateDict()) ? record.at("state") : record.at("state");
            for (const auto& [k, v] : extra.template as<StateDict>()) own[k] = v;
            record = StateDict{{"version", record.at("version")}, {"params", record.at("params")}};
            record["state"] = own;
          }
          Value value = record.empty() ? Value(own) : Value(record);
          const auto scope = context.enter(name);
          ModuleRecord<Sub>::migrate(sub, value, context);
          put_back(state, name, value.as<StateDict>());
        }
      }
    });
  }

  /// Replaces the entries under `name.` by those of the migrated record.
  static void put_back(StateDict& state, const std::string& name, const StateDict& record) {
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

  template <class M>
  static void plan_submodule(T& live, const M& field, const std::string& key, const StateDict& state,
                             std::unordered_map<std::string, bool>& taken, LoadContext& context) {
    using Sub = typename ModuleIn<M>::type;
    auto* sub = const_cast<Sub*>(ModuleIn<M>::get(field));  // the module is reached through a const handle
    if (!sub) return;
    const std::string name = submodule_name(live, field, key);
    const bool registered = !registered_name(live, sub).empty();
    StateDict own = below(state, name);
    StateDict params;
    if (const Value* extra = own.find_key(manifest_key)) {
      params = extra->as<StateDict>().at_key("params").template as<StateDict>();
      own.erase(std::get<std::string>(manifest_key));
      taken[submodule_key(name)] = true;
    }
    const auto scope = context.enter(name);
    if (!registered) {
      for (const auto& entry : own) taken[name + '.' + to_string(entry.first)] = true;
      ModuleRecord<Sub>::plan_record(*sub, params, own, context);
    } else if constexpr (Component<Sub>) {
      std::unordered_map<std::string, bool> sub_taken;  // its registered tensors were planned by this module
      ModuleRecord<Sub>::plan_fields(*sub, params, own, sub_taken, context);
      for (const auto& entry : sub_taken) taken[name + '.' + entry.first] = true;
    }
  }

  using Names = std::unordered_map<const c10::TensorImpl*, std::string>;

  static Names names_by_tensor(const StateDict& record) {
    Names names;
    const Value* state = record.find_key("state");
    if (!state || !state->is<StateDict>()) return names;
    for (const auto& [key, value] : state->as<StateDict>()) {
      const auto* tensor = value.template get_if<at::Tensor>();
      if (tensor && tensor->defined()) names.emplace(tensor->unsafeGetTensorImpl(), to_string(key));
    }
    return names;
  }

  /// A tensor that stands under another name after the hooks was renamed by them, whichever way they did it.
  static void note_renames(const Names& before, const StateDict& record, LoadContext& context) {
    for (const auto& [tensor, now] : names_by_tensor(record)) {
      const auto was = before.find(tensor);
      if (was != before.end() && was->second != now)
        context.renamed[context.path + '/' + was->second] = context.path + '/' + now;
    }
  }
};

template <ModuleClass T>
struct TorchCodec<T> {
  static constexpr bool is_object = true;
  static constexpr bool takes_description = true;

  static Value save(const T& x, SaveContext& context) {
    StateDict flat;
    ModuleRecord<T>::save(x, flat, context);
    return flat;
  }
  static void migrate(const T* live, Value& value, LoadContext& context) {
    ModuleRecord<T>::migrate(live, value, context);
  }
  static void plan(T& live, const Value& value, LoadContext& context) { ModuleRecord<T>::plan(live, value, context); }
  static void collect(const T& x, NamesContext& context) {
    for_each_tensor(
        x, "", [&](std::string name, const at::Tensor& t) { context.names.add(t, context.path, std::move(name)); });
  }
};

/// ModuleHolder and AnyModule: the module they hold, or None.
template <class H, class M>
struct HolderCodec {
  static constexpr bool is_object = true;
  static constexpr bool takes_description = true;

  static Value save(const H& x, SaveContext& context) {
    return x.is_empty() ? Value() : TorchCodec<M>::save(*x.ptr(), context);
  }
  static void migrate(const H* live, Value& value, LoadContext& context) {
    if (!value.is<None>())
      TorchCodec<M>::migrate(live && !live->is_empty() ? live->ptr().get() : nullptr, value, context);
  }
  static void plan(H& live, const Value& value, LoadContext& context) {
    if (live.is_empty() && value.is<None>()) return;
    if (live.is_empty()) return context.mismatch("None (the module holder is empty)", value.describe());
    TorchCodec<M>::plan(*live.ptr(), value, context);
  }
  static void collect(const H& x, NamesContext& context) {
    if (!x.is_empty()) TorchCodec<M>::collect(*x.ptr(), context);
  }
};

template <Holder T>
struct TorchCodec<T> : HolderCodec<T, typename T::ContainedType> {};
template <>
struct TorchCodec<torch::nn::AnyModule> : HolderCodec<torch::nn::AnyModule, torch::nn::Module> {};

}  // namespace trainstate::detail
