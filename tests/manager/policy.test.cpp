#include "trainstate/manager/policy.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <vector>

namespace ts = trainstate;
using std::chrono::seconds;
using ts::manager::SavePolicy;

namespace {

ts::manager::PolicyTime at(std::int64_t count) { return ts::manager::PolicyTime(seconds(count)); }

std::vector<std::int64_t> saves(SavePolicy& policy, std::int64_t first, std::int64_t last, std::int64_t stride = 1) {
  std::vector<std::int64_t> steps;
  for (std::int64_t step = first; step <= last; step += stride) {
    if (!policy.due(step, at(step))) continue;
    policy.saved(policy.begin(step, at(step)));
    steps.push_back(step);
  }
  return steps;
}

using Steps = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("policy: without a rule no save is due") {
  SavePolicy policy({}, at(0));
  CHECK(saves(policy, 0, 100).empty());
}

TEST_CASE("policy: multiples of steps, also when the loop starts later or asks less often") {
  const ts::ManagerOptions options{.save_every_steps = 10};
  SavePolicy fresh(options, at(0)), later(options, at(0)), strides(options, at(0)), resumed(options, at(0));
  CHECK(saves(fresh, 0, 35) == Steps{0, 10, 20, 30});
  CHECK(saves(later, 13, 35) == Steps{20, 30});
  CHECK(saves(strides, 3, 60, 7) == Steps{10, 24, 31, 45, 52});
  resumed.restored(30, at(0));
  CHECK(saves(resumed, 31, 55) == Steps{40, 50});
  CHECK(saves(resumed, 5, 25) == Steps{10, 20});  // the training went back
}

TEST_CASE("policy: a save that is due stays due until it is made") {
  SavePolicy policy({.save_every_steps = 10}, at(0));
  CHECK_FALSE(policy.due(9, at(0)));
  CHECK(policy.due(10, at(0)));
  CHECK(policy.due(11, at(0)));
  policy.saved(policy.begin(11, at(0)));
  CHECK_FALSE(policy.due(12, at(0)));
}

TEST_CASE("policy: every so much time since the last save, or since the restore") {
  SavePolicy policy({.save_every = seconds(60)}, at(1000));
  CHECK_FALSE(policy.due(1, at(1059)));
  CHECK(policy.due(2, at(1060)));
  policy.saved(policy.begin(2, at(1070)));
  CHECK_FALSE(policy.due(3, at(1129)));
  CHECK(policy.due(3, at(1130)));
  policy.restored(2, at(1130));
  CHECK_FALSE(policy.due(3, at(1189)));
}

TEST_CASE("policy: a signal makes a save due, once; one that comes during a save asks for another") {
  SavePolicy policy({.save_every_steps = 1000, .signals = {SIGUSR1}}, at(0));
  CHECK_FALSE(policy.due(1, at(1)));
  std::raise(SIGUSR1);
  CHECK(policy.due(1, at(1)));
  const auto failed = policy.begin(1, at(1));
  CHECK(policy.due(2, at(1)));  // that save threw
  const auto beginning = policy.begin(2, at(1));
  policy.saved(beginning);
  CHECK_FALSE(policy.due(3, at(1)));
  const auto another = policy.begin(3, at(1));
  std::raise(SIGUSR1);
  policy.saved(another);
  CHECK(policy.due(4, at(1)));
  CHECK(policy.signals().received(SIGUSR1));
  CHECK_FALSE(policy.signals().received(SIGTERM));
  CHECK(failed.signals.size() == 1);
}
