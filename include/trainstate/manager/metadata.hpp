// What a manager writes into the metadata of its files, and reads from there. No LibTorch.
#pragma once

#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include "trainstate/error.hpp"
#include "trainstate/io/checksum.hpp"
#include "trainstate/manager/options.hpp"

namespace trainstate::manager {

/// What a file says of itself.
struct Record {
  std::int64_t step = 0;
  std::chrono::system_clock::time_point time = {};
  std::int64_t sequence = 0;  ///< counts the files of a folder as they were written, also when clocks jump
  Metrics metrics = {};
  std::map<std::string, std::string> metadata = {};  ///< the user's own
};

inline constexpr std::string_view reserved_prefix = "manager.";
inline constexpr std::string_view metric_prefix = "manager.metrics.";
inline constexpr const char* step_key = "manager.step";
inline constexpr const char* time_key = "manager.time";
inline constexpr const char* sequence_key = "manager.sequence";

/// A number as a text that gives the same bits back: a NaN with its payload.
[[nodiscard]] inline std::string number_text(double value) {
  if (std::isnan(value)) return "nan:" + io::hex_text(std::bit_cast<std::uint64_t>(value));
  std::array<char, 32> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

/// Reads what `std::to_string` or `number_text` wrote.
template <class T>
[[nodiscard]] std::optional<T> parse_number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// As above, of a metric.
[[nodiscard]] inline std::optional<double> parse_metric(std::string_view text) {
  constexpr std::string_view nan = "nan:";
  if (!text.starts_with(nan)) return parse_number<double>(text);
  const auto bits = io::parse_hex(text.substr(nan.size()));
  return bits ? std::optional(std::bit_cast<double>(*bits)) : std::nullopt;
}

/// The metadata of a file. Throws Error for a key of the user's that a manager keeps for itself.
[[nodiscard]] inline std::map<std::string, std::string> to_metadata(const Record& record) {
  std::map<std::string, std::string> texts;
  for (const auto& [key, text] : record.metadata) {
    if (key.starts_with(reserved_prefix)) throw Error("metadata " + key + ": this name is the manager's own");
    texts[key] = text;
  }
  using std::chrono::nanoseconds;
  const auto time = std::chrono::duration_cast<nanoseconds>(record.time.time_since_epoch());
  texts[step_key] = std::to_string(record.step);
  texts[time_key] = std::to_string(time.count());
  texts[sequence_key] = std::to_string(record.sequence);
  for (const auto& [name, value] : record.metrics) texts[std::string(metric_prefix) + name] = number_text(value);
  return texts;
}

/// The record in a file's metadata; nothing if no manager wrote the file.
[[nodiscard]] inline std::optional<Record> from_metadata(const std::map<std::string, std::string>& texts) {
  const auto integer = [&](const char* key) {
    const auto at = texts.find(key);
    return at == texts.end() ? std::nullopt : parse_number<std::int64_t>(at->second);
  };
  const auto step = integer(step_key), time = integer(time_key), sequence = integer(sequence_key);
  if (!step || !time || !sequence) return std::nullopt;
  const std::chrono::nanoseconds since_epoch(*time);
  using Clock = std::chrono::system_clock;
  Record record{*step, Clock::time_point(std::chrono::duration_cast<Clock::duration>(since_epoch)), *sequence};
  for (const auto& [key, text] : texts) {
    if (key.starts_with(metric_prefix)) {
      const auto value = parse_metric(text);
      if (!value) return std::nullopt;
      record.metrics[key.substr(metric_prefix.size())] = *value;
    } else if (!key.starts_with(reserved_prefix)) {
      record.metadata[key] = text;
    }
  }
  return record;
}

}  // namespace trainstate::manager
