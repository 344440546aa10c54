// The names of a manager's files: `step_00001200-20251122_153210.safetensors`. No LibTorch.
#pragma once

#include <time.h>

#include <array>
#include <charconv>
#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "trainstate/file_format.hpp"

namespace trainstate::manager {

/// What a file's name says. Ordered as the files of one folder were written, those of a step one after the other.
struct FileName {
  std::int64_t step = 0;
  std::string stamp = {};   ///< local time, `20251122_153210`
  std::int64_t number = 1;  ///< from 2 on it stands behind the time
  Format format = Format::safetensors;

  auto operator<=>(const FileName&) const = default;
};

/// The time in the words of a file's name: local time, to the second.
[[nodiscard]] inline std::string stamp_of(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y%m%d_%H%M%S", &local)};
}

/// The name as a text.
[[nodiscard]] inline std::string text_of(const FileName& name) {
  constexpr std::size_t step_digits = 8;
  std::string step = std::to_string(name.step);
  if (step.size() < step_digits) step.insert(0, step_digits - step.size(), '0');
  return "step_" + step + "-" + name.stamp + (name.number > 1 ? "-" + std::to_string(name.number) : "") +
         (name.format == Format::pt ? ".pt" : ".safetensors");
}

/// What a name says; nothing if no manager would give it.
[[nodiscard]] inline std::optional<FileName> parse_name(std::string_view text) {
  const auto number = [](std::string_view digits, std::int64_t& to) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), to);
    return error == std::errc{} && end == digits.data() + digits.size();
  };
  constexpr std::string_view prefix = "step_", pt = ".pt", safetensors = ".safetensors";
  constexpr std::size_t stamp_size = 15;
  FileName name;
  std::string_view rest = text;
  if (!rest.starts_with(prefix)) return std::nullopt;
  rest.remove_prefix(prefix.size());
  if (rest.ends_with(pt)) name.format = Format::pt;
  if (name.format == Format::safetensors && !rest.ends_with(safetensors)) return std::nullopt;
  rest.remove_suffix(name.format == Format::pt ? pt.size() : safetensors.size());

  const auto dash = rest.find('-');
  if (dash == std::string_view::npos || !number(rest.substr(0, dash), name.step)) return std::nullopt;
  rest.remove_prefix(dash + 1);
  name.stamp = rest.substr(0, stamp_size);
  for (std::size_t i = 0; i < stamp_size; ++i) {
    const char c = i < name.stamp.size() ? name.stamp[i] : '\0';
    if (i == 8 ? c != '_' : c < '0' || c > '9') return std::nullopt;
  }
  rest.remove_prefix(stamp_size);
  if (!rest.empty() && (rest[0] != '-' || !number(rest.substr(1), name.number))) return std::nullopt;
  // One spelling of each, so that a name which looks alike is never taken for ours.
  constexpr std::int64_t largest_number = 1'000'000'000;
  if (name.step < 0 || name.number > largest_number || text_of(name) != text) return std::nullopt;
  return name;
}

/// The name for a new file of a step, behind all of that step in its order, whatever the clock did since they were
/// written.
[[nodiscard]] inline FileName next_name(std::int64_t step, std::chrono::system_clock::time_point time, Format format,
                                        std::span<const FileName> taken) {
  FileName name{step, stamp_of(time), 1, format};
  for (const FileName& other : taken) {
    if (other.step != step) continue;
    if (std::pair(other.stamp, other.number) < std::pair(name.stamp, name.number)) continue;
    name.stamp = other.stamp;
    name.number = other.number + 1;
  }
  return name;
}

}  // namespace trainstate::manager
