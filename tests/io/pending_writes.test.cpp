#include "trainstate/io/pending_writes.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "support/temporary_folder.hpp"

namespace fs = std::filesystem;
using trainstate::io::PendingWrites;
using trainstate::tests::TemporaryFolder;

namespace {

// Whether a write to `second` waits for one to `first`, and goes on once that has ended.
bool waits(const fs::path& first, const fs::path& second) {
  PendingWrites writes;
  std::optional<PendingWrites::Announced> write(writes.announce(first));
  std::atomic<bool> went_on{false};
  std::thread caller([&] {
    writes.wait_for(second);
    went_on = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const bool waited = !went_on;
  write.reset();
  caller.join();
  return waited;
}

}  // namespace

TEST_CASE("pending writes: paths of one file are one, whatever links they go through") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "below");
  fs::create_directory_symlink("..", folder / "below/up");
  fs::create_symlink("file", folder / "link");
  fs::create_symlink(folder / "link", folder / "below/chain");
  for (const bool exists : {false, true}) {
    CAPTURE(exists);
    if (exists) trainstate::tests::put(folder / "file", "text");
    CHECK(waits(folder / "file", folder / "file"));
    CHECK(waits(folder / "file", folder / "link"));
    CHECK(waits(folder / "below/chain", folder / "link"));
    CHECK(waits(folder / "file", folder / "below/../file"));
    CHECK(waits(folder / "below/up/file", folder / "file"));
    CHECK(waits(fs::relative(folder / "file"), folder / "below/up/link"));
    CHECK_FALSE(waits(folder / "file", folder / "file2"));
    CHECK_FALSE(waits(folder / "file", folder / "below/file"));
  }
  CHECK(waits("name of no folder", fs::current_path() / "name of no folder"));
}

TEST_CASE("pending writes: a path that cannot be written is no error here") {
  const TemporaryFolder folder;
  fs::create_symlink("loop", folder / "loop");
  for (const fs::path& path : {fs::path(), folder / "loop", folder / "absent/file", folder / std::string(300, 'n')}) {
    CAPTURE(path);
    CHECK(waits(path, path));
    CHECK_FALSE(waits(path, folder / "file"));
  }
}

TEST_CASE("pending writes: only earlier ones are waited for, and all of them") {
  PendingWrites writes;
  writes.wait_for("file");
  std::optional<PendingWrites::Announced> first(writes.announce("file")), second(writes.announce("file")), third;
  std::atomic<bool> went_on{false};
  std::thread caller([&] {
    writes.wait_for("file");
    went_on = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  third.emplace(writes.announce("file"));
  second.reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK_FALSE(went_on);
  first.reset();
  caller.join();  // while the third goes on
  PendingWrites::Announced moved = *std::move(third);
  third.reset();
  const PendingWrites::Behind behind;
  writes.wait_for("file");  // would wait for itself
}

TEST_CASE("pending writes: a forked process does not wait for the threads of its parent") {
  PendingWrites writes;
  const auto write = writes.announce("file");
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(10);
    writes.wait_for("file");
    const auto own = writes.announce("file");
    ::_exit(0);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
