// A file that appears whole or not at all: written under another name, made durable, then renamed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "trainstate/io/checksum.hpp"
#include "trainstate/io/posix.hpp"

namespace trainstate::io {

/// How a file comes to stand at its path.
struct WriteMode {
  bool sync = true;       ///< file and folder are on the disk when the call returns
  bool overwrite = true;  ///< otherwise a file that exists is an IoError (EEXIST), without a race
};

/// The path at the end of a chain of symbolic links (which need not exist). Throws IoError, ELOOP if there is none.
inline std::filesystem::path follow_links(const std::filesystem::path& path) {
  constexpr int longest_chain = 40;  // as in Linux
  std::filesystem::path at = path;
  for (int i = 0; i < longest_chain; ++i) {
    struct stat status {};
    if (posix().lstat(at.c_str(), &status) != 0) {
      if (errno == ENOENT) return at;
      throw_io_error(path, "cannot be examined", errno);  // it may be a link, which must not be replaced
    }
    if (!S_ISLNK(status.st_mode)) return at;
    std::array<char, 4096> target{};
    const ssize_t size = posix().readlink(at.c_str(), target.data(), target.size());
    if (size < 0) throw_io_error(path, "the symbolic link cannot be read", errno);
    if (static_cast<std::size_t>(size) == target.size()) throw_io_error(path, "the symbolic link", ENAMETOOLONG);
    // A relative target starts at the folder of its link; an absolute one replaces everything.
    at = at.parent_path() / std::string_view(target.data(), static_cast<std::size_t>(size));
  }
  throw_io_error(path, "the symbolic links lead nowhere", ELOOP);
}

/// Names of the temporaries for one target: `.NAME.trainstate-PID-RANDOM.tmp` in the same folder. Each is locked by its
/// writer, so one that can be locked is debris of a writer that died.
class TemporaryNames {
 public:
  explicit TemporaryNames(const std::filesystem::path& target) : folder_(target.parent_path()) {
    if (folder_.empty()) folder_ = ".";
    std::string name = target.filename().string();
    constexpr std::size_t room_for_name = 180;  // of the 255 that file systems allow
    if (name.size() > room_for_name) name = hex_text(checksum(std::as_bytes(std::span(name))));
    prefix_ = "." + name + ".trainstate-";
  }

  [[nodiscard]] const std::filesystem::path& folder() const noexcept { return folder_; }

  /// A name that nobody has used.
  [[nodiscard]] std::filesystem::path next() const {
    std::random_device random;
    const std::uint64_t number = std::uint64_t{random()} << 32 | random();
    return folder_ / (prefix_ + std::to_string(::getpid()) + "-" + hex_text(number) + std::string(suffix));
  }

  /// True for a name that `next` may have made for this target.
  [[nodiscard]] bool matches(std::string_view name) const {
    if (!name.starts_with(prefix_) || !name.ends_with(suffix)) return false;
    if (name.size() < prefix_.size() + suffix.size()) return false;
    const std::string_view middle = name.substr(prefix_.size(), name.size() - prefix_.size() - suffix.size());
    const auto dash = middle.find('-');
    return dash != 0 && dash != std::string_view::npos && middle.find_first_not_of("0123456789") == dash &&
           parse_hex(middle.substr(dash + 1)).has_value();
  }

  /// Removes what dead writers left. Nothing that goes wrong here matters to a save.
  void remove_debris() const {
    std::error_code ignored;
    for (std::filesystem::directory_iterator at(folder_, ignored), end; at != end; at.increment(ignored)) {
      if (matches(at->path().filename().native())) remove_if_dead(at->path());
      if (ignored) break;
    }
  }

 private:
  static void remove_if_dead(const std::filesystem::path& path) {
    struct stat named {};
    if (posix().lstat(path.c_str(), &named) != 0 || !S_ISREG(named.st_mode)) return;
    const Descriptor file(posix().open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0));
    if (!file || posix().flock(file.get(), LOCK_EX | LOCK_NB) != 0) return;
    struct stat opened {};
    if (posix().fstat(file.get(), &opened) != 0 || !S_ISREG(opened.st_mode)) return;
    // Its writer may have renamed it into place between our opening and locking it.
    if (posix().lstat(path.c_str(), &named) != 0) return;
    if (named.st_dev == opened.st_dev && named.st_ino == opened.st_ino) posix().unlink(path.c_str());
  }

  static constexpr std::string_view suffix = ".tmp";
  std::filesystem::path folder_;
  std::string prefix_;
};

/// Removes a file when it goes, unless it was released.
class RemovedFile {
 public:
  RemovedFile() = default;
  explicit RemovedFile(std::filesystem::path path) : path_(std::move(path)) {}
  RemovedFile(RemovedFile&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  RemovedFile& operator=(RemovedFile&& other) noexcept {
    path_.swap(other.path_);
    return *this;
  }
  ~RemovedFile() {
    if (!path_.empty()) posix().unlink(path_.c_str());
  }

  [[nodiscard]] const char* c_str() const noexcept { return path_.c_str(); }
  void release() noexcept { path_.clear(); }

 private:
  std::filesystem::path path_;
};

/// Writes a file so that its path always holds the old file or the whole new one, whatever happens meanwhile. Symbolic
/// links stay and their target is replaced; the permissions of a file that exists are kept; a target that is no regular
/// file, or that may not be written, is refused. Without `commit` the destructor leaves everything as it was.
/// Every failure is an IoError whose text begins with the path.
class AtomicFile {
 public:
  AtomicFile(std::filesystem::path path, const WriteMode& mode)
      : path_(std::move(path)), mode_(mode), target_(follow_links(path_)), names_(target_) {
    const auto existing = examine_target();
    if (mode_.sync) open_folder();
    names_.remove_debris();
    create_temporary(existing ? mode_t{0600} : mode_t{0666});
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() = default;

  /// Makes the file `size` bytes long, with space on the disk for all of them. Throws IoError (ENOSPC, …) if there is
  /// not enough.
  void reserve(std::uint64_t size) {
    if (size == 0) return;
    const std::string needed = "cannot reserve " + std::to_string(size) + " bytes in " + names_.folder().string();
    if (size > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max())) throw_io_error(path_, needed, EFBIG);
    const auto length = static_cast<off_t>(size);
    if (retry_interrupted([&] { return posix().fallocate(file_.get(), length); }) == 0) return;
    if (errno != EOPNOTSUPP && errno != ENOSYS) throw_io_error(path_, needed, errno);
    struct statvfs space {};
    if (posix().fstatvfs(file_.get(), &space) == 0) {
      const auto available = static_cast<std::uint64_t>(space.f_bavail);
      if (space.f_frsize != 0 && available < size / space.f_frsize + 1) throw_io_error(path_, needed, ENOSPC);
    }
    if (retry_interrupted([&] { return posix().ftruncate(file_.get(), length); }) != 0) {
      throw_io_error(path_, needed, errno);
    }
  }

  /// Writes all of `bytes` at an offset. May be called by several threads at once.
  void write_at(std::span<const std::byte> bytes, std::uint64_t offset) const {
    const auto start = static_cast<off_t>(offset), size = static_cast<off_t>(bytes.size());
    while (!bytes.empty()) {
      const ssize_t written = retry_interrupted(
          [&] { return posix().pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
      if (written <= 0) {
        throw_io_error(path_, "cannot write " + std::to_string(bytes.size()) + " bytes at " + std::to_string(offset),
                       written == 0 ? EIO : errno);
      }
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      offset += static_cast<std::uint64_t>(written);
    }
    // The disk works while the rest is copied. A mere hint: it is fsync that waits, and that says what failed.
    if (mode_.sync && size >= worth_writeback) static_cast<void>(posix().start_writeback(file_.get(), start, size));
  }

  /// Puts the file in place. When this throws, the old file still stands there, unless the text says otherwise.
  void commit() {
    if (const auto existing = examine_target()) {
      struct stat mine {};
      if (posix().fstat(file_.get(), &mine) != 0) throw_io_error(path_, "cannot examine the new file", errno);
      // Only root may give files away; for others the file becomes theirs, as it does with every editor.
      if (mine.st_uid != existing->st_uid || mine.st_gid != existing->st_gid) {
        static_cast<void>(posix().fchown(file_.get(), existing->st_uid, existing->st_gid));
      }
      if (posix().fchmod(file_.get(), existing->st_mode & 0777) != 0) {
        throw_io_error(path_, "cannot keep the permissions of the file that exists", errno);
      }
    }
    if (mode_.sync && retry_interrupted([&] { return posix().fsync(file_.get()); }) != 0) {
      throw_io_error(path_, "cannot be made durable", errno);
    }
    // Some file systems report a failed write only here. `lock_` keeps the temporary ours.
    if (const int code = file_.close()) throw_io_error(path_, "cannot be closed", code);
    put_in_place();
    if (mode_.sync && retry_interrupted([&] { return posix().fsync(folder_.get()); }) != 0 && errno != EINVAL) {
      throw_io_error(path_, "is in place and whole, but its folder cannot be made durable", errno);
    }
  }

 private:
  static constexpr off_t worth_writeback = off_t{1} << 18;  // what is smaller reaches the disk with others

  [[noreturn]] void throw_missing_folder(int code) const {
    throw_io_error(path_, "the folder " + names_.folder().string() + " cannot be used", code);
  }

  // The status of the file to be replaced; nothing if there is none.
  [[nodiscard]] std::optional<struct stat> examine_target() const {
    if (target_.filename().empty()) {
      throw_io_error(path_, path_.empty() ? "there is no file name" : "expected a file, found the name of a folder",
                     path_.empty() ? ENOENT : EISDIR);
    }
    struct stat status {};
    if (posix().stat(target_.c_str(), &status) != 0) {
      if (errno != ENOENT) throw_io_error(path_, "cannot be examined", errno);
      if (posix().stat(names_.folder().c_str(), &status) != 0) throw_missing_folder(errno);
      return std::nullopt;
    }
    require_regular(path_, status);
    if (!mode_.overwrite) throw_io_error(path_, "exists, and overwrite is off", EEXIST);
    if (posix().access(target_.c_str(), W_OK) != 0) throw_io_error(path_, "exists and is not to be written", errno);
    return status;
  }

  // Before anything is written, so that a folder which cannot be made durable is found out now.
  void open_folder() {
    folder_ =
        Descriptor(retry_interrupted([&] { return posix().open(names_.folder().c_str(), O_RDONLY | O_DIRECTORY, 0); }));
    if (!folder_) throw_missing_folder(errno);
  }

  void create_temporary(mode_t permissions) {
    constexpr int attempts = 100;
    for (int i = 0; i < attempts; ++i) {
      const std::filesystem::path name = names_.next();
      Descriptor file(retry_interrupted(
          [&] { return posix().open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, permissions); }));
      if (!file && errno == EEXIST) continue;
      if (!file) throw_io_error(path_, "cannot create a file in the folder " + names_.folder().string(), errno);
      RemovedFile temporary(name);
      if (!lock(file)) continue;  // another save took it for debris before it was locked
      lock_ = Descriptor(posix().duplicate(file.get()));
      if (!lock_) throw_io_error(path_, "cannot duplicate a descriptor", errno);
      file_ = std::move(file);
      temporary_ = std::move(temporary);
      return;
    }
    throw_io_error(path_, "cannot create a file in the folder " + names_.folder().string(), EEXIST);
  }

  // False if another process holds or has removed the new file.
  [[nodiscard]] bool lock(const Descriptor& file) const {
    if (retry_interrupted([&] { return posix().flock(file.get(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno == EWOULDBLOCK) return false;
      // Where nothing can be locked, nothing is taken for debris either.
      if (errno != ENOLCK && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL) {
        throw_io_error(path_, "cannot lock a new file", errno);
      }
    }
    struct stat status {};
    if (posix().fstat(file.get(), &status) != 0) throw_io_error(path_, "cannot examine the new file", errno);
    return status.st_nlink != 0;
  }

  void put_in_place() {
    if (mode_.overwrite) {
      if (posix().rename(temporary_.c_str(), target_.c_str()) != 0) throw_io_error(path_, "cannot be replaced", errno);
      temporary_.release();
      return;
    }
    if (posix().rename_new(temporary_.c_str(), target_.c_str()) == 0) {
      temporary_.release();
      return;
    }
    if (errno == EINVAL || errno == ENOSYS) {
      // A link fails where the name is taken, too. The other name goes when this object does.
      if (posix().link(temporary_.c_str(), target_.c_str()) == 0) return;
    }
    throw_io_error(path_, errno == EEXIST ? "exists, and overwrite is off" : "cannot be put in place", errno);
  }

  std::filesystem::path path_;  // as the caller wrote it
  WriteMode mode_;
  std::filesystem::path target_;
  TemporaryNames names_;
  Descriptor folder_;
  Descriptor lock_;  // a duplicate of file_: shares its lock, and outlives its close
  Descriptor file_;
  RemovedFile temporary_;  // goes first, while it is still locked
};

}  // namespace trainstate::io
