// Any bytes as a zip archive.
#include <algorithm>

#include "format/samples.hpp"
#include "fuzz/fuzz.hpp"
#include "trainstate/format/zip.hpp"

using namespace trainstate::fuzz;
namespace zip = trainstate::format::zip;

namespace {

// As this library writes archives.
std::string archive_of(const std::vector<zip::Entry>& entries) {
  std::string file, directory;
  for (const zip::Entry& entry : entries) {
    const zip::Record record{std::string(entry.name), entry.data.size(), file.size(), entry.crc};
    record.append_local_header(file);
    require(file.size() == record.data_at(), "a header ends where its data begins");
    file += trainstate::tests::text_of(entry.data);
    record.append_central_header(directory);
  }
  const std::size_t at = file.size();
  file += directory;
  zip::append_end(file, entries.size(), at, directory.size());
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto image = std::as_bytes(std::span(data, size));
  const auto entries = accepted(size, [&] { return trainstate::format::read_zip(image, ""); });
  if (!entries) return 0;
  std::size_t sum = 0;
  for (const zip::Entry& entry : *entries) {
    require(entry.data.data() >= image.data() && entry.data.size() <= size &&
                entry.data.data() + entry.data.size() <= image.data() + size,
            "an entry lies inside the archive");
    sum += entry.name.size() + entry.data.size();
  }
  require(sum <= size, "entries do not overlap");
  const std::string file = archive_of(*entries);
  const auto back = trainstate::format::read_zip(std::as_bytes(std::span(file)), "");
  require(std::equal(back.begin(), back.end(), entries->begin(), entries->end(),
                     [](const zip::Entry& a, const zip::Entry& b) {
                       return a.name == b.name && std::ranges::equal(a.data, b.data) && a.crc == b.crc;
                     }),
          "what was written reads as the same entries");
  return 0;
}
