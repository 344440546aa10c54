#include "trainstate/training/metric_history.hpp"

#include <doctest/doctest.h>

#include <limits>

namespace ts = trainstate;
using Entry = ts::MetricHistory::Entry;

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

TEST_CASE("each metric has its own steps") {
  ts::MetricHistory history;
  history.add("loss", 1, 0.5);
  history.add(3, {{"loss", 0.25}, {"accuracy", 0.75}});
  REQUIRE(history.series().size() == 2);
  CHECK(history.series().at("loss").steps == std::vector<std::int64_t>{1, 3});
  CHECK(history.series().at("loss").values == std::vector<double>{0.5, 0.25});
  CHECK(history.series().at("accuracy").steps == std::vector<std::int64_t>{3});
  CHECK(history.latest("loss") == Entry{3, 0.25});
}

TEST_CASE("the best, by mode; the earlier of two equal ones") {
  ts::MetricHistory history;
  const double values[] = {nan, 2, -1, 3, -1, 3, nan};
  for (int step = 0; step < 7; ++step) history.add("x", step, values[step]);
  CHECK(history.best("x", ts::Mode::min) == Entry{2, -1});
  CHECK(history.best("x", ts::Mode::max) == Entry{3, 3});
}

TEST_CASE("where there is no best") {
  ts::MetricHistory history;
  CHECK_FALSE(history.best("x", ts::Mode::min));
  CHECK_FALSE(history.latest("x"));
  history.add("x", 1, nan);
  CHECK_FALSE(history.best("x", ts::Mode::max));
  CHECK(history.latest("x")->step == 1);
  history.add("x", 2, -infinity);
  CHECK(history.best("x", ts::Mode::max) == Entry{2, -infinity});
}

static_assert(ts::Component<ts::MetricHistory>);

}  // namespace
