// Models by name: a program that has only a checkpoint builds the model that is in it.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/container/any.h>

#include <concepts>
#include <filesystem>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeindex>
#include <typeinfo>
#include <utility>
#include <vector>

#include "trainstate/component.hpp"
#include "trainstate/error.hpp"
#include "trainstate/migrate.hpp"
#include "trainstate/options.hpp"
#include "trainstate/registry/model_record.hpp"
#include "trainstate/registry/rebuild.hpp"
#include "trainstate/report.hpp"
#include "trainstate/torch/module_tensors.hpp"

namespace trainstate {
namespace detail {

/// The module class that `Net` is or holds.
template <class Net>
using ModuleClassOf = typename ModuleIn<Net>::type;

/// Throws MismatchError if the file says that the model is another one.
inline void check_name(const ModelRecord& model, std::string_view expected) {
  if (model.name.empty() || model.name == expected) return;
  Report found;
  found.mismatched.push_back({model.source.path, "the model '" + std::string(expected) + "'", "'" + model.name + "'"});
  const std::string text = mismatch_text(model.file, found);
  throw MismatchError(text, std::move(found));
}

}  // namespace detail

/// Builds the model at the path `part` of a checkpoint (the whole file, if it is empty), by its class: the constructor
/// is called with the hyperparameters in declared order, after the class's migration hooks have run; then the state is
/// loaded as `load` does it. `Net` is a module holder, and such a one is returned, or a class of modules, and a
/// shared_ptr of one is returned. The model is in eval mode and, if `options.map_location` says so, on that device.
/// `report` gets what was found. A file without a manifest (Python's) has no hyperparameters: a class that has defaults
/// is built with them, another is an Error. Throws also MismatchError if the file's model is of another class, Error if
/// there is no model at `part`, and what `load` throws.
template <class Net>
auto load_model(const std::filesystem::path& path, const std::string& part = "", const LoadOptions& options = {},
                Report* report = nullptr) {
  using T = detail::ModuleClassOf<Net>;
  static_assert(
      !std::is_void_v<T>,
      "trainstate: load_model<Net> builds a class of modules: one derived from torch::nn::Module, or its holder");
  if constexpr (Component<T>) {
    static_assert(detail::takes_hypers<T, detail::ConstructShared<T>>,
                  "trainstate: load_model<Net> calls the constructor of Net with its hyperparameters (ts::hyper) in "
                  "declared order: give it such a constructor, or ModelRegistry::add a builder");
  } else {
    static_assert(std::default_initializable<T>,
                  "trainstate: load_model<Net> needs to know how Net is built: give it a describe() with its "
                  "hyperparameters, or a default constructor");
  }
  auto model = detail::read_model(path, part, options);
  if constexpr (Component<T>) detail::check_name(model, component_name<T>);
  auto module = detail::rebuild<T>(std::move(model), options, detail::ConstructShared<T>(), report);
  if constexpr (detail::Holder<Net>) {
    return Net(std::move(module));
  } else {
    return module;
  }
}

/// Classes of modules by the name and the version that their describe() gives them, each with a way to build one from
/// its hyperparameters. Copies are independent; any number of threads may load with one registry.
class ModelRegistry {
 public:
  /// Files a class, or the class that a holder holds, under its name and version. `builder`, if given, is called with
  /// the hyperparameters in declared order and returns the module (a shared_ptr or a holder of it), else the
  /// constructor is. Once more for the same class replaces the builder. Throws Error if another class has that name and
  /// version.
  template <class Net>
  ModelRegistry& add() {
    using T = detail::ModuleClassOf<Net>;
    check_class<T>();
    static_assert(detail::takes_hypers<T, detail::ConstructShared<T>>,
                  "trainstate: ModelRegistry calls the constructor of a model with its hyperparameters (ts::hyper) in "
                  "declared order: give it such a constructor, or add(...) a builder");
    return add_builder<T>(detail::ConstructShared<T>());
  }
  template <class Net, class Builder>
  ModelRegistry& add(Builder builder) {
    using T = detail::ModuleClassOf<Net>;
    check_class<T>();
    static_assert(detail::takes_hypers<T, Builder>,
                  "trainstate: the builder given to ModelRegistry::add must take the model's hyperparameters "
                  "(ts::hyper) in declared order");
    return add_builder<T>([builder = std::move(builder)](auto&&... hypers) -> std::shared_ptr<T> {
      auto made = std::invoke(builder, std::forward<decltype(hypers)>(hypers)...);
      if constexpr (detail::Holder<decltype(made)>) {
        return made.ptr();
      } else {
        return made;
      }
    });
  }

  /// Builds the model at the path `part` of a checkpoint (the whole file, if it is empty), as `load_model` does. The
  /// class is the one of the file's name and version; if that version is not here, the next later one, whose hooks
  /// migrate the record. `forward` of the result takes what the class's own takes. Throws Error if the file does not
  /// name the model or no class of that name is here, with a list of those that are; VersionError if the file's version
  /// is later than all of the class; and what `load` throws.
  [[nodiscard]] torch::nn::AnyModule load(const std::filesystem::path& path, const std::string& part = "",
                                          const LoadOptions& options = {}, Report* report = nullptr) const {
    auto model = detail::read_model(path, part, options);
    const Build& build = detail::at_the_border(model.file, [&]() -> const Build& { return find(model); });
    return build(std::move(model), options, report);
  }

  /// The names and versions that are here, sorted.
  [[nodiscard]] std::vector<std::pair<std::string, int>> models() const {
    std::vector<std::pair<std::string, int>> all;
    for (const auto& [key, entry] : models_) all.push_back(key);
    return all;
  }

 private:
  using Build = std::function<torch::nn::AnyModule(detail::ModelRecord, const LoadOptions&, Report*)>;
  struct Entry {
    std::type_index type;
    Build build;
  };

  template <class T>
  static constexpr void check_class() {
    static_assert(
        !std::is_void_v<T>,
        "trainstate: ModelRegistry holds classes of modules: derived from torch::nn::Module, or their holders");
    static_assert(Component<T>,
                  "trainstate: ModelRegistry files a model under the name and version of its describe(): give it one");
    static_assert(torch::detail::has_forward<T>::value,
                  "trainstate: a model in a ModelRegistry needs a forward(), and just one, which is no template");
  }

  template <class T, class Make>
  ModelRegistry& add_builder(Make make) {
    const std::pair key(std::string(component_name<T>), component_version<T>);
    const std::type_index type = typeid(T);
    if (const auto known = models_.find(key); known != models_.end() && known->second.type != type) {
      throw Error("ModelRegistry: another class is registered as '" + key.first + "', version " +
                  std::to_string(key.second));
    }
    Build build = [make = std::move(make)](detail::ModelRecord model, const LoadOptions& options, Report* report) {
      return torch::nn::AnyModule(detail::rebuild<T>(std::move(model), options, make, report));
    };
    models_.insert_or_assign(key, Entry{type, std::move(build)});
    return *this;
  }

  [[nodiscard]] const Build& find(const detail::ModelRecord& model) const {
    const std::string place = detail::place_text(model.source.path) + ": ";
    if (model.name.empty()) {
      throw Error(place + "the file does not name this model (it has no manifest); build the model and load the file " +
                  "into it, or load_model its class");
    }
    const int version = detail::version_in(model.source.tree, model.source.path, model.name);
    const auto at = models_.lower_bound({model.name, version});
    if (at != models_.end() && at->first.first == model.name) return at->second.build;
    if (at != models_.begin() && std::prev(at)->first.first == model.name) {
      throw VersionError(place + "the file has version " + std::to_string(version) + " of model '" + model.name +
                         "', newer than this registry's version " + std::to_string(std::prev(at)->first.second));
    }
    std::string known;
    for (const auto& [key, entry] : models_) {
      known += (known.empty() ? "" : ", ") + key.first + " (version " + std::to_string(key.second) + ')';
    }
    throw Error(place + "the registry has no model '" + model.name + "'; it has " + (known.empty() ? "none" : known));
  }

  std::map<std::pair<std::string, int>, Entry> models_;
};

}  // namespace trainstate
