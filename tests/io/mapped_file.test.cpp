#include "trainstate/io/mapped_file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <span>
#include <string>

#include "support/temporary_folder.hpp"

namespace io = trainstate::io;
using trainstate::IoError;
using trainstate::Storage;
using trainstate::tests::contents;
using trainstate::tests::put;
using trainstate::tests::TemporaryFolder;

namespace {

std::string text_of(const Storage& storage) { return {reinterpret_cast<const char*>(storage.data), storage.size}; }

int code_of(const std::filesystem::path& path) {
  try {
    io::MappedFile file(path);
  } catch (const IoError& e) {
    CHECK(std::string(e.what()).starts_with(path.string() + ": "));
    return e.code();
  }
  return 0;
}

}  // namespace

TEST_CASE("mapped file: shows the bytes, and lives as long as its storage") {
  const TemporaryFolder folder;
  put(folder / "file", "some bytes");
  std::shared_ptr<const Storage> storage = io::MappedFile(folder / "file").storage();
  CHECK(text_of(*storage) == "some bytes");
  CHECK(storage->device == "cpu");
  std::shared_ptr<const void> owner = storage->owner;
  const std::byte* data = storage->data;
  storage.reset();
  CHECK(static_cast<char>(data[0]) == 's');  // the owner alone keeps it
}

TEST_CASE("mapped file: writing to the memory does not change the file") {
  const TemporaryFolder folder;
  put(folder / "file", "some bytes");
  const auto storage = io::MappedFile(folder / "file").storage();
  storage->data[0] = std::byte{'S'};
  CHECK(text_of(*storage) == "Some bytes");
  CHECK(contents(folder / "file") == "some bytes");
}

TEST_CASE("mapped file: a file that is replaced or removed stays readable") {
  const TemporaryFolder folder;
  put(folder / "file", "old bytes");
  put(folder / "other", "new bytes");
  const auto storage = io::MappedFile(folder / "file").storage();
  std::filesystem::rename(folder / "other", folder / "file");
  CHECK(text_of(*storage) == "old bytes");
  std::filesystem::remove(folder / "file");
  CHECK(text_of(*storage) == "old bytes");
}

TEST_CASE("mapped file: an empty file is empty storage") {
  const TemporaryFolder folder;
  put(folder / "file", "");
  const auto storage = io::MappedFile(folder / "file").storage();
  CHECK(storage->size == 0);
}

TEST_CASE("mapped file: what cannot be mapped is an IoError that begins with the path") {
  const TemporaryFolder folder;
  CHECK(code_of(folder / "absent") == ENOENT);
  CHECK(code_of(folder / "absent/file") == ENOENT);
  CHECK(code_of(folder.path()) == EISDIR);
  put(folder / "file", "x");
  CHECK(code_of(folder / "file/inside") == ENOTDIR);
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(code_of(folder / "pipe") == EINVAL);  // and does not wait for a writer
  if (::mknod((folder / "device").c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0) {
    CHECK(code_of(folder / "device") == EINVAL);
  } else {
    MESSAGE("skipped: this user may not make a device node");
  }
}

TEST_CASE("mapped file: a failing system call is an IoError with its code") {
  const TemporaryFolder folder;
  put(folder / "file", "x");
  struct Failing : io::Posix {
    int which = 0, closed = 0;
    int open(const char* path, int flags, mode_t mode) override {
      return which == 0 ? (errno = EMFILE, -1) : Posix::open(path, flags, mode);
    }
    int fstat(int fd, struct stat* to) override { return which == 1 ? (errno = EIO, -1) : Posix::fstat(fd, to); }
    void* mmap(std::size_t size, int protection, int flags, int fd) override {
      return which == 2 ? (errno = ENOMEM, MAP_FAILED) : Posix::mmap(size, protection, flags, fd);
    }
    int close(int fd) override { return ++closed, Posix::close(fd); }
  } calls;
  const io::PosixOverride replaced(calls);
  CHECK(code_of(folder / "file") == EMFILE);
  CHECK(calls.closed == 0);
  calls.which = 1;
  CHECK(code_of(folder / "file") == EIO);
  CHECK(calls.closed == 1);
  calls.which = 2;
  CHECK(code_of(folder / "file") == ENOMEM);
  CHECK(calls.closed == 2);
  calls.which = 3;
  CHECK(code_of(folder / "file") == 0);
  CHECK(calls.closed == 3);
}

TEST_CASE("mapped file: knows which bytes are its own") {
  const TemporaryFolder folder;
  put(folder / "file", "some bytes");
  const io::MappedFile file(folder / "file");
  const std::span<const std::byte> all{file.storage()->data, file.storage()->size};
  CHECK(file.maps(all));
  CHECK(file.maps(all.subspan(3, 4)));
  CHECK(file.maps(all.last(0)));
  CHECK_FALSE(file.maps({all.data(), all.size() + 1}));
  CHECK_FALSE(file.maps({all.data() + 4, all.size() - 3}));
  CHECK_FALSE(file.maps({all.data() - 1, 1}));
  CHECK_FALSE(file.maps({all.data() + all.size(), 1}));
  const std::byte elsewhere{};
  CHECK_FALSE(file.maps({&elsewhere, 1}));
  put(folder / "empty", "");
  CHECK_FALSE(io::MappedFile(folder / "empty").maps(all));
}

TEST_CASE("mapped file: copies its bytes whatever becomes of the reads") {
  const TemporaryFolder folder;
  put(folder / "file", "some bytes");
  const io::MappedFile file(folder / "file");
  struct Reads : io::Posix {
    std::size_t longest = 100;
    int interruptions = 0, calls = 0, failing = 0;  // the number of the call that fails, from 1 on
    ssize_t pread(int fd, void* to, std::size_t size, off_t at) override {
      if (interruptions-- > 0) return errno = EINTR, -1;
      return ++calls == failing ? (errno = EIO, -1) : Posix::pread(fd, to, std::min(size, longest), at);
    }
  };
  const auto copied = [&](Reads& reads) {
    const io::PosixOverride replaced(reads);
    std::string to(6, '-');
    file.copy({file.storage()->data + 3, 5}, reinterpret_cast<std::byte*>(to.data()));
    return to;
  };
  for (const std::size_t longest : {0, 1, 2, 100}) {
    for (const int interruptions : {0, 3}) {
      for (const int failing : {0, 1, 2, 5}) {
        CAPTURE(longest);
        CAPTURE(failing);
        Reads reads;
        reads.longest = longest;
        reads.interruptions = interruptions;
        reads.failing = failing;
        CHECK(copied(reads) == "e byt-");
        CHECK(reads.calls > 0);
      }
    }
  }
}

TEST_CASE("mapped file: bytes that are needed once are read, up to two chunks of them") {
  const TemporaryFolder folder;
  constexpr std::size_t most = 2 * io::chunk_size;
  put(folder / "file", std::string(most, 'a') + 'z');
  const io::MappedFile file(folder / "file");
  const std::span<const std::byte> all{file.storage()->data, file.storage()->size};
  io::Scratch scratch;
  const auto is = [](std::span<const std::byte> found, std::span<const std::byte> expected) {
    return std::equal(found.begin(), found.end(), expected.begin(), expected.end());
  };
  CHECK(io::bytes_once(all, nullptr, scratch).data() == all.data());
  CHECK(io::bytes_once(all, &file, scratch).data() == all.data());
  for (const auto& part : {all.last(most), all.last(1), all.last(0)}) {
    const auto found = io::bytes_once(part, &file, scratch);
    CHECK(is(found, part));
    CHECK_FALSE(file.maps(found));
  }
}

TEST_CASE("mapped file: is large when not all of it should be mapped") {
  const TemporaryFolder folder;
  put(folder / "file", "x");
  std::filesystem::resize_file(folder / "file", io::mapped_whole);
  CHECK_FALSE(io::MappedFile(folder / "file").is_large());
  std::filesystem::resize_file(folder / "file", io::mapped_whole + 1);
  CHECK(io::MappedFile(folder / "file").is_large());
}

TEST_CASE("mapped file: a signal while opening is no error") {
  const TemporaryFolder folder;
  put(folder / "file", "x");
  struct Interrupted : io::Posix {
    int times = 3;
    int open(const char* path, int flags, mode_t mode) override {
      return times-- > 0 ? (errno = EINTR, -1) : Posix::open(path, flags, mode);
    }
  } calls;
  const io::PosixOverride replaced(calls);
  CHECK(code_of(folder / "file") == 0);
}
