// What a document looks like as PyTorch's zip container: records, their places, and what stands around them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/format/json_tree.hpp"
#include "trainstate/format/json_writer.hpp"
#include "trainstate/format/pickle/writer.hpp"
#include "trainstate/format/pt/records.hpp"
#include "trainstate/format/text.hpp"
#include "trainstate/format/zip.hpp"
#include "trainstate/io/checksum.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format::pt {

/// Everything that decides the bytes of a file. First the small records (pickle, byte order, version, manifest), then
/// one for each storage, then the directory.
class Layout {
 public:
  /// Throws as TreePickler does, and Error for metadata that is not UTF-8.
  explicit Layout(const Document& document) : pickler_(document.tree) {
    std::string manifest = manifest_of(document);
    add_small(pickle_record, pickler_.bytes());
    add_small(byte_order_record, "little");
    add_small(version_record, "3\n");
    add_small(manifest_record, std::move(manifest));
    front_size_ = end_;
    for (std::size_t i = 0; i < storages().size(); ++i) {
      sizes_.push_back(storages()[i]->nbytes());
      records_.push_back(record(std::string(storage_folder) + std::to_string(i), sizes_.back()));
    }
    directory_at_ = end_;
  }

  Layout(const Layout&) = delete;  // tensors are pointed to
  Layout& operator=(const Layout&) = delete;

  /// In the order of the file.
  [[nodiscard]] const std::vector<const TensorInfo*>& storages() const noexcept { return pickler_.storages(); }
  [[nodiscard]] std::span<const std::uint64_t> sizes() const noexcept { return sizes_; }
  [[nodiscard]] const zip::Record& record_of(std::size_t storage) const { return records_[storage]; }
  /// Where the directory begins; all that comes after it is `back`.
  [[nodiscard]] std::uint64_t directory_at() const noexcept { return directory_at_; }
  [[nodiscard]] std::uint64_t file_size() const {
    const std::vector<std::uint32_t> none(sizes_.size());
    return directory_at_ + back(none).size();
  }

  /// The header of a storage's record.
  [[nodiscard]] std::string header(std::size_t storage, std::uint32_t crc) const {
    zip::Record record = records_[storage];
    record.crc = crc;
    std::string bytes;
    record.append_local_header(bytes);
    return bytes;
  }

  /// The small records, from the first byte on, with the digests of all storages.
  [[nodiscard]] std::string front(std::span<const std::uint64_t> digests) {
    std::string& manifest = small_.back().second;
    for (std::size_t i = 0; i < digests.size(); ++i) {
      io::write_hex(digests[i],
                    std::span<char, io::hex_digits>(&manifest[digests_at_ + i * io::hex_digits], io::hex_digits));
    }
    std::string bytes;
    for (auto& [record, content] : small_) {
      record.crc = zip::crc32(std::as_bytes(std::span(content)));
      record.append_local_header(bytes);
      bytes += content;
    }
    return bytes;
  }
  [[nodiscard]] std::uint64_t front_size() const noexcept { return front_size_; }

  /// The directory and the end of the archive. The CRCs of small records are those of the last `front`.
  [[nodiscard]] std::string back(std::span<const std::uint32_t> crcs) const {
    std::string bytes;
    for (const auto& [record, content] : small_) record.append_central_header(bytes);
    for (std::size_t i = 0; i < records_.size(); ++i) {
      zip::Record record = records_[i];
      record.crc = crcs[i];
      record.append_central_header(bytes);
    }
    zip::append_end(bytes, small_.size() + records_.size(), directory_at_, bytes.size());
    return bytes;
  }

 private:
  zip::Record record(const std::string& name, std::uint64_t size) {
    zip::Record made{std::string(root_folder) + name, size, end_, 0};
    if (size > (std::uint64_t{1} << 60)) throw FormatError("more than 2^60 bytes of data");
    end_ = made.end();
    return made;
  }

  void add_small(std::string_view name, std::string content) {
    zip::Record made = record(std::string(name), content.size());
    small_.emplace_back(std::move(made), std::move(content));
  }

  // With zeros for all digests.
  std::string manifest_of(const Document& document) {
    std::string json = "{\"format\":" + std::to_string(format_number) + ",\"xxh3\":\"";
    digests_at_ = json.size();
    json.append(storages().size() * io::hex_digits, '0');
    json += '"';
    if (document.manifest) {
      json += ",\"manifest\":";
      TreeEncoder(json).write(*document.manifest);
    }
    if (!document.metadata.empty()) {
      json += ",\"metadata\":{";
      const char* separator = "";
      for (const auto& [key, value] : document.metadata) {
        if (!is_utf8(key) || !is_utf8(value)) throw Error("the metadata " + shown(key) + " is not UTF-8");
        json += std::exchange(separator, ",");
        append_json_string(json, key);
        json += ':';
        append_json_string(json, value);
      }
      json += '}';
    }
    return json += '}';
  }

  pickle::TreePickler pickler_;
  std::uint64_t end_ = 0, front_size_ = 0, directory_at_ = 0;
  std::size_t digests_at_ = 0;                              // of the manifest
  std::vector<std::pair<zip::Record, std::string>> small_;  // with their content
  std::vector<zip::Record> records_;                        // of the storages
  std::vector<std::uint64_t> sizes_;
};

}  // namespace trainstate::format::pt
