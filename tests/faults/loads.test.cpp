// Loads of checkpoints on the worst day: a call of the system that fails is an IoError, and nothing live has changed.
#include "support/torch_doctest.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "faults/subject.hpp"
#include "support/faulty_posix.hpp"
#include "support/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
namespace io = trainstate::io;
namespace ts = trainstate;
using namespace faults;
using ts::tests::FaultyPosix;
using ts::tests::TemporaryFolder;
using Faults = FaultyPosix::Faults;

/// A file, and live objects in another state that it would be loaded into.
struct Scene {
  explicit Scene(ts::Format format_of_file, std::int64_t floats_in_file = 4)
      : format(format_of_file), floats(floats_in_file) {
    Run run(2, floats);
    saved = run.bytes(format);
    ts::save(run.parts(), path);
    tree = ts::read(path).clone();
    reset();
  }
  void reset() {
    live.emplace(3, floats);
    image = live->bytes(format);
    memory = faults::memory_of(*live);
  }
  bool unchanged() { return live->bytes(format) == image && faults::memory_of(*live) == memory; }

  ts::Format format;
  std::int64_t floats;
  TemporaryFolder folder;
  fs::path path = folder / name_of(format);
  std::optional<Run> live;
  std::vector<std::byte> saved, image;
  laws::Memory memory;
  ts::StateDict tree;
};

/// Reads of every kind, each of which checks what it has read.
std::vector<std::pair<std::string, std::function<void(Scene&)>>> reads() {
  const auto is_tree = [](const Scene& scene, const ts::StateDict& tree) { CHECK(tree == scene.tree); };
  return {{"load", [](Scene& scene) { ts::load(scene.live->parts(), scene.path); }},
          {"load, not verified", [](Scene& scene) { ts::load(scene.live->parts(), scene.path, {.verify = false}); }},
          {"check",
           [](Scene& scene) {
             const ts::Report report = ts::check(scene.live->parts(), scene.path);
             CHECK(report.mismatched.empty());
             CHECK(report.missing_keys.empty());
           }},
          {"read", [=](Scene& scene) { is_tree(scene, ts::read(scene.path)); }},
          {"read, verified", [=](Scene& scene) { is_tree(scene, ts::read(scene.path, {.verify = true})); }},
          {"read_manifest", [](Scene& scene) {
             const ts::StateDict manifest = ts::read_manifest(scene.path);
             CHECK(manifest.contains("components/model"));
           }}};
}

/// After a read that did not throw.
void check_read(Scene& scene, const std::string& name) {
  if (!name.starts_with("load")) {
    CHECK(scene.unchanged());
  } else {
    CHECK((scene.live->bytes(scene.format) == scene.saved));
    scene.reset();
  }
}

TEST_CASE("loads: whichever call of the system fails, it is an IoError, and nothing live has changed") {
  for (const ts::Format format : formats) {
    CAPTURE(name_of(format));
    Scene scene(format);
    for (const auto& [name, read] : reads()) {
      CAPTURE(name);
      for (const int code : {EIO, ENOMEM, EACCES, EINTR}) {
        CAPTURE(code);
        for (const std::size_t count : {std::size_t{1}, FaultyPosix::all}) {
          if (count != 1 && code == EINTR) continue;  // for ever
          std::size_t failed = 1, thrown = 0;
          for (std::size_t n = 1; failed != 0; ++n) {
            CAPTURE(n);
            REQUIRE(n < 1000);
            Outcome outcome;
            FaultyPosix faulty({.first = n, .count = count, .code = code});
            {
              const io::PosixOverride replaced(faulty);
              outcome = outcome_of([&] { read(scene); });
            }
            failed = faulty.failed();
            if (outcome.code == 0) {
              check_read(scene, name);
            } else {
              ++thrown;
              CHECK(outcome.code == code);
              CHECK(outcome.text.starts_with(scene.path.string() + ": "));
              CHECK(scene.unchanged());
            }
          }
          CHECK(thrown > 2);
        }
      }
    }
  }
}

TEST_CASE("loads: short reads and interruptions change nothing") {
  for (const ts::Format format : formats) {
    CAPTURE(name_of(format));
    Scene scene(format);
    for (const auto& [name, read] : reads()) {
      CAPTURE(name);
      for (const Faults& faults : {Faults{.longest_transfer = 1}, Faults{.halves = true}, Faults{.interruptions = 5},
                                   Faults{.interruptions = 2, .longest_transfer = 100, .halves = true}}) {
        FaultyPosix faulty(faults);
        const io::PosixOverride replaced(faulty);
        read(scene);
        check_read(scene, name);
      }
    }
  }
}

TEST_CASE("loads: the same with several threads") {
  for (const ts::Format format : formats) {
    CAPTURE(name_of(format));
    Scene scene(format, 9 << 18);
    const auto load = [&](const Faults& faults, bool verify, std::size_t& failed) {
      FaultyPosix faulty(faults);
      const io::PosixOverride replaced(faulty);
      const Outcome outcome =
          outcome_of([&] { ts::load(scene.live->parts(), scene.path, {.verify = verify, .threads = 4}); });
      failed = faulty.failed();
      return outcome;
    };
    for (const bool verify : {true, false}) {
      std::size_t failed = 1;
      for (std::size_t n = 1; failed != 0; ++n) {
        CAPTURE(n);
        const Outcome outcome = load({.first = n, .count = FaultyPosix::all}, verify, failed);
        if (outcome.code == 0) {
          check_read(scene, "load");
        } else {
          CHECK(outcome.code == EIO);
          CHECK(scene.unchanged());
        }
      }
      CHECK(load({.interruptions = 2, .longest_transfer = 300'000, .halves = true}, verify, failed).code == 0);
      check_read(scene, "load");
    }
  }
}

TEST_CASE("loads: what a read from the file does not deliver is taken from the mapping") {
  using Call = FaultyPosix::Call;
  for (const ts::Format format : formats) {
    CAPTURE(name_of(format));
    Scene scene(format, 9 << 16);
    for (const unsigned threads : {1U, 4U}) {
      const auto reads_of_load = [&](const Faults& faults, bool verify = false) {
        FaultyPosix faulty(faults);
        {
          const io::PosixOverride replaced(faulty);
          ts::load(scene.live->parts(), scene.path, {.verify = verify, .threads = threads});
        }
        check_read(scene, "load");
        return faulty.made(Call::pread);
      };
      const std::size_t reads = reads_of_load({});
      CHECK(reads >= 3);
      for (std::size_t n = 1; n <= reads; ++n) {
        CAPTURE(n);
        for (const int code : {EIO, EBADF, ESPIPE, EINTR})
          reads_of_load({.first = n, .code = code, .kind = Call::pread});
        reads_of_load({.first = n, .count = FaultyPosix::all, .kind = Call::pread});
        reads_of_load({.first = n, .kind = Call::pread, .longest_transfer = 1000});
      }
      CHECK(reads_of_load({.longest_transfer = 0}) >= 3);
      CHECK(reads_of_load({.interruptions = 3, .longest_transfer = 300'000, .halves = true}) > reads);
      CHECK(reads_of_load({}, true) == 0);
    }
  }
}

TEST_CASE("loads: what is no file, or may not be read, is refused, and nothing live has changed") {
  Scene scene(ts::Format::safetensors);
  fs::create_directory(scene.folder / "a_folder");
  fs::create_symlink("loop", scene.folder / "loop");
  fs::create_symlink("absent", scene.folder / "astray");
  REQUIRE(::mkfifo((scene.folder / "pipe").c_str(), 0600) == 0);
  const bool device = ::mknod((scene.folder / "device").c_str(), S_IFCHR | 0666, makedev(1, 7)) == 0;
  if (!device) MESSAGE("without a device: this user may not make one");
  struct Refusal {
    const char* source;
    int code;
    const char* text;
  };
  for (const Refusal& refusal :
       {Refusal{"a_folder", EISDIR, "a folder"}, Refusal{"absent", ENOENT, ""}, Refusal{"absent/run", ENOENT, ""},
        Refusal{"run.safetensors/run", ENOTDIR, ""}, Refusal{"loop", ELOOP, ""}, Refusal{"astray", ENOENT, ""},
        Refusal{"pipe", EINVAL, "a pipe"},
        Refusal{device ? "device" : "pipe", EINVAL, device ? "a character device" : "a pipe"}}) {
    CAPTURE(refusal.source);
    scene.path = scene.folder / refusal.source;
    for (const auto& [name, read] : reads()) {
      CAPTURE(name);
      const Outcome outcome = outcome_of([&] { read(scene); });
      CHECK(outcome.code == refusal.code);
      CHECK(outcome.text.starts_with(scene.path.string() + ": "));
      CHECK(contains(outcome.text, refusal.text));
    }
    CHECK(scene.unchanged());
  }
}

}  // namespace
