#include "trainstate/manager/names.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "manager/small_files.hpp"

namespace ts = trainstate;
namespace manager = trainstate::manager;
using manager::FileName;
using manager::parse_name;
using manager::text_of;
using ts::tests::seconds_on;

namespace {

// Another time zone for one test.
class TimeZone {
 public:
  explicit TimeZone(const char* name) {
    if (const char* before = std::getenv("TZ")) before_ = before;
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  TimeZone(const TimeZone&) = delete;
  TimeZone& operator=(const TimeZone&) = delete;
  ~TimeZone() {
    before_.empty() ? ::unsetenv("TZ") : ::setenv("TZ", before_.c_str(), 1);
    ::tzset();
  }

 private:
  std::string before_;
};

}  // namespace

TEST_CASE("names: step, local time, number and format, as the contract has them") {
  const FileName name{1200, "20251122_153210", 1, ts::Format::safetensors};
  CHECK(text_of(name) == "step_00001200-20251122_153210.safetensors");
  CHECK(parse_name("step_00001200-20251122_153210.safetensors") == name);
  const FileName second{123456789, "20251122_153210", 2, ts::Format::pt};
  CHECK(text_of(second) == "step_123456789-20251122_153210-2.pt");
  CHECK(parse_name("step_123456789-20251122_153210-2.pt") == second);
  const FileName largest{std::numeric_limits<std::int64_t>::max(), "20251122_153210", 12, ts::Format::safetensors};
  CHECK(parse_name(text_of(largest)) == largest);
}

TEST_CASE("names: nothing that only looks like one is taken for one") {
  for (const char* name : {"",
                           "step_",
                           "step_1-20251122_153210.safetensors",
                           "step_000001200-20251122_153210.safetensors",
                           "step_00001200-20251122_153210.safetensor",
                           "step_00001200-20251122_153210",
                           "step_00001200-20251122153210.pt",
                           "step_00001200-20251122_153210-1.pt",
                           "step_00001200-20251122_153210-02.pt",
                           "step_00001200-20251122_153210-.pt",
                           "step_00001200-20251122_153210-2",
                           "step_00001200-20251122_15321.pt",
                           "step_-0000001-20251122_153210.pt",
                           "step_+0000001-20251122_153210.pt",
                           "step_99999999999999999999-20251122_153210.pt",
                           "step_00001200-20251122_153210.pth",
                           "step_00001200-20251122_153210.pt.bak",
                           "step_00001200-20251122_153210 .pt",
                           " step_00001200-20251122_153210.pt",
                           "Step_00001200-20251122_153210.pt",
                           "last.safetensors",
                           "step_00001200-2025112a_153210.pt",
                           "step_00001200-20251122_153210--2.pt",
                           ".step_00001200-20251122_153210.pt.trainstate-1-0123456789abcdef.tmp",
                           "step_00001200.safetensors"}) {
    CAPTURE(name);
    CHECK_FALSE(parse_name(name).has_value());
  }
}

TEST_CASE("names: the time is local") {
  const TimeZone zone("XYZ-5");  // five hours before Greenwich
  CHECK(manager::stamp_of(std::chrono::system_clock::time_point(std::chrono::seconds(0))) == "19700101_050000");
}

TEST_CASE("names: two of one second differ, and others do not count") {
  const auto now = seconds_on(0);
  std::vector<FileName> taken;
  const FileName first = manager::next_name(7, now, ts::Format::safetensors, taken);
  CHECK(first.number == 1);
  taken.push_back(first);
  const FileName second = manager::next_name(7, now, ts::Format::safetensors, taken);
  CHECK(text_of(second) == "step_00000007-" + manager::stamp_of(now) + "-2.safetensors");
  CHECK(manager::next_name(8, now, ts::Format::safetensors, taken).number == 1);
  CHECK(manager::next_name(7, now, ts::Format::pt, taken).number == 2);
}

TEST_CASE("names: those of one step are ordered as they were given, whatever the clock does") {
  std::mt19937_64 random(11);
  for (int run = 0; run < 50; ++run) {
    std::vector<FileName> given;
    for (int i = 0; i < 30; ++i) {
      const auto jump = std::uniform_int_distribution<std::int64_t>(-4000, 4000)(random);
      const auto format = random() % 2 ? ts::Format::pt : ts::Format::safetensors;
      given.push_back(manager::next_name(5, seconds_on(jump / 1000 * 1000), format, given));
      REQUIRE(parse_name(text_of(given.back())) == given.back());
    }
    CHECK(std::is_sorted(given.begin(), given.end()));
    CHECK(std::adjacent_find(given.begin(), given.end()) == given.end());
  }
}

TEST_CASE("names: the hour that comes twice in autumn does not bring an older file to the end") {
  const TimeZone zone("CET-1CEST,M3.5.0,M10.5.0/3");
  // 2025-10-26, 00:30 and 01:30 in Greenwich: both 02:30 in Berlin.
  using std::chrono::seconds;
  const std::chrono::system_clock::time_point summer(seconds(1'761'438'600)), winter(seconds(1'761'442'200));
  CHECK(manager::stamp_of(summer) == "20251026_023000");
  CHECK(manager::stamp_of(winter) == "20251026_023000");
  const FileName first = manager::next_name(1, summer + seconds(10), ts::Format::pt, {});
  const FileName second = manager::next_name(1, winter, ts::Format::pt, std::vector{first});
  CHECK(first < second);
}
