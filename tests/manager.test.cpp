#include "support/torch_doctest.hpp"
// After LibTorch's and doctest's headers, which collide in any other order.
#include "trainstate/manager.hpp"

#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "manager/small_files.hpp"
#include "support/faulty_posix.hpp"
#include "support/temporary_folder.hpp"

namespace ts = trainstate;
namespace fs = std::filesystem;
using namespace ts::literals;
using ts::tests::FaultyPosix;
using ts::tests::flip_byte;
using ts::tests::TemporaryFolder;

namespace {

// A small training run whose state is known by its step.
struct Run {
  torch::nn::Linear net{4, 3};
  torch::optim::Adam optimizer{net->parameters()};
  std::int64_t step = 0;

  auto parts() { return ts::checkpoint("model"_key = net, "optimizer"_key = optimizer, "step"_key = step); }
  void train(std::int64_t to) {
    for (; step < to; ++step) {
      optimizer.zero_grad();
      net->forward(torch::full({2, 4}, 0.1 * static_cast<double>(step))).pow(2).mean().backward();
      optimizer.step();
    }
  }
  std::vector<std::byte> bytes() { return ts::to_bytes(parts()); }
};

std::vector<std::int64_t> steps_of(const ts::CheckpointManager& manager) {
  std::vector<std::int64_t> steps;
  for (const auto& entry : manager.all()) steps.push_back(entry.step);
  return steps;
}

using Steps = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("CheckpointManager: a run that ends anywhere goes on with the same bits") {
  for (const bool async : {false, true}) {
    for (const ts::Format format : {ts::Format::safetensors, ts::Format::pt}) {
      const TemporaryFolder folder;
      torch::manual_seed(1);
      Run whole;
      const std::vector<std::byte> beginning = whole.bytes();
      ts::ManagerOptions options{.keep_latest = 3,
                                 .keep_best = 1,
                                 .metric = "val_loss",
                                 .mode = ts::Mode::min,
                                 .keep_every = 1000,
                                 .async = async};
      options.format = format;
      for (int part = 0; part < 3; ++part) {
        ts::CheckpointManager manager(folder / "runs/digits", options);
        Run run;
        auto ckpt = run.parts();
        if (const auto at = manager.restore_latest(ckpt)) {
          CHECK(at->step == part * 10);
          CHECK(run.step == at->step);
          CHECK(at->skipped.empty());
          CHECK(at->report.bytes > 0);
        } else {
          CHECK(part == 0);
          ts::from_bytes(ckpt, beginning);
        }
        while (run.step < part * 10 + 10) {
          run.train(run.step + 1);
          manager.save(run.step, ckpt, {{"val_loss", run.step == 7 ? 0.25 : 0.5}});
        }
        run.train(run.step + 5);  // lost
        manager.wait();
      }
      whole.train(30);
      Run last;
      auto ckpt = last.parts();
      const ts::CheckpointManager reader(folder / "runs/digits", options);
      CHECK(steps_of(reader) == Steps{7, 28, 29, 30});
      CHECK(reader.latest()->step == 30);
      CHECK(reader.best()->step == 7);
      CHECK(reader.best()->metrics == ts::Metrics{{"val_loss", 0.25}});
      CHECK(reader.latest()->path.extension() == (format == ts::Format::pt ? ".pt" : ".safetensors"));
      ts::load(ckpt, reader.latest()->path);
      CHECK((last.bytes() == whole.bytes()));
    }
  }
}

TEST_CASE("CheckpointManager: a step by number, and what is not there") {
  const TemporaryFolder folder;
  ts::CheckpointManager manager(folder.path());
  Run run;
  auto ckpt = run.parts();
  CHECK_FALSE(manager.restore_latest(ckpt).has_value());
  CHECK_FALSE(manager.latest().has_value());
  CHECK_FALSE(manager.best().has_value());
  CHECK(manager.all().empty());
  for (int i = 0; i < 4; ++i) {
    run.train(run.step + 5);
    const fs::path path = manager.save(run.step, ckpt);
    CHECK(manager.latest()->path == path);
  }
  const ts::RestoredEntry at = manager.restore(10, ckpt);
  CHECK(at.step == 10);
  CHECK(run.step == 10);
  try {
    manager.restore(11, ckpt);
    FAIL_CHECK("a step that is not there was restored");
  } catch (const ts::IoError& e) {
    CHECK(e.code() == ENOENT);
    CHECK(std::string(e.what()).starts_with(folder.path().string() + ": "));
  }
  CHECK(run.step == 10);
  CHECK_THROWS_AS(manager.save(-1, ckpt), ts::Error);
}

TEST_CASE("CheckpointManager: metrics and metadata are read without the tensors, to the bit") {
  const TemporaryFolder folder;
  using Limits = std::numeric_limits<double>;
  for (const ts::Format format : {ts::Format::safetensors, ts::Format::pt}) {
    ts::ManagerOptions options{.keep_best = 2, .metric = "score", .mode = ts::Mode::max};
    options.format = format;
    options.metadata = {{"commit", "c0ffee"}};
    ts::CheckpointManager manager(folder / (format == ts::Format::pt ? "pt" : "safetensors"), options);
    const torch::Tensor state = torch::ones({3});
    const float single = 0.1F;
    manager.save(1, state, {{"score", Limits::quiet_NaN()}});
    manager.save(2, state, {{"score", -Limits::infinity()}, {"loss", single}}, {{"note", "first"}});
    manager.save(3, state, {{"score", 0.1}});
    manager.save(4, state, {{"score", 0.1}});
    manager.save(5, state, {{"score", Limits::quiet_NaN()}});
    const auto all = manager.all();
    REQUIRE(steps_of(manager) == Steps{3, 4, 5});
    CHECK(manager.best()->step == 3);
    CHECK(std::isnan(all[2].metrics.at("score")));
    CHECK(all[0].metrics.at("score") == 0.1);
    CHECK(all[0].metadata == std::map<std::string, std::string>{{"commit", "c0ffee"}});
    const auto now = std::chrono::system_clock::now();
    CHECK(all[2].time <= now);
    CHECK(all[2].time > now - std::chrono::hours(1));
  }
}

TEST_CASE("CheckpointManager: a damaged newest file is passed over, told, and stays") {
  const TemporaryFolder folder;
  Run run;
  auto ckpt = run.parts();
  fs::path newest;
  {
    ts::CheckpointManager manager(folder.path(), {.keep_latest = 3, .async = true});
    for (int i = 0; i < 5; ++i) {
      run.train(run.step + 1);
      newest = manager.save(run.step, ckpt);
    }
  }
  flip_byte(newest);
  ts::CheckpointManager manager(folder.path(), {.keep_latest = 3});
  const auto at = manager.restore_latest(ckpt);
  REQUIRE(at.has_value());
  CHECK(at->step == 4);
  CHECK(run.step == 4);
  REQUIRE(at->skipped.size() == 1);
  CHECK(at->skipped[0].path == newest);
  CHECK(at->skipped[0].reason.starts_with(newest.string() + ": "));
  CHECK(at->report.warnings.size() == 1);
  CHECK(manager.latest()->step == 4);
  REQUIRE(manager.damaged().size() == 1);
  CHECK(manager.damaged()[0].path == newest);
  for (int i = 0; i < 5; ++i) {
    run.train(run.step + 1);
    manager.save(run.step, ckpt);
  }
  CHECK(steps_of(manager) == Steps{7, 8, 9});
  CHECK(fs::exists(newest));
  CHECK(manager.warnings().size() == 1);
}

TEST_CASE("CheckpointManager: what does not fit is no reason to fall back, and changes nothing") {
  const TemporaryFolder folder;
  ts::CheckpointManager manager(folder.path());
  Run run;
  auto ckpt = run.parts();
  manager.save(1, ckpt);
  torch::nn::Linear wider(5, 3);
  auto other = ts::checkpoint("model"_key = wider, "step"_key = run.step);
  manager.save(2, other);
  const auto before = run.bytes();
  CHECK_THROWS_AS(manager.restore_latest(ckpt), ts::MismatchError);
  CHECK((run.bytes() == before));
  CHECK(manager.restore(1, ckpt).step == 1);
  torch::nn::Linear net(5, 3);
  auto part = ts::checkpoint("model"_key = net);
  CHECK(manager.restore_latest(part, {.allow_unexpected = true})->step == 2);
  CHECK(torch::equal(net->weight, wider->weight));
}

TEST_CASE("CheckpointManager: a full disk behind surfaces once, and the run goes on") {
  const TemporaryFolder folder;
  ts::CheckpointManager manager(folder.path(), {.keep_latest = 2, .async = true});
  Run run;
  auto ckpt = run.parts();
  manager.save(1, ckpt);
  manager.wait();
  const auto fail = [&](std::int64_t step) {
    FaultyPosix full({.first = 1, .code = ENOSPC, .kind = FaultyPosix::Call::fallocate});
    const ts::io::PosixOverride replaced(full);
    manager.save(step, ckpt);
    manager.restore(1, ckpt);  // waits, and leaves the error for later
  };
  fail(2);
  try {
    manager.wait();
    FAIL_CHECK("a save that failed was not reported");
  } catch (const ts::IoError& e) {
    CHECK(e.code() == ENOSPC);
    CHECK(std::string(e.what()).starts_with((folder / "step_00000002").string()));
  }
  manager.wait();
  fail(3);
  CHECK_THROWS_AS(manager.save(4, ckpt), ts::IoError);
  CHECK(steps_of(manager) == Steps{1});
  manager.save(4, ckpt);
  manager.save(5, ckpt);
  manager.wait();
  CHECK(steps_of(manager) == Steps{4, 5});
  CHECK(folder.names().size() == 2);
}

TEST_CASE("CheckpointManager: what cannot be stored is thrown at once, and takes no name") {
  const TemporaryFolder folder;
  for (const bool async : {false, true}) {
    ts::CheckpointManager manager(folder.path(), {.keep_latest = 1, .async = async});
    CHECK_THROWS_AS(manager.save(1, torch::eye(3).to_sparse()), ts::Error);
    CHECK(manager.all().empty());
    manager.wait();
  }
  CHECK(folder.names().empty());
}

TEST_CASE("CheckpointManager: a second one reads, and writes when the first is gone") {
  const TemporaryFolder folder;
  const torch::Tensor state = torch::ones({3});
  torch::Tensor live = torch::zeros({3});
  std::optional<ts::CheckpointManager> writer(std::in_place, folder.path(), ts::ManagerOptions{.keep_latest = 2});
  ts::CheckpointManager second(folder.path(), {.keep_latest = 2});
  writer->save(1, state);
  CHECK(second.restore_latest(live)->step == 1);
  CHECK(torch::equal(live, state));
  try {
    second.save(2, state);
    FAIL_CHECK("two managers wrote to one folder");
  } catch (const ts::IoError& e) {
    CHECK(e.code() == EWOULDBLOCK);
  }
  CHECK_THROWS_AS(second.lock(), ts::IoError);
  ts::CheckpointManager moved = *std::move(writer);
  moved.save(3, state);
  CHECK_THROWS_AS(second.save(4, state), ts::IoError);
  moved = ts::CheckpointManager(folder / "another");
  second.save(4, state);
  CHECK(steps_of(second) == Steps{3, 4});
}

TEST_CASE("CheckpointManager: a loop that asks when to save") {
  const TemporaryFolder folder;
  const torch::Tensor state = torch::ones({3});
  ts::CheckpointManager manager(folder.path(), {.save_every_steps = 10, .signals = {SIGTERM, SIGUSR1}});
  std::int64_t step = 1;
  for (; !manager.received(SIGTERM); ++step) {
    if (step == 14) std::raise(SIGUSR1);
    if (step == 33) std::raise(SIGTERM);
    if (manager.should_save(step)) manager.save(step, state);
  }
  CHECK(step == 34);
  CHECK(steps_of(manager) == Steps{10, 14, 20, 30, 33});
}
