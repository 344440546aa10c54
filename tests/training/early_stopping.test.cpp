#include "trainstate/training/early_stopping.hpp"

#include <doctest/doctest.h>

#include <limits>

namespace ts = trainstate;

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// At which of the metrics, from 1, it says stop; 0 if at none.
int stops_at(ts::EarlyStopping stopping, std::initializer_list<double> metrics) {
  int at = 0;
  for (const double metric : metrics) {
    ++at;
    const bool stop = stopping.step(metric);
    CHECK(stop == stopping.should_stop());
    if (stop) return at;
  }
  return 0;
}

TEST_CASE("it stops after so many evaluations without improvement") {
  CHECK(stops_at(ts::EarlyStopping({.patience = 2}), {3, 2, 2.5, 1, 1, 0.5, 0.5, 0.5}) == 8);
  CHECK(stops_at(ts::EarlyStopping({.patience = 2, .mode = ts::Mode::max}), {3, 2, 2.5}) == 3);
  CHECK(stops_at(ts::EarlyStopping({.patience = 1, .mode = ts::Mode::max}), {1, 2, 3, 4}) == 0);
  CHECK(stops_at(ts::EarlyStopping(), {1, 1, 1}) == 0);
  CHECK(stops_at(ts::EarlyStopping(), {1, 1, 1, 1}) == 4);
}

TEST_CASE("a change below min_delta is none") {
  CHECK(stops_at(ts::EarlyStopping({.patience = 2, .min_delta = 0.5}), {3, 2.75, 2.6, 0}) == 3);
  CHECK(stops_at(ts::EarlyStopping({.patience = 2, .min_delta = 0.5}), {3, 2.75, 2.4, 2.4}) == 0);
  CHECK(stops_at(ts::EarlyStopping({.patience = 2, .min_delta = 0.5, .mode = ts::Mode::max}), {1, 1.5, 1.25}) == 3);
}

TEST_CASE("NaN is never the best") {
  ts::EarlyStopping stopping({.patience = 3});
  CHECK_FALSE(stopping.step(nan));
  CHECK_FALSE(stopping.best_score());
  CHECK_FALSE(stopping.step(2));
  CHECK_FALSE(stopping.step(nan));
  CHECK(stopping.best_score() == 2);
  CHECK(stopping.wait_count() == 1);
  CHECK(stops_at(ts::EarlyStopping({.patience = 3}), {nan, nan, nan}) == 3);
}

TEST_CASE("once it says stop, it stays so") {
  ts::EarlyStopping stopping({.patience = 1});
  stopping.step(1);
  CHECK(stopping.step(2));
  CHECK(stopping.step(0));
  CHECK(stopping.best_score() == 0);
}

TEST_CASE("arguments that make no sense are refused") {
  CHECK_THROWS_AS(ts::EarlyStopping({.patience = 0}), ts::Error);
  CHECK_THROWS_AS(ts::EarlyStopping({.min_delta = -1}), ts::Error);
  CHECK_THROWS_AS(ts::EarlyStopping({.min_delta = nan}), ts::Error);
}

static_assert(ts::Component<ts::EarlyStopping>);

}  // namespace
