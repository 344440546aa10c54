#include "trainstate/manager/lock.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <string>

#include "support/faulty_posix.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/error.hpp"

namespace ts = trainstate;
namespace fs = std::filesystem;
using ts::manager::FolderLock;
using ts::tests::FaultyPosix;
using ts::tests::TemporaryFolder;

namespace {

int code_of(FolderLock& lock, const fs::path& folder) {
  try {
    static_cast<void>(lock.take(folder));
    return 0;
  } catch (const ts::IoError& e) {
    CHECK(std::string(e.what()).starts_with(folder.string() + ": "));
    return e.code();
  }
}

}  // namespace

TEST_CASE("lock: one at a time, and nothing is left in the folder") {
  const TemporaryFolder folder;
  FolderLock second;
  {
    FolderLock first;
    CHECK(first.take(folder.path()));
    CHECK_FALSE(first.take(folder.path()));  // has it already
    CHECK(code_of(second, folder.path()) == EWOULDBLOCK);
    CHECK(code_of(second, folder.path() / ".") == EWOULDBLOCK);
  }
  CHECK(second.take(folder.path()));
  CHECK(second.supported());
  CHECK(folder.names().empty());
}

TEST_CASE("lock: goes with the folder when that is moved, and to a new folder of its name") {
  const TemporaryFolder folder;
  FolderLock first, second, third;
  CHECK(first.take(folder / "run"));
  fs::rename(folder / "run", folder / "moved");
  CHECK(code_of(second, folder / "moved") == EWOULDBLOCK);
  CHECK(first.take(folder / "run"));  // made anew, and the old one is given up
  CHECK(second.take(folder / "moved"));
  CHECK(code_of(third, folder / "run") == EWOULDBLOCK);
}

TEST_CASE("lock: of a process that is killed it is free") {
  const TemporaryFolder folder;
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    FolderLock lock;
    const char taken = lock.take(folder.path()) ? 'y' : 'n';
    static_cast<void>(!::write(ends[1], &taken, 1));
    ::pause();
    ::_exit(0);
  }
  char taken = '?';
  REQUIRE(::read(ends[0], &taken, 1) == 1);
  CHECK(taken == 'y');
  FolderLock lock;
  CHECK(code_of(lock, folder.path()) == EWOULDBLOCK);
  REQUIRE(::kill(child, SIGKILL) == 0);
  REQUIRE(::waitpid(child, nullptr, 0) == child);
  ::close(ends[0]);
  ::close(ends[1]);
  CHECK(lock.take(folder.path()));
}

TEST_CASE("lock: where folders cannot be locked, a hidden file is; where nothing can, it says so") {
  const TemporaryFolder folder;
  for (const int code : {EBADF, ENOLCK, EOPNOTSUPP}) {
    CAPTURE(code);
    FaultyPosix folders({.first = 1, .count = 1, .code = code, .kind = FaultyPosix::Call::flock});
    FolderLock first;
    {
      const ts::io::PosixOverride replaced(folders);
      CHECK(first.take(folder / "run"));
    }
    CHECK(first.supported());
    FaultyPosix again({.first = 1, .count = 1, .code = code, .kind = FaultyPosix::Call::flock});
    const ts::io::PosixOverride replaced(again);
    FolderLock second;
    CHECK(code_of(second, folder / "run") == EWOULDBLOCK);
  }
  FaultyPosix none({.first = 1, .count = FaultyPosix::all / 2, .code = ENOLCK, .kind = FaultyPosix::Call::flock});
  const ts::io::PosixOverride replaced(none);
  FolderLock first, second;
  CHECK(first.take(folder / "run"));
  CHECK(second.take(folder / "run"));
  CHECK_FALSE(first.supported());
}

TEST_CASE("lock: what is no folder, or cannot be made, is an error") {
  const TemporaryFolder folder;
  ts::tests::put(folder / "file", "x");
  FolderLock lock;
  CHECK(code_of(lock, folder / "file") == ENOTDIR);
  CHECK(code_of(lock, folder / "file" / "run") == ENOTDIR);
}
