#include "trainstate/format/nesting.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <functional>
#include <stdexcept>

namespace format = trainstate::format;

TEST_CASE("nesting: max_depth levels and no more, and all are left again") {
  std::size_t depth = 0, deepest = 0;
  const auto fail = [] { throw std::runtime_error("too deep"); };
  const std::function<void(std::size_t)> descend = [&](std::size_t levels) {
    const format::Nesting nesting(depth, fail);
    deepest = depth;
    if (levels > 1) descend(levels - 1);
  };
  descend(format::max_depth);
  CHECK(deepest == format::max_depth);
  CHECK(depth == 0);
  CHECK_THROWS_WITH_AS(descend(format::max_depth + 1), "too deep", std::runtime_error);
  CHECK(depth == 0);
}
