#include "trainstate/format/zip/crc.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

namespace zip = trainstate::format::zip;
namespace io = trainstate::io;

namespace {

std::vector<std::byte> noise(std::size_t size) {
  std::mt19937 random(static_cast<unsigned>(size));
  std::vector<std::byte> bytes(size);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

}  // namespace

TEST_CASE("crc: the same as zlib's, whatever size and alignment, also of bytes that follow others") {
  const auto all = noise(70'000);
  const std::span<const std::byte> bytes(all);
  for (const std::size_t from : {0, 1, 2, 3, 7, 8, 15, 16, 31, 63, 64}) {
    for (std::size_t size = 0; size <= 69'900; size += size < 300 ? 1 : size / 3) {
      const auto part = bytes.subspan(from, size);
      for (const std::uint32_t before : {0U, 1U, 0xCBF43926U, 0xFFFFFFFFU}) {
        if (zip::crc32(part, before) == zip::zlib_crc32(part, before)) continue;
        CAPTURE(from);
        CAPTURE(size);
        CAPTURE(before);
        FAIL_CHECK("they differ");
      }
    }
  }
  CHECK(zip::crc32(bytes) == zip::zlib_crc32(bytes));
  CHECK(zip::zlib_crc32(bytes.first(9)) != 0);
}

TEST_CASE("crc: of no bytes it is that of those before, with and without an address") {
  const auto all = noise(1);
  for (const std::uint32_t before : {0U, 7U}) {
    CHECK(zip::crc32({}, before) == before);
    CHECK(zip::crc32(std::span(all).first(0), before) == before);
    CHECK(zip::zlib_crc32({}, before) == before);
  }
}

TEST_CASE("crc: parts that were taken one by one and joined, or in chunks, are the whole") {
  const auto all = noise(2 * io::chunk_size + 77);
  const std::span<const std::byte> bytes(all);
  const std::uint32_t whole = zip::zlib_crc32(bytes);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{12'345}, bytes.size()}) {
    CAPTURE(cut);
    const auto first = bytes.first(cut), second = bytes.subspan(cut);
    CHECK(zip::crc32_joined(zip::crc32(first), zip::crc32(second), second.size()) == whole);
    CHECK(zip::crc32(second, zip::crc32(first)) == whole);
  }
  const std::vector<std::uint64_t> sizes{0, bytes.size()};
  zip::ChunkedCrcs crcs(sizes);
  for (std::size_t at = 0; at < bytes.size(); at += io::chunk_size) {
    crcs.update(1, at, bytes.subspan(at, std::min<std::size_t>(io::chunk_size, bytes.size() - at)));
  }
  CHECK(crcs[0] == 0);
  CHECK(crcs[1] == whole);
}
