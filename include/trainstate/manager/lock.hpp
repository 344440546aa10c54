// The lock by which one manager alone writes to a folder. No LibTorch.
#pragma once

#include <cerrno>
#include <filesystem>
#include <utility>

#include "trainstate/io/posix.hpp"

namespace trainstate::manager {

/// Locks a folder until it is destroyed or its process ends, however it does. The lock is on the folder itself, so it
/// leaves nothing behind and moves with the folder; where the file system cannot do that (NFS), it is on a hidden file
/// in it.
class FolderLock {
 public:
  /// Takes the lock, unless it is held already; makes the folder if there is none. True if it was taken now. Throws
  /// IoError, EWOULDBLOCK if somebody else has it.
  bool take(const std::filesystem::path& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);  // what stands there instead is found below
    struct stat named {
    }, held{};
    if (io::posix().stat(folder.c_str(), &named) != 0) io::throw_io_error(folder, "cannot be made", errno);
    if (folder_ && io::posix().fstat(folder_.get(), &held) == 0 && named.st_dev == held.st_dev &&
        named.st_ino == held.st_ino) {
      return false;
    }
    // Another folder by now: the one that was locked has been moved away.
    io::Descriptor fresh(
        io::retry_interrupted([&] { return io::posix().open(folder.c_str(), O_RDONLY | O_DIRECTORY, 0); }));
    if (!fresh) io::throw_io_error(folder, "cannot be opened as a folder", errno);
    io::Descriptor file;
    supported_ = lock(folder, fresh);
    if (!supported_) {
      file = io::Descriptor(io::retry_interrupted(
          [&] { return io::posix().open((folder / file_name).c_str(), O_RDWR | O_CREAT | O_NOFOLLOW, 0666); }));
      if (!file) io::throw_io_error(folder / file_name, "cannot be opened", errno);
      supported_ = lock(folder, file);
    }
    folder_ = std::move(fresh);
    file_ = std::move(file);
    return true;
  }

  /// False where the file system has no locks at all: then nothing keeps a second manager out.
  [[nodiscard]] bool supported() const noexcept { return supported_; }

 private:
  static constexpr const char* file_name = ".trainstate.lock";

  // False if such a thing cannot be locked here.
  [[nodiscard]] static bool lock(const std::filesystem::path& folder, const io::Descriptor& what) {
    if (io::retry_interrupted([&] { return io::posix().flock(what.get(), LOCK_EX | LOCK_NB); }) == 0) return true;
    if (errno == EWOULDBLOCK) {
      io::throw_io_error(folder, "another manager is writing to this folder, and only one may", errno);
    }
    // EBADF: on NFS, what is locked must be open for writing.
    if (errno != EBADF && errno != EINVAL && errno != ENOLCK && errno != EOPNOTSUPP && errno != ENOSYS) {
      io::throw_io_error(folder, "cannot be locked", errno);
    }
    return false;
  }

  io::Descriptor folder_, file_;
  bool supported_ = true;
};

}  // namespace trainstate::manager
