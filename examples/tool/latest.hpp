// `trainstate latest`: the newest checkpoint of a folder that a CheckpointManager keeps.
#pragma once

#include <algorithm>
#include <charconv>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint_file.hpp"
#include "console.hpp"
#include "text.hpp"
#include "trainstate/error.hpp"
#include "trainstate/report.hpp"
#include "verify.hpp"

namespace tool {

/// What a name like `step_00001200-20251122_153210.safetensors` says; `-2` after the time means the second save of a
/// step within one second. Ordered as the saves were.
struct SavedAt {
  std::uint64_t step = 0;
  std::string time;  // 20251122_153210
  std::uint64_t number = 1;
  auto operator<=>(const SavedAt&) const = default;
};

/// Nothing for a name that no manager gives.
inline std::optional<SavedAt> saved_at(std::string_view name) {
  const auto digits = [](std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
  };
  const auto number = [&](std::string_view text, std::uint64_t& to) {
    return digits(text) && std::from_chars(text.data(), text.data() + text.size(), to).ec == std::errc{};
  };
  constexpr std::string_view prefix = "step_";
  constexpr std::size_t step_digits = 8, time_size = 15;
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  bool known = false;
  for (const std::string_view extension : {".safetensors", ".pt", ".pth"}) {
    if (known || !name.ends_with(extension)) continue;
    name.remove_suffix(extension.size());
    known = true;
  }
  const auto dash = name.find('-');
  if (!known || dash == std::string_view::npos || dash < step_digits) return std::nullopt;
  SavedAt at;
  if (!number(name.substr(0, dash), at.step)) return std::nullopt;
  name.remove_prefix(dash + 1);
  if (name.size() < time_size || name[8] != '_' || !digits(name.substr(0, 8)) || !digits(name.substr(9, 6))) {
    return std::nullopt;
  }
  at.time = name.substr(0, time_size);
  name.remove_prefix(time_size);
  if (!name.empty() && (name[0] != '-' || !number(name.substr(1), at.number))) return std::nullopt;
  return at;
}

/// The checkpoints of a folder, newest first. Throws Refusal if it cannot be listed.
inline std::vector<std::filesystem::path> checkpoints_in(const std::filesystem::path& folder) {
  std::vector<std::pair<SavedAt, std::filesystem::path>> found;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::error_code unknown;
    if (!at->is_regular_file(unknown)) continue;
    if (auto saved = saved_at(at->path().filename().string())) found.emplace_back(std::move(*saved), at->path());
  }
  if (error) throw Refusal(folder.string() + ": cannot be listed: " + error.message());
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a > b; });
  std::vector<std::filesystem::path> paths;
  for (auto& [saved, path] : found) paths.push_back(std::move(path));
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
