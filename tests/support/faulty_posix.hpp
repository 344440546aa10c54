// System calls that go wrong as a test wants: failed, interrupted, cut short, or the last that the process makes.
#pragma once

#include <signal.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <limits>
#include <mutex>
#include <optional>

#include "trainstate/io/posix.hpp"

namespace trainstate::tests {

/// Makes every call of the system as it is, but for the faults that it was made with. From any number of threads.
class FaultyPosix final : public io::Posix {
 public:
  enum class Call {
    open,
    close,
    duplicate,
    stat,
    lstat,
    fstat,
    fstatvfs,
    access,
    readlink,
    pread,
    pwrite,
    fallocate,
    ftruncate,
    fchown,
    fchmod,
    fsync,
    start_writeback,
    flock,
    rename,
    rename_new,
    link,
    unlink,
    mmap,
    munmap
  };

  /// Instead of an errno: the process kills itself in front of the call.
  static constexpr int death = -1;
  static constexpr std::size_t all = std::numeric_limits<std::size_t>::max();

  struct Faults {
    std::size_t first = 0;                    ///< the number of the first call that fails, from 1 on; 0: none does
    std::size_t count = 1;                    ///< how many fail from there on
    int code = EIO;                           ///< their errno, or `death`
    std::optional<Call> kind = std::nullopt;  ///< which calls are numbered; default: of all kinds together
    unsigned interruptions = 0;               ///< a signal comes so often before each call that it can interrupt
    std::size_t longest_transfer = all;       ///< in bytes, of a read or write
    bool halves = false;                      ///< reads and writes do half of what they are asked for
  };

  explicit FaultyPosix(const Faults& faults) : faults_(faults) {}

  /// How many calls were to fail until now.
  [[nodiscard]] std::size_t failed() const {
    const std::lock_guard lock(mutex_);
    return failed_;
  }
  /// How many calls of a kind were made until now, with those that failed and without those that were interrupted.
  [[nodiscard]] std::size_t made(Call kind) const {
    const std::lock_guard lock(mutex_);
    return made_[static_cast<std::size_t>(kind)];
  }

  int open(const char* path, int flags, mode_t mode) override {
    return interrupted() || fails(Call::open) ? -1 : Posix::open(path, flags, mode);
  }
  // A descriptor is gone whatever close says of it, as in Linux.
  int close(int fd) override {
    const bool died_first = fails(Call::close);
    const int code = errno, result = Posix::close(fd);
    if (died_first) return errno = code, -1;
    return result == 0 && faults_.interruptions != 0 ? (errno = EINTR, -1) : result;
  }
  int duplicate(int fd) override { return fails(Call::duplicate) ? -1 : Posix::duplicate(fd); }
  int stat(const char* path, struct stat* to) override { return fails(Call::stat) ? -1 : Posix::stat(path, to); }
  int lstat(const char* path, struct stat* to) override { return fails(Call::lstat) ? -1 : Posix::lstat(path, to); }
  int fstat(int fd, struct stat* to) override { return fails(Call::fstat) ? -1 : Posix::fstat(fd, to); }
  int fstatvfs(int fd, struct statvfs* to) override { return fails(Call::fstatvfs) ? -1 : Posix::fstatvfs(fd, to); }
  int access(const char* path, int mode) override { return fails(Call::access) ? -1 : Posix::access(path, mode); }
  ssize_t readlink(const char* path, char* to, std::size_t size) override {
    return fails(Call::readlink) ? -1 : Posix::readlink(path, to, size);
  }
  ssize_t pread(int fd, void* to, std::size_t size, off_t at) override {
    return interrupted() || fails(Call::pread) ? -1 : Posix::pread(fd, to, shortened(size), at);
  }
  ssize_t pwrite(int fd, const void* from, std::size_t size, off_t at) override {
    return interrupted() || fails(Call::pwrite) ? -1 : Posix::pwrite(fd, from, shortened(size), at);
  }
  int fallocate(int fd, off_t size) override {
    return interrupted() || fails(Call::fallocate) ? -1 : Posix::fallocate(fd, size);
  }
  int ftruncate(int fd, off_t size) override {
    return interrupted() || fails(Call::ftruncate) ? -1 : Posix::ftruncate(fd, size);
  }
  int fchown(int fd, uid_t owner, gid_t group) override {
    return fails(Call::fchown) ? -1 : Posix::fchown(fd, owner, group);
  }
  int fchmod(int fd, mode_t mode) override { return fails(Call::fchmod) ? -1 : Posix::fchmod(fd, mode); }
  int fsync(int fd) override { return interrupted() || fails(Call::fsync) ? -1 : Posix::fsync(fd); }
  int start_writeback(int fd, off_t at, off_t size) override {
    return fails(Call::start_writeback) ? -1 : Posix::start_writeback(fd, at, size);
  }
  int flock(int fd, int operation) override {
    return interrupted() || fails(Call::flock) ? -1 : Posix::flock(fd, operation);
  }
  int rename(const char* from, const char* to) override { return fails(Call::rename) ? -1 : Posix::rename(from, to); }
  int rename_new(const char* from, const char* to) override {
    return fails(Call::rename_new) ? -1 : Posix::rename_new(from, to);
  }
  int link(const char* from, const char* to) override { return fails(Call::link) ? -1 : Posix::link(from, to); }
  int unlink(const char* path) override { return fails(Call::unlink) ? -1 : Posix::unlink(path); }
  void* mmap(std::size_t size, int protection, int flags, int fd) override {
    return fails(Call::mmap) ? MAP_FAILED : Posix::mmap(size, protection, flags, fd);
  }
  // Unmapped all the same, so that a test which makes it fail does not leak.
  int munmap(void* at, std::size_t size) override {
    const bool fail = fails(Call::munmap);
    const int code = errno, result = Posix::munmap(at, size);
    return fail ? (errno = code, -1) : result;
  }

 private:
  // Counts a call; true, and errno, if it is to fail.
  bool fails(Call kind) {
    {
      const std::lock_guard lock(mutex_);
      ++all_made_;
      const std::size_t of_kind = ++made_[static_cast<std::size_t>(kind)];
      if (faults_.kind && *faults_.kind != kind) return false;
      const std::size_t number = faults_.kind ? of_kind : all_made_;
      if (faults_.first == 0 || number < faults_.first || number - faults_.first >= faults_.count) return false;
      ++failed_;
    }
    if (faults_.code == death) ::kill(::getpid(), SIGKILL);
    errno = faults_.code;
    return true;
  }

  // A call and its repetitions come from one thread.
  [[nodiscard]] bool interrupted() const {
    static thread_local unsigned in_a_row = 0;
    if (in_a_row >= faults_.interruptions) {
      in_a_row = 0;
      return false;
    }
    ++in_a_row;
    errno = EINTR;
    return true;
  }

  [[nodiscard]] std::size_t shortened(std::size_t size) const {
    if (faults_.halves) size = size / 2 + size % 2;
    return std::min(size, faults_.longest_transfer);
  }

  const Faults faults_;
  mutable std::mutex mutex_;  // guards what follows
  std::array<std::size_t, 24> made_{};
  std::size_t all_made_ = 0, failed_ = 0;
};

}  // namespace trainstate::tests
