// A described component: `{"version": 3, "params": {…}, "state": {…}}`.
#pragma once

#include <boost/hana/all_of.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/length.hpp>
#include <boost/hana/unpack.hpp>

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/plain.hpp"
#include "trainstate/component.hpp"
#include "trainstate/migrate.hpp"

namespace trainstate::detail {

template <class F>
using FieldType = std::remove_cv_t<typename F::value_type>;

/// A struct of nothing but parts is laid out as a checkpoint: one dict of its fields.
template <class T>
constexpr bool all_parts() {
  return boost::hana::unpack(fields<T>, []<class... F>(F...) {
    return sizeof...(F) != 0 && ((F::role == Role::state && IsObject<FieldType<F>>)&&...);
  });
}

enum class Layout { record, flat, parts };

template <class T>
constexpr Layout layout_of() {
  if constexpr (is_flat<T>) {
    return Layout::flat;
  } else {
    return all_parts<T>() ? Layout::parts : Layout::record;
  }
}

/// The version of a record that has no place for one: the manifest's, which is taken out of the record; 1 for a file
/// without a manifest. A tree that was never in a file is today's if its keys are.
inline int take_version(StateDict& record, bool keys_are_todays, std::string_view name, int today,
                        const LoadContext& context) {
  if (const Value* manifest = record.find_key(manifest_key)) {
    const auto* entries = manifest->get_if<StateDict>();
    const int version = entries ? version_in(*entries, context.path, name) : 1;
    record.erase_key(manifest_key);
    return version;
  }
  return context.in_memory && keys_are_todays ? today : 1;
}

constexpr std::string_view section(Role role) { return role == Role::hyper ? "params" : "state"; }

/// Whether a live value and a file's value mean the same, where the types alone cannot tell (an int for a double).
template <class T>
bool same_meaning(const T& live, const Value& value, LoadContext& context) {
  SaveContext save_context;
  const Value ours = Codec<T>::save(live, save_context);
  if (ours == value) return true;
  if constexpr (Buildable<T>) {
    Report ignored;
    Plan plan;
    LoadContext trial(context.options, context.names, ignored, plan);
    const auto theirs = build_whole<T>(value, trial);
    return theirs && Codec<T>::save(*theirs, save_context) == ours;
  } else {
    return false;
  }
}

/// Plans one hyperparameter by the policy. A const member is compared, never written.
template <class F, class T>
void plan_hyper(T& live, const Value& value, HyperPolicy policy, LoadContext& context) {
  using M = FieldType<F>;
  const M& member = F::get(live);
  if (same_meaning<M>(member, value, context)) return;
  SaveContext save_context;
  const Value ours = Codec<M>::save(member, save_context);
  const bool refuse = policy == HyperPolicy::match || (F::is_const && policy == HyperPolicy::file);
  if (refuse) return context.mismatch("hyperparameter " + ours.describe(), value.describe());
  context.report.hyper_changes.push_back({context.path, ours.describe(), value.describe()});
  if constexpr (!F::is_const) {
    if (policy == HyperPolicy::file) Codec<M>::plan(F::get(live), value, context);
  }
}

/// Plans one field from `values`, the part of a record that holds fields of its role.
template <class F, class T>
void plan_field(T& live, const StateDict* values, HyperPolicy policy, LoadContext& context) {
  const Key key = std::string(F::name());
  const auto scope = context.enter(key);
  const Value* value = values ? values->find_key(key) : nullptr;
  if (!value) {
    if (F::role == Role::hyper && policy != HyperPolicy::file) {
      return context.warn("the file lacks this hyperparameter; the live one is kept");
    }
    return context.missing();
  }
  if constexpr (F::role == Role::hyper) {
    plan_hyper<F>(live, *value, policy, context);
  } else if constexpr (F::is_const) {
    if (!same_meaning<FieldType<F>>(F::get(live), *value, context)) {
      SaveContext save_context;
      context.mismatch("the const " + Codec<FieldType<F>>::save(F::get(live), save_context).describe(),
                       value->describe());
    }
  } else {
    Codec<FieldType<F>>::plan(F::get(live), *value, context);
  }
}

template <class T>
bool has_field(const Key& key, std::optional<Role> role = std::nullopt) {
  const auto* text = std::get_if<std::string>(&key);
  return text && boost::hana::unpack(fields<T>, [&]<class... F>(F...) {
           return ((*text == F::name() && (!role || *role == F::role)) || ...);
         });
}

template <class T>
struct ComponentCodec {
  static_assert(assert_component<T>());
  static_assert(assert_serializable_fields<T>());
  static constexpr bool is_object = true;
  static constexpr Layout layout = layout_of<T>();
  static constexpr std::string_view kind = layout == Layout::record ? "component"
                                           : layout == Layout::flat ? "flat"
                                                                    : "checkpoint";

  static Value save(const T& x, SaveContext& context) {
    context.note_component(component_name<T>, component_version<T>, kind);
    if constexpr (layout == Layout::record) {
      StateDict record;
      record["version"] = component_version<T>;
      Value& params = record["params"] = StateDict();
      Value& state = record["state"] = StateDict();
      save_fields(x, params.as<StateDict>(), state.as<StateDict>(), context);
      return record;
    } else {
      StateDict dict;
      save_fields(x, dict, dict, context);
      return dict;
    }
  }

  static void migrate(const T* live, Value& value, LoadContext& context) {
    auto* record = value.get_if<StateDict>();
    if (!record) return;
    context.note_component(component_name<T>, component_version<T>, kind);
    if constexpr (layout == Layout::record) {
      const int version = version_in(*record, context.path, component_name<T>);
      own_tensors(*record, version, component_version<T>, context);
      run_migrations<T>(version, *record, context);
      (*record)["version"] = component_version<T>;
    } else {
      const bool today = boost::hana::unpack(
          fields<T>, [&]<class... F>(F...) { return (record->find_key(std::string(F::name())) && ...); });
      if constexpr (layout == Layout::parts) assemble_parts(live, *record, context);
      const int version = take_version(*record, today, component_name<T>, component_version<T>, context);
      own_tensors(*record, version, component_version<T>, context);
      run_migrations<T>(version, *record, context);
    }
    boost::hana::for_each(fields<T>, [&]<class F>(F) {
      if (!selected<F>(context)) return;
      const Key key = std::string(F::name());
      auto* values = section_of(*record, F::role);
      Value* field = values ? values->find_key(key) : nullptr;
      if (!field) return;
      [[maybe_unused]] const auto outer = enter_section(context, F::role);
      const auto scope = context.enter(key);
      migrate_value<FieldType<F>>(live ? &F::get(*live) : nullptr, *field, context);
    });
  }

  static void plan(T& live, const Value& value, LoadContext& context) {
    const auto* record = value.get_if<StateDict>();
    if (!record) {
      return context.mismatch("a record of component '" + std::string(component_name<T>) + "'", value.describe());
    }
    const HyperPolicy policy = context.hyper_policy(HyperPolicy::file);
    boost::hana::for_each(fields<T>, [&]<class F>(F) {
      if (!selected<F>(context)) return;
      [[maybe_unused]] const auto outer = enter_section(context, F::role);
      plan_field<F>(live, section_of(*record, F::role), policy, context);
    });
    note_unexpected(*record, context);
  }

  static std::optional<T> build(const Value& value,
                                LoadContext& context) requires std::default_initializable<T> && std::movable<T> {
    T fresh{};
    if (!context.build_now([&] { plan(fresh, value, context); })) return std::nullopt;
    return fresh;
  }

  static void collect(const T& x, NamesContext& context) {
    boost::hana::for_each(fields<T>, [&]<class F>(F) {
      [[maybe_unused]] const auto outer = enter_section(context, F::role);
      const auto scope = context.enter(std::string(F::name()));
      collect_names<FieldType<F>>(F::get(x), context);
    });
  }

  /// The part of a record that holds the fields of a role; nullptr if there is none.
  template <class Dict>
  static Dict* section_of(Dict& record, Role role) {
    if constexpr (layout == Layout::record) {
      auto* values = record.find_key(std::string(section(role)));
      return values ? values->template get_if<StateDict>() : nullptr;
    } else {
      return &record;
    }
  }

 private:
  static void assemble_parts(const T* live, StateDict& record, LoadContext& context) {
    boost::hana::for_each(fields<T>, [&]<class F>(F) {
      const Key key = std::string(F::name());
      Value* part = selected<F>(context) ? record.find_key(key) : nullptr;
      if (!part) return;
      const auto scope = context.enter(key);
      assemble_value<FieldType<F>>(live ? &F::get(*live) : nullptr, *part, context);
    });
  }

  /// The parts of the outermost checkpoint can be chosen.
  template <class F>
  static bool selected(const LoadContext& context) {
    return layout != Layout::parts || context.selects(std::string(F::name()));
  }

  /// Fields of a record stand one level deeper, under their role.
  template <class Context>
  static auto enter_section(Context& context, Role role) {
    if constexpr (layout == Layout::record) {
      return context.enter(std::string(section(role)));
    } else {
      return nullptr;
    }
  }

  static void save_fields(const T& x, StateDict& params, StateDict& state, SaveContext& context) {
    boost::hana::for_each(fields<T>, [&]<class F>(F) {
      const Key key = std::string(F::name());
      [[maybe_unused]] const auto outer = enter_section(context, F::role);
      const auto scope = context.enter(key);
      (F::role == Role::hyper ? params : state)[key] = Codec<FieldType<F>>::save(F::get(x), context);
    });
  }

  static void note_unexpected(const StateDict& record, LoadContext& context) {
    for (const auto& [key, value] : record) {
      if constexpr (layout == Layout::record) {
        const bool params = key == Key("params"), state = key == Key("state");
        if (key == Key("version")) continue;
        const auto* values = params || state ? value.template get_if<StateDict>() : nullptr;
        if (!values) {
          context.unexpected(key);
          continue;
        }
        const auto scope = context.enter(key);
        for (const auto& [name, field] : *values) {
          if (!has_field<T>(name, params ? Role::hyper : Role::state)) context.unexpected(name);
        }
      } else {
        const bool chosen = layout != Layout::parts || context.selects(to_string(key));
        const bool passed_over = layout == Layout::parts && context.path.empty() && !context.options.only.empty();
        if (!has_field<T>(key) && chosen && !passed_over) context.unexpected(key);
      }
    }
  }
};

}  // namespace trainstate::detail
