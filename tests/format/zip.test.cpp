#include "trainstate/format/zip.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/error.hpp"
#include "trainstate/io/mapped_file.hpp"

namespace zip = trainstate::format::zip;
using trainstate::FormatError;
using trainstate::TensorInfo;
using namespace trainstate::tests;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

// An archive of records with the sizes and places that they claim, the data left out.
struct Archive {
  std::string bytes = {};
  std::vector<zip::Record> records = {};

  bool described = false;  // size and CRC stand once more behind the data, as in PyTorch's archives

  void add(const std::string& name, std::string_view data) {
    zip::Record record{name, data.size(), bytes.size(), zip::crc32(bytes_of(data))};
    record.append_local_header(bytes);
    bytes += data;
    if (described) {
      bytes[record.header_at + 6] = zip::has_descriptor;
      zip::put(bytes, zip::descriptor_signature);
      zip::put(bytes, record.crc);
      zip::put(bytes, static_cast<std::uint32_t>(data.size()));
      zip::put(bytes, static_cast<std::uint32_t>(data.size()));
    }
    records.push_back(record);
  }

  std::string finish() {
    const std::uint64_t at = bytes.size();
    std::string directory;
    for (const auto& record : records) {
      const std::size_t begin = directory.size();
      record.append_central_header(directory);
      if (described) directory[begin + 8] = zip::has_descriptor;
    }
    zip::append_end(directory, records.size(), at, directory.size());
    return bytes + directory;
  }
};

std::string small_archive(bool described = false) {
  Archive archive{.described = described};
  archive.add("a/data.pkl", "pickle");
  archive.add("a/data/0", "0123456789");
  archive.add("a/empty", "");
  return archive.finish();
}

// What there is to say of an archive: its entries, or why it is refused.
std::string verdict(std::span<const std::byte> image, const trainstate::io::MappedFile* file) {
  std::string text;
  try {
    for (const auto& entry : trainstate::format::read_zip(image, "x: ", file)) {
      text += std::string(entry.name) + ' ' + std::to_string(entry.data.data() - image.data()) + ' ' +
              std::to_string(entry.data.size()) + ' ' + std::to_string(entry.crc) + '\n';
    }
  } catch (const FormatError& e) {
    text = e.what();
  }
  return text;
}

// Through the headers of the file, it has to be the same as in memory.
std::string verdict_of_file(const std::string& bytes) {
  const TemporaryFolder folder;
  put(folder / "x.pt", bytes);
  const trainstate::io::MappedFile file(folder / "x.pt");
  const std::string text = verdict(bytes_of(bytes), nullptr);
  CHECK(verdict({file.storage()->data, file.storage()->size}, &file) == text);
  return text;
}

}  // namespace

TEST_CASE("zip: what is written is read, in place and aligned") {
  const std::string archive = small_archive();
  const auto image = bytes_of(archive);
  REQUIRE(trainstate::format::looks_like_zip(image));
  const auto entries = trainstate::format::read_zip(image, "file: ");
  REQUIRE(entries.size() == 3);
  CHECK(entries[0].name == "a/data.pkl");
  CHECK(text_of(entries[0].data) == "pickle");
  CHECK(text_of(entries[1].data) == "0123456789");
  CHECK(entries[2].data.empty());
  for (const auto& entry : entries) {
    CHECK((entry.data.data() - image.data()) % 64 == 0);
    CHECK(zip::crc32(entry.data) == entry.crc);
  }
}

TEST_CASE("zip: CRC-32 has the value that everyone agrees on, and parts join") {
  const auto text = bytes_of("123456789");
  CHECK(zip::crc32(text) == 0xCBF43926);
  CHECK(zip::crc32({}) == 0);
  CHECK(zip::crc32_joined(zip::crc32(text.first(4)), zip::crc32(text.subspan(4)), 5) == 0xCBF43926);
  const TensorInfo large = tensor(trainstate::Dtype::u8, {3'000'000});
  const std::vector<std::uint64_t> sizes{9, 3'000'000, 0};
  zip::ChunkedCrcs crcs(sizes);
  crcs.update(0, 0, text);
  const auto chunk = trainstate::io::chunk_size;
  crcs.update(1, 2 * chunk, large.bytes().subspan(2 * chunk));
  crcs.update(1, 0, large.bytes().first(chunk));
  crcs.update(1, chunk, large.bytes().subspan(chunk, chunk));
  CHECK(crcs[0] == 0xCBF43926);
  CHECK(crcs[1] == zip::crc32(large.bytes()));
  CHECK(crcs[2] == 0);
}

TEST_CASE("zip: sizes and places beyond 32 bits go to the extra field and the zip64 end") {
  const std::uint64_t large = std::uint64_t{5} << 30;
  zip::Record first{"a/x", large, 0, 7}, second{"a/y", 3, first.end(), 8};
  CHECK(second.data_at() % 64 == 0);
  std::string directory;
  first.append_central_header(directory);
  second.append_central_header(directory);
  CHECK(directory.size() == 2 * zip::central_size + 6 + 20 + 12);
  const std::string_view text = directory;
  CHECK(zip::get<std::uint32_t>(bytes_of(text), 24) == zip::see_zip64_32);
  CHECK(zip::get<std::uint64_t>(bytes_of(text), zip::central_size + 3 + 4) == large);
  std::string header;
  first.append_local_header(header);
  CHECK(header.size() == first.data_at());
  CHECK(zip::get<std::uint64_t>(bytes_of(header), zip::local_size + 3 + 4) == large);
  std::string end;
  zip::append_end(end, 2, second.end(), directory.size());
  CHECK(end.size() == zip::end64_size + zip::locator_size + zip::end_size);
}

TEST_CASE("zip: more entries than 16 bits count") {
  Archive archive;
  for (int i = 0; i < 70'000; ++i) archive.add("a/" + std::to_string(i), "");
  const std::string bytes = archive.finish();
  CHECK(trainstate::format::read_zip(bytes_of(bytes), "").size() == 70'000);
}

TEST_CASE("zip: the headers between the data of a file say what they say in memory") {
  for (const bool described : {false, true}) {
    CAPTURE(described);
    Archive archive{.described = described};
    for (const std::size_t size : {0, 7, 5'000, 16'384, 16'300, 40'000, 1, 1}) {
      archive.add("a/data" + std::string(archive.records.size() * 300, 'n'), std::string(size, 'd'));
    }
    CHECK(std::count(archive.bytes.begin(), archive.bytes.end(), 'd') > 77'000);
    const std::string entries = verdict_of_file(archive.finish());
    CHECK(std::count(entries.begin(), entries.end(), '\n') == 8);

    const std::string small = small_archive(described);
    std::size_t refused = 0;
    for (std::size_t i = 0; i < small.size(); ++i) {
      CAPTURE(i);
      std::string changed = small;
      changed[i] = static_cast<char>(changed[i] ^ 0x41);
      if (verdict_of_file(changed).starts_with("x: ")) ++refused;
    }
    CHECK(refused > 200);
  }
}

TEST_CASE("zip: every cut is refused") {
  const std::string archive = small_archive();
  for (std::size_t size = 0; size < archive.size(); ++size) {
    CAPTURE(size);
    CHECK_THROWS_AS((void)trainstate::format::read_zip(bytes_of(archive).first(size), ""), FormatError);
  }
}

TEST_CASE("zip: what an error says") {
  const auto error_of = [](const std::string& bytes) {
    try {
      (void)trainstate::format::read_zip(bytes_of(bytes), "f.pt: ");
    } catch (const FormatError& e) {
      return std::string(e.what());
    }
    return std::string("none");
  };
  const auto names = [](const std::string& name) {
    Archive archive;
    archive.add("a/data.pkl", "x");
    archive.add(name, "y");
    return archive.finish();
  };
  CHECK(error_of(names("a/b")) == "none");
  for (const char* name : {"/etc/passwd", "a/../b", "../b", "a//b", "a\\b", "./a", "a/."}) {
    CAPTURE(name);
    CHECK(error_of(names(name)).find("is no name that PyTorch would write") != std::string::npos);
  }
  CHECK(error_of(names("a/data.pkl")) == "f.pt: 'a/data.pkl': expected a name once, found it twice");
  CHECK(error_of(small_archive() + "x").find("no end of its directory") != std::string::npos);
  CHECK(error_of("x" + small_archive()).find("f.pt: ") == 0);
}
