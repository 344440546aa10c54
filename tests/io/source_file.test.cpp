#include "trainstate/io/source_file.hpp"

#include <doctest/doctest.h>

#include <string>

#include "support/temporary_folder.hpp"

namespace io = trainstate::io;
using trainstate::tests::put;
using trainstate::tests::TemporaryFolder;

namespace {

const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));

std::span<std::byte> all_of(const io::MappedFile& file) { return {file.storage()->data, file.storage()->size}; }

/// A system that hides its pages: the file cannot be opened, or not be read.
struct Hidden : io::Posix {
  explicit Hidden(bool opens) : opens_(opens) {}
  int open(const char* path, int flags, mode_t mode) override { return opens_ ? Posix::open(path, flags, mode) : -1; }
  ssize_t pread(int, void*, std::size_t, off_t) override { return 0; }
  const bool opens_;
};

/// One that shows three pages at a time.
struct Slow : io::Posix {
  ssize_t pread(int fd, void* to, std::size_t size, off_t at) override {
    return Posix::pread(fd, to, std::min<std::size_t>(size, 24), at);
  }
};

/// Whether this system shows which pages were written to.
bool shows_pages() {
  const TemporaryFolder folder;
  put(folder / "file", "x");
  return io::WrittenPages().none_in(all_of(io::MappedFile(folder / "file")));
}

}  // namespace

TEST_CASE("source file: what nobody wrote to may be read again, page by page") {
  if (!shows_pages()) {
    MESSAGE("skipped: this system does not show its pages");
    return;
  }
  const TemporaryFolder folder;
  put(folder / "file", std::string(2000 * page, 'x'));
  const io::MappedFile file(folder / "file");
  const auto all = all_of(file);
  const io::SourceFile source(file, true);
  CHECK(source.of(all) == &file);
  for (std::size_t at = 0; at < all.size(); at += 3 * page) CHECK(all[at] == std::byte{'x'});  // reading is no writing
  CHECK(source.of(all) == &file);

  for (const std::size_t written : {std::size_t{700}, std::size_t{1999}}) {
    CAPTURE(written);
    all[written * page + 17] = std::byte{'y'};
    CHECK(source.of(all) == nullptr);
    CHECK(source.of(all.subspan(written * page, page)) == nullptr);
    CHECK(source.of(all.subspan(written * page - 1, 2)) == nullptr);
    CHECK(source.of(all.subspan((written + 1) * page - 1, 1)) == nullptr);
    CHECK(source.of(all.subspan(0, written * page)) == (written == 700 ? &file : nullptr));
    CHECK(source.of(all.subspan(701 * page, 1000 * page)) == &file);
    CHECK(source.of(all.subspan(written * page, 0)) == &file);
    Slow slow;
    const io::PosixOverride replaced(slow);
    CHECK(source.of(all) == nullptr);
    CHECK(source.of(all.subspan(0, 700 * page)) == &file);
  }
  CHECK(io::SourceFile(file, false).of(all) == &file);  // the caller knows better
}

TEST_CASE("source file: a neighbour that was written to costs a page at either end") {
  if (!shows_pages()) {
    MESSAGE("skipped: this system does not show its pages");
    return;
  }
  struct Part {
    std::size_t at, size;
    bool readable;
    bool operator==(const Part&) const = default;
  };
  const TemporaryFolder folder;
  put(folder / "file", std::string(20 * page, 'x'));
  const io::MappedFile file(folder / "file");
  const auto all = all_of(file);
  const auto parts = [&](std::size_t at, std::size_t size, bool may_be_written = true) {
    std::vector<Part> found;
    io::SourceFile(file, may_be_written)
        .for_each_part(all.subspan(at, size), [&](std::span<const std::byte> part, const io::MappedFile* readable) {
          found.push_back({static_cast<std::size_t>(part.data() - all.data()), part.size(), readable != nullptr});
        });
    return found;
  };
  using Parts = std::vector<Part>;
  CHECK(parts(10, 15 * page) == Parts{{10, 15 * page, true}});
  all[3 * page] = all[9 * page] = std::byte{'y'};
  CHECK(parts(3 * page + 10, 6 * page) ==
        Parts{{3 * page + 10, page - 10, false}, {4 * page, 5 * page, true}, {9 * page, 10, false}});
  CHECK(parts(3 * page, 2 * page) == Parts{{3 * page, page, false}, {4 * page, page, true}});
  CHECK(parts(3 * page + 10, page) == Parts{{3 * page + 10, page - 10, false}, {4 * page, 10, true}});
  CHECK(parts(3 * page + 10, 20) == Parts{{3 * page + 10, 20, false}});
  CHECK(parts(2 * page, 6 * page) == Parts{{2 * page, page, true}, {3 * page, 5 * page, false}});
  CHECK(parts(2 * page, 6 * page, false) == Parts{{2 * page, 6 * page, true}});
}

TEST_CASE("source file: other memory, and a system that does not show its pages") {
  const TemporaryFolder folder;
  put(folder / "file", std::string(3 * page, 'x'));
  const io::MappedFile file(folder / "file");
  const auto all = all_of(file);
  const std::string other = "elsewhere";
  for (const bool may_be_written : {false, true}) {
    const io::SourceFile source(file, may_be_written);
    CHECK(source.of(std::as_bytes(std::span(other))) == nullptr);
  }
  CHECK(io::SourceFile().of(all) == nullptr);
  for (const bool opens : {false, true}) {
    Hidden hidden(opens);
    const io::PosixOverride replaced(hidden);
    CHECK(io::SourceFile(file, true).of(all) == nullptr);
    CHECK(io::SourceFile(file, false).of(all) == &file);
  }
}
