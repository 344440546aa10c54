// Runs migration chains: brings a component's record from the version it was written at to today's.
#pragma once

#include <boost/hana/for_each.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/context.hpp"
#include "trainstate/component.hpp"
#include "trainstate/error.hpp"

namespace trainstate::detail {

/// What an error about a component's version begins with.
inline std::string component_text(const std::string& path, std::string_view name) {
  return (path.empty() ? "" : path + ": ") + "component '" + std::string(name) + "'";
}

/// The version that a record says it has; 1 where it says none.
inline int version_in(const StateDict& record, const std::string& path, std::string_view name) {
  const Value* version = record.find_key("version");
  if (!version) return 1;
  const auto* number = version->get_if<std::int64_t>();
  if (number && *number >= 1 && *number <= std::numeric_limits<int>::max()) return static_cast<int>(*number);
  throw VersionError(component_text(path, name) + ": its version should be a positive integer, found " +
                     version->describe());
}

/// Hooks may write into tensors. Those of a tree in memory are the caller's, perhaps live ones, so that a record which
/// has to be migrated gets its own.
inline void own_tensors(StateDict& record, int version, int today, LoadContext& context) {
  if (!context.in_memory || version >= today) return;
  context.before_hook();
  Value own = record.clone();
  context.tracks.replace_all(record, own);
  record = std::move(own.as<StateDict>());
}

/// One step: runs the hook on the record and returns the version that the record has now.
template <class T, class M>
int migrate_once(const M& migration, StateDict& record, LoadContext& context) {
  if constexpr (M::kind == MigrationKind::dict) {
    migration.hook(record);
    return M::from_version + 1;
  } else {
    using Old = typename M::old_type;
    Report report;
    Plan plan;
    LoadContext old_context(context.options, context.names, report, plan);
    auto old = Codec<Old>::build(Value(record), old_context);
    if (!old) {
      const auto& m = report.mismatched.at(0);
      throw Error(m.path + ": expected " + m.expected + ", found " + m.found);
    }
    auto fresh = migration.hook(*std::move(old));
    using New = std::remove_cvref_t<decltype(fresh)>;
    static_assert(Component<New>,
                  "trainstate: the function given to ts::migrate_from returns the component itself or the "
                  "described struct of a later version");
    SaveContext save_context;
    record = Codec<New>::save(fresh, save_context).template as<StateDict>();
    static_assert(component_version<New> > M::from_version,
                  "trainstate: the function given to ts::migrate_from must lead to a later version");
    return component_version<New>;
  }
}

/// Runs the hooks `migrations` (a Hana sequence sorted by version) on `record` from version `from` up to `to`, noting
/// each step in the report. Throws VersionError if the record is newer, if no hook leads on, or if a hook throws.
template <class T, class Migrations>
void run_migrations(const Migrations& migrations, std::string_view name, int from, int to, StateDict& record,
                    LoadContext& context) {
  const std::string who = component_text(context.path, name);
  if (from > to) {
    throw VersionError(who + ": the file has version " + std::to_string(from) + ", newer than this program's version " +
                       std::to_string(to));
  }
  int version = from, oldest = to;
  boost::hana::for_each(migrations, [&]<class M>(const M& migration) {
    oldest = std::min(oldest, M::from_version);
    if (version != M::from_version) return;
    context.before_hook();
    const TransformWatch<at::Tensor> watch(
        [&](const at::Tensor& was, const at::Tensor& now) { context.tracks.replace(was, now); });
    try {
      const int next = migrate_once<T>(migration, record, context);
      context.report.migrated.push_back({context.path, version, next});
      version = next;
    } catch (...) {
      throw VersionError(who + ": the migration from version " + std::to_string(M::from_version) +
                         " failed: " + current_text());
    }
  });
  if (version != to) {
    throw VersionError(who + ": the file has version " + std::to_string(version) +
                       ", but the oldest that this program loads is " + std::to_string(oldest));
  }
}

/// As above, with the hooks, name and version of the component `T`.
template <class T>
void run_migrations(int from, StateDict& record, LoadContext& context) {
  run_migrations<T>(migrations<T>, component_name<T>, from, component_version<T>, record, context);
}

/// Brings all that a file holds to today's versions, and follows the tensors meanwhile.
template <class T>
void migrate_all(const T* live, Value& root, LoadContext& context) {
  context.root = &root;
  migrate_value<T>(live, root, context);
  context.root = nullptr;
  context.tracks.finish(root);
}

}  // namespace trainstate::detail
