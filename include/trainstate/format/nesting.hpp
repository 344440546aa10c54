// How deep a tree is being walked, so that no tree can exhaust the stack.
#pragma once

#include <cstddef>

#include "trainstate/format/document.hpp"

namespace trainstate::format {

/// Counts a level of dicts and lists for as long as it lives.
class Nesting {
 public:
  /// Calls `fail`, which throws, where there are `max_depth` levels already.
  template <class Fail>
  Nesting(std::size_t& depth, const Fail& fail) : depth_(depth) {
    if (depth == max_depth) fail();
    ++depth;
  }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
  ~Nesting() { --depth_; }

 private:
  std::size_t& depth_;
};

}  // namespace trainstate::format
