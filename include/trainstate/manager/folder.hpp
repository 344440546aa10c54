// The files of a manager's folder: listed, looked into, verified, deleted. The folder is the only truth. No LibTorch.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/format/container.hpp"
#include "trainstate/io/atomic_file.hpp"
#include "trainstate/io/posix.hpp"
#include "trainstate/manager/metadata.hpp"
#include "trainstate/manager/names.hpp"
#include "trainstate/manager/options.hpp"
#include "trainstate/verify.hpp"

namespace trainstate::manager {

/// By what a file is known again without reading it.
struct FileStatus {
  std::uint64_t device = 0, inode = 0;
  std::int64_t size = 0, modified = 0, changed = 0;  ///< the times in nanoseconds

  bool operator==(const FileStatus&) const = default;
};

/// What is known of a file whose name a manager may have given.
enum class Condition {
  whole,      ///< a manager's, and no damage is known
  foreign,    ///< no manager wrote it
  damaged,    ///< malformed, or a checksum disagrees
  unreadable  ///< not now (EIO, EACCES, …), or not by this build
};

/// One of them.
struct FolderFile {
  FileName name = {};
  std::filesystem::path path = {};
  FileStatus status = {};
  Condition condition = Condition::foreign;
  bool verified = false;          ///< every byte was read, and was right
  Record record = {};             ///< of a whole one
  std::exception_ptr error = {};  ///< why it is damaged or unreadable

  [[nodiscard]] CheckpointEntry entry() const {
    return {record.step, record.time, path, record.metrics, record.metadata};
  }
};

/// The text of an exception.
[[nodiscard]] inline std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an unknown exception";
  }
}

/// A folder, and what was read of its files, for as long as they do not change. From any number of threads.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::filesystem::path path) : path_(std::move(path)) {}

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

  /// The names that a manager may have given, in their order. Throws IoError.
  [[nodiscard]] std::vector<FileName> names() const {
    std::vector<FileName> found;
    for_each_name([&](const std::string& text) {
      if (auto name = parse_name(text)) found.push_back(*std::move(name));
    });
    std::sort(found.begin(), found.end());
    return found;
  }

  /// All files of such names, in the order of their names. Reads the metadata of those that are new. Throws IoError if
  /// the folder cannot be listed.
  [[nodiscard]] std::vector<FolderFile> list() {
    const std::lock_guard lock(mutex_);
    constexpr int attempts = 100;
    for (int i = 0;; ++i) {
      const auto before = names();
      auto files = look_at(before);
      // While somebody adds and deletes files, a listing may show neither the new ones nor the old ones.
      if (i == attempts || names() == before) return files;
    }
  }

  /// Reads all of a file, unless that was done since it changed. What it is now; nothing if it is gone.
  [[nodiscard]] std::optional<FolderFile> verify(const FolderFile& file, unsigned threads, bool again = false) {
    auto status = status_of(file.path);
    if (!status) return std::nullopt;
    if (const auto known = find(file.name); known && known->status == *status && !again) {
      if (known->verified || known->condition != Condition::whole) return known;
    }
    auto now = examine(file.name, file.path, *status);
    if (!now || now->condition != Condition::whole) {
      if (now) remember(*now);
      return now;
    }
    try {
      static_cast<void>(trainstate::verify(file.path, {.threads = threads}));
      now->verified = true;
    } catch (const Error&) {
      if (!judge(*now)) return std::nullopt;
    }
    remember(*now);
    return now;
  }

  /// Deletes a file, if it is still the one that was listed. Throws IoError.
  void remove(const FolderFile& file) {
    const auto status = status_of(file.path);
    if (!status || !(*status == file.status)) return;
    if (io::posix().unlink(file.path.c_str()) != 0 && errno != ENOENT) {
      io::throw_io_error(file.path, "cannot be deleted", errno);
    }
  }

  /// Deletes what saves left that were killed, of any name that a manager may have given.
  void remove_debris() const {
    constexpr std::string_view mark = ".trainstate-";
    std::set<std::string> targets;
    for_each_name([&](const std::string& text) {
      const auto end = text.rfind(mark);
      if (!text.starts_with('.') || end == std::string::npos) return;
      std::string target = text.substr(1, end - 1);
      if (parse_name(target)) targets.insert(std::move(target));
    });
    for (const std::string& target : targets) io::TemporaryNames(path_ / target).remove_debris();
  }

 private:
  template <class F>
  void for_each_name(const F& f) const {
    std::error_code error;
    std::filesystem::directory_iterator at(path_, error);
    for (const std::filesystem::directory_iterator end; !error && at != end; at.increment(error)) {
      f(at->path().filename().native());
    }
    if (error) io::throw_io_error(path_, "cannot be listed", error.value());
  }

  // Nothing if there is no regular file: links are not ours.
  [[nodiscard]] static std::optional<FileStatus> status_of(const std::filesystem::path& path) {
    struct stat status {};
    if (io::posix().lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
    const auto nanoseconds = [](const timespec& time) {
      return std::int64_t{time.tv_sec} * 1'000'000'000 + std::int64_t{time.tv_nsec};
    };
    return FileStatus{static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino),
                      std::int64_t{status.st_size}, nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
  }

  [[nodiscard]] std::vector<FolderFile> look_at(const std::vector<FileName>& names_now) {
    std::vector<FolderFile> found;
    std::map<FileName, FolderFile> known;
    for (const FileName& name : names_now) {
      const std::filesystem::path path = path_ / text_of(name);
      const auto status = status_of(path);
      if (!status) continue;
      const auto before = known_.find(name);
      if (before != known_.end() && before->second.status == *status) {
        found.push_back(before->second);
      } else if (auto file = examine(name, path, *status)) {
        found.push_back(*std::move(file));
      } else {
        continue;
      }
      if (found.back().condition != Condition::unreadable) known.emplace(name, found.back());
    }
    known_ = std::move(known);
    return found;
  }

  // Reads the metadata. Nothing if the file is gone.
  [[nodiscard]] static std::optional<FolderFile> examine(const FileName& name, const std::filesystem::path& path,
                                                         const FileStatus& status) {
    FolderFile file{.name = name, .path = path, .status = status};
    try {
      const auto document = format::read_document(path, {.align = false});
      auto record = from_metadata(document.metadata);
      if (record && record->step == name.step) {
        file.condition = Condition::whole;
        file.record = *std::move(record);
      }
    } catch (const Error&) {
      if (!judge(file)) return std::nullopt;
    }
    return file;
  }

  // Notes the exception at hand. False if it says that the file is gone.
  [[nodiscard]] static bool judge(FolderFile& file) {
    file.error = std::current_exception();
    try {
      throw;
    } catch (const FormatError&) {
      file.condition = Condition::damaged;
    } catch (const IntegrityError&) {
      file.condition = Condition::damaged;
    } catch (const IoError& e) {
      if (e.code() == ENOENT) return false;
      file.condition = Condition::unreadable;
    } catch (const Error&) {
      file.condition = Condition::unreadable;
    }
    return true;
  }

  [[nodiscard]] std::optional<FolderFile> find(const FileName& name) {
    const std::lock_guard lock(mutex_);
    const auto at = known_.find(name);
    return at == known_.end() ? std::nullopt : std::optional(at->second);
  }

  void remember(const FolderFile& file) {
    const std::lock_guard lock(mutex_);
    if (file.condition != Condition::unreadable) known_.insert_or_assign(file.name, file);
  }

  std::filesystem::path path_;
  std::mutex mutex_;  // guards what follows
  std::map<FileName, FolderFile> known_;
};

}  // namespace trainstate::manager
