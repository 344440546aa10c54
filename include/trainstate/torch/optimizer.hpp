// LibTorch's optimizers: in the tree as PyTorch 2.14's `optimizer.state_dict()`, in the manifest their parameters'
// names. SGD, Adam, AdamW, RMSprop, Adagrad and LBFGS, also through a reference or pointer to their base.
#pragma once

#include <torch/optim/optimizer.h>
#include <boost/hana/for_each.hpp>
#include <boost/hana/tuple.hpp>

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/component.hpp"
#include "trainstate/codec/members.hpp"
#include "trainstate/migrate.hpp"
#include "trainstate/torch/optimizer/group_notes.hpp"
#include "trainstate/torch/optimizer/kinds.hpp"
#include "trainstate/torch/optimizer/lbfgs.hpp"
#include "trainstate/torch/optimizer/matching.hpp"
#include "trainstate/torch/optimizer/options.hpp"
#include "trainstate/torch/optimizer/parameters.hpp"
#include "trainstate/torch/optimizer/state.hpp"

namespace trainstate::detail {

/// The options of a live group. Throws Error if they are of another class than the optimizer's own.
template <class Kind, class Group>
auto& options_of(Group& group) {
  using Options = std::conditional_t<std::is_const_v<Group>, const typename Kind::Options, typename Kind::Options>;
  if (group.has_options()) {
    if (auto* options = dynamic_cast<Options*>(&group.options())) return *options;
  }
  throw Error(std::string(Kind::name) + ": a parameter group whose options are not those of this class");
}

/// Saves and plans one of LibTorch's six.
template <class O>
struct OneOptimizerCodec {
  using Kind = OptimizerKind<O>;
  static constexpr bool is_lbfgs = std::is_same_v<O, torch::optim::LBFGS>;

  static Value save(const O& x, SaveContext& context) {
    const auto live = live_parameters(x, context.names);
    const auto notes = NotesRegistry::find(x);
    StateDict state;
    List groups, names;
    for (std::size_t g = 0; g < live.groups.size(); ++g) {
      const LiveGroup& group = live.groups[g];
      for (std::size_t i = 0; i < group.parameters.size(); ++i) {
        if (const auto* own = live_state<typename Kind::State>(x, group.parameters[i])) {
          state[group.indices[i]] = save_one(*own);
        }
      }
      StateDict options = save_options<Kind>(options_of<Kind>(x.param_groups()[g]), context);
      if (notes) save_notes((*notes)[g], options);
      options["params"] = List(group.indices.begin(), group.indices.end());
      groups.push_back(std::move(options));
      names.push_back(group.names ? Value(List(group.names->begin(), group.names->end())) : Value());
    }
    auto& record = context.note_component(Kind::name, 1, "optimizer");
    record["param_names"] = std::move(names);
    if (live.modules.size() == 1) record["module"] = *live.modules.begin();
    StateDict dict;
    dict["state"] = std::move(state);
    dict["param_groups"] = std::move(groups);
    return dict;
  }

  static void plan(O& x, const StateDict& dict, LoadContext& context) {
    if (const auto found = other_class(dict)) return context.mismatch(std::string(Kind::name), *found);
    const auto file = read_parameters(dict, context);
    if (!file) return;
    const auto live = live_parameters(x, context.names);
    const auto matches = GroupMatcher(live, *file, context).run();
    if constexpr (is_lbfgs) {
      const GroupMatch* match = matches.empty() ? nullptr : &matches.front();
      auto& options = options_of<Kind>(x.param_groups()[0]);
      plan_lbfgs(x, live, *file, match, match ? plan_group(x, *match, *file, context) : options, context);
    } else {
      plan_all(x, live, *file, matches, context);
    }
  }

 private:
  static StateDict save_one(const typename Kind::State& state) {
    if constexpr (is_lbfgs) {
      return save_lbfgs_state(state);
    } else {
      return save_state<Kind>(state);
    }
  }

  static typename Kind::Options plan_group(O& x, const GroupMatch& match, const FileParameters& file,
                                           LoadContext& context) {
    const auto scope = context.enter("param_groups");
    const auto inner = context.enter(index_key(match.file));
    const StateDict& group = *file.groups[match.file].options;
    plan_notes(NotesRegistry::find(x), match.live, group, context);
    return plan_options<Kind>(options_of<Kind>(x.param_groups()[match.live]), group, context);
  }

  static void plan_all(O& x, const LiveParameters& live, const FileParameters& file,
                       const std::vector<GroupMatch>& matches, LoadContext& context) requires(!is_lbfgs) {
    OptimizerStates fresh;
    const auto keep = [&](const at::Tensor& parameter, std::unique_ptr<typename Kind::State> state) {
      if (state) fresh[optimizer_state_key<OptimizerStates>(parameter.unsafeGetTensorImpl())] = std::move(state);
    };
    std::unordered_set<const c10::TensorImpl*> planned;
    std::vector<bool> matched(live.groups.size());
    for (const GroupMatch& match : matches) {
      matched[match.live] = true;
      const auto options = plan_group(x, match, file, context);
      const LiveGroup& group = live.groups[match.live];
      for (std::size_t i = 0; i < group.parameters.size(); ++i) {
        if (!planned.insert(group.parameters[i].unsafeGetTensorImpl()).second) continue;  // a group may hold one twice
        const Key* id = match.from[i] ? &file.groups[match.file].ids[*match.from[i]] : nullptr;
        keep(group.parameters[i],
             plan_one(x, group.parameters[i], group.names ? (*group.names)[i] : "", id, file, options, context));
      }
    }
    for (std::size_t g = 0; g < matched.size(); ++g) {
      if (matched[g]) continue;
      const auto& options = options_of<Kind>(x.param_groups()[g]);
      for (const at::Tensor& parameter : live.groups[g].parameters) {
        keep(parameter, plan_one(x, parameter, "", nullptr, file, options, context));
      }
    }
    note_unexpected(file, context);
    plan_states<typename Kind::State>(x, std::move(fresh), swap_states<Kind>, context);
  }

  /// The state of one parameter; `id` is nullptr if the file lacks the parameter.
  static std::unique_ptr<typename Kind::State> plan_one(const O& x, const at::Tensor& parameter,
                                                        const std::string& name, const Key* id,
                                                        const FileParameters& file,
                                                        const typename Kind::Options& options, LoadContext& context) {
    const auto scope = context.enter("state");
    const auto* live = live_state<typename Kind::State>(x, parameter);
    const Value* value = id ? file.state->find_key(*id) : nullptr;
    const auto* state = value ? value->get_if<StateDict>() : nullptr;
    if (value && !state) {
      const auto inner = context.enter(*id);
      context.mismatch("a dict", value->describe());
      return nullptr;
    }
    if (!state || holds_nothing(*state)) {
      if constexpr (Kind::starts_with_state) {
        if (id && live) context.missing(*id);
        return live || !id ? Kind::initial_state(parameter, options) : nullptr;
      }
      return nullptr;
    }
    const auto inner = context.enter(*id);
    return plan_state<Kind>(live, parameter, name, *state, options, context);
  }

  static void note_unexpected(const FileParameters& file, LoadContext& context) {
    const auto scope = context.enter("state");
    for (const auto& [key, value] : *file.state) {
      const bool listed = std::any_of(file.groups.begin(), file.groups.end(), [&, &id = key](const FileGroup& group) {
        return std::find(group.ids.begin(), group.ids.end(), id) != group.ids.end();
      });
      if (!listed) context.unexpected(key);
    }
  }

  /// The class that wrote the file, if it was another one: by the manifest, else by what its groups have and no other
  /// class does.
  static std::optional<std::string> other_class(const StateDict& dict) {
    if (const Value* record = dict.find_key(manifest_key)) {
      const Value* name = record->is<StateDict>() ? record->as<StateDict>().find_key("name") : nullptr;
      if (name && *name != Value(Kind::name))
        return name->is<std::string>() ? name->as<std::string>() : name->describe();
      return std::nullopt;
    }
    const Value* group = dict.find("param_groups/0");
    if (!group || !group->is<StateDict>()) return std::nullopt;
    const auto& options = group->as<StateDict>();
    const Value* decoupled = options.find_key("decoupled_weight_decay");
    std::optional<std::string> found;
    boost::hana::for_each(known_optimizers, [&]<class Other>(std::type_identity<Other>) {
      using OtherKind = OptimizerKind<Other>;
      if (found || !options.find_key(std::string(OtherKind::signature))) return;
      if constexpr (requires { OtherKind::decoupled; }) {
        const bool tells = decoupled && decoupled->is<bool>();
        if (!tells && OtherKind::signature == Kind::signature) found = std::string(Kind::name);
        if (tells && decoupled->as<bool>() != OtherKind::decoupled) return;
      }
      if (!found) found = std::string(OtherKind::name);
    });
    if (!found || *found == Kind::name) return std::nullopt;
    return found;
  }
};

/// Any optimizer, by its dynamic class. One with state_dict() and load_state_dict() of its own goes by those.
template <std::derived_from<torch::optim::Optimizer> T>
requires(!HasStateDictMembers<T>) struct TorchCodec<T> {
  static constexpr bool is_object = true;

  static Value save(const T& x, SaveContext& context) {
    Value value;
    with_optimizer_kind(x, context.path, [&]<class O>(std::type_identity<O>) {
      value = OneOptimizerCodec<O>::save(dynamic_cast<const O&>(x), context);
    });
    return value;
  }

  static void migrate(const T* live, Value& value, LoadContext& context) {
    auto* dict = value.get_if<StateDict>();
    auto* record = dict ? dict->find_key(manifest_key) : nullptr;
    if (!live || !record || !record->is<StateDict>()) return;
    with_optimizer_kind(*live, context.path, [&]<class O>(std::type_identity<O>) {
      auto& own = record->as<StateDict>();
      const auto name = OptimizerKind<O>::name;
      run_migrations<O>(boost::hana::tuple<>(), name, version_in(own, context.path, name), 1, own, context);
    });
  }

  static void plan(T& live, const Value& value, LoadContext& context) {
    with_optimizer_kind(live, context.path, [&]<class O>(std::type_identity<O>) {
      if (const auto* dict = value.get_if<StateDict>()) {
        OneOptimizerCodec<O>::plan(dynamic_cast<O&>(live), *dict, context);
      } else {
        context.mismatch("the state dict of " + std::string(OptimizerKind<O>::name), value.describe());
      }
    });
  }
};

}  // namespace trainstate::detail
