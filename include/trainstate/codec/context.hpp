// What travels along while objects become a state dict, and back.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <algorithm>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "trainstate/codec/plan.hpp"
#include "trainstate/codec/tensor_tracks.hpp"
#include "trainstate/error.hpp"
#include "trainstate/io/source_file.hpp"
#include "trainstate/options.hpp"
#include "trainstate/path.hpp"
#include "trainstate/report.hpp"
#include "trainstate/state_dict.hpp"

namespace trainstate::detail {

/// Extends a path for as long as it lives.
class PathScope {
 public:
  PathScope(std::string& path, const Key& key) : path_(path), size_(path.size()) { append_key(path, key); }
  PathScope(const PathScope&) = delete;
  PathScope& operator=(const PathScope&) = delete;
  ~PathScope() { path_.resize(size_); }

 private:
  std::string& path_;
  std::size_t size_;
};

/// Which module of a checkpoint owns a parameter, and its name there.
struct ParameterName {
  std::string module, name;
};

/// The names of all parameters of all modules in a checkpoint, by identity.
class ParameterNames {
 public:
  /// The first name of a tied parameter stays.
  void add(const at::Tensor& parameter, std::string_view module, std::string name) {
    names_.try_emplace(parameter.unsafeGetTensorImpl(), ParameterName{std::string(module), std::move(name)});
  }
  [[nodiscard]] const ParameterName* find(const at::Tensor& parameter) const {
    const auto at = names_.find(parameter.unsafeGetTensorImpl());
    return at == names_.end() ? nullptr : &at->second;
  }

  /// Calls f(parameter) for all of them, in any order.
  template <class F>
  void for_each(const F& f) const {
    for (const auto& item : names_) f(*item.first);
  }

 private:
  std::unordered_map<const c10::TensorImpl*, ParameterName> names_;
};

/// Collects the names of parameters before anything is saved or loaded; before a load also how the random number
/// generators among the live objects are put back into the state that they have now.
struct NamesContext {
  bool loads = false;
  std::string path = {};
  ParameterNames names = {};
  std::vector<std::function<void()>> put_back = {};  ///< none of them throws

  [[nodiscard]] PathScope enter(const Key& key) { return {path, key}; }

  void put_back_all() const noexcept {
    for (const auto& f : put_back) f();
  }
};

/// Accompanies objects on their way into a state dict.
struct SaveContext {
  ParameterNames names = {};
  std::string path = {};
  StateDict components = {};  ///< the manifest's part: by path, what the tree itself has no place for

  [[nodiscard]] PathScope enter(const Key& key) { return {path, key}; }

  /// What to throw where the object at the current path cannot be stored.
  [[nodiscard]] Error error(const std::string& text) const { return Error(path.empty() ? text : path + ": " + text); }

  /// Notes the component at the current path; what else stands in the manifest is added to the returned record.
  StateDict& note_component(std::string_view name, int version, std::string_view kind) {
    auto& record = components[path];
    record = StateDict{{"name", Value(name)}, {"version", Value(version)}, {"kind", Value(kind)}};
    return record.as<StateDict>();
  }
};

/// What `assemble` did to a tree, by path.
struct Assembled {
  std::unordered_set<std::string> described;  ///< modules with a description, which are records now
  std::unordered_set<std::string> plain;      ///< other modules that the manifest knows: as they were
  std::unordered_set<std::string> annotated;  ///< what has its manifest's record inside, under `manifest_key`
};

/// Accompanies a state dict on its way into live objects.
class LoadContext {
 public:
  LoadContext(const LoadOptions& load_options, const ParameterNames& parameter_names, Report& load_report,
              Plan& load_plan)
      : options(load_options), names(parameter_names), report(load_report), plan(&load_plan) {}

  [[nodiscard]] PathScope enter(const Key& key) { return {path, key}; }

  void missing() { note(report.missing_keys, path); }
  void missing(const Key& key) { note(report.missing_keys, join(path, key)); }
  void unexpected(const Key& key) { note(report.unexpected_keys, join(path, key)); }
  void mismatch(std::string expected, std::string found) {
    report.mismatched.push_back({path, std::move(expected), std::move(found)});
  }
  void warn(const std::string& text) { report.warnings.push_back(path.empty() ? text : path + ": " + text); }

  /// Notes the component at the current path as being at today's version.
  void note_component(std::string_view name, int version, std::string_view kind) {
    if (!components_today) return;
    (*components_today)[path] = StateDict{{"name", Value(name)}, {"version", Value(version)}, {"kind", Value(kind)}};
  }

  /// Where the tensor at the current path was when it was saved, if this machine has that device; else the CPU.
  [[nodiscard]] c10::Device recorded_device() const {
    const auto at = devices.find(path);
    return at == devices.end() ? c10::Device(c10::kCPU) : at->second;
  }

  /// Says that a hook is about to run: until then there is nothing to follow.
  void before_hook() {
    if (root && !tracks.started()) tracks.start(*root);
  }

  /// Whether the caller asked for this part of the checkpoint. Only parts of the outermost one can be chosen.
  [[nodiscard]] bool selects(const std::string& part) const {
    if (!path.empty()) return true;
    const auto names_part = [&](const std::vector<std::string>& parts) {
      return std::find(parts.begin(), parts.end(), part) != parts.end();
    };
    return (options.only.empty() || names_part(options.only)) && !names_part(options.except);
  }

  /// The policy for hyperparameters of a component whose kind has this default.
  [[nodiscard]] HyperPolicy hyper_policy(HyperPolicy by_kind) const { return options.hyper.value_or(by_kind); }

  /// True when nothing has been found so far that the options do not allow.
  [[nodiscard]] bool acceptable() const { return count_problems() == 0; }

  /// How much has been found so far that the options do not allow.
  [[nodiscard]] std::size_t count_problems() const {
    return report.mismatched.size() + (options.allow_missing ? 0 : report.missing_keys.size()) +
           (options.allow_unexpected ? 0 : report.unexpected_keys.size());
  }

  /// Runs `f` with a plan of its own, for an object that is being built and not live yet; applies that plan at once if
  /// nothing was found that forbids it. True if it was applied.
  template <class F>
  bool build_now(F&& f) {
    Plan own;
    Plan* const outer = std::exchange(plan, &own);
    const std::size_t problems = count_problems();
    try {
      f();
    } catch (...) {
      plan = outer;
      throw;
    }
    plan = outer;
    if (count_problems() != problems) return false;
    if (!own.copies().empty()) own.read_from(sources());
    own.apply();
    return true;
  }

  /// Where what is copied from now on may be read, after all migrations of the tree have run.
  [[nodiscard]] io::SourceFile sources() const {
    return file ? io::SourceFile(*file, file_may_be_written || !report.migrated.empty()) : io::SourceFile();
  }

  const LoadOptions& options;
  const ParameterNames& names;
  Report& report;
  Plan* plan;
  std::string path;
  bool has_manifest = false;             ///< false: the tree is from Python, or was never in a file
  bool in_memory = false;                ///< the tree was never in a file
  const io::MappedFile* file = nullptr;  ///< that the tree's tensors are mapped from; null if they cannot be read again
  bool file_may_be_written = false;      ///< hooks may have written to tensors where they are mapped, before this load
  /// Today's manifest, filled in by the migrations of each component; null unless a file is being upgraded.
  StateDict* components_today = nullptr;
  /// The devices of the file's tensors that are not on the CPU but present here, by path.
  std::unordered_map<std::string, c10::Device> devices;
  TensorCopies<at::Tensor> copies;  ///< the tensors that were newly built
  const Value* root = nullptr;      ///< all that is migrated; null where tensors need not be followed
  TensorTracks tracks;              ///< how migrations renamed parameters
  Assembled assembled;
  /// The modules that the manifest does not know, by path: Python's, and those of trees that were never saved as such.
  std::unordered_set<std::string> foreign_modules;

 private:
  static void note(std::vector<std::string>& keys, std::string key) { keys.push_back(std::move(key)); }
};

}  // namespace trainstate::detail
