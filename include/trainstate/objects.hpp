// Objects into state dicts and back: `state_dict` and `load_state_dict` for everything that the library can save.
#pragma once

#include <c10/util/Exception.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "trainstate/adapter.hpp"
#include "trainstate/codec/assemble.hpp"
#include "trainstate/codec/shared_memory.hpp"
#include "trainstate/io/mapped_file.hpp"
#include "trainstate/options.hpp"
#include "trainstate/report.hpp"
#include "trainstate/state_dict.hpp"
#include "trainstate/torch/module.hpp"
#include "trainstate/torch/optimizer.hpp"
#include "trainstate/torch/rng.hpp"
#include "trainstate/torch/sampler.hpp"
#include "trainstate/torch/scheduler.hpp"

namespace trainstate {
namespace detail {

/// What is loaded: a tree, and what a file's manifest adds to it.
struct Source {
  StateDict tree;
  StateDict manifest = {};
  StateDict components = {};
  bool has_manifest = false;
  bool in_memory = false;
  std::string path = {};  ///< where in the file the tree stands, if it is not the whole
  std::vector<std::string> warnings = {};
  std::unordered_map<std::string, c10::Device> devices = {};
  bool is_todays = false;  ///< all migrations have run already
  /// Where tensors of the tree are mapped that may be read from it again; null if there is none.
  std::shared_ptr<const io::MappedFile> file = nullptr;
  bool file_may_be_written = false;  ///< hooks may have written to tensors where they are mapped
  bool is_reported = false;          ///< whoever read it told the caller's `progress` of its bytes
};

/// What is saved: the tree, and what the manifest has to add.
struct Saved {
  StateDict tree;
  StateDict components = {};
  List upgrades = {};  ///< what `upgrade` did to this state before
};

/// Runs `f`, with LibTorch's exceptions, those for a lack of memory, and texts without a place in them turned into this
/// library's.
template <class F>
decltype(auto) at_the_border(const std::string& where, F&& f) {
  const std::string prefix = where.empty() ? "" : where + ": ";
  try {
    return f();
  } catch (const Error&) {
    if (prefix.empty()) throw;
    rethrow_with_prefix(prefix);
  } catch (const c10::Error& e) {
    throw Error(prefix + "LibTorch: " + e.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    throw Error(prefix + "there is not enough memory");
  } catch (const std::length_error&) {  // what containers throw for more than any memory holds
    throw Error(prefix + "there is not enough memory");
  }
}

/// A root that is no dict is one entry with the key "".
inline StateDict as_root(Value value) {
  if (auto* dict = value.get_if<StateDict>()) return std::move(*dict);
  StateDict root;
  root[""] = std::move(value);
  return root;
}

/// The other way round. Where both would be possible, what the live object is decides.
template <class T>
Value root_value(const T& live, StateDict tree) {
  Value* only = tree.size() == 1 ? tree.find_key("") : nullptr;
  if (!only) return tree;
  SaveContext unused;
  const bool none = MayBeNone<T> && only->is<None>();
  if (none || !Codec<T>::save(live, unused).template is<StateDict>()) return std::move(*only);
  return tree;
}

template <class T>
Saved save_object(const T& x) {
  NamesContext names;
  collect_names<std::remove_cv_t<T>>(x, names);
  SaveContext context{std::move(names.names)};
  StateDict tree = as_root(Codec<T>::save(x, context));
  return {.tree = std::move(tree), .components = std::move(context.components)};
}

/// The text of a MismatchError: every difference that the options do not allow.
inline std::string mismatch_text(const std::string& where, const Report& report, const LoadOptions& options = {}) {
  const std::vector<std::string> none;
  const auto& missing = options.allow_missing ? none : report.missing_keys;
  const auto& unexpected = options.allow_unexpected ? none : report.unexpected_keys;
  std::ostringstream text;
  const auto n = missing.size() + unexpected.size() + report.mismatched.size();
  text << where << (where.empty() ? "" : ": ") << "does not fit the live objects, in " << n
       << (n == 1 ? " place" : " places");
  for (const auto& key : missing) text << "\n  missing " << place_text(key);
  for (const auto& key : unexpected) text << "\n  unexpected " << place_text(key);
  for (const auto& m : report.mismatched)
    text << "\n  " << place_text(m.path) << ": expected " << m.expected << ", found " << m.found;
  return text.str();
}

/// Puts the random number generators back when a load ends without having been applied.
class GeneratorGuard {
 public:
  explicit GeneratorGuard(const NamesContext& names) : names_(names) {}
  GeneratorGuard(const GeneratorGuard&) = delete;
  GeneratorGuard& operator=(const GeneratorGuard&) = delete;
  ~GeneratorGuard() {
    if (!applied_) names_.put_back_all();
  }
  void applied() noexcept { applied_ = true; }

 private:
  const NamesContext& names_;
  bool applied_ = false;
};

/// The bytes of all tensors of a value.
inline std::uint64_t bytes_of_tensors(const Value& value) {
  std::uint64_t bytes = 0;
  if (const auto* tensor = value.get_if<at::Tensor>(); tensor && tensor->defined()) {
    bytes = static_cast<std::uint64_t>(tensor->numel()) * tensor->element_size();
  } else if (const auto* list = value.get_if<List>()) {
    for (const auto& item : *list) bytes += bytes_of_tensors(item);
  } else if (const auto* dict = value.get_if<StateDict>()) {
    for (const auto& [key, item] : *dict) bytes += bytes_of_tensors(item);
  }
  return bytes;
}

/// Tells `options.progress` of all bytes at once where nothing looked at them before they are applied. It may still
/// cancel then; once they are on their way into live objects, it could not.
inline void report_unread(const Source& source, const LoadOptions& options) {
  if (!options.progress || source.is_reported) return;
  const std::uint64_t total = bytes_of_tensors(source.tree);
  options.progress(total, total);
}

/// Migrates, plans and, if `apply`, applies. With `apply`, throws MismatchError before anything live has changed if
/// something was found that the options do not allow.
template <class T>
Report load_object(T& live, Source source, const LoadOptions& options, const std::string& where, bool apply,
                   std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now()) {
  report_unread(source, options);
  Report report;
  const bool accepted = at_the_border(where, [&] {
    NamesContext names{.loads = true};
    collect_names<T>(live, names);
    GeneratorGuard guard(names);
    Plan plan;
    LoadContext context(options, names.names, report, plan);
    context.path = std::move(source.path);
    context.devices = std::move(source.devices);
    context.has_manifest = source.has_manifest;
    context.in_memory = source.in_memory;
    context.file = source.file.get();
    context.file_may_be_written = source.file_may_be_written;
    report.warnings = std::move(source.warnings);
    Value root = root_value(live, std::move(source.tree));
    context.assembled = assemble(root, source.components);
    if (!source.is_todays) migrate_all<T>(&live, root, context);
    Codec<T>::plan(live, root, context);
    if (context.acceptable()) check_shared_memory(context);
    if (source.in_memory) plan.own_sources();
    if (!context.acceptable()) return false;
    if (apply) {
      plan.read_from(context.sources());
      plan.apply(options.threads, [&] { names.put_back_all(); });
      guard.applied();
    }
    return true;
  });
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (apply && !accepted) {
    const std::string text = mismatch_text(where, report, options);
    throw MismatchError(text, std::move(report));
  }
  return report;
}

/// The object to load into. A const checkpoint will do where it only refers to others, since those are not const.
template <class T>
auto& loadable(T& x) {
  using Mutable = std::remove_const_t<T>;
  if constexpr (std::is_const_v<T> && requires { Codec<Mutable>::refers_only; }) {
    static_assert(Codec<Mutable>::refers_only,
                  "trainstate: this checkpoint is const and owns parts, which a load would write to; make it mutable");
    return const_cast<Mutable&>(x);
  } else {
    static_assert(!std::is_const_v<T>, "trainstate: a const object can be saved but not loaded; pass a mutable one");
    return x;
  }
}

}  // namespace detail

/// The state of `x` as a tree. Tensors alias the live ones, as in Python; `clone()` is a snapshot. A value that is no
/// dict (a number, a list) is the one entry with the key "". Throws Error where something cannot be stored.
template <class T>
StateDict state_dict(const T& x) {
  return detail::at_the_border("", [&] { return detail::save_object(x).tree; });
}

/// Loads a tree into `x`, in place. Throws MismatchError with every difference, or VersionError, and then nothing has
/// changed. What Python's trees have no place for (a module's hyperparameters, the names of an optimizer's parameters)
/// is not in a tree either: hyperparameters are kept, optimizers are matched by position.
template <class T>
Report load_state_dict(T&& x, const StateDict& d, const LoadOptions& options = {}) {
  return detail::load_object(detail::loadable(x), detail::Source{.tree = d, .in_memory = true}, options, "", true);
}

}  // namespace trainstate
