#include "trainstate/format/safetensors_writer.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/format/safetensors_reader.hpp"
#include "trainstate/io/mapped_file.hpp"

namespace format = trainstate::format;
namespace io = trainstate::io;
namespace safetensors = trainstate::format::safetensors;
using trainstate::Dtype;
using trainstate::Error;
using trainstate::IoError;
using trainstate::TensorInfo;
using namespace trainstate::tests;

namespace {

const io::WriteMode quick{.sync = false, .overwrite = true};

format::Document large_document() {
  format::Document document;
  for (int i = 0; i < 10; ++i) document.tree.set(std::to_string(i), tensor(Dtype::u8, {3'000'000}));
  return document;
}

format::Document read(const std::filesystem::path& path) {
  return safetensors::Reader(io::MappedFile(path).storage(), path.string(),
                             {.verify = true, .threads = 0, .progress = {}})
      .read();
}

}  // namespace

TEST_CASE("safetensors writer: progress, and cancelling a save") {
  const TemporaryFolder folder;
  put(folder / "file", "old");
  const auto document = large_document();
  for (const unsigned threads : {1U, 3U}) {
    for (const std::uint64_t when : {std::uint64_t{0}, std::uint64_t{10'000'000}, std::uint64_t{30'000'000}}) {
      const format::WriteOptions options{.threads = threads, .progress = [&](std::uint64_t done, std::uint64_t total) {
                                           CHECK(total == 30'000'000);
                                           if (done >= when) throw std::logic_error("cancelled");
                                         }};
      CHECK_THROWS_WITH_AS(safetensors::write_to_file(document, folder / "file", quick, options), "cancelled",
                           std::logic_error);
      CHECK(contents(folder / "file") == "old");
      CHECK(folder.names().size() == 1);
      CHECK_THROWS_AS(safetensors::write_to_memory(document, options), std::logic_error);
    }
    std::uint64_t last = 0;
    const format::WriteOptions options{.threads = threads,
                                       .progress = [&](std::uint64_t done, std::uint64_t) { last = done; }};
    safetensors::write_to_file(document, folder / "counted", quick, options);
    CHECK(last == 30'000'000);
    std::filesystem::remove(folder / "counted");
  }
}

TEST_CASE("safetensors writer: an error begins with the file, then the path inside it, and leaves nothing") {
  const TemporaryFolder folder;
  format::Document document;
  TensorInfo outside = tensor(Dtype::f32, {2});
  outside.shape = {3};
  document.tree.set("model/w", outside);
  try {
    safetensors::write_to_file(document, folder / "file", quick, {});
    FAIL("wrote what is not there");
  } catch (const Error& e) {
    CHECK(std::string(e.what()).starts_with((folder / "file").string() + ": model/w: "));
  }
  CHECK(folder.names().empty());
}

TEST_CASE("safetensors writer: a failing write on any thread is an IoError, and the old file stays") {
  const TemporaryFolder folder;
  put(folder / "file", "old");
  const auto document = large_document();
  struct Failing : io::Posix {
    std::atomic<int> left{0};
    ssize_t pwrite(int fd, const void* from, std::size_t size, off_t at) override {
      return left-- <= 0 ? (errno = EIO, -1) : Posix::pwrite(fd, from, size, at);
    }
  } calls;
  const io::PosixOverride replaced(calls);
  for (const unsigned threads : {1U, 4U}) {
    for (int writes = 0; writes < 31; writes += 5) {
      calls.left = writes;
      try {
        safetensors::write_to_file(document, folder / "file", quick, {.threads = threads, .progress = {}});
        FAIL("a failed write went unnoticed");
      } catch (const IoError& e) {
        CHECK(e.code() == EIO);
        CHECK(std::string(e.what()).starts_with((folder / "file").string() + ": cannot write "));
      }
      CHECK(contents(folder / "file") == "old");
      CHECK(folder.names().size() == 1);
    }
  }
}

TEST_CASE("safetensors writer: saving over the file that the tensors are mapped from") {
  const TemporaryFolder folder;
  const auto document = large_document();
  safetensors::write_to_file(document, folder / "file", quick, {});
  auto mapped = read(folder / "file");
  mapped.tree.set("new", 1);
  safetensors::write_to_file(mapped, folder / "file", quick, {});
  CHECK(read(folder / "file").tree == mapped.tree);
  CHECK(mapped.tree.at("3") == document.tree.at("3"));
}

TEST_CASE("safetensors writer: killed in the middle, the old file stays and the next save cleans up") {
  const TemporaryFolder folder;
  format::Document old;
  old.tree["old"] = 1;
  safetensors::write_to_file(old, folder / "file", quick, {});
  const auto document = large_document();
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const auto die = [](std::uint64_t done, std::uint64_t) {
      if (done > 15'000'000) ::kill(::getpid(), SIGKILL);
    };
    safetensors::write_to_file(document, folder / "file", quick, {.threads = 2, .progress = die});
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(folder.names().size() == 2);
  CHECK(read(folder / "file").tree == old.tree);
  safetensors::write_to_file(document, folder / "file", quick, {});
  CHECK(folder.names().size() == 1);
  CHECK(read(folder / "file").tree == document.tree);
}
