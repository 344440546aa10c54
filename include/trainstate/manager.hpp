// The checkpoints of a run in one folder: saved, kept by rules, found again.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/async.hpp"
#include "trainstate/checkpoint.hpp"
#include "trainstate/error.hpp"
#include "trainstate/manager/engine.hpp"
#include "trainstate/manager/options.hpp"
#include "trainstate/manager/signals.hpp"
#include "trainstate/options.hpp"

namespace trainstate {

/// Keeps the checkpoints of a run in a folder of their own:
///
///     ts::CheckpointManager manager("runs/digits", {.keep_latest = 3, .keep_best = 1, .metric = "val_loss"});
///     if (auto at = manager.restore_latest(ckpt)) step = at->step + 1;
///     …
///     manager.save(step, ckpt, {{"val_loss", loss}});
///
/// The folder is the only truth: there is no index, step, time and metrics stand in the files, and a folder that is
/// moved or copied is as good. Checkpoints are ordered by step, those of one step as they were written. Nothing goes
/// before the newer file is durable and was read back; only files that a manager wrote go, never the latest and never
/// the best. A damaged file is never deleted, and no rule counts it. Files of other names are neither listed nor
/// touched.
///
/// One manager writes to a folder, from its first save until it is destroyed or its process ends; a second one's save
/// is an IoError (EWOULDBLOCK). Any number of them, in any process, may list and restore meanwhile. Of one manager, one
/// thread at a time saves and restores. Everything throws IoError if the folder cannot be used.
class CheckpointManager {
 public:
  /// Makes the folder if there is none. Throws Error for options that contradict themselves.
  explicit CheckpointManager(std::filesystem::path folder, ManagerOptions options = {})
      : engine_(std::make_unique<manager::Engine>(std::move(folder), std::move(options))) {}
  /// Waits as `wait` does. What went wrong and nobody asked for is passed over.
  ~CheckpointManager() = default;
  CheckpointManager(CheckpointManager&&) noexcept = default;
  CheckpointManager& operator=(CheckpointManager&&) noexcept = default;

  /// Saves a checkpoint, or any single object, as a new file, and returns its path; then deletes what no rule wants any
  /// more. With `async`, it returns once the state is copied (see `save_async`); everything else happens behind, for at
  /// most two files at a time. What went wrong behind is thrown by the next `save` or `wait`, once; a save that throws
  /// has not begun (or, without `async`, has left no file), so it may be repeated. Throws what `save` and `save_async`
  /// do, Error for a negative step, and IntegrityError if the file is not what was written.
  template <class T>
  std::filesystem::path save(std::int64_t step, const T& ckpt, const Metrics& metrics = {},
                             const std::map<std::string, std::string>& metadata = {}) {
    const auto& options = engine_->options();
    return engine_->save(step, metrics, metadata, [&](const std::filesystem::path& path, const auto& texts) {
      const SaveOptions how{.format = options.format,
                            .overwrite = false,
                            .threads = options.threads,
                            .metadata = texts,
                            .reuse_unchanged = options.reuse_unchanged};
      if (!options.async) {
        trainstate::save(ckpt, path, how);
        return manager::Completion();
      }
      auto pending = std::make_shared<PendingSave>(save_async(ckpt, path, how));
      return manager::Completion([pending = std::move(pending)] { pending->wait(); });
    });
  }

  /// True if a save is due at this step: `save_every_steps`, `save_every` or one of `signals` says so. To be asked once
  /// a step.
  [[nodiscard]] bool should_save(std::int64_t step) {
    return engine_->policy().due(step, std::chrono::steady_clock::now());
  }

  /// True if a signal of `signals` came since the manager was made: after SIGTERM, say, the loop should save and end.
  [[nodiscard]] bool received(int signal) const { return engine_->policy().signals().received(signal); }

  /// Waits until all files are durable and what no rule wants is gone. Throws what went wrong, once.
  void wait() { engine_->wait(); }

  /// Takes the folder for writing now; otherwise the first save does.
  void lock() { engine_->lock(); }

  /// Loads the latest checkpoint that is whole, and tells which it was and which newer ones are damaged, and why; those
  /// stay where they are. Nothing if the folder has no checkpoint. Waits for saves of this manager first. Throws what
  /// `load` does, except for damage, and IntegrityError if no checkpoint is whole. A file that is whole and does not
  /// fit (MismatchError), or is of a later version, is not passed over.
  template <class T>
  std::optional<RestoredEntry> restore_latest(T&& ckpt, const LoadOptions& options = {}) {
    return engine_->restore(std::nullopt, [&](const auto& path) { return load(ckpt, path, options); });
  }

  /// Loads the checkpoint of a step, the last one written of several, as `restore_latest` does. Throws IoError (ENOENT)
  /// if there is none. The files of later steps stay, and `restore_latest` goes on to prefer them: to go back for good,
  /// move them away.
  template <class T>
  RestoredEntry restore(std::int64_t step, T&& ckpt, const LoadOptions& options = {}) {
    auto restored = engine_->restore(step, [&](const auto& path) { return load(ckpt, path, options); });
    if (!restored) {
      throw IoError(folder().string() + ": expected a checkpoint of step " + std::to_string(step) + ", found none",
                    ENOENT);
    }
    return *std::move(restored);
  }

  /// The checkpoint of the highest step, the last one written of several. Not one that is known to be damaged: a
  /// listing reads metadata, not tensors, so damage of these is known once something has read them.
  [[nodiscard]] std::optional<CheckpointEntry> latest() const {
    const auto files = engine_->whole();
    return files.empty() ? std::nullopt : std::optional(files.back().entry());
  }

  /// The checkpoint with the best value of `ManagerOptions::metric`, of equals the one that was written first. Nothing
  /// if none has that metric, or only NaN.
  [[nodiscard]] std::optional<CheckpointEntry> best() const {
    const auto files = engine_->whole();
    const auto index = engine_->best_of(files);
    return index ? std::optional(files[*index].entry()) : std::nullopt;
  }

  /// All checkpoints, the earliest first. Reads the metadata of files that are new since the last call.
  [[nodiscard]] std::vector<CheckpointEntry> all() const {
    std::vector<CheckpointEntry> entries;
    for (const auto& file : engine_->whole()) entries.push_back(file.entry());
    return entries;
  }

  /// The files of the folder that should be checkpoints and cannot be read, with the reasons, as far as they are known.
  [[nodiscard]] std::vector<SkippedFile> damaged() const {
    std::vector<SkippedFile> files;
    for (const auto& file : engine_->folder().list()) {
      if (file.error) files.push_back({file.path, manager::text_of(file.error)});
    }
    return files;
  }

  /// What went wrong without harm to a checkpoint, each once: files that could not be deleted, damaged ones that stay.
  [[nodiscard]] std::vector<std::string> warnings() const { return engine_->warnings(); }

  [[nodiscard]] const std::filesystem::path& folder() const { return engine_->folder().path(); }

 private:
  std::unique_ptr<manager::Engine> engine_;
};

}  // namespace trainstate
