#include "trainstate/manager/folder.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "manager/small_files.hpp"
#include "support/faulty_posix.hpp"
#include "support/temporary_folder.hpp"

namespace ts = trainstate;
namespace fs = std::filesystem;
using ts::manager::CheckpointFolder;
using ts::manager::Condition;
using ts::manager::FolderFile;
using ts::tests::FaultyPosix;
using ts::tests::TemporaryFolder;

namespace {

// A checkpoint as a manager writes it.
fs::path put_checkpoint(const TemporaryFolder& folder, std::int64_t step, std::int64_t said_step,
                        ts::Format format = ts::Format::safetensors) {
  const fs::path path = folder / ts::manager::text_of(ts::manager::FileName{step, "20251122_153210", 1, format});
  ts::manager::Record record{.step = said_step, .sequence = step + 1, .metrics = {{"loss", 0.5}}};
  record.metadata = {{"git", "c0ffee"}};
  ts::format::write_document(ts::tests::small_document(step, ts::manager::to_metadata(record)), path, format);
  return path;
}
fs::path put_checkpoint(const TemporaryFolder& folder, std::int64_t step) { return put_checkpoint(folder, step, step); }

std::vector<Condition> conditions(CheckpointFolder& folder) {
  std::vector<Condition> all;
  for (const auto& file : folder.list()) all.push_back(file.condition);
  return all;
}

// Counts how often files are opened.
struct Opens final : ts::io::Posix {
  int open(const char* path, int flags, mode_t mode) override {
    ++count;
    return Posix::open(path, flags, mode);
  }
  int count = 0;
};

}  // namespace

TEST_CASE("folder: what a manager wrote is listed, in order, in either format, with what it says") {
  const TemporaryFolder folder;
  put_checkpoint(folder, 30);
  put_checkpoint(folder, 9, 9, ts::Format::pt);
  put_checkpoint(folder, 123456789);
  CheckpointFolder files(folder.path());
  const auto list = files.list();
  REQUIRE(list.size() == 3);
  for (const auto& file : list) CHECK(file.condition == Condition::whole);
  CHECK(list[0].record.step == 9);
  CHECK(list[1].record.step == 30);
  CHECK(list[2].record.step == 123456789);
  const auto entry = list[0].entry();
  CHECK(entry.step == 9);
  CHECK(entry.metrics == ts::Metrics{{"loss", 0.5}});
  CHECK(entry.metadata == std::map<std::string, std::string>{{"git", "c0ffee"}});
  CHECK(entry.path == folder / "step_00000009-20251122_153210.pt");
}

TEST_CASE("folder: what only bears such a name is known for what it is") {
  const TemporaryFolder folder;
  const fs::path whole = put_checkpoint(folder, 1);
  put_checkpoint(folder, 2, 1);  // another step than its name says
  ts::format::write_document(ts::tests::small_document(3), folder / "step_00000003-20251122_153210.pt", ts::Format::pt);
  ts::tests::put(folder / "step_00000004-20251122_153210.pt", "");
  fs::copy_file(whole, folder / "my-best.safetensors");
  fs::create_directory(folder / "step_00000005-20251122_153210.pt");
  fs::create_symlink(whole, folder / "step_00000001-20251122_153210-2.safetensors");
  fs::create_symlink(folder / "absent", folder / "step_00000006-20251122_153210.safetensors");
  CheckpointFolder files(folder.path());
  CHECK(conditions(files) == std::vector{Condition::whole, Condition::foreign, Condition::foreign, Condition::damaged});
}

TEST_CASE("folder: a file is read once, until it changes") {
  const TemporaryFolder folder;
  for (std::int64_t step = 0; step < 20; ++step) put_checkpoint(folder, step);
  ts::tests::put(folder / "step_00000020-20251122_153210.pt", "nothing");
  CheckpointFolder files(folder.path());
  Opens opens;
  const ts::io::PosixOverride replaced(opens);
  CHECK(files.list().size() == 21);
  CHECK(opens.count == 21);
  CHECK(files.list().size() == 21);
  CHECK(opens.count == 21);
  ts::tests::flip_byte(folder / "step_00000007-20251122_153210.safetensors", 600);  // in the header
  CHECK(files.list()[7].condition == Condition::damaged);
  CHECK(opens.count == 22);
  put_checkpoint(folder, 7);
  put_checkpoint(folder, 21);
  opens.count = 0;
  CHECK(files.list()[7].condition == Condition::whole);
  CHECK(opens.count == 2);
  fs::remove(folder / "step_00000007-20251122_153210.safetensors");
  CHECK(files.list().size() == 21);
}

TEST_CASE("folder: damage of tensors is known once the file was verified, and as long as it stays as it is") {
  const TemporaryFolder folder;
  for (const ts::Format format : {ts::Format::safetensors, ts::Format::pt}) {
    const std::int64_t step = format == ts::Format::pt ? 1 : 2;
    const fs::path path = put_checkpoint(folder, step, step, format);
    const std::string good = ts::tests::contents(path);
    CheckpointFolder files(folder.path());
    const auto file = [&] {
      for (const auto& each : files.list()) {
        if (each.path == path) return each;
      }
      return FolderFile{};
    };
    CHECK(files.verify(file(), 1)->verified);
    CHECK(file().verified);
    const std::string weight(reinterpret_cast<const char*>(
                                 ts::tests::tensor(ts::Dtype::f32, {64}, static_cast<unsigned>(step)).bytes().data()),
                             16);
    REQUIRE(good.find(weight) != std::string::npos);
    ts::tests::flip_byte(path, good.size() - good.find(weight));
    CHECK(file().condition == Condition::whole);
    CHECK_FALSE(file().verified);
    const auto found = files.verify(file(), 1);
    CHECK(found->condition == Condition::damaged);
    CHECK(ts::manager::text_of(found->error).starts_with(path.string() + ": "));
    CHECK(file().condition == Condition::damaged);
    ts::tests::put(path, good);
    CHECK(file().condition == Condition::whole);
  }
}

TEST_CASE("folder: a file that cannot be read now is neither damaged nor forgotten") {
  const TemporaryFolder folder;
  put_checkpoint(folder, 1);
  CheckpointFolder files(folder.path());
  {
    FaultyPosix faulty({.first = 1, .count = 2, .code = EIO, .kind = FaultyPosix::Call::open});
    const ts::io::PosixOverride replaced(faulty);
    CHECK(conditions(files) == std::vector{Condition::unreadable});
    CHECK(files.list()[0].error);
  }
  CHECK(conditions(files) == std::vector{Condition::whole});
}

TEST_CASE("folder: only the very file that was listed is removed") {
  const TemporaryFolder folder;
  put_checkpoint(folder, 1);
  put_checkpoint(folder, 2);
  CheckpointFolder files(folder.path());
  const auto list = files.list();
  put_checkpoint(folder, 2);  // another one by now
  for (const auto& file : list) files.remove(file);
  for (const auto& file : list) files.remove(file);
  CHECK(folder.names() == std::set<std::string>{"step_00000002-20251122_153210.safetensors"});
}

TEST_CASE("folder: debris of killed saves goes, of a manager's names only, and not what is being written") {
  const TemporaryFolder folder;
  const std::string dead = ".step_00000001-20251122_153210.safetensors.trainstate-77-0123456789abcdef.tmp";
  const std::string live = ".step_00000002-20251122_153210.pt.trainstate-78-0123456789abcdef.tmp";
  const std::string others = ".last.pt.trainstate-79-0123456789abcdef.tmp";
  for (const auto& name : {dead, live, others}) ts::tests::put(folder / name, "x");
  const int writer = ::open((folder / live).c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(writer >= 0);
  REQUIRE(::flock(writer, LOCK_EX) == 0);
  const CheckpointFolder files(folder.path());
  files.remove_debris();
  CHECK(folder.names() == std::set<std::string>{live, others});
  ::close(writer);
  files.remove_debris();
  CHECK(folder.names() == std::set<std::string>{others});
}

TEST_CASE("folder: one that is not there is an error") {
  const TemporaryFolder folder;
  CheckpointFolder files(folder / "absent");
  CHECK_THROWS_AS(static_cast<void>(files.list()), ts::IoError);
}
