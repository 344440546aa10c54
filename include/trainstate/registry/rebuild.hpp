// Builds a model from what a file says of it: its class's constructor gets the hyperparameters, in declared order.
#pragma once

#include <boost/hana/filter.hpp>
#include <boost/hana/integral_constant.hpp>
#include <boost/hana/unpack.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "trainstate/codec/component.hpp"
#include "trainstate/component.hpp"
#include "trainstate/error.hpp"
#include "trainstate/objects.hpp"
#include "trainstate/options.hpp"
#include "trainstate/registry/model_record.hpp"
#include "trainstate/report.hpp"
#include "trainstate/torch/module.hpp"
#include "trainstate/torch/module_record.hpp"

namespace trainstate::detail {

/// Calls `f.operator()<F...>()` with the fields of `T` that are hyperparameters, in declared order.
template <class T, class Function>
constexpr decltype(auto) with_hyper_fields(Function&& f) {
  constexpr auto is_hyper = []<class F>(F) { return boost::hana::bool_c<F::role == Role::hyper>; };
  return boost::hana::unpack(boost::hana::filter(fields<T>, is_hyper),
                             [&]<class... F>(F...) -> decltype(auto) { return f.template operator()<F...>(); });
}

template <class T>
constexpr auto hyper_values_of() {
  return with_hyper_fields<T>([]<class... F>() { return std::type_identity<std::tuple<FieldType<F>...>>(); });
}

/// A value for each hyperparameter of `T`.
template <class T>
using HyperValues = typename decltype(hyper_values_of<T>())::type;

/// Whether `Make` can be called with the hyperparameters of `T`.
template <class T, class Make>
inline constexpr bool takes_hypers = with_hyper_fields<T>([]<class... F>() {
  return std::is_invocable_v<const Make&, FieldType<F>...>;
});

/// Calls the constructor of `T`.
template <class T>
struct Construct {
  template <class... A>
  requires std::constructible_from<T, A...> T operator()(A&&... arguments) const {
    return T(std::forward<A>(arguments)...);
  }
};

/// The same, for modules, which do not move.
template <class T>
struct ConstructShared {
  template <class... A>
  requires std::constructible_from<T, A...> std::shared_ptr<T>
  operator()(A&&... arguments) const { return std::make_shared<T>(std::forward<A>(arguments)...); }
};

template <class M>
concept BuiltByConstructor = Component<M> && std::movable<M> && takes_hypers<M, Construct<M>>;

template <class T>
std::optional<HyperValues<T>> build_hypers(const StateDict& params, LoadContext& context);

/// A new value; one of a component that has no default is built from its own hyperparameters. Nothing, and a note in
/// the report, where the file's value does not fit.
template <class M>
std::optional<M> build_value(const Value& value, LoadContext& context) {
  if constexpr (Buildable<M>) {
    return build_whole<M>(value, context);
  } else {
    static_assert(
        BuiltByConstructor<M>,
        "trainstate: a model is rebuilt from its hyperparameters, and one of them cannot be built from a file: "
        "give its class a default constructor, or one that takes its own hyperparameters in declared order");
    const auto* record = value.get_if<StateDict>();
    const auto* params = record ? ComponentCodec<M>::section_of(*record, Role::hyper) : nullptr;
    if (!params) {
      context.mismatch("a record of component '" + std::string(component_name<M>) + "'", value.describe());
      return std::nullopt;
    }
    auto hypers = build_hypers<M>(*params, context);
    if (!hypers) return std::nullopt;
    M fresh = call_foreign(context.path, [&] { return std::apply(Construct<M>(), *std::move(hypers)); });
    if (!context.build_now([&] { Codec<M>::plan(fresh, value, context); })) return std::nullopt;
    return fresh;
  }
}

/// The value of hyperparameter `F` in `params`.
template <class F>
std::optional<FieldType<F>> build_hyper(const StateDict& params, LoadContext& context) {
  const Key key = std::string(F::name());
  const auto scope = context.enter(key);
  if (const Value* value = params.find_key(key)) return build_value<FieldType<F>>(*value, context);
  context.missing();
  return std::nullopt;
}

/// All of them. Nothing, and a note in the report for each that is not there or does not fit.
template <class T>
std::optional<HyperValues<T>> build_hypers(const StateDict& params, LoadContext& context) {
  return with_hyper_fields<T>([&]<class... F>() -> std::optional<HyperValues<T>> {
    std::tuple<std::optional<FieldType<F>>...> built{build_hyper<F>(params, context)...};
    return std::apply(
        [](auto&... value) -> std::optional<HyperValues<T>> {
          if (!(value.has_value() && ...)) return std::nullopt;
          return HyperValues<T>(*std::move(value)...);
        },
        built);
  });
}

/// A new module with the hyperparameters that the file gives it. Brings all that is in `model` to today's versions.
template <ModuleClass T, class Make>
std::shared_ptr<T> build_described(ModelRecord& model, const LoadOptions& options, const Make& make, Report& report) {
  Plan plan;
  const ParameterNames names;
  LoadContext context(options, names, report, plan);
  context.path = model.source.path;
  context.has_manifest = true;
  Value record(std::move(model.source.tree));
  migrate_module<T>(nullptr, record, context, "module");
  const auto& params = record.as<StateDict>().at_key("params").template as<StateDict>();
  auto hypers = [&] {
    const auto scope = context.enter("params");
    return build_hypers<T>(params, context);
  }();
  if (!hypers) {
    const std::string text = mismatch_text("", report);
    throw MismatchError(text, std::move(report));
  }
  auto module =
      call_foreign(context.path, [&]() -> std::shared_ptr<T> { return std::apply(make, *std::move(hypers)); });
  // Which described modules are inside, and where, only the module itself knows.
  migrate_submodules(module.get(), record.as<StateDict>().at_key("state").template as<StateDict>(), context);
  model.source.tree = std::move(record.as<StateDict>());
  model.source.is_todays = true;
  model.source.file_may_be_written = !report.migrated.empty();
  return module;
}

/// As above; where the file gives none, or the class has none, with its defaults.
template <ModuleClass T, class Make>
std::shared_ptr<T> build_module(ModelRecord& model, const LoadOptions& options, const Make& make, Report& report) {
  if (model.name.empty()) {
    if constexpr (std::default_initializable<T>) {
      return call_foreign(model.source.path, [] { return std::make_shared<T>(); });
    } else {
      throw Error(place_text(model.source.path) +
                  ": the file does not say with which hyperparameters this model was built (it has no manifest); build "
                  "the model and load the file into it");
    }
  }
  if constexpr (Component<T>) {
    return build_described<T>(model, options, make, report);
  } else {
    return call_foreign(model.source.path, [] { return std::make_shared<T>(); });
  }
}

/// A new module in the state that the file has of it, in eval mode, on `options.map_location`. `report`, if it is not
/// null, gets what was found.
template <ModuleClass T, class Make>
std::shared_ptr<T> rebuild(ModelRecord model, const LoadOptions& options, const Make& make, Report* report) {
  Report built;
  auto module = at_the_border(model.file, [&] {
    auto fresh = build_module<T>(model, options, make, built);
    if (!fresh) throw Error(place_text(model.source.path) + ": the builder of this model returned nothing");
    if (options.map_location) fresh->to(*options.map_location);
    return fresh;
  });
  const std::string file = model.file;
  Report loaded = load_object(*module, std::move(model.source), options, file, true);
  module->eval();
  if (report) {
    loaded.migrated.insert(loaded.migrated.begin(), built.migrated.begin(), built.migrated.end());
    *report = std::move(loaded);
  }
  return module;
}

}  // namespace trainstate::detail
