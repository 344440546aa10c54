// Saves of checkpoints on the worst day: whatever the system refuses, one whole checkpoint stands at the path.
#include "support/torch_doctest.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <set>
#include <string>
#include <vector>

#include "faults/subject.hpp"
#include "support/faulty_posix.hpp"
#include "support/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
namespace io = trainstate::io;
namespace ts = trainstate;
using namespace faults;
using ts::tests::contents;
using ts::tests::FaultyPosix;
using ts::tests::put;
using ts::tests::TemporaryFolder;
using Faults = FaultyPosix::Faults;
using Names = std::set<std::string>;

/// Three that are failures everywhere, and those that some calls can do without or go on after.
const std::initializer_list<int> all_codes{EIO, ENOSPC, EDQUOT, EINTR, EINVAL, ENOLCK, EEXIST, EOPNOTSUPP, EAGAIN};

/// A checkpoint in a folder, found through a link, and a run in another state that is saved over it.
class Place {
 public:
  explicit Place(ts::Format format) : format_(format) {
    fs::create_symlink(name_of(format), link());
    Run old(1);
    torch::manual_seed(1);  // part of the state, here and below
    old_bytes = text_of(old.bytes(format));
    torch::manual_seed(2);
    new_bytes = text_of(run_.bytes(format));
  }

  [[nodiscard]] fs::path link() const { return folder_ / "last"; }
  [[nodiscard]] fs::path file() const { return folder_ / name_of(format_); }
  [[nodiscard]] Names names() const { return folder_.names(); }

  void save(const ts::SaveOptions& options) {
    torch::manual_seed(2);
    auto with_format = options;
    with_format.format = format_;
    ts::save(run_.parts(), link(), with_format);
  }

  /// That the file, which holds these bytes, loads into live objects. The same bytes are not tried twice in a row.
  void check_loads(const std::string& bytes) {
    if (bytes == loaded_) return;
    CHECK(laws::is_clean(ts::load(probe_.parts(), link())));
    CHECK((text_of(probe_.bytes(format_)) == bytes));
    loaded_ = bytes;
  }

  std::string old_bytes, new_bytes;

 private:
  ts::Format format_;
  TemporaryFolder folder_;
  Run run_{2}, probe_{3};
  std::string loaded_;
};

/// Saves once for every call of the system that a save makes, which then fails, and with it the calls after it, `count`
/// in all. Returns how many saves threw.
std::size_t fail_each_call(Place& place, int code, const ts::SaveOptions& options, std::size_t count = 1) {
  std::size_t thrown = 0;
  for (std::size_t n = 1;; ++n) {
    CAPTURE(n);
    REQUIRE(n < 1000);
    if (options.overwrite) {
      put(place.file(), place.old_bytes);
    } else {
      fs::remove(place.file());
    }
    FaultyPosix faulty({.first = n, .count = count, .code = code});
    Outcome outcome;
    {
      const io::PosixOverride replaced(faulty);
      outcome = outcome_of([&] { place.save(options); });
    }
    CHECK(fs::is_symlink(place.link()));
    const std::string found = fs::exists(place.file()) ? contents(place.file()) : "";
    if (outcome.code == 0) {
      CHECK((found == place.new_bytes));
    } else {
      ++thrown;
      CAPTURE(outcome.text);
      CHECK(outcome.code == code);
      CHECK(outcome.text.starts_with(place.link().string() + ": "));
      if (contains(outcome.text, "is in place and whole")) {
        CHECK((found == place.new_bytes));
      } else {
        CHECK((found == (options.overwrite ? place.old_bytes : "")));
      }
    }
    if (!found.empty()) place.check_loads(found);
    if (count == 1) CHECK(place.names().size() == (found.empty() ? 1 : 2));
    place.save({.sync = false});
    CHECK(place.names() == Names{"last", place.file().filename().string()});
    CHECK((contents(place.file()) == place.new_bytes));
    if (faulty.failed() == 0) return thrown;
  }
}

TEST_CASE("saves: whichever call of the system fails, the old checkpoint or the new one is whole") {
  for (const ts::Format format : formats) {
    CAPTURE(name_of(format));
    Place place(format);
    REQUIRE((place.old_bytes != place.new_bytes));
    for (const int code : all_codes) {
      CAPTURE(code);
      CHECK(fail_each_call(place, code, {.sync = true}) > 5);
    }
    for (const int code : {EIO, ENOSPC, EINTR, ENOSYS}) {
      CAPTURE(code);
      CHECK(fail_each_call(place, code, {.sync = false}) > 5);
      CHECK(fail_each_call(place, code, {.sync = true, .overwrite = false}) > 5);
    }
    // What is left behind where it cannot even be removed, the next save removes.
    CHECK(fail_each_call(place, EIO, {.sync = true}, FaultyPosix::all) > 5);
    CHECK(fail_each_call(place, EIO, {.sync = false, .overwrite = false}, FaultyPosix::all) > 5);
  }
}

TEST_CASE("saves: short writes and interruptions change nothing") {
  for (const ts::Format format : formats) {
    CAPTURE(name_of(format));
    Place place(format);
    for (const Faults& faults : {Faults{.longest_transfer = 1}, Faults{.halves = true}, Faults{.interruptions = 5},
                                 Faults{.interruptions = 2, .longest_transfer = 100, .halves = true}}) {
      put(place.file(), place.old_bytes);
      FaultyPosix faulty(faults);
      const io::PosixOverride replaced(faulty);
      place.save({});
      CHECK((contents(place.file()) == place.new_bytes));
      CHECK(place.names().size() == 2);
    }
  }
}

TEST_CASE("saves: the same from several threads") {
  constexpr std::int64_t floats = 9 << 18;
  for (const ts::Format format : formats) {
    CAPTURE(name_of(format));
    const TemporaryFolder folder;
    const fs::path path = folder / name_of(format);
    Run old(1), run(2, floats);
    const auto bytes = run.bytes(format);
    ts::save(old.parts(), path);
    const std::string before = contents(path);
    const auto save = [&](const Faults& faults, std::size_t& failed) {
      FaultyPosix faulty(faults);
      const io::PosixOverride replaced(faulty);
      const Outcome outcome = outcome_of([&] { ts::save(run.parts(), path, {.sync = false, .threads = 4}); });
      failed = faulty.failed();
      return outcome;
    };
    std::size_t failed = 1;
    for (const std::size_t count : {std::size_t{1}, FaultyPosix::all}) {
      failed = 1;
      for (std::size_t n = 1; failed != 0; n += count == 1 ? 1 : 4) {
        CAPTURE(n);
        put(path, before);
        const Outcome outcome =
            save({.first = n, .count = count, .code = ENOSPC, .kind = FaultyPosix::Call::pwrite}, failed);
        CHECK(outcome.code == (failed == 0 ? 0 : ENOSPC));
        CHECK((contents(path) == (failed == 0 ? text_of(bytes) : before)));
        CHECK(folder.names().size() == 1);
      }
    }
    put(path, before);
    CHECK(save({.interruptions = 2, .longest_transfer = 300'000, .halves = true}, failed).code == 0);
    CHECK((contents(path) == text_of(bytes)));
  }
}

/// A file system of its own, of 8 MiB, for as long as it lives.
class SmallDisk {
 public:
  SmallDisk() : mounted_(::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=8m") == 0) {}
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  [[nodiscard]] bool mounted() const { return mounted_; }
  [[nodiscard]] const TemporaryFolder& folder() const { return folder_; }

 private:
  TemporaryFolder folder_;
  bool mounted_;
};

TEST_CASE("saves: a full disk is an IoError that says how much is needed, and the old checkpoint stays") {
  const SmallDisk disk;
  if (!disk.mounted()) {
    MESSAGE("skipped: this user may not mount a small file system");
    return;
  }
  for (const ts::Format format : formats) {
    CAPTURE(name_of(format));
    const fs::path path = disk.folder() / name_of(format);
    Run old(1, 256 << 10), large(2, 4 << 20), probe(3, 256 << 10);
    torch::manual_seed(1);
    const auto old_bytes = old.bytes(format);
    ts::save(old.parts(), path);
    const auto names = disk.folder().names();
    const std::string size = std::to_string(large.bytes(format).size());

    const Outcome reserved = outcome_of([&] { ts::save(large.parts(), path); });
    CHECK(reserved.code == ENOSPC);
    CHECK(reserved.text.starts_with(path.string() + ": "));
    CHECK(contains(reserved.text, size + " bytes"));
    CHECK((contents(path) == text_of(old_bytes)));
    CHECK(disk.folder().names() == names);

    // A file system that can neither reserve nor say what it has: full in the middle of the writes, on all threads.
    struct Plain final : io::Posix {
      int fallocate(int, off_t) override { return errno = EOPNOTSUPP, -1; }
      int fstatvfs(int, struct statvfs*) override { return errno = ENOSYS, -1; }
    } plain;
    {
      const io::PosixOverride replaced(plain);
      const Outcome written = outcome_of([&] { ts::save(large.parts(), path); });
      CHECK(written.code == ENOSPC);
      CHECK(written.text.starts_with(path.string() + ": "));
    }
    CHECK((contents(path) == text_of(old_bytes)));
    CHECK(disk.folder().names() == names);
    ts::load(probe.parts(), path);
    CHECK((probe.bytes(format) == old_bytes));
    ts::save(probe.parts(), path);  // there is room again
    fs::remove(path);
  }
}

/// The rights of a user who owns nothing, for as long as it lives; a process of such a user has them anyhow.
class Unprivileged {
 public:
  Unprivileged() : before_(::geteuid()) {
    if (before_ == 0) REQUIRE(::seteuid(65534) == 0);
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;
  ~Unprivileged() {
    if (before_ == 0 && ::seteuid(before_) != 0) std::abort();
  }

 private:
  uid_t before_;
};

TEST_CASE("saves: what is no file, or may not be written, is refused and stays as it is") {
  const TemporaryFolder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  fs::create_directory(folder / "a_folder");
  fs::create_directory(folder / "closed");
  Run run(2);
  ts::save(run.parts(), folder / "closed" / "old");
  ts::save(run.parts(), folder / "closed" / "another");
  REQUIRE(::chmod((folder / "closed" / "old").c_str(), 0666) == 0);
  REQUIRE(::chmod((folder / "closed" / "another").c_str(), 0444) == 0);
  REQUIRE(::chmod((folder / "closed").c_str(), 0555) == 0);
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const bool device = ::mknod((folder / "device").c_str(), S_IFCHR | 0666, makedev(1, 7)) == 0;
  if (!device) MESSAGE("without a device: this user may not make one");

  struct Refusal {
    const char* target;
    int code;
    std::string text;
    bool unprivileged = false;
  };
  const std::vector<Refusal> refusals{
      {"a_folder", EISDIR, "a folder"},
      {"a_folder/", EISDIR, "the name of a folder"},
      {"absent/run", ENOENT, "the folder " + (folder / "absent").string()},
      {"closed/old/run", ENOTDIR, ""},
      {"pipe", EINVAL, "a pipe"},
      {device ? "device" : "pipe", EINVAL, device ? "a character device" : "a pipe"},
      {"closed/new", EACCES, "the folder " + (folder / "closed").string(), true},
      {"closed/old", EACCES, "the folder " + (folder / "closed").string(), true},
      {"closed/another", EACCES, "not to be written", true},
  };
  const Names names = folder.names();
  const std::string before = contents(folder / "closed" / "old");
  for (const ts::Format format : formats) {
    CAPTURE(name_of(format));
    for (const bool sync : {true, false}) {
      for (const Refusal& refusal : refusals) {
        CAPTURE(refusal.target);
        const fs::path path = folder / refusal.target;
        const auto save = [&] { ts::save(run.parts(), path, {.format = format, .sync = sync}); };
        const Outcome outcome = outcome_of([&] {
          if (!refusal.unprivileged) return save();
          const Unprivileged user;
          save();
        });
        CHECK(outcome.code == refusal.code);
        CHECK(outcome.text.starts_with(path.string() + ": "));
        CHECK(contains(outcome.text, refusal.text));
      }
    }
  }
  CHECK(folder.names() == names);
  CHECK(fs::is_fifo(folder / "pipe"));
  CHECK(fs::is_directory(folder / "a_folder"));
  if (device) CHECK(fs::is_character_file(folder / "device"));
  CHECK((contents(folder / "closed" / "old") == before));
  CHECK((contents(folder / "closed" / "another") == before));
  REQUIRE(::chmod((folder / "closed").c_str(), 0755) == 0);
}

TEST_CASE("saves: a file that is mapped or open keeps its bytes, also when its own tree is saved over it") {
  for (const ts::Format format : formats) {
    CAPTURE(name_of(format));
    const TemporaryFolder folder;
    const fs::path path = folder / name_of(format);
    Run old(1, 1 << 20), run(2, 10);
    ts::save(old.parts(), path);
    const std::string before = contents(path);
    const ts::StateDict mapped = ts::read(path), copy = mapped.clone();
    const int reader = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(reader >= 0);

    ts::save(run.parts(), path);
    CHECK(mapped == copy);
    std::string read(before.size() + 1, '\0');
    CHECK(::pread(reader, read.data(), read.size(), 0) == static_cast<ssize_t>(before.size()));
    read.pop_back();
    CHECK((read == before));
    ::close(reader);
    Run probe(3, 10);
    ts::load(probe.parts(), path);
    CHECK(probe.ballast.equal(run.ballast));

    ts::write(mapped, path);
    const ts::StateDict again = ts::read(path, {.verify = true});
    CHECK(again == copy);
    ts::write(again, path);
    CHECK(again == copy);
    CHECK(ts::read(path, {.verify = true}) == copy);
    CHECK(folder.names().size() == 1);
  }
}

}  // namespace
