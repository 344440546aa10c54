#include "trainstate/manager/metadata.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <string>

#include "trainstate/error.hpp"

namespace ts = trainstate;
namespace manager = trainstate::manager;

namespace {

using Limits = std::numeric_limits<double>;
using Texts = std::map<std::string, std::string>;

}  // namespace

TEST_CASE("metadata: what goes in comes out, to the bit") {
  const auto payload = std::bit_cast<double>(std::uint64_t{0xFFF8'0000'DEAD'BEEF});
  manager::Record record{1200,
                         std::chrono::system_clock::time_point(std::chrono::nanoseconds(1'763'825'530'123'456'789)), 9};
  record.metrics = {{"val_loss", 0.1},
                    {"none", payload},
                    {"nan", Limits::quiet_NaN()},
                    {"up", Limits::infinity()},
                    {"down", -Limits::infinity()},
                    {"zero", -0.0},
                    {"tiny", Limits::denorm_min()},
                    {"", 1.0},
                    {"a.b c/ü", Limits::max()}};
  record.metadata = {{"git", "c0ffee"}, {"managers", "are not reserved"}, {"", "empty"}};
  const auto found = manager::from_metadata(manager::to_metadata(record));
  REQUIRE(found.has_value());
  CHECK(found->step == 1200);
  CHECK(found->time == record.time);
  CHECK(found->sequence == 9);
  CHECK(found->metadata == record.metadata);
  REQUIRE(found->metrics.size() == record.metrics.size());
  for (const auto& [name, value] : record.metrics) {
    CAPTURE(name);
    CHECK(std::bit_cast<std::uint64_t>(found->metrics.at(name)) == std::bit_cast<std::uint64_t>(value));
  }
}

TEST_CASE("metadata: texts that a person can read") {
  const Texts texts = manager::to_metadata({.step = 3, .metrics = {{"loss", 0.25}}});
  CHECK(texts.at("manager.step") == "3");
  CHECK(texts.at("manager.metrics.loss") == "0.25");
}

TEST_CASE("metadata: the manager's own names are refused") {
  for (const char* key : {"manager.step", "manager.metrics.loss", "manager.", "manager.later"}) {
    CAPTURE(key);
    CHECK_THROWS_AS(static_cast<void>(manager::to_metadata({.metadata = {{key, "x"}}})), ts::Error);
  }
}

TEST_CASE("metadata: a file that no manager wrote is not taken for one") {
  const Texts good = manager::to_metadata({.step = 3, .sequence = 1, .metrics = {{"loss", 1.0}}});
  REQUIRE(manager::from_metadata(good).has_value());
  CHECK_FALSE(manager::from_metadata({}).has_value());
  for (const auto& [key, text] : good) {
    CAPTURE(key);
    Texts bad = good;
    for (const char* other : {"", "x", "3x", " 3", "0x3", "nan:123", "99999999999999999999999999999e9999"}) {
      CAPTURE(other);
      bad[key] = other;
      CHECK_FALSE(manager::from_metadata(bad).has_value());
    }
    bad.erase(key);
    CHECK(manager::from_metadata(bad).has_value() == (key == "manager.metrics.loss"));
  }
  Texts later = good;
  later["manager.of_a_later_release"] = "x";
  CHECK(manager::from_metadata(later)->metadata.empty());
}
