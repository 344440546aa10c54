#include "fuzz/fuzz.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "format/hostile.hpp"
#include "format/samples.hpp"
#include "trainstate/format/pt.hpp"
#include "trainstate/format/pt/records.hpp"
#include "trainstate/format/safetensors.hpp"
#include "trainstate/format/safetensors_header.hpp"
#include "trainstate/format/text.hpp"
#include "trainstate/format/zip.hpp"
#include "trainstate/io/checksum.hpp"

namespace trainstate::fuzz {

std::string Safetensors::write(const Document& document) {
  return tests::text_of(format::write_safetensors(document, {.threads = 1, .progress = {}}));
}
Document Safetensors::read(const std::string& file, bool verify) {
  return format::read_safetensors(tests::storage_of(file), "file", {.verify = verify, .threads = 1, .progress = {}});
}
std::string Pt::write(const Document& document) {
  return tests::text_of(format::write_pt(document, {.threads = 1, .progress = {}}));
}
Document Pt::read(const std::string& file, bool verify) {
  return format::read_pt(tests::storage_of(file), "file", {.verify = verify, .threads = 1, .progress = {}});
}

bool same(const Document& a, const Document& b) {
  return a.tree == b.tree && a.manifest == b.manifest && a.metadata == b.metadata;
}

namespace {

using tests::Tree;
using tests::Value;

// Calls `see` with every tensor of a tree.
template <class See>
void for_each_tensor(const Value& value, See&& see) {
  if (const auto* tensor = value.get_if<TensorInfo>()) {
    see(*tensor);
  } else if (const auto* list = value.get_if<tests::List>()) {
    for (const auto& item : *list) for_each_tensor(item, see);
  } else if (const auto* dict = value.get_if<Tree>()) {
    for (const auto& [key, item] : *dict) for_each_tensor(item, see);
  }
}
template <class See>
void for_each_tensor(const Document& document, See&& see) {
  for (const auto& [key, value] : document.tree) for_each_tensor(value, see);
  if (!document.manifest) return;
  for (const auto& [key, value] : *document.manifest) for_each_tensor(value, see);
}

// Every byte of every tensor is there to be read.
void check_tensors(const Document& document) {
  for_each_tensor(document, [](const TensorInfo& t) {
    require(format::defect_of(t).empty(), "a tensor that was read lies inside its storage");
    require(t.storage != nullptr, "a tensor that was read has a storage");
    require(format::is_utf8(t.storage->device), "a device's name is UTF-8");
  });
}

// Written, read and written again: the same document, the same bytes.
template <class Format>
void check_round_trip(const Document& document) {
  const std::string file = Format::write(document);
  const Document back = Format::read(file, true);
  require(same(document, back), "what was written reads as the same document");
  require(Format::write(back) == file, "the same document gives the same bytes");
}

}  // namespace

bool is_small(const Document& document) {
  std::uint64_t size = 0;
  for_each_tensor(document, [&](const TensorInfo& t) {
    const std::uint64_t bytes = *format::dense_size(t.dtype, t.shape);
    size = bytes > (1U << 20) ? std::uint64_t{1} << 40 : size + bytes;
  });
  return size < (1U << 20);
}

void check_document(Document document) {
  check_tensors(document);
  std::erase_if(document.metadata, [](const auto& entry) {
    return entry.first == "format" || entry.first.starts_with("trainstate") || !format::is_utf8(entry.first) ||
           !format::is_utf8(entry.second);
  });
  if (!is_small(document)) return;
  check_round_trip<Safetensors>(document);
  try {
    static_cast<void>(Pt::write(document));
  } catch (const Error&) {
    return;
  }
  check_round_trip<Pt>(document);
}

std::string with_checksums(std::string file) {
  using namespace format::safetensors;
  Header header;
  try {
    header = HeaderParser(std::as_bytes(std::span(file)), "").parse();
  } catch (const Error&) {
    return file;
  }
  if (!header.digests_at) return file;
  const std::size_t digits = header.metadata.at(std::string(digests_key)).size(), at = *header.digests_at;
  if (digits != (header.entries.size() + 1) * io::hex_digits) return file;
  const auto put = [&](std::size_t i, std::uint64_t digest) {
    file.replace(at + i * io::hex_digits, io::hex_digits, io::hex_text(digest));
  };
  const auto bytes = std::as_bytes(std::span(file));
  for (std::size_t i = 0; i < header.entries.size(); ++i) {
    const Entry& entry = header.entries[i];
    put(i + 1, io::checksum(bytes.subspan(header.data_at + static_cast<std::size_t>(entry.begin),
                                          static_cast<std::size_t>(entry.end - entry.begin))));
  }
  file.replace(at, io::hex_digits, io::hex_digits, '0');
  put(0, io::checksum(bytes.first(header.data_at)));
  return file;
}

std::string with_crcs(const std::string& file) {
  std::vector<format::zip::Entry> entries;
  try {
    entries = format::read_zip(std::as_bytes(std::span(file)), "");
  } catch (const Error&) {
    return file;
  }
  std::string digests;
  for (const auto& entry : entries) {
    if (entry.name.find('/' + std::string(format::pt::storage_folder)) == std::string_view::npos) continue;
    digests += io::hex_text(io::checksum(entry.data));
  }
  std::vector<tests::Record> records;
  for (const auto& entry : entries) {
    const bool is_digests = entry.name.ends_with(format::pt::digests_record);
    records.push_back(tests::record(std::string(entry.name), is_digests ? digests : tests::text_of(entry.data)));
  }
  return tests::zip_of(records);
}

}  // namespace trainstate::fuzz
