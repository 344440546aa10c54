// What a document looks like as PyTorch's zip container: records, their places, and what stands around them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/basic_state_dict.hpp"
#include "trainstate/error.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/format/pickle/writer.hpp"
#include "trainstate/format/pt/records.hpp"
#include "trainstate/format/text.hpp"
#include "trainstate/format/zip.hpp"
#include "trainstate/io/checksum.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format::pt {

using Tree = BasicStateDict<TensorInfo>;

/// Everything that decides the bytes of a file. First the small records (pickle, byte order, version, manifest,
/// digests), then one for each storage, then the directory.
class Layout {
 public:
  /// Throws as TreePickler does, and Error for metadata that is not UTF-8.
  explicit Layout(const Document& document) : manifest_(manifest_of(document)) {
    add_small(pickle_record, pickler_.pickle(document.tree));
    add_small(byte_order_record, "little");
    add_small(version_record, "3\n");
    add_small(manifest_record, pickler_.pickle(manifest_));
    add_small(digests_record, std::string(storages().size() * io::hex_digits, '0'));
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
    std::string& text = small_.back().second;
    for (std::size_t i = 0; i < digests.size(); ++i) {
      io::write_hex(digests[i], std::span<char, io::hex_digits>(&text[i * io::hex_digits], io::hex_digits));
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

  static Tree manifest_of(const Document& document) {
    Tree record;
    record["format"] = format_number;
    if (document.manifest) record["manifest"] = *document.manifest;
    if (document.metadata.empty()) return record;
    Tree metadata;
    for (const auto& [key, value] : document.metadata) {
      if (!is_utf8(key) || !is_utf8(value)) throw Error("the metadata " + shown(key) + " is not UTF-8");
      metadata[key] = value;
    }
    record["metadata"] = std::move(metadata);
    return record;
  }

  Tree manifest_;
  pickle::TreePickler pickler_;
  std::uint64_t end_ = 0, front_size_ = 0, directory_at_ = 0;
  std::vector<std::pair<zip::Record, std::string>> small_;  // with their content
  std::vector<zip::Record> records_;                        // of the storages
  std::vector<std::uint64_t> sizes_;
};

}  // namespace trainstate::format::pt
