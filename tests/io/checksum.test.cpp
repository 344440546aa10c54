#include "trainstate/io/checksum.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>
#include <vector>

namespace io = trainstate::io;

TEST_CASE("checksum: the published values of XXH3-64") {
  CHECK(io::checksum({}) == 0x2d06800538d394c2ULL);
  const std::string text = "trainstate";
  const auto bytes = std::as_bytes(std::span(text));
  CHECK(io::checksum(bytes) == XXH3_64bits(text.data(), text.size()));
  CHECK(io::checksum(bytes) != io::checksum(bytes.first(9)));
}

TEST_CASE("checksum: pieces of any size give the checksum of the whole") {
  std::vector<std::byte> bytes(100'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i >> 3);
  for (const std::size_t piece : {1U, 63U, 64U, 1024U, 4096U, 99'999U, 100'000U}) {
    io::Hasher hasher;
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      hasher.update(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    }
    CHECK(hasher.digest() == io::checksum(bytes));
  }
  CHECK(io::Hasher().digest() == io::checksum({}));
}

TEST_CASE("checksum: hexadecimal text has one spelling") {
  CHECK(io::hex_text(0) == "0000000000000000");
  CHECK(io::hex_text(0x0123456789abcdefULL) == "0123456789abcdef");
  for (const std::uint64_t value : {0ULL, 1ULL, 0xdeadbeefULL, ~0ULL})
    CHECK(io::parse_hex(io::hex_text(value)) == value);
  for (const char* wrong : {"", "0", "00000000000000000", "0123456789ABCDEF", "000000000000000g", "000000000000000/",
                            "000000000000000:", "000000000000000`", " 00000000000000f", "0x00000000000000"}) {
    CHECK_FALSE(io::parse_hex(wrong));
  }
}
