// What a manager of checkpoints keeps and when it wants a save; what it tells of a checkpoint. No LibTorch.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "trainstate/file_format.hpp"
#include "trainstate/mode.hpp"
#include "trainstate/report.hpp"

namespace trainstate {

/// Metrics of a step by name.
using Metrics = std::map<std::string, double>;

/// What a CheckpointManager keeps, when it wants a save, and how it saves. A checkpoint stays if any of the rules wants
/// it; where no rule is given (`keep_…` all zero), all stay. The latest and the best stay in any case.
struct ManagerOptions {
  std::int64_t keep_latest = 0;  ///< so many of the latest stay: of the highest steps, and of those written last
  std::int64_t keep_best = 0;    ///< so many of the best stay, by `metric`
  std::string metric = {};       ///< the name, in the metrics of `save`, by which `best` judges
  Mode mode = Mode::min;         ///< whether less or more of it is better; of equals the earlier one is better
  std::int64_t keep_every = 0;   ///< steps that are multiples of it stay
  bool async = false;            ///< `save` returns once the state is copied; see `save_async`

  std::chrono::nanoseconds keep_every_duration{0};  ///< one stays of every so much time, beginning with the first
  std::vector<std::int64_t> always_keep = {};       ///< these steps stay; by itself no reason to delete others

  std::int64_t save_every_steps = 0;                 ///< `should_save` at every multiple of it
  std::chrono::nanoseconds save_every{0};            ///< `should_save` when the last save is so long ago
  std::vector<int> signals = {};                     ///< `should_save` once one of them came, like SIGTERM and SIGUSR1
  Format format = Format::safetensors;               ///< of the files that are written; both are read
  std::map<std::string, std::string> metadata = {};  ///< kept in every file; keys that begin with `manager.` are taken

  bool verify = true;            ///< read each file back before an older one goes, and those that others rely on
  unsigned threads = 0;          ///< of a save; 0: as many as the machine has cores
  bool reuse_unchanged = false;  ///< see SaveOptions
  std::function<std::chrono::system_clock::time_point()> clock = {};  ///< for tests; default: the system's
};

/// A checkpoint in a folder, as its file's name and metadata tell. No tensor was read.
struct CheckpointEntry {
  std::int64_t step = 0;
  std::chrono::system_clock::time_point time = {};  ///< when it was saved
  std::filesystem::path path = {};
  Metrics metrics = {};
  std::map<std::string, std::string> metadata = {};  ///< the user's own
};

/// A file that a restore or a listing passed over, and why.
struct SkippedFile {
  std::filesystem::path path = {};
  std::string reason = {};
};

/// What a restore found: the checkpoint, what its load did, and which newer files it had to pass over.
struct RestoredEntry : CheckpointEntry {
  Report report = {};
  std::vector<SkippedFile> skipped = {};
};

}  // namespace trainstate
