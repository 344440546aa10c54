// `trainstate latest`: the newest checkpoint of a folder that a CheckpointManager keeps.
#pragma once

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "checkpoint_file.hpp"
#include "console.hpp"
#include "text.hpp"
#include "trainstate/manager/folder.hpp"
#include "trainstate/manager/names.hpp"
#include "trainstate/report.hpp"
#include "verify.hpp"

namespace tool {

/// The checkpoints of a folder, the newest first, by their names. Throws IoError if it cannot be listed.
inline std::vector<std::filesystem::path> checkpoints_in(const std::filesystem::path& folder) {
  const auto names = ts::manager::CheckpointFolder(folder).names();
  std::vector<std::filesystem::path> paths;
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    std::filesystem::path path = folder / ts::manager::text_of(*name);
    std::error_code unknown;
    if (std::filesystem::is_regular_file(path, unknown)) paths.push_back(std::move(path));
  }
  return paths;
}

/// Prints the path of the newest checkpoint, with `verify` of the newest that is whole. Returns 1 if there is none.
inline int latest(const Console& console, const std::filesystem::path& folder, bool verify) {
  for (const auto& path : checkpoints_in(folder)) {
    ts::Report report;
    if (verify && verdict_of(console, path, report) != Verdict::whole) continue;
    console.out << path.string() << '\n';
    return 0;
  }
  console.note(printable(folder.string()) + ": no " + (verify ? "whole " : "") + "checkpoint of a manager in it");
  return 1;
}

}  // namespace tool
