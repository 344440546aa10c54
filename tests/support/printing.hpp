// Texts of what tests compare, for when they differ.
#pragma once

#include <ostream>

#include "trainstate/report.hpp"

namespace trainstate {

inline std::ostream& operator<<(std::ostream& os, const Report::Mismatch& m) {
  return os << m.path << ": expected " << m.expected << ", found " << m.found;
}

inline std::ostream& operator<<(std::ostream& os, const Report::HyperChange& h) {
  return os << h.path << ": live " << h.live << ", file " << h.file;
}

inline std::ostream& operator<<(std::ostream& os, const Report::Migration& m) {
  return os << m.path << ": " << m.from << " -> " << m.to;
}

}  // namespace trainstate
