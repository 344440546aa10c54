#include "trainstate/manager/retention.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include "manager/small_files.hpp"

namespace ts = trainstate;
namespace manager = trainstate::manager;
using manager::Candidate;
using manager::retention_of;
using ts::tests::seconds_on;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

// A folder of checkpoints, each known by its sequence number.
struct Folder {
  std::vector<Candidate> files;  // by step, then as written
  std::int64_t sequence = 0;

  void save(std::int64_t step, std::optional<double> metric = {}, std::int64_t seconds = 0) {
    const Candidate file{step, seconds_on(seconds), ++sequence, metric};
    const auto at = std::upper_bound(files.begin(), files.end(), step,
                                     [](std::int64_t value, const Candidate& other) { return value < other.step; });
    files.insert(at, file);
  }

  // Returns the sequence numbers of what went.
  std::vector<std::int64_t> apply(const ts::ManagerOptions& options) {
    std::vector<std::int64_t> gone;
    auto removed = retention_of(files, options).removed;
    for (auto i = removed.rbegin(); i != removed.rend(); ++i) {
      gone.push_back(files[*i].sequence);
      files.erase(files.begin() + static_cast<std::ptrdiff_t>(*i));
    }
    return gone;
  }

  [[nodiscard]] std::vector<std::int64_t> steps() const {
    std::vector<std::int64_t> all;
    for (const auto& file : files) all.push_back(file.step);
    return all;
  }
};

using Steps = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("retention: without a rule all stay, also with names in always_keep") {
  Folder folder;
  for (std::int64_t step = 0; step < 20; ++step) folder.save(step, 1.0);
  CHECK(folder.apply({}).empty());
  CHECK(folder.apply({.metric = "loss"}).empty());
  CHECK(folder.apply({.always_keep = {3}}).empty());
}

TEST_CASE("retention: each rule alone, and the latest besides") {
  Folder all;
  for (std::int64_t step = 0; step < 20; ++step) all.save(step, static_cast<double>((step * 7) % 20), step * 60);
  const auto kept = [&](const ts::ManagerOptions& options) {
    Folder folder = all;
    folder.apply(options);
    return folder.steps();
  };
  CHECK(kept({.keep_latest = 3}) == Steps{17, 18, 19});
  CHECK(kept({.keep_latest = 1000}).size() == 20);
  CHECK(kept({.keep_every = 6}) == Steps{0, 6, 12, 18, 19});
  CHECK(kept({.keep_best = 2, .metric = "loss"}) == Steps{0, 3, 19});
  CHECK(kept({.keep_best = 2, .metric = "loss", .mode = ts::Mode::max}) == Steps{14, 17, 19});
  CHECK(kept({.keep_every_duration = std::chrono::minutes(8)}) == Steps{0, 8, 16, 19});
  CHECK(kept({.keep_latest = 2, .always_keep = {4, 5, 99}}) == Steps{4, 5, 18, 19});
  CHECK(kept({.keep_latest = 2, .keep_best = 1, .metric = "loss", .keep_every = 10, .always_keep = {5}}) ==
        Steps{0, 5, 10, 18, 19});
  // The best stays even if only the latest are asked for.
  CHECK(kept({.keep_latest = 2, .metric = "loss", .mode = ts::Mode::max}) == Steps{17, 18, 19});
}

TEST_CASE("retention: a metric that improves, ties, worsens, is NaN or absent") {
  const ts::ManagerOptions options{.keep_latest = 1, .keep_best = 1, .metric = "loss"};
  Folder folder;
  const auto after = [&](std::int64_t step, std::optional<double> metric) {
    folder.save(step, metric);
    folder.apply(options);
    return folder.steps();
  };
  CHECK(after(1, not_a_number) == Steps{1});
  CHECK(after(2, std::nullopt) == Steps{2});
  CHECK(after(3, infinity) == Steps{3});  // a number, if a bad one
  CHECK(after(4, not_a_number) == Steps{3, 4});
  CHECK(after(5, 0.5) == Steps{5});
  CHECK(after(6, 0.7) == Steps{5, 6});
  CHECK(after(7, 0.5) == Steps{5, 7});  // no better, so the earlier stays
  CHECK(after(8, not_a_number) == Steps{5, 8});
  CHECK(after(9, 0.4) == Steps{9});
  CHECK(after(10, std::nullopt) == Steps{9, 10});
  CHECK(after(11, -infinity) == Steps{11});
  CHECK(after(12, -infinity) == Steps{11, 12});
}

TEST_CASE("retention: a run that goes back keeps its new way as well as the old one") {
  const ts::ManagerOptions options{.keep_latest = 2};
  Folder folder;
  for (const std::int64_t step : {100, 200, 300}) folder.save(step), folder.apply(options);
  CHECK(folder.steps() == Steps{200, 300});
  folder.save(210), folder.apply(options);
  CHECK(folder.steps() == Steps{210, 300});
  folder.save(220), folder.apply(options);
  CHECK(folder.steps() == Steps{210, 220, 300});
  folder.save(310), folder.apply(options);
  CHECK(folder.steps() == Steps{220, 300, 310});
  folder.save(320), folder.apply(options);
  CHECK(folder.steps() == Steps{310, 320});
}

TEST_CASE("retention: of a step that was saved again, the rules for steps mean the newer file") {
  Folder folder;
  for (const std::int64_t step : {10, 10, 20, 20, 21, 22}) folder.save(step);
  folder.apply({.keep_latest = 1, .keep_every = 10});
  CHECK(folder.steps() == Steps{10, 20, 22});
  CHECK(folder.files[0].sequence == 2);
  CHECK(folder.files[1].sequence == 4);
}

TEST_CASE("retention: a clock that jumps stops no rule") {
  const ts::ManagerOptions options{.keep_latest = 1, .keep_every_duration = std::chrono::hours(1)};
  Folder folder;
  std::int64_t step = 0;
  const auto save_at = [&](std::int64_t seconds) {
    folder.save(++step, {}, seconds);
    folder.apply(options);
  };
  save_at(100'000);
  save_at(100'060);
  save_at(100'060 + 10 * 365 * 86'400);  // ten years on
  save_at(100'120);                      // and back: a new beginning
  save_at(100'180);
  save_at(100'120 + 3600);
  save_at(100'120 + 3660);
  CHECK(folder.steps() == Steps{1, 3, 4, 6, 7});
}

TEST_CASE("retention: what others rely on is told") {
  Folder folder;
  for (std::int64_t step = 0; step < 10; ++step) folder.save(step, step == 4 ? 0.0 : 1.0);
  const auto plan = retention_of(folder.files, {.keep_latest = 2, .keep_best = 1, .metric = "loss", .keep_every = 5});
  CHECK(plan.relied_on == std::vector<std::size_t>{4, 8, 9});
  CHECK(plan.removed == std::vector<std::size_t>{1, 2, 3, 6, 7});
}

// The laws, against a model that knows everything that was ever saved, in random runs.
TEST_CASE("retention: the laws hold after every save of a random run") {
  std::mt19937_64 random(2025);
  const auto between = [&](std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  };
  int removals = 0;
  for (int run = 0; run < 400; ++run) {
    ts::ManagerOptions options;
    options.keep_latest = between(0, 4);
    options.keep_best = between(0, 3);
    if (options.keep_best > 0 || between(0, 1) == 0) options.metric = "m";
    options.mode = between(0, 1) == 0 ? ts::Mode::min : ts::Mode::max;
    if (between(0, 2) == 0) options.keep_every = between(1, 12);
    if (between(0, 2) == 0) options.keep_every_duration = std::chrono::seconds(between(1, 300));
    if (between(0, 2) == 0) options.always_keep = {between(0, 60), between(0, 60)};
    const bool goes_back = between(0, 3) == 0, clock_jumps = between(0, 3) == 0;
    const bool rules = options.keep_latest > 0 || options.keep_best > 0 || options.keep_every > 0 ||
                       options.keep_every_duration.count() > 0;

    Folder folder;
    std::vector<Candidate> ever;  // as written
    std::int64_t step = -1, seconds = 0;
    for (int save = 0; save < 60; ++save) {
      step += between(goes_back && between(0, 9) == 0 ? -10 : 0, 3);
      step = std::max<std::int64_t>(step, 0);
      seconds += clock_jumps && between(0, 9) == 0 ? between(-5000, 5000) : between(0, 100);
      constexpr double values[] = {not_a_number, infinity, -infinity, 0, 1, 2, 3, 4};
      const auto metric = between(0, 9) == 0 ? std::nullopt : std::optional(values[between(0, 7)]);
      folder.save(step, metric, seconds);
      ever.push_back({step, seconds_on(seconds), folder.sequence, metric});
      const auto before = folder.files;
      const auto gone = folder.apply(options);
      removals += static_cast<int>(gone.size());

      std::set<std::int64_t> left;
      for (const auto& file : folder.files) left.insert(file.sequence);
      REQUIRE(folder.apply(options).empty());  // nothing more to do
      if (!rules) {
        REQUIRE(left.size() == ever.size());
        continue;
      }
      std::set<std::int64_t> wanted;  // by some rule
      const auto want = [&](std::int64_t sequence) {
        REQUIRE(left.contains(sequence));
        wanted.insert(sequence);
      };
      // Of all that were ever saved: the highest steps, those written last, and the best.
      const auto want_first = [&](std::vector<Candidate> order, std::int64_t count, auto less) {
        std::sort(order.begin(), order.end(), less);
        order.resize(std::min(order.size(), static_cast<std::size_t>(std::max<std::int64_t>(1, count))));
        for (const auto& file : order) want(file.sequence);
      };
      want_first(ever, options.keep_latest, [](const Candidate& a, const Candidate& b) {
        return std::tie(a.step, a.sequence) > std::tie(b.step, b.sequence);
      });
      want_first(ever, options.keep_latest,
                 [](const Candidate& a, const Candidate& b) { return a.sequence > b.sequence; });
      if (!options.metric.empty()) {
        auto good = ever;
        std::erase_if(good, [](const Candidate& file) { return !file.metric || std::isnan(*file.metric); });
        const double sign = options.mode == ts::Mode::min ? 1 : -1;
        want_first(good, options.keep_best, [&](const Candidate& a, const Candidate& b) {
          const double left_value = sign * *a.metric, right_value = sign * *b.metric;
          return std::tie(left_value, a.sequence) < std::tie(right_value, b.sequence);
        });
      }
      for (const auto& file : ever) {
        const bool newest = std::none_of(ever.begin(), ever.end(), [&](const Candidate& other) {
          return other.step == file.step && other.sequence > file.sequence;
        });
        const bool listed = std::count(options.always_keep.begin(), options.always_keep.end(), file.step) != 0;
        if (newest && (listed || (options.keep_every > 0 && file.step % options.keep_every == 0))) want(file.sequence);
      }
      if (options.keep_every_duration.count() > 0) {
        // Walking through everything that was ever saved gives the same ones as walking through what was left.
        std::optional<Candidate> last;
        for (const auto& file : ever) {
          if (last && file.time >= last->time && file.time < last->time + options.keep_every_duration) continue;
          want(file.sequence);
          last = file;
        }
      }
      REQUIRE(left == wanted);
    }
  }
  CHECK(removals > 5000);
}
