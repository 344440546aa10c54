#include "trainstate/io/window.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "support/temporary_folder.hpp"

namespace io = trainstate::io;
using trainstate::tests::put;
using trainstate::tests::TemporaryFolder;

namespace {

struct Reads : io::Posix {
  std::size_t calls = 0;
  ssize_t pread(int fd, void* to, std::size_t size, off_t at) override {
    ++calls;
    return Posix::pread(fd, to, size, at);
  }
};

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

TEST_CASE("window: shows what is in the file, wherever and however much") {
  std::mt19937 random(3);
  std::string content(100'000, '\0');
  for (char& c : content) c = static_cast<char>(random());
  const TemporaryFolder folder;
  put(folder / "file", content);
  const io::MappedFile file(folder / "file");
  const std::span<const std::byte> all(file.storage()->data, file.storage()->size);
  for (const io::MappedFile* from : {static_cast<const io::MappedFile*>(nullptr), &file}) {
    io::Window window(all, from);
    for (int i = 0; i < 2000; ++i) {
      const std::size_t at = random() % content.size(), room = content.size() - at;
      const std::size_t size = random() % std::min<std::size_t>(room + 1, i % 2 == 0 ? 100 : 40'000);
      REQUIRE(text_of(window.show(at, size)) == std::string_view(content).substr(at, size));
    }
    CHECK(window.show(content.size(), 0).empty());
  }
}

TEST_CASE("window: neighbours are read at once, much where it is mapped") {
  const TemporaryFolder folder;
  put(folder / "file", std::string(4 * io::Window::reach, 'x'));
  const io::MappedFile file(folder / "file");
  const std::span<const std::byte> all(file.storage()->data, file.storage()->size);
  Reads reads;
  const io::PosixOverride replaced(reads);
  io::Window window(all, &file);
  for (std::size_t at = 100; at + 10 <= 100 + io::Window::reach; at += 10) static_cast<void>(window.show(at, 10));
  CHECK(reads.calls == 1);
  static_cast<void>(window.show(50, 10));  // before it
  CHECK(reads.calls == 2);
  static_cast<void>(window.show(50, io::Window::reach));
  CHECK(reads.calls == 2);
  static_cast<void>(window.show(51, io::Window::reach));
  CHECK(reads.calls == 3);
  CHECK(window.show(7, io::Window::reach + 1).data() == all.data() + 7);
  CHECK(reads.calls == 3);
  io::Window mapped(all, nullptr);
  CHECK(mapped.show(7, 5).data() == all.data() + 7);
  CHECK(reads.calls == 3);
}
