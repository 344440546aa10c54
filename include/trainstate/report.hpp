// What a load, check or upgrade found and did, for programs (members) and for people (operator<<).
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace trainstate {

/// What a load (or `check`, `verify`, `upgrade`) found and did. Paths are those of the state dict, joined with `/`.
struct Report {
  /// A value that is there but cannot be taken: `expected` describes the live object, `found` the file.
  struct Mismatch {
    std::string path, expected, found;
    bool operator==(const Mismatch&) const = default;
  };
  /// A hyperparameter whose live value and file value differ, whichever of the two the policy keeps.
  struct HyperChange {
    std::string path, live, file;
    bool operator==(const HyperChange&) const = default;
  };
  /// One migration step of one component.
  struct Migration {
    std::string path;
    int from = 0, to = 0;
    bool operator==(const Migration&) const = default;
  };

  std::vector<std::string> missing_keys = {};     ///< live, but not in the file
  std::vector<std::string> unexpected_keys = {};  ///< in the file, but nothing live takes them
  std::vector<Mismatch> mismatched = {};
  std::vector<HyperChange> hyper_changes = {};
  std::vector<Migration> migrated = {};
  std::vector<std::string> warnings = {};
  std::uint64_t bytes = 0;  ///< tensor bytes that were (or, after `check`, would be) applied
  double seconds = 0;       ///< wall time of the whole call
};

namespace detail {

/// A path for a person: that of a root that is no dict is empty.
inline std::string place_text(const std::string& path) { return path.empty() ? "the whole" : path; }

}  // namespace detail

/// Prints the report for a person: one line per finding, grouped, then the totals.
inline std::ostream& operator<<(std::ostream& os, const Report& report) {
  using detail::place_text;
  for (const auto& key : report.missing_keys) os << "missing     " << place_text(key) << '\n';
  for (const auto& key : report.unexpected_keys) os << "unexpected  " << place_text(key) << '\n';
  for (const auto& m : report.mismatched) {
    os << "mismatched  " << place_text(m.path) << ": expected " << m.expected << ", found " << m.found << '\n';
  }
  for (const auto& h : report.hyper_changes) {
    os << "hyper       " << place_text(h.path) << ": live " << h.live << ", file " << h.file << '\n';
  }
  for (const auto& m : report.migrated) {
    os << "migrated    " << place_text(m.path) << ": version " << m.from << " -> " << m.to << '\n';
  }
  for (const auto& warning : report.warnings) os << "warning     " << warning << '\n';
  return os << report.bytes << " bytes of tensors in " << report.seconds << " s\n";
}

}  // namespace trainstate
