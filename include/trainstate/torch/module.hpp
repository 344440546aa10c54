// Modules: in the tree as Python's `model.state_dict()` has them; what a description adds stands in the manifest.
#pragma once

#include <boost/hana/for_each.hpp>

#include <algorithm>
#include <concepts>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/component.hpp"
#include "trainstate/torch/module_record.hpp"
#include "trainstate/torch/module_tensors.hpp"
#include "trainstate/torch/tensor.hpp"

namespace trainstate::detail {

/// Adds to `flat` what the description of a module says about tensors that are not registered, and to `manifest` what
/// is no tensor. A registered tensor is never saved twice.
template <ModuleClass T>
void save_description(const T& module, StateDict& flat, StateDict& manifest, SaveContext& context) {
  StateDict params, state;
  const auto save_field = [&]<class F>(F, StateDict& into, std::string_view where) {
    const auto scope = context.enter(std::string(where));
    const auto inner = context.enter(std::string(F::name()));
    into[std::string(F::name())] = Codec<FieldType<F>>::save(F::get(module), context);
  };
  boost::hana::for_each(fields<T>, [&]<class F>(F field) {
    using M = FieldType<F>;
    const std::string key(F::name());
    const M& member = F::get(module);
    if constexpr (F::role == Role::hyper) {
      save_field(field, params, "params");
    } else if constexpr (ModuleField<M> || ModuleRange<M>) {
      for_each_submodule(member, key, [&]<class Sub>(const Sub& submodule, const std::string& sub_key) {
        const std::string name = submodule_name(module, submodule, sub_key);
        StateDict own;
        for_each_tensor(submodule, "", [&](const std::string& n, const at::Tensor& t) { own[n] = t.detach(); });
        if constexpr (Component<Sub>) {
          const auto scope = context.enter(name);
          auto& record = context.note_component(component_name<Sub>, component_version<Sub>, "submodule");
          save_description(submodule, own, record, context);
        }
        for (auto& [n, tensor] : own) flat[name + '.' + to_string(n)] = std::move(tensor);
      });
    } else if constexpr (std::same_as<M, at::Tensor>) {
      if (member.defined() && !is_registered(module, member)) flat[key] = member.detach();
    } else if constexpr (TensorRange<M>) {
      if (!all_registered(module, member)) save_field(field, state, "state");
    } else {
      save_field(field, state, "state");
    }
  });
  manifest["params"] = std::move(params);
  manifest["state"] = std::move(state);
}

/// Plans a module's own tensors and, by its description, the rest. Keys of `state` that nothing takes are unexpected.
template <ModuleClass T>
class ModulePlan {
 public:
  /// `foreign`: the file's manifest, if it has one, does not know the module.
  ModulePlan(T& live, const StateDict& params, const StateDict& state, bool foreign, LoadContext& context)
      : live_(live), params_(params), state_(state), foreign_(foreign), context_(context) {}

  void run() {
    plan_tensors();
    if constexpr (Component<T>) plan_description();
    for (const auto& [key, value] : state_) {
      const auto* name = std::get_if<std::string>(&key);
      if (!name || !taken_.contains(*name)) context_.unexpected(key);
    }
  }

  /// What the description adds to the registered tensors. Returns the keys of `state` that it takes.
  const std::unordered_set<std::string>& plan_description() requires Component<T> {
    const HyperPolicy policy = context_.hyper_policy(HyperPolicy::match);
    boost::hana::for_each(fields<T>, [&]<class F>(F field) {
      using M = FieldType<F>;
      auto& member = F::get(live_);
      if constexpr (F::role == Role::hyper) {
        plan_kept(field, params_, "params", policy);
      } else if constexpr (ModuleField<M> || ModuleRange<M>) {
        for_each_submodule(member, std::string(F::name()),
                           [&]<class Sub>(const Sub& submodule, const std::string& key) {
                             plan_submodule(const_cast<Sub&>(submodule), key);  // it was reached through a const handle
                           });
      } else if constexpr (std::same_as<M, at::Tensor>) {
        if (!member.defined() || !is_registered(live_, member)) plan_free_tensor(field);
      } else if constexpr (TensorRange<M>) {
        if (!all_registered(live_, member)) plan_kept(field, state_, "", policy);
      } else {
        plan_kept(field, state_, "", policy);
      }
    });
    const auto scope = context_.enter("params");
    for (const auto& [key, value] : params_) {
      if (!has_field<T>(key, Role::hyper)) context_.unexpected(key);
    }
    return taken_;
  }

 private:
  using Traits = TensorTraits<at::Tensor>;

  /// Where the elements of a tensor are; of one without elements, the tensor itself.
  static const void* place_of(const at::Tensor& tensor) {
    const void* address = Traits::address(tensor);
    return address ? address : tensor.unsafeGetTensorImpl();
  }

  void plan_tensors() {
    std::vector<std::pair<std::string, at::Tensor>> tensors;
    for_each_tensor(live_, "", [&](const std::string& name, const at::Tensor& t) { tensors.emplace_back(name, t); });
    std::unordered_multimap<const void*, at::Tensor> present;
    for (const auto& [name, tensor] : tensors) {
      taken_.insert(name);
      if (state_.find_key(name)) present.emplace(place_of(tensor), tensor);
    }
    const auto is_present = [&](const at::Tensor& tensor) {
      const auto [begin, end] = present.equal_range(place_of(tensor));
      return std::any_of(begin, end, [&](const auto& p) { return Traits::same_view(p.second, tensor); });
    };
    for (const auto& [name, tensor] : tensors) {
      if (const Value* value = state_.find_key(name)) {
        const auto scope = context_.enter(name);
        if (const auto from = tensor_for(tensor, *value, context_)) plan_copy(tensor, *from, context_);
      } else if (!is_present(tensor)) {  // tied ones may stand in the file under one name
        context_.missing(name);
      }
    }
  }

  /// A field that Python's files do not have: where the file lacks it, the live one is kept.
  template <class F>
  void plan_kept(F, const StateDict& values, std::string_view where, HyperPolicy policy) {
    const std::string key(F::name());
    taken_.insert(key);
    std::optional<PathScope> scope;
    if (!where.empty()) scope.emplace(context_.path, std::string(where));
    if (values.find_key(key)) return plan_field<F>(live_, &values, policy, context_);
    if (F::role == Role::state && !foreign_) return context_.missing(key);
    const auto inner = context_.enter(key);
    context_.warn("the file lacks this field; the live one is kept");
  }

  /// A tensor that the description lists and the module did not register.
  template <class F>
  void plan_free_tensor(F) {
    const std::string key(F::name());
    taken_.insert(key);
    if (state_.find_key(key) || F::get(live_).defined()) plan_field<F>(live_, &state_, HyperPolicy::file, context_);
  }

  template <class Sub>
  void plan_submodule(Sub& submodule, const std::string& key) {
    const std::string name = submodule_name(live_, submodule, key);
    StateDict own = entries_below(state_, name), params;
    if (const Value* record = own.find_key(manifest_key)) {
      taken_.insert(submodule_key(name));
      if (const Value* p = record->as<StateDict>().find_key("params")) params = p->template as<StateDict>();
      own.erase_key(manifest_key);
    }
    const auto scope = context_.enter(name);
    ModulePlan<Sub> plan(submodule, params, own, foreign_, context_);
    if (registered_name(live_, submodule).empty()) {
      for (const auto& entry : own) taken_.insert(name + '.' + to_string(entry.first));
      plan.run();
    } else if constexpr (Component<Sub>) {  // its tensors were planned with this module's
      for (const auto& taken : plan.plan_description()) taken_.insert(name + '.' + taken);
    }
  }

  T& live_;
  const StateDict& params_;
  const StateDict& state_;
  const bool foreign_;
  LoadContext& context_;
  std::unordered_set<std::string> taken_;
};

template <ModuleClass T>
struct TorchCodec<T> {
  static constexpr bool is_object = true;
  static constexpr bool takes_description = true;

  static Value save(const T& x, SaveContext& context) {
    static_assert(
        !inherits_describe<T>,
        "trainstate: this module inherits describe() from its base; give it a describe() of its own that lists "
        "ts::base<Base>");
    if constexpr (Component<T>) static_assert(assert_serializable_fields<T>());
    StateDict flat;
    for_each_tensor(x, "", [&](const std::string& name, const at::Tensor& tensor) { flat[name] = tensor.detach(); });
    if constexpr (Component<T>) {
      save_description(x, flat, context.note_component(component_name<T>, component_version<T>, "module"), context);
    } else {
      context.note_component(x.name(), 1, "module");
    }
    return flat;
  }

  static void migrate(const T* live, Value& value, LoadContext& context) {
    migrate_module(live, value, context, "module");
  }

  static void assemble(const T* live, Value& value, LoadContext& context) requires Component<T> {
    if (auto* dict = value.get_if<StateDict>()) make_record(live, *dict, context);
  }

  static void plan(T& live, const Value& value, LoadContext& context) {
    const auto* dict = value.get_if<StateDict>();
    if (!dict) return context.mismatch("the state dict of a module", value.describe());
    const StateDict none;
    const bool record = is_module_record(*dict);
    const auto part = [&](const char* key) -> const StateDict& {
      return dict->at_key(std::string(key)).template as<StateDict>();
    };
    const bool foreign = !context.has_manifest || context.foreign_modules.contains(context.path);
    ModulePlan<T>(live, record ? part("params") : none, record ? part("state") : *dict, foreign, context).run();
  }

  static void collect(const T& x, NamesContext& context) {
    for_each_tensor(x, "", [&](std::string name, const at::Tensor& tensor) {
      context.names.add(tensor, context.path, std::move(name));
    });
  }
};

/// ModuleHolder and AnyModule: the module they hold, or None.
template <class H, class M>
struct HolderCodec {
  static constexpr bool is_object = true;
  static constexpr bool may_be_none = true;
  static constexpr bool takes_description = true;

  static Value save(const H& x, SaveContext& context) {
    return x.is_empty() ? Value() : TorchCodec<M>::save(*x.ptr(), context);
  }
  static void migrate(const H* live, Value& value, LoadContext& context) {
    const bool has_live = live && !live->is_empty();
    if (!value.is<None>()) TorchCodec<M>::migrate(has_live ? live->ptr().get() : nullptr, value, context);
  }
  static void assemble(const H* live, Value& value, LoadContext& context) requires Component<M> {
    const bool has_live = live && !live->is_empty();
    if (!value.is<None>()) TorchCodec<M>::assemble(has_live ? live->ptr().get() : nullptr, value, context);
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
template <std::same_as<torch::nn::AnyModule> Only>
struct TorchCodec<Only> : HolderCodec<torch::nn::AnyModule, torch::nn::Module> {};

}  // namespace trainstate::detail
