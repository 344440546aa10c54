// The system calls of this library, all behind one seam that tests replace, and the descriptor that owns a file.
#pragma once

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "trainstate/error.hpp"

namespace trainstate::io {

/// The system calls that files are read and written with: each as in its manual page (-1 and errno on failure). A test
/// derives from it, overrides some, and puts itself in place with `PosixOverride`.
class Posix {
 public:
  Posix() = default;
  Posix(const Posix&) = delete;
  Posix& operator=(const Posix&) = delete;
  virtual ~Posix() = default;

  virtual int open(const char* path, int flags, mode_t mode) { return ::open(path, flags | O_CLOEXEC, mode); }
  virtual int close(int fd) { return ::close(fd); }
  virtual int duplicate(int fd) { return ::fcntl(fd, F_DUPFD_CLOEXEC, 0); }
  virtual int stat(const char* path, struct stat* to) { return ::stat(path, to); }
  virtual int lstat(const char* path, struct stat* to) { return ::lstat(path, to); }
  virtual int fstat(int fd, struct stat* to) { return ::fstat(fd, to); }
  virtual int fstatvfs(int fd, struct statvfs* to) { return ::fstatvfs(fd, to); }
  virtual int access(const char* path, int mode) { return ::faccessat(AT_FDCWD, path, mode, AT_EACCESS); }
  virtual ssize_t readlink(const char* path, char* to, std::size_t size) { return ::readlink(path, to, size); }
  virtual ssize_t pread(int fd, void* to, std::size_t size, off_t at) { return ::pread(fd, to, size, at); }
  virtual ssize_t pwrite(int fd, const void* from, std::size_t size, off_t at) { return ::pwrite(fd, from, size, at); }
  virtual int fallocate(int fd, off_t size) {
#ifdef __linux__
    return ::fallocate(fd, 0, 0, size);
#else
    static_cast<void>(fd), static_cast<void>(size);
    errno = EOPNOTSUPP;
    return -1;
#endif
  }
  virtual int ftruncate(int fd, off_t size) { return ::ftruncate(fd, size); }
  virtual int fchown(int fd, uid_t owner, gid_t group) { return ::fchown(fd, owner, group); }
  virtual int fchmod(int fd, mode_t mode) { return ::fchmod(fd, mode); }
  virtual int fsync(int fd) { return ::fsync(fd); }
  /// As sync_file_range with SYNC_FILE_RANGE_WRITE: the disk starts on these bytes, and nobody waits for it. ENOSYS
  /// where the system cannot do it.
  virtual int start_writeback(int fd, off_t at, off_t size) {
#ifdef __linux__
    return ::sync_file_range(fd, at, size, SYNC_FILE_RANGE_WRITE);
#else
    static_cast<void>(fd), static_cast<void>(at), static_cast<void>(size);
    errno = ENOSYS;
    return -1;
#endif
  }
  virtual int flock(int fd, int operation) { return ::flock(fd, operation); }
  virtual int rename(const char* from, const char* to) { return ::rename(from, to); }
  /// As rename, but EEXIST where `to` exists; EINVAL or ENOSYS where the system or the filesystem cannot do it.
  virtual int rename_new(const char* from, const char* to) {
#if defined(__linux__) && defined(SYS_renameat2)
    constexpr unsigned no_replace = 1;
    return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, no_replace));
#else
    static_cast<void>(from), static_cast<void>(to);
    errno = ENOSYS;
    return -1;
#endif
  }
  virtual int link(const char* from, const char* to) { return ::link(from, to); }
  virtual int unlink(const char* path) { return ::unlink(path); }
  virtual void* mmap(std::size_t size, int protection, int flags, int fd) {
    return ::mmap(nullptr, size, protection, flags, fd, 0);
  }
  virtual int munmap(void* at, std::size_t size) { return ::munmap(at, size); }
};

/// Internals of the seam.
inline std::atomic<Posix*> posix_override{nullptr};

/// The system calls now in place.
inline Posix& posix() {
  static Posix system;
  Posix* const replaced = posix_override.load(std::memory_order_acquire);
  return replaced ? *replaced : system;
}

/// Puts other system calls in place for its lifetime; for tests. Whole process, not nestable across threads.
class PosixOverride {
 public:
  explicit PosixOverride(Posix& calls) : before_(posix_override.exchange(&calls)) {}
  PosixOverride(const PosixOverride&) = delete;
  PosixOverride& operator=(const PosixOverride&) = delete;
  ~PosixOverride() { posix_override.store(before_); }

 private:
  Posix* before_;
};

/// Throws IoError for `path`; `code` is the errno.
[[noreturn]] inline void throw_io_error(const std::filesystem::path& path, std::string_view what, int code) {
  throw IoError(path.string() + ": " + std::string(what), code);
}

/// Calls `f` until it does something else than being interrupted by a signal.
template <class F>
auto retry_interrupted(F&& f) {
  auto result = f();
  while (result == -1 && errno == EINTR) result = f();
  return result;
}

/// Owns a file descriptor.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      static_cast<void>(close());
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Descriptor() { static_cast<void>(close()); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }

  /// Closes it, once; 0, or the errno of what was delayed until now. The descriptor is gone in either case.
  [[nodiscard]] int close() noexcept {
    if (fd_ < 0) return 0;
    const int failed = posix().close(std::exchange(fd_, -1));
    return failed == 0 || errno == EINTR ? 0 : errno;
  }

 private:
  int fd_ = -1;
};

/// What a file that is not regular is, for error texts.
inline std::string_view kind_of_file(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a folder";
    case S_IFCHR:
      return "a character device";
    case S_IFBLK:
      return "a block device";
    case S_IFIFO:
      return "a pipe";
    case S_IFSOCK:
      return "a socket";
    case S_IFREG:
      return "a regular file";
    default:
      return "of an unknown kind";
  }
}

/// Throws IoError (EISDIR for a folder, else EINVAL) unless `status` is that of a regular file.
inline void require_regular(const std::filesystem::path& path, const struct stat& status) {
  if (S_ISREG(status.st_mode)) return;
  throw_io_error(path, "expected a regular file, found " + std::string(kind_of_file(status.st_mode)),
                 S_ISDIR(status.st_mode) ? EISDIR : EINVAL);
}

}  // namespace trainstate::io
