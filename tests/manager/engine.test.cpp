#include "trainstate/manager/engine.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <exception>
#include <filesystem>
#include <limits>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "manager/small_files.hpp"
#include "support/faulty_posix.hpp"
#include "support/temporary_folder.hpp"

namespace ts = trainstate;
namespace fs = std::filesystem;
using ts::ManagerOptions;
using ts::manager::Engine;
using ts::tests::contents;
using ts::tests::FaultyPosix;
using ts::tests::flip_byte;
using ts::tests::restore_small;
using ts::tests::save_small;
using ts::tests::seconds_on;
using ts::tests::steps_in;
using ts::tests::TemporaryFolder;

namespace {

using Steps = std::vector<std::int64_t>;

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const ts::Error& e) {
    return e.what();
  }
  return "";
}

// Looks at the folder whenever a checkpoint is deleted: a newer one must stand there, whole and synced.
class Watch final : public ts::io::Posix {
 public:
  int fsync(int fd) override {
    ++syncs;
    return Posix::fsync(fd);
  }
  int unlink(const char* path) override {
    const fs::path file(path);
    if (const auto gone = ts::manager::parse_name(file.filename().string())) {
      ++deletions;
      std::int64_t newest = -1;
      for (const auto& name : ts::manager::CheckpointFolder(file.parent_path()).names()) {
        newest = std::max(newest, name.step);
        static_cast<void>(ts::tests::number_in(file.parent_path() / ts::manager::text_of(name)));
      }
      if (newest <= gone->step) ++wrong;
      if (syncs < 2 * (newest + 1)) ++wrong;  // file and folder of each save until now
    }
    return Posix::unlink(path);
  }
  std::atomic<int> syncs{0}, deletions{0}, wrong{0};
};

// A disk that writes something else than it was given.
struct Liar final : ts::io::Posix {
  ssize_t pwrite(int fd, const void* from, std::size_t size, off_t at) override {
    std::string bytes(static_cast<const char*>(from), size);
    if (lies && size > 4) bytes[size - 2] = static_cast<char>(bytes[size - 2] ^ 1);
    return Posix::pwrite(fd, bytes.data(), size, at);
  }
  std::atomic<bool> lies{true};
};

}  // namespace

TEST_CASE("engine: saves, keeps by the rules, and tells what is there") {
  for (const bool async : {false, true}) {
    for (const ts::Format format : {ts::Format::safetensors, ts::Format::pt}) {
      const TemporaryFolder folder;
      ManagerOptions options{.keep_latest = 2, .keep_best = 1, .metric = "loss", .keep_every = 4, .async = async};
      options.format = format;
      options.metadata = {{"git", "c0ffee"}, {"host", "a"}};
      Engine engine(folder / "deep/run", options);
      CHECK_FALSE(restore_small(engine).has_value());
      CHECK(engine.whole().empty());
      for (std::int64_t step = 0; step < 12; ++step) {
        const double loss = step == 6 ? 0.25 : 1.0;
        save_small(engine, step, {{"loss", loss}, {"step", static_cast<double>(step)}}, {{"host", "b"}});
      }
      engine.wait();
      CHECK(steps_in(engine) == Steps{0, 4, 6, 8, 10, 11});
      const auto files = engine.whole();
      CHECK(files[*engine.best_of(files)].record.step == 6);
      const auto last = files.back().entry();
      CHECK(last.metrics == ts::Metrics{{"loss", 1.0}, {"step", 11.0}});
      CHECK(last.metadata == std::map<std::string, std::string>{{"git", "c0ffee"}, {"host", "b"}});
      CHECK(restore_small(engine)->step == 11);
      CHECK(restore_small(engine, 4)->step == 4);
      CHECK_FALSE(restore_small(engine, 5).has_value());
      CHECK(engine.warnings().empty());
    }
  }
}

TEST_CASE("engine: nothing is deleted before a newer file is durable and whole") {
  for (const bool async : {false, true}) {
    const TemporaryFolder folder;
    Watch watch;
    const ts::io::PosixOverride replaced(watch);
    {
      Engine engine(folder.path(), {.keep_latest = 1, .async = async});
      for (std::int64_t step = 0; step < 20; ++step) save_small(engine, step);
    }  // waits
    CHECK(watch.deletions == 19);
    CHECK(watch.wrong == 0);
  }
}

TEST_CASE("engine: two saves in one second, and of one step, stand beside each other") {
  const TemporaryFolder folder;
  ManagerOptions options;
  std::int64_t seconds = 0;
  options.clock = [&] { return seconds_on(seconds); };
  options.async = true;
  Engine engine(folder.path(), options);
  for (int i = 0; i < 4; ++i) save_small(engine, 7, {{"i", i}});
  seconds = -3600;  // the clock is put back
  save_small(engine, 7, {{"i", 4}});
  engine.wait();
  const auto files = engine.whole();
  REQUIRE(files.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) CHECK(files[i].record.metrics.at("i") == static_cast<double>(i));
  CHECK(files[4].record.time == seconds_on(-3600));
  CHECK(files[3].path.filename() == "step_00000007-" + ts::manager::stamp_of(seconds_on(0)) + "-4.safetensors");
  CHECK(restore_small(engine)->metrics.at("i") == 4);
}

TEST_CASE("engine: files of others are neither listed nor touched") {
  const TemporaryFolder folder;
  const std::string own = "step_00000001-20200101_000000.safetensors";
  ts::format::write_document(ts::tests::small_document(1), folder / own, ts::Format::safetensors);
  ts::tests::put(folder / "notes.txt", "x");
  ts::tests::put(folder / "step_2.safetensors", "x");
  fs::create_directory(folder / "step_00000003-20200101_000000.safetensors");
  Engine engine(folder.path(), {.keep_latest = 1});
  const auto first = save_small(engine, 5);
  fs::copy_file(first, folder / "best.safetensors");
  fs::copy_file(first, folder / "step_00000004-20200101_000000.safetensors");  // says another step
  fs::create_symlink(first, folder / "step_00000005-20200101_000000.safetensors");
  for (std::int64_t step = 6; step < 9; ++step) save_small(engine, step);
  CHECK(steps_in(engine) == Steps{8});
  const auto names = folder.names();
  CHECK(names.size() == 8);
  for (const char* name : {"notes.txt", "step_2.safetensors", "best.safetensors"}) CHECK(names.contains(name));
  CHECK(ts::tests::number_in(folder / own) == 1);
}

TEST_CASE("engine: a damaged newest file is passed over, told, kept, and relied on by nobody") {
  for (const bool known : {true, false}) {
    CAPTURE(known);
    const TemporaryFolder folder;
    const ManagerOptions options{.keep_latest = 2};
    fs::path newest;
    {
      Engine engine(folder.path(), options);
      for (std::int64_t step = 1; step <= 5; ++step) newest = save_small(engine, step);
      CHECK(steps_in(engine) == Steps{4, 5});
    }
    flip_byte(newest, 5);  // in the tensor: the header is as it was
    const std::string damaged = contents(newest);

    Engine engine(folder.path(), options);
    CHECK(engine.whole().back().record.step == 5);  // nobody has looked
    if (known) {
      const auto restored = restore_small(engine);
      REQUIRE(restored.has_value());
      CHECK(restored->step == 4);
      REQUIRE(restored->skipped.size() == 1);
      CHECK(restored->skipped[0].path == newest);
      CHECK(restored->skipped[0].reason.starts_with(newest.string() + ": "));
      CHECK(contains(restored->skipped[0].reason, "checksum"));
      REQUIRE(restored->report.warnings.size() == 1);
      CHECK(contains(restored->report.warnings[0], newest.string()));
      CHECK(engine.whole().back().record.step == 4);
      CHECK_THROWS_AS(restore_small(engine, 5), ts::IntegrityError);
    }
    save_small(engine, 6);  // 6 and 4 are the two latest that are whole
    CHECK(steps_in(engine) == Steps{4, 6});
    REQUIRE(engine.warnings().size() == 1);
    CHECK(contains(engine.warnings()[0], newest.string()));
    for (std::int64_t step = 7; step < 12; ++step) save_small(engine, step);
    CHECK(steps_in(engine) == Steps{10, 11});
    CHECK((contents(newest) == damaged));
    CHECK(engine.warnings().size() == 1);
  }
}

TEST_CASE("engine: damage of one that was to be deleted is seen, and it stays") {
  const TemporaryFolder folder;
  fs::path oldest;
  {
    Engine engine(folder.path(), {});
    oldest = save_small(engine, 1);
    for (std::int64_t step = 2; step <= 5; ++step) save_small(engine, step);
  }
  flip_byte(oldest, 5);
  Engine engine(folder.path(), {.keep_latest = 1});
  save_small(engine, 6);
  CHECK(steps_in(engine) == Steps{6});
  CHECK(fs::exists(oldest));
  CHECK(folder.names().size() == 2);
}

TEST_CASE("engine: a damaged best is no best") {
  const TemporaryFolder folder;
  const ManagerOptions options{.keep_latest = 1, .keep_best = 1, .metric = "loss"};
  fs::path best;
  {
    Engine engine(folder.path(), {});
    save_small(engine, 1, {{"loss", 0.5}});
    best = save_small(engine, 2, {{"loss", 0.25}});
    save_small(engine, 3, {{"loss", 0.75}});
  }
  flip_byte(best, 5);
  Engine engine(folder.path(), options);
  save_small(engine, 4, {{"loss", not_a_number}});
  CHECK(steps_in(engine) == Steps{1, 4});
  const auto files = engine.whole();
  CHECK(files[*engine.best_of(files)].record.step == 1);
  CHECK(fs::exists(best));
}

TEST_CASE("engine: if all are damaged, a restore says so of each, and does not pretend that there are none") {
  const TemporaryFolder folder;
  Engine engine(folder.path(), {});
  const auto one = save_small(engine, 1), two = save_small(engine, 2);
  flip_byte(one, 5);
  ts::tests::put(two, "");
  const std::string text = error_of([&] { restore_small(engine); });
  CHECK(text.starts_with(folder.path().string() + ": "));
  CHECK(contains(text, one.string() + ": "));
  CHECK(contains(text, two.string() + ": "));
  CHECK_THROWS_AS(restore_small(engine), ts::IntegrityError);
  CHECK(save_small(engine, 3) != two);
  CHECK(restore_small(engine)->step == 3);
}

TEST_CASE("engine: what the load of a whole file throws comes out; a file that cannot be read now is not passed over") {
  const TemporaryFolder folder;
  Engine engine(folder.path(), {});
  save_small(engine, 1);
  save_small(engine, 2);
  const auto failing = [&](auto error) { return [error](const fs::path&) -> ts::Report { throw error; }; };
  CHECK_THROWS_AS(engine.restore({}, failing(ts::MismatchError("no", {}))), ts::MismatchError);
  CHECK_THROWS_AS(engine.restore({}, failing(ts::VersionError("no"))), ts::VersionError);
  CHECK_THROWS_AS(engine.restore({}, failing(ts::FormatError("of the user's own"))), ts::FormatError);
  CHECK_THROWS_AS(engine.restore({}, failing(std::runtime_error("no"))), std::runtime_error);
  Engine other(folder.path(), {});
  FaultyPosix faulty({.first = 1, .count = 1000, .code = EMFILE, .kind = FaultyPosix::Call::open});
  const ts::io::PosixOverride replaced(faulty);
  CHECK_THROWS_AS(restore_small(other), ts::IoError);
}

TEST_CASE("engine: a newest file that the disk does not give back is passed over, unless it does the second time") {
  const TemporaryFolder folder;
  Engine engine(folder.path(), {});
  save_small(engine, 1);
  const auto newest = save_small(engine, 2);
  for (const std::size_t count : {1, 2}) {
    FaultyPosix broken({.first = 1, .count = count, .code = EIO, .kind = FaultyPosix::Call::open});
    const ts::io::PosixOverride replaced(broken);
    if (count == 1) {
      CHECK_THROWS_AS(restore_small(engine), ts::IoError);
    } else {
      const auto restored = restore_small(engine);
      REQUIRE(restored.has_value());
      CHECK(restored->step == 1);
      CHECK(restored->skipped.at(0).path == newest);
    }
  }
  CHECK(restore_small(engine)->step == 2);
}

TEST_CASE("engine: a file that reads back as something else is an error, and nothing is deleted for it") {
  for (const bool async : {false, true}) {
    const TemporaryFolder folder;
    Engine engine(folder.path(), {.keep_latest = 1, .async = async});
    save_small(engine, 1);
    engine.wait();
    {
      Liar liar;
      const ts::io::PosixOverride replaced(liar);
      CHECK_THROWS_AS((save_small(engine, 2), engine.wait()), ts::Error);
    }
    CHECK(steps_in(engine) == Steps{1});
    CHECK(restore_small(engine)->step == 1);
    save_small(engine, 3);
    engine.wait();
    CHECK(steps_in(engine) == Steps{3});
    CHECK(folder.names().size() == 2);  // the damaged one stays
  }
}

TEST_CASE("engine: what goes wrong behind surfaces once, at the next save or wait, and the run goes on") {
  const TemporaryFolder folder;
  Engine engine(folder.path(), {.keep_latest = 2, .async = true});
  save_small(engine, 1);
  engine.wait();
  const auto fail = [&](std::int64_t step) {
    FaultyPosix full({.first = 1, .code = ENOSPC, .kind = FaultyPosix::Call::fallocate});
    const ts::io::PosixOverride replaced(full);
    const auto path = save_small(engine, step);
    engine.settle();
    CHECK_FALSE(fs::exists(path));
    return path.string() + ": ";
  };
  std::string path = fail(2);
  std::string text = error_of([&] { engine.wait(); });
  CHECK(text.starts_with(path));
  engine.wait();  // once

  path = fail(3);
  text = error_of([&] { save_small(engine, 4); });
  CHECK(text.starts_with(path));
  CHECK(steps_in(engine) == Steps{1});  // the call that threw has not begun
  save_small(engine, 4);
  engine.wait();
  CHECK(steps_in(engine) == Steps{1, 4});

  const std::string first = fail(5);
  {
    // Two outstanding, both failing: each is told.
    FaultyPosix full({.first = 1, .count = 2, .code = ENOSPC, .kind = FaultyPosix::Call::fallocate});
    const ts::io::PosixOverride replaced(full);
    CHECK(error_of([&] { engine.wait(); }).starts_with(first));
    save_small(engine, 6);
    try {
      save_small(engine, 7);
      engine.settle();
      CHECK_THROWS_AS(engine.wait(), ts::IoError);
      CHECK_THROWS_AS(engine.wait(), ts::IoError);
    } catch (const ts::IoError&) {
      engine.settle();  // the first had failed by then
    }
    engine.wait();
  }
  save_small(engine, 8);
  engine.wait();
  CHECK(steps_in(engine) == Steps{4, 8});
  CHECK(restore_small(engine)->step == 8);
  CHECK(folder.names().size() == 2);
  fail(9);  // nobody asks: destroying it is silent
}

TEST_CASE("engine: a save that throws has changed nothing and may be repeated") {
  const TemporaryFolder folder;
  Engine engine(folder.path(), {.keep_latest = 1, .signals = {SIGUSR1}});
  save_small(engine, 1);
  std::raise(SIGUSR1);
  {
    FaultyPosix full({.first = 1, .code = ENOSPC, .kind = FaultyPosix::Call::fallocate});
    const ts::io::PosixOverride replaced(full);
    CHECK_THROWS_AS(save_small(engine, 2), ts::IoError);
  }
  CHECK(steps_in(engine) == Steps{1});
  CHECK(engine.policy().due(2, {}));  // the signal is not answered yet
  save_small(engine, 2);
  CHECK_FALSE(engine.policy().due(3, {}));
  CHECK(steps_in(engine) == Steps{2});
  CHECK(folder.names().size() == 1);
}

TEST_CASE("engine: a deletion that fails is a warning, and is made up for later") {
  const TemporaryFolder folder;
  Engine engine(folder.path(), {.keep_latest = 1});
  save_small(engine, 1);
  {
    FaultyPosix faulty({.first = 1, .count = 1000, .code = EPERM, .kind = FaultyPosix::Call::unlink});
    const ts::io::PosixOverride replaced(faulty);
    save_small(engine, 2);
    save_small(engine, 3);
  }
  CHECK(steps_in(engine) == Steps{1, 2, 3});
  CHECK(engine.warnings().size() == 2);  // of each file once
  for (const auto& warning : engine.warnings()) CHECK(contains(warning, ": cannot be deleted: "));
  save_small(engine, 4);
  CHECK(steps_in(engine) == Steps{4});
}

TEST_CASE("engine: a second one may read, but not write") {
  const TemporaryFolder folder;
  ManagerOptions options{.keep_latest = 3};
  Engine reader(folder.path(), options);
  {
    Engine writer(folder.path(), options);
    for (std::int64_t step = 1; step < 4; ++step) save_small(writer, step);
    CHECK(steps_in(reader) == Steps{1, 2, 3});
    CHECK(restore_small(reader)->step == 3);
    const std::string text = error_of([&] { save_small(reader, 4); });
    CHECK(text.starts_with(folder.path().string() + ": "));
    CHECK(contains(text, "another manager"));
    CHECK_THROWS_AS(reader.lock(), ts::IoError);
    save_small(writer, 4);
  }
  save_small(reader, 5);
  CHECK(steps_in(reader) == Steps{3, 4, 5});
}

TEST_CASE("engine: the folder may be copied and moved") {
  const TemporaryFolder folder;
  const ManagerOptions options{.keep_latest = 2, .keep_best = 1, .metric = "loss"};
  {
    Engine engine(folder / "run", options);
    for (std::int64_t step = 1; step < 6; ++step) save_small(engine, step, {{"loss", 1.0 / static_cast<double>(step)}});
    for (std::int64_t step = 6; step < 9; ++step) save_small(engine, step, {{"loss", static_cast<double>(step)}});
  }
  fs::copy(folder / "run", folder / "copy");
  fs::rename(folder / "run", folder / "elsewhere");
  for (const char* name : {"copy", "elsewhere"}) {
    Engine engine(folder / name, options);
    CHECK(steps_in(engine) == Steps{5, 7, 8});
    CHECK(restore_small(engine)->path.parent_path() == folder / name);
    save_small(engine, 9, {{"loss", 0.2}});  // no better than step 5
    CHECK(steps_in(engine) == Steps{5, 8, 9});
  }
}

TEST_CASE("engine: a folder that is moved away under a run is made anew") {
  const TemporaryFolder folder;
  Engine engine(folder / "run", {.keep_latest = 2});
  save_small(engine, 1);
  fs::rename(folder / "run", folder / "moved");
  save_small(engine, 2);
  CHECK(steps_in(engine) == Steps{2});
  Engine other(folder / "moved", {});
  CHECK(steps_in(other) == Steps{1});
  save_small(other, 3);
}

TEST_CASE("engine: readers at any moment of a run find a whole checkpoint") {
  const TemporaryFolder folder;
  Engine writer(folder.path(), {.keep_latest = 1, .async = true});
  save_small(writer, 0);
  writer.wait();
  std::atomic<bool> done{false};
  std::atomic<int> restores{0};
  std::string error;
  std::thread thread([&] {
    try {
      Engine reader(folder.path(), {});
      std::int64_t last = 0;
      while (!done) {
        const auto restored = restore_small(reader);
        if (!restored || restored->step < last || !restored->skipped.empty()) error = "an older one, or damage";
        if (restored) last = restored->step;
        if (reader.whole().empty()) continue;  // all that were listed may have gone meanwhile
        ++restores;
      }
    } catch (const std::exception& e) {
      error = e.what();
    }
  });
  for (std::int64_t step = 1; step < 150 || restores < 20; ++step) {
    save_small(writer, step);
    if (!error.empty()) break;
  }
  writer.wait();
  done = true;
  thread.join();
  CHECK(error == "");
  CHECK(writer.warnings().empty());
}

TEST_CASE("engine: options and steps that make no sense are refused") {
  const TemporaryFolder folder;
  const auto refused = [&](const ManagerOptions& options) {
    const std::string text = error_of([&] { Engine engine(folder.path(), options); });
    return text.starts_with(folder.path().string() + ": ") || text.starts_with("metadata ");
  };
  CHECK(refused({.keep_latest = -1}));
  CHECK(refused({.keep_best = 1}));
  CHECK(refused({.keep_best = -1, .metric = "loss"}));
  CHECK(refused({.keep_every = -5}));
  CHECK(refused({.keep_every_duration = std::chrono::seconds(-1)}));
  CHECK(refused({.save_every_steps = -1}));
  CHECK(refused({.save_every = std::chrono::seconds(-1)}));
  CHECK(refused({.metadata = {{"manager.step", "3"}}}));
  ts::tests::put(folder / "file", "x");
  CHECK_THROWS_AS(Engine(folder / "file", {}), ts::IoError);
  Engine engine(folder / "run", {});
  CHECK(error_of([&] { save_small(engine, -1); }).starts_with((folder / "run").string() + ": "));
  CHECK_THROWS_AS(save_small(engine, 1, {}, {{"manager.step", "3"}}), ts::Error);
  save_small(engine, std::numeric_limits<std::int64_t>::max());
  save_small(engine, 0);
  CHECK(steps_in(engine) == Steps{0, std::numeric_limits<std::int64_t>::max()});
}

TEST_CASE("engine: whichever system call fails during a save, a whole one is there and the run goes on") {
  std::size_t n = 0;
  for (bool failed = true; failed; failed = failed && n < 1000) {
    ++n;
    CAPTURE(n);
    const TemporaryFolder folder;
    {
      Engine before(folder.path(), {});
      for (std::int64_t step = 1; step < 4; ++step) save_small(before, step);
    }
    Engine engine(folder.path(), {.keep_latest = 1});
    bool threw = false;
    {
      FaultyPosix faulty({.first = n, .code = EIO});
      const ts::io::PosixOverride replaced(faulty);
      try {
        save_small(engine, 4);
      } catch (const ts::IoError&) {
        threw = true;
      }
      failed = faulty.failed() != 0;
    }
    const auto step = restore_small(engine)->step;
    CHECK((step == 4 || (threw && step == 3)));
    save_small(engine, 5);
    CHECK(restore_small(engine)->step == 5);
    for (const auto& name : folder.names()) CHECK(ts::manager::parse_name(name).has_value());
    save_small(engine, 6);
    CHECK(steps_in(engine) == Steps{6});
  }
  CHECK(n > 50);
}

TEST_CASE("engine: a process that dies in front of any system call leaves a whole checkpoint, and no debris for long") {
  std::size_t n = 0;
  for (bool died = true; died && n < 1000;) {
    ++n;
    CAPTURE(n);
    const TemporaryFolder folder;
    {
      Engine before(folder.path(), {});
      for (std::int64_t step = 1; step < 4; ++step) save_small(before, step);
    }
    const pid_t child = ::fork();
    if (child == 0) {
      FaultyPosix faulty({.first = n, .code = FaultyPosix::death});
      const ts::io::PosixOverride replaced(faulty);
      Engine engine(folder.path(), {.keep_latest = 1});
      save_small(engine, 4);
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    died = WIFSIGNALED(status);
    REQUIRE((died || WEXITSTATUS(status) == 0));
    CHECK(folder.names().size() <= 5);
    Engine engine(folder.path(), {.keep_latest = 2});
    CHECK(restore_small(engine)->step >= 3);
    CHECK(restore_small(engine)->skipped.empty());
    save_small(engine, 5);
    CHECK(steps_in(engine).size() == 2);
    CHECK(folder.names().size() == 2);
  }
  CHECK(n > 50);
}

// The laws again, through files: random runs with restarts, damage, and a clock that jumps.
TEST_CASE("engine: in random runs the latest, the best and the damaged ones are always there") {
  std::mt19937_64 random(7);
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  for (int run = 0; run < 6; ++run) {
    const TemporaryFolder folder;
    ManagerOptions options{.keep_latest = 1 + below(3), .keep_best = 1, .metric = "loss", .async = below(2) == 0};
    std::int64_t seconds = 0;
    options.clock = [&] { return seconds_on(seconds); };
    auto engine = std::make_unique<Engine>(folder.path(), options);
    struct Saved {
      fs::path path;
      std::int64_t step;
      double loss;
    };
    std::vector<Saved> whole;
    std::set<fs::path> damaged;
    std::int64_t step = 0;
    for (int i = 0; i < 40; ++i) {
      step += below(3);
      seconds += below(10) == 0 ? -7000 : below(100);
      const double loss = below(5) == 0 ? not_a_number : static_cast<double>(below(6));
      whole.push_back({save_small(*engine, step, {{"loss", loss}}), step, loss});
      engine->wait();
      const auto best_of_all = [&] {
        const Saved* best = nullptr;
        for (const auto& saved : whole) {
          if (saved.loss == saved.loss && (!best || saved.loss < best->loss)) best = &saved;
        }
        return best;
      };
      REQUIRE(fs::exists(whole.back().path));
      if (const Saved* best = best_of_all()) REQUIRE(fs::exists(best->path));
      if (below(5) == 0) engine = nullptr, engine = std::make_unique<Engine>(folder.path(), options);
      if (below(6) == 0 && whole.size() > 1) {
        const auto victim = whole.end() - 1 - below(2);
        if (fs::exists(victim->path)) {
          flip_byte(victim->path, 5);
          damaged.insert(victim->path);
        }
        whole.erase(victim);
      }
      for (const auto& path : damaged) REQUIRE(fs::exists(path));
      std::erase_if(whole, [](const Saved& saved) { return !fs::exists(saved.path); });
      if (whole.empty()) {
        CHECK_THROWS_AS(restore_small(*engine), ts::IntegrityError);
        continue;
      }
      const auto restored = restore_small(*engine);
      REQUIRE(restored.has_value());
      CHECK(restored->path == whole.back().path);
      const Saved* best = best_of_all();
      for (const auto& file : engine->folder().list()) static_cast<void>(engine->folder().verify(file, 1));
      const auto files = engine->whole();
      CHECK(files.size() == whole.size());
      const auto found = engine->best_of(files);
      REQUIRE(found.has_value() == (best != nullptr));
      if (best) CHECK(files[*found].path == best->path);
    }
  }
}
