#include "trainstate/io/atomic_file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "support/faulty_posix.hpp"
#include "support/temporary_folder.hpp"

namespace io = trainstate::io;
namespace fs = std::filesystem;
using trainstate::IoError;
using trainstate::tests::contents;
using trainstate::tests::FaultyPosix;
using trainstate::tests::put;
using trainstate::tests::TemporaryFolder;

namespace {

using Names = std::set<std::string>;

void write(const io::AtomicFile& file, std::string_view text, std::uint64_t at = 0) {
  file.write_at(std::as_bytes(std::span(text)), at);
}

void save(const fs::path& path, std::string_view text, const io::WriteMode& mode = {}) {
  io::AtomicFile file(path, mode);
  file.reserve(text.size());
  write(file, text);
  file.commit();
}

// The errno of a save that fails, or 0. The text must begin with the path.
int code_of(const fs::path& path, const io::WriteMode& mode = {}, std::string* text = nullptr) {
  try {
    save(path, "new", mode);
  } catch (const IoError& e) {
    CHECK(std::string(e.what()).starts_with(path.string() + ": "));
    if (text) *text = e.what();
    return e.code();
  }
  return 0;
}

mode_t permissions(const fs::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

// Runs `f` in another process and gives its exit status; -1 if a signal ended it.
int in_child(const std::function<int()>& f) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int status = 99;
    try {
      status = f();
    } catch (...) {
    }
    ::_exit(status);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A writer that is killed in the middle of a save of `path`.
void die_saving(const fs::path& path) {
  const int status = in_child([&] {
    io::AtomicFile file(path, {});
    file.reserve(1000);
    write(file, "half");
    return ::kill(::getpid(), SIGKILL);
  });
  CHECK(status == -1);
}

// As a user without privileges, in another process.
int code_without_privileges(const fs::path& path) {
  return in_child([&] {
    if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0)) return 98;
    return code_of(path);
  });
}

}  // namespace

TEST_CASE("atomic file: a new file appears at commit, with the permissions of the umask") {
  const TemporaryFolder folder;
  const mode_t before = ::umask(027);
  {
    io::AtomicFile file(folder / "file", {});
    file.reserve(8);
    write(file, "5678", 4);
    write(file, "1234", 0);
    CHECK_FALSE(fs::exists(folder / "file"));
    CHECK(folder.names().size() == 1);
    file.commit();
    CHECK(contents(folder / "file") == "12345678");
  }
  ::umask(before);
  CHECK(folder.names() == Names{"file"});
  CHECK(permissions(folder / "file") == 0640);
}

TEST_CASE("atomic file: without commit nothing has happened") {
  const TemporaryFolder folder;
  put(folder / "old", "old");
  for (const char* name : {"old", "new"}) {
    io::AtomicFile file(folder / name, {});
    file.reserve(3);
    write(file, "xyz");
  }
  CHECK(folder.names() == Names{"old"});
  CHECK(contents(folder / "old") == "old");
}

TEST_CASE("atomic file: the permissions of a file that exists are kept") {
  const TemporaryFolder folder;
  for (const bool sync : {true, false}) {
    for (const mode_t mode : {0600U, 0640U, 0666U, 0755U}) {
      put(folder / "file", "old");
      REQUIRE(::chmod((folder / "file").c_str(), mode) == 0);
      save(folder / "file", "new", {.sync = sync, .overwrite = true});
      CHECK(permissions(folder / "file") == mode);
      CHECK(contents(folder / "file") == "new");
    }
  }
  if (::geteuid() == 0) {
    REQUIRE(::chown((folder / "file").c_str(), 12, 34) == 0);
    save(folder / "file", "newer");
    struct stat status {};
    REQUIRE(::stat((folder / "file").c_str(), &status) == 0);
    CHECK(status.st_uid == 12);
    CHECK(status.st_gid == 34);
  }
}

TEST_CASE("atomic file: while it is written, nobody else may read what will replace a private file") {
  const TemporaryFolder folder;
  put(folder / "file", "old");
  REQUIRE(::chmod((folder / "file").c_str(), 0600) == 0);
  const io::AtomicFile file(folder / "file", {});
  for (const auto& name : folder.names()) CHECK((permissions(folder / name) & 077) == 0);
}

TEST_CASE("atomic file: symbolic links stay, their target is replaced") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "deep");
  put(folder / "deep/target", "old");
  fs::create_symlink("deep/target", folder / "link");
  fs::create_symlink(folder / "link", folder / "chain");
  save(folder / "chain", "new");
  CHECK(fs::is_symlink(folder / "chain"));
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(contents(folder / "deep/target") == "new");
  CHECK(folder.names() == Names{"deep", "link", "chain"});

  fs::create_symlink("deep/absent", folder / "dangling");
  save(folder / "dangling", "made");
  CHECK(fs::is_symlink(folder / "dangling"));
  CHECK(contents(folder / "deep/absent") == "made");

  fs::create_symlink("nowhere/file", folder / "astray");
  CHECK(code_of(folder / "astray") == ENOENT);
  fs::create_symlink("loop", folder / "loop");
  CHECK(code_of(folder / "loop") == ELOOP);
  fs::create_symlink("deep", folder / "folder");
  CHECK(code_of(folder / "folder") == EISDIR);
}

TEST_CASE("atomic file: a path that cannot be examined is not taken for the file that a link may lead to") {
  const TemporaryFolder folder;
  put(folder / "target", "old");
  fs::create_symlink("target", folder / "link");
  for (const std::size_t lookup : {1U, 2U}) {
    FaultyPosix calls({.first = lookup, .kind = FaultyPosix::Call::lstat});
    const io::PosixOverride replaced(calls);
    CHECK(code_of(folder / "link") == EIO);
  }
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(contents(folder / "target") == "old");
  CHECK(folder.names() == Names{"link", "target"});
}

TEST_CASE("atomic file: what is no regular file is refused and stays") {
  const TemporaryFolder folder;
  std::string text;
  fs::create_directory(folder / "folder");
  CHECK(code_of(folder / "folder", {}, &text) == EISDIR);
  CHECK(text.find("a folder") != std::string::npos);
  CHECK(code_of(folder / "folder/") == EISDIR);
  CHECK(code_of(folder / ".") == EISDIR);
  CHECK(code_of(folder / "new/") == EISDIR);
  CHECK(code_of("") == ENOENT);
  CHECK(code_of("/") == EISDIR);

  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(code_of(folder / "pipe") == EINVAL);
  CHECK(fs::is_fifo(folder / "pipe"));

  const int listening = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = (folder / "socket").string();
  REQUIRE(name.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  REQUIRE(::bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  CHECK(code_of(folder / "socket") == EINVAL);
  CHECK(fs::is_socket(folder / "socket"));
  ::close(listening);

  if (::mknod((folder / "device").c_str(), S_IFCHR | 0666, makedev(1, 7)) == 0) {
    CHECK(code_of(folder / "device", {}, &text) == EINVAL);
    CHECK(text.find("a character device") != std::string::npos);
    CHECK(fs::is_character_file(folder / "device"));
    fs::create_symlink("device", folder / "to_device");
    CHECK(code_of(folder / "to_device") == EINVAL);
    CHECK(fs::is_character_file(folder / "device"));
  } else {
    MESSAGE("skipped: this user may not make a device node");
  }
}

TEST_CASE("atomic file: a missing folder is named") {
  const TemporaryFolder folder;
  for (const bool sync : {true, false}) {
    std::string text;
    CHECK(code_of(folder / "absent/file", {.sync = sync, .overwrite = true}, &text) == ENOENT);
    CHECK(text.find("the folder " + (folder / "absent").string()) != std::string::npos);
  }
  put(folder / "file", "x");
  CHECK(code_of(folder / "file/inside") == ENOTDIR);
  CHECK(folder.names() == Names{"file"});
}

TEST_CASE("atomic file: a path without a folder is in the current one") {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  save("file", "here");
  fs::create_symlink("file", "link");
  save("link", "there");
  fs::current_path(before);
  CHECK(contents(folder / "file") == "there");
  CHECK(folder.names() == Names{"file", "link"});
}

TEST_CASE("atomic file: names up to the longest that the file system has") {
  const TemporaryFolder folder;
  for (const std::size_t length : {170U, 180U, 181U, 250U, 255U}) {
    const fs::path path = folder / std::string(length, 'n');
    die_saving(path);
    save(path, "text");
    CHECK(contents(path) == "text");
  }
  CHECK(folder.names().size() == 5);
  CHECK(code_of(folder / std::string(256, 'n')) == ENAMETOOLONG);
}

TEST_CASE("atomic file: overwrite off refuses a file that exists, whenever it came") {
  const TemporaryFolder folder;
  const io::WriteMode fresh{.sync = false, .overwrite = false};
  save(folder / "file", "first", fresh);
  CHECK(code_of(folder / "file", fresh) == EEXIST);
  CHECK(contents(folder / "file") == "first");

  struct Old : io::Posix {
    int code = 0;
    int rename_new(const char* from, const char* to) override {
      return code == 0 ? Posix::rename_new(from, to) : (errno = code, -1);
    }
  } calls;
  const io::PosixOverride replaced(calls);
  for (const int unsupported : {0, ENOSYS, EINVAL}) {
    calls.code = unsupported;
    const fs::path path = folder / ("raced" + std::to_string(unsupported));
    io::AtomicFile file(path, fresh);
    file.reserve(3);
    write(file, "new");
    put(path, "other");  // comes while the file is written
    try {
      file.commit();
      FAIL("replaced a file with overwrite off");
    } catch (const IoError& e) {
      CHECK(e.code() == EEXIST);
    }
    CHECK(contents(path) == "other");
    save(folder / ("made" + std::to_string(unsupported)), "text", fresh);
    CHECK(contents(folder / ("made" + std::to_string(unsupported))) == "text");
  }
  // A link to nothing is not a file.
  fs::create_symlink("target", folder / "link");
  save(folder / "link", "text", fresh);
  CHECK(contents(folder / "target") == "text");
  const auto names = folder.names();
  CHECK(names.size() == 9);
  for (const auto& name : names) CHECK(name.find("tmp") == std::string::npos);
}

TEST_CASE("atomic file: two that are written at once, with overwrite off: one wins") {
  const TemporaryFolder folder;
  const io::WriteMode fresh{.sync = false, .overwrite = false};
  io::AtomicFile one(folder / "file", fresh), two(folder / "file", fresh);
  write(one, "one");
  write(two, "two");
  two.commit();
  CHECK_THROWS_AS(one.commit(), IoError);
  CHECK(contents(folder / "file") == "two");
}

TEST_CASE("atomic file: a killed save leaves the old file, and the next save cleans up") {
  const TemporaryFolder folder;
  put(folder / "file", "old");
  for (int i = 0; i < 3; ++i) die_saving(folder / "file");
  CHECK(contents(folder / "file") == "old");
  CHECK(folder.names().size() == 2);  // what the last one left; it had cleaned up after those before
  die_saving(folder / "other");
  save(folder / "file", "new");
  CHECK(contents(folder / "file") == "new");
  CHECK(folder.names().size() == 2);  // what belongs to `other` is not its business
  save(folder / "other", "new");
  CHECK(folder.names() == Names{"file", "other"});
}

TEST_CASE("atomic file: only debris of ours for this file is removed") {
  const TemporaryFolder folder;
  const std::string random = "0123456789abcdef";
  const Names kept{".file.trainstate-12-" + random,               // no suffix
                   ".file.trainstate-12-" + random + ".tmp.txt",  // another suffix
                   "x.file.trainstate-12-" + random + ".tmp",     // another prefix
                   ".other.trainstate-12-" + random + ".tmp",     // of another file
                   ".file.trainstate-12-0123.tmp",                // too short
                   ".file.trainstate--" + random + ".tmp",        // no process
                   ".file.trainstate-1x-" + random + ".tmp",      // no number
                   ".file.trainstate-12-0123456789ABCDEF.tmp",    // not as we spell it
                   ".file.trainstate-.tmp",
                   ".file.trainstate-12-" + random + "-" + random + ".tmp",
                   ".FILE.trainstate-12-" + random + ".tmp",
                   "file.tmp",
                   ".file.swp"};
  for (const auto& name : kept) put(folder / name, "mine");
  const std::string live = ".file.trainstate-12-1111111111111111.tmp";
  put(folder / live, "being written");
  const int writer = ::open((folder / live).c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(::flock(writer, LOCK_EX | LOCK_NB) == 0);
  const std::string directory = ".file.trainstate-12-2222222222222222.tmp";
  fs::create_directory(folder / directory);
  const std::string link = ".file.trainstate-12-3333333333333333.tmp";
  fs::create_symlink("file.tmp", folder / link);
  const std::string dead = ".file.trainstate-12-4444444444444444.tmp";
  put(folder / dead, "debris");

  save(folder / "file", "new");
  Names expected = kept;
  expected.insert({"file", live, directory, link});
  CHECK(folder.names() == expected);
  ::close(writer);
  save(folder / "file", "new");
  expected.erase(live);
  CHECK(folder.names() == expected);
}

TEST_CASE("atomic file: a save does not take another that is going on for debris") {
  const TemporaryFolder folder;
  io::AtomicFile first(folder / "file", {});
  write(first, "first");
  save(folder / "file", "second");
  first.commit();
  CHECK(contents(folder / "file") == "first");
  CHECK(folder.names() == Names{"file"});
}

TEST_CASE("atomic file: a temporary that is taken for debris before it is locked is made anew") {
  const TemporaryFolder folder;
  struct Thief : io::Posix {
    int thefts = 0;
    std::string made;
    int open(const char* path, int flags, mode_t mode) override {
      if (flags & O_CREAT) made = path;
      return Posix::open(path, flags, mode);
    }
    int flock(int fd, int operation) override {
      switch (thefts--) {
        case 3:  // removed before the lock
          ::unlink(made.c_str());
          return Posix::flock(fd, operation);
        case 2:  // held by another who is about to remove it
          ::unlink(made.c_str());
          return errno = EWOULDBLOCK, -1;
        default:
          return Posix::flock(fd, operation);
      }
    }
  } calls;
  const io::PosixOverride replaced(calls);
  calls.thefts = 3;
  save(folder / "file", "text");
  CHECK(contents(folder / "file") == "text");
  CHECK(folder.names() == Names{"file"});
}

TEST_CASE("atomic file: processes that save to one path leave one whole file") {
  const TemporaryFolder folder;
  const std::size_t size = 300'000;
  std::vector<pid_t> children;
  for (char letter = 'a'; letter < 'e'; ++letter) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      int status = 0;
      for (int i = 0; i < 25 && status == 0; ++i) {
        try {
          save(folder / "file", std::string(size, letter), {.sync = false, .overwrite = true});
        } catch (...) {
          status = 1;
        }
      }
      ::_exit(status);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  const std::string text = contents(folder / "file");
  CHECK(text.size() == size);
  CHECK(text == std::string(size, text[0]));
  CHECK(folder.names() == Names{"file"});
}

TEST_CASE("atomic file: killed at any moment, the file is the old or the new one, whole") {
  const TemporaryFolder folder;
  const std::string old_text(100'000, 'o'), new_text(200'000, 'n');
  save(folder / "file", old_text);
  int status = -1;
  std::size_t moments = 0;
  for (; status == -1; ++moments) {
    status = in_child([&] {
      // Each call of the system in turn is the last one.
      FaultyPosix calls({.first = moments + 1, .code = FaultyPosix::death, .halves = true});
      const io::PosixOverride replaced(calls);
      save(folder / "file", new_text);
      return 0;
    });
    const std::string text = contents(folder / "file");
    CHECK((text == old_text || text == new_text));
    save(folder / "file", old_text);
    CHECK(folder.names() == Names{"file"});
  }
  CHECK(status == 0);
  CHECK(moments > 10);
}

TEST_CASE("atomic file: an error of any call leaves the old file or the new one, and no debris") {
  for (const int code : {EIO, ENOSPC, EINTR}) {
    std::size_t errors = 0, calls_made = 0;
    for (bool failed = true; failed; ++calls_made) {
      const TemporaryFolder folder;
      put(folder / "file", "old");
      int thrown = 0;
      {
        FaultyPosix calls({.first = calls_made + 1, .code = code});
        const io::PosixOverride replaced(calls);
        try {
          save(folder / "file", "new");
        } catch (const IoError& e) {
          thrown = e.code();
          CHECK(thrown == code);
          ++errors;
        }
        failed = calls.failed() != 0;
      }
      const std::string text = contents(folder / "file");
      CHECK((text == "new" || (text == "old" && thrown != 0)));
      CHECK(folder.names() == Names{"file"});
    }
    CHECK(calls_made > 12);
    if (code == EIO) CHECK(errors > 8);
  }
}

TEST_CASE("atomic file: short and interrupted writes go on") {
  const TemporaryFolder folder;
  FaultyPosix calls({.interruptions = 2, .longest_transfer = 7});
  const io::PosixOverride replaced(calls);
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>('a' + i % 26);
  save(folder / "file", text);
  CHECK(contents(folder / "file") == text);
  CHECK(calls.made(FaultyPosix::Call::pwrite) > 100);
}

TEST_CASE("atomic file: what is to be durable goes to the disk while more is written") {
  const TemporaryFolder folder;
  const std::vector<std::byte> bytes(1 << 20, std::byte{7});
  const auto write = [&](const io::WriteMode& mode, const FaultyPosix::Faults& faults) {
    FaultyPosix calls(faults);
    const io::PosixOverride replaced(calls);
    io::AtomicFile file(folder / "file", mode);
    file.reserve(3 * bytes.size());
    for (std::uint64_t i = 0; i < 3; ++i) file.write_at(bytes, i * bytes.size());
    file.write_at(std::span(bytes).first(100), 0);  // not worth a call
    file.commit();
    CHECK(contents(folder / "file") == std::string(3 << 20, '\7'));
    return calls.made(FaultyPosix::Call::start_writeback);
  };
  CHECK(write({.sync = true}, {}) == 3);
  CHECK(write({.sync = false}, {}) == 0);
  CHECK(write({.sync = true}, {.first = 1, .count = FaultyPosix::all, .kind = FaultyPosix::Call::start_writeback}) ==
        3);
}

TEST_CASE("atomic file: a write that writes nothing is an error, not a loop") {
  const TemporaryFolder folder;
  struct Stuck : io::Posix {
    ssize_t pwrite(int, const void*, std::size_t, off_t) override { return 0; }
  } calls;
  const io::PosixOverride replaced(calls);
  CHECK(code_of(folder / "file") == EIO);
  CHECK(folder.names().empty());
}

TEST_CASE("atomic file: a file system that cannot reserve is asked how much it has") {
  const TemporaryFolder folder;
  struct Plain : io::Posix {
    fsblkcnt_t blocks = 0;
    int fallocate(int, off_t) override { return errno = EOPNOTSUPP, -1; }
    int fstatvfs(int fd, struct statvfs* to) override {
      const int failed = Posix::fstatvfs(fd, to);
      to->f_frsize = 4096;
      to->f_bavail = blocks;
      return failed;
    }
  } calls;
  const io::PosixOverride replaced(calls);
  io::AtomicFile file(folder / "file", {});
  calls.blocks = 10;
  try {
    file.reserve(10 * 4096);
    FAIL("reserved more than there is");
  } catch (const IoError& e) {
    CHECK(e.code() == ENOSPC);
    CHECK(std::string(e.what()).find("40960 bytes") != std::string::npos);
  }
  calls.blocks = 11;
  file.reserve(10 * 4096);
  file.commit();
  CHECK(fs::file_size(folder / "file") == 10 * 4096);
}

TEST_CASE("atomic file: a full disk is found before anything is written, and the old file stays") {
  const TemporaryFolder folder;
  if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=1m") != 0) {
    MESSAGE("skipped: this user may not mount a small file system");
    return;
  }
  put(folder / "file", "old");
  std::string text;
  try {
    save(folder / "file", std::string(2 << 20, 'x'));
    FAIL("saved more than the disk holds");
  } catch (const IoError& e) {
    CHECK(e.code() == ENOSPC);
    text = e.what();
  }
  CHECK(text.starts_with((folder / "file").string() + ": "));
  CHECK(text.find("2097152 bytes") != std::string::npos);
  CHECK(contents(folder / "file") == "old");
  CHECK(folder.names() == Names{"file"});
  save(folder / "file", std::string(500'000, 'x'));
  CHECK(fs::file_size(folder / "file") == 500'000);
  ::umount(folder.path().c_str());
}

TEST_CASE("atomic file: more than a file can hold is an IoError") {
  const TemporaryFolder folder;
  io::AtomicFile file(folder / "file", {});
  for (const std::uint64_t size : {std::uint64_t{1} << 63, ~std::uint64_t{0}}) {
    try {
      file.reserve(size);
      FAIL("reserved an absurd size");
    } catch (const IoError& e) {
      CHECK(e.code() == EFBIG);
    }
  }
}

TEST_CASE("atomic file: a folder or file that may not be written is refused") {
  const TemporaryFolder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  put(folder / "file", "old");
  REQUIRE(::chmod((folder / "file").c_str(), 0666) == 0);
  if (::geteuid() != 0) REQUIRE(::chmod(folder.path().c_str(), 0555) == 0);
  CHECK(code_without_privileges(folder / "file") == EACCES);
  CHECK(code_without_privileges(folder / "new") == EACCES);
  REQUIRE(::chmod(folder.path().c_str(), 0777) == 0);
  CHECK(code_without_privileges(folder / "new") == 0);
  REQUIRE(::chmod((folder / "file").c_str(), 0444) == 0);
  CHECK(code_without_privileges(folder / "file") == EACCES);
  CHECK(contents(folder / "file") == "old");
  CHECK(folder.names() == Names{"file", "new"});
}

TEST_CASE("atomic file: with sync off nothing waits for the disk") {
  const TemporaryFolder folder;
  struct Counting : io::Posix {
    int syncs = 0;
    int fsync(int fd) override { return ++syncs, Posix::fsync(fd); }
  } calls;
  const io::PosixOverride replaced(calls);
  save(folder / "file", "text", {.sync = false, .overwrite = true});
  CHECK(calls.syncs == 0);
  save(folder / "file", "text");
  CHECK(calls.syncs == 2);  // the file, then its folder
}

TEST_CASE("atomic file: when the folder cannot be made durable, the error says that the file is in place") {
  const TemporaryFolder folder;
  struct Failing : io::Posix {
    int syncs = 0, code = EIO;
    int fsync(int fd) override { return ++syncs == 2 ? (errno = code, -1) : Posix::fsync(fd); }
  } calls;
  {
    const io::PosixOverride replaced(calls);
    std::string text;
    CHECK(code_of(folder / "file", {}, &text) == EIO);
    CHECK(text.find("in place and whole") != std::string::npos);
    calls.syncs = 0;
    calls.code = EINVAL;  // a file system that has nothing to do for folders
    CHECK(code_of(folder / "file") == 0);
  }
  CHECK(contents(folder / "file") == "new");
  CHECK(folder.names() == Names{"file"});
}
