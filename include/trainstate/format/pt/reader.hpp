// PyTorch's zip container: a pickle, and a record for every storage.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/format/digests.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/format/pickle/machine.hpp"
#include "trainstate/format/pt/records.hpp"
#include "trainstate/format/pt/tree.hpp"
#include "trainstate/format/zip.hpp"
#include "trainstate/io/checksum.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/io/mapped_file.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format::pt {

/// Reads one image of a file.
class Reader final : StorageSource {
 public:
  Reader(std::shared_ptr<const trainstate::Storage> image, std::string_view where, const ReadOptions& options)
      : image_(std::move(image)),
        where_(where.empty() ? std::string() : std::string(where) + ": "),
        options_(options) {}

  Document read() {
    entries_ = read_zip({image_->data, image_->size}, where_, options_.file);
    find_records();
    check_kind();
    check_small_records();
    Document document;
    document.tree = read_tree(*find(pickle_record));
    if (ours_) {
      read_own(document);
    } else if (options_.verify) {
      if (has_checksums_) {
        verify_crcs();
      } else {
        document.warnings.push_back(where_ + "was written without checksums, so its tensors cannot be verified");
      }
    }
    return document;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw FormatError(where_ + what); }

  // All entries are in one folder, whose name is anything: PyTorch names it after the file.
  void find_records() {
    if (entries_.empty()) fail("an empty archive");
    root_ = entries_.front().name.substr(0, entries_.front().name.find('/') + 1);
    if (root_.empty()) fail(shown(entries_.front().name) + ": expected a folder around all entries, found none");
    for (const zip::Entry& entry : entries_) {
      if (!entry.name.starts_with(root_)) fail(shown(entry.name) + ": expected it in the folder " + shown(root_));
      records_.emplace(entry.name.substr(root_.size()), &entry);
      has_checksums_ = has_checksums_ || entry.crc != 0;
    }
    ours_ = records_.contains(manifest_record) || records_.contains(digests_record);
  }

  [[nodiscard]] const zip::Entry* find(std::string_view name) const {
    const auto at = records_.find(name);
    return at == records_.end() ? nullptr : at->second;
  }

  [[nodiscard]] static std::string_view text_of(const zip::Entry& entry) {
    return {reinterpret_cast<const char*>(entry.data.data()), entry.data.size()};
  }

  void check_kind() const {
    if (find("constants.pkl")) fail("a TorchScript archive, which is a program: load it with torch::jit::load");
    if (!find(pickle_record)) fail("expected the record 'data.pkl', found none");
    if (ours_ && !find(manifest_record)) fail("expected the record " + shown(manifest_record) + ", found none");
    const zip::Entry* order = find(byte_order_record);
    if (order && text_of(*order) == "big") fail("was written on a big-endian machine, and cannot be read on this one");
    if (order && text_of(*order) != "little")
      fail("byteorder: expected little or big, found " + shown(text_of(*order)));
  }

  // What decides the structure is always verified. PyTorch can be told to write no CRCs at all; then all are zero.
  void check_small_records() const {
    if (!has_checksums_ && !ours_) return;
    for (const auto& [name, entry] : records_) {
      if (!name.starts_with(storage_folder)) check_crc(*entry, zip::crc32(entry->data));
    }
  }

  void check_crc(const zip::Entry& entry, std::uint32_t found) const {
    if (found == entry.crc) return;
    throw IntegrityError(where_ + shown(entry.name) + ": expected CRC-32 " + std::to_string(entry.crc) + ", found " +
                         std::to_string(found));
  }

  Tree read_tree(const zip::Entry& entry) {
    const std::string where = where_ + std::string(entry.name) + ": ";
    pickle::Objects objects;
    const pickle::Id root = [&] {
      pickle::Machine machine(entry.data, where, objects);
      const pickle::Id made = machine.run();
      if (machine.position() != entry.data.size()) {
        fail(shown(entry.name) + ": has bytes behind the end of its pickle");
      }
      return made;
    }();
    return TreeBuilder(objects, *this, image_, where_, entry.data.size(), options_.align).build(root);
  }

  std::span<const std::byte> bytes_of(const pickle::StorageRef& storage) override {
    const std::string name = std::string(storage_folder) + std::string(storage.key);
    const zip::Entry* entry = find(name);
    if (!entry) fail("expected the record " + shown(name) + ", found none");
    if (entry->data.size() != storage.root) {
      fail(shown(entry->name) + ": expected " + std::to_string(storage.root) + " bytes, found " +
           std::to_string(entry->data.size()));
    }
    return entry->data;
  }

  // The records of storages in the order of the archive.
  [[nodiscard]] std::vector<const zip::Entry*> storages() const {
    std::vector<const zip::Entry*> found;
    for (const zip::Entry& entry : entries_) {
      if (entry.name.substr(root_.size()).starts_with(storage_folder)) found.push_back(&entry);
    }
    return found;
  }

  [[nodiscard]] static std::vector<std::uint64_t> sizes_of(const std::vector<const zip::Entry*>& entries) {
    std::vector<std::uint64_t> sizes;
    sizes.reserve(entries.size());
    for (const auto* entry : entries) sizes.push_back(entry->data.size());
    return sizes;
  }

  // The storages of an archive, by chunks.
  struct StorageJob : io::ChunkJob {
    StorageJob(const std::vector<const zip::Entry*>& all, const io::MappedFile* mapped) : entries(all), file(mapped) {}
    const std::vector<const zip::Entry*>& entries;
    const io::MappedFile* file;

    // The bytes of a chunk; of several storages, all from the first byte of any to the last of any.
    [[nodiscard]] std::span<const std::byte> bytes_of(const io::Chunk& chunk) const {
      const auto& first = entries[chunk.first]->data;
      if (chunk.last == chunk.first + 1) {
        return first.subspan(static_cast<std::size_t>(chunk.from), static_cast<std::size_t>(chunk.size));
      }
      const std::byte *begin = first.data(), *end = begin + first.size();
      for (std::size_t i = chunk.first + 1; i < chunk.last; ++i) {
        begin = std::min(begin, entries[i]->data.data());
        end = std::max(end, entries[i]->data.data() + entries[i]->data.size());
      }
      return {begin, end};
    }
    // Calls f(i, bytes) for each storage of a chunk of several, of which `bytes` are those of `bytes_of` or a copy.
    template <class F>
    void for_each(const io::Chunk& chunk, std::span<const std::byte> bytes, const F& f) const {
      const std::byte* const begin = bytes_of(chunk).data();
      for (std::size_t i = chunk.first; i < chunk.last; ++i) {
        const auto& data = entries[i]->data;
        f(i, bytes.subspan(static_cast<std::size_t>(data.data() - begin), data.size()));
      }
    }
  };

  // CRC-32 of chunks in any order.
  struct CrcJob final : StorageJob {
    CrcJob(const std::vector<const zip::Entry*>& all, std::span<const std::uint64_t> sizes,
           const io::MappedFile* mapped)
        : StorageJob(all, mapped), crcs(sizes) {}
    zip::ChunkedCrcs crcs;

    [[nodiscard]] bool digests_in_order() const override { return false; }
    std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch& scratch) override {
      const auto bytes = io::bytes_once(bytes_of(chunk), file, scratch);
      if (chunk.last == chunk.first + 1) {
        crcs.update(chunk.first, chunk.from, bytes);
      } else {
        for_each(chunk, bytes, [&](std::size_t i, std::span<const std::byte> whole) { crcs.update(i, 0, whole); });
      }
      return bytes;
    }
  };

  // XXH3 of chunks in order: several times as fast as CRC-32, and it sees more.
  struct HashJob final : StorageJob {
    HashJob(const std::vector<const zip::Entry*>& all, std::span<const std::uint64_t> sizes,
            const io::MappedFile* mapped)
        : StorageJob(all, mapped), digests(sizes) {}
    Digests digests;

    std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch& scratch) override {
      return io::bytes_once(bytes_of(chunk), file, scratch);
    }
    void digest(const io::Chunk& chunk, std::span<const std::byte> bytes) override {
      if (chunk.last == chunk.first + 1) return digests.update(chunk, bytes);
      for_each(chunk, bytes, [&](std::size_t i, std::span<const std::byte> whole) {
        digests.update({i, i + 1, 0, whole.size()}, whole);
      });
    }
  };

  void verify_crcs() const {
    const auto entries = storages();
    const auto sizes = sizes_of(entries);
    CrcJob job(entries, sizes, options_.file);
    io::run_chunks(sizes, job, options_.threads, options_.progress);
    for (std::size_t i = 0; i < entries.size(); ++i) check_crc(*entries[i], job.crcs[i]);
  }

  // The records that only this library writes.
  void read_own(Document& document) {
    const zip::Entry& entry = *find(manifest_record);
    Tree record = read_tree(entry);
    const TreeValue* number = record.find_key("format");
    const auto* version = number ? number->get_if<std::int64_t>() : nullptr;
    if (!version || *version < 1) fail(shown(entry.name) + ": expected the number of its format, found none");
    if (*version > format_number) {
      throw VersionError(where_ + "expected format " + std::to_string(format_number) + " or older, found " +
                         std::to_string(*version));
    }
    document.format = static_cast<int>(*version);
    for (auto& [key, value] : record) {
      auto* dict = value.get_if<Tree>();
      if (key == Key("format")) continue;
      if (key == Key("manifest") && dict) {
        document.manifest = std::move(*dict);
      } else if (key == Key("metadata") && dict) {
        read_metadata(*dict, document.metadata);
      } else {
        fail(shown(entry.name) + ": expected manifest and metadata, found something else");
      }
    }
    const auto entries = storages();
    const auto digests = read_digests(entries);
    for (std::size_t i = 0; options_.checksums && i < entries.size(); ++i) {
      document.checksums.emplace_back(entries[i]->name.substr(root_.size()), io::hex_text(digests[i]));
    }
    if (options_.verify) verify_digests(entries, digests);
  }

  std::vector<std::uint64_t> read_digests(const std::vector<const zip::Entry*>& entries) const {
    const zip::Entry* record = find(digests_record);
    const std::string_view text = record ? text_of(*record) : std::string_view();
    if (text.size() != entries.size() * io::hex_digits) {
      throw IntegrityError(where_ + "expected checksums of " + std::to_string(entries.size()) + " records, found " +
                           std::to_string(text.size()) + " digits");
    }
    std::vector<std::uint64_t> digests;
    digests.reserve(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto digest = io::parse_hex(text.substr(i * io::hex_digits, io::hex_digits));
      if (!digest) fail(shown(entries[i]->name) + ": its checksum is no hexadecimal number");
      digests.push_back(*digest);
    }
    return digests;
  }

  void read_metadata(const Tree& record, std::map<std::string, std::string>& metadata) const {
    for (const auto& [key, value] : record) {
      const auto *name = std::get_if<std::string>(&key), *text = value.get_if<std::string>();
      if (!name || !text) fail("expected texts as metadata, found something else");
      metadata[*name] = *text;
    }
  }

  void verify_digests(const std::vector<const zip::Entry*>& entries, std::span<const std::uint64_t> expected) const {
    const auto sizes = sizes_of(entries);
    HashJob job(entries, sizes, options_.file);
    io::run_chunks(sizes, job, options_.threads, options_.progress);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const std::uint64_t found = job.digests.all()[i];
      if (found == expected[i]) continue;
      throw IntegrityError(where_ + shown(entries[i]->name) + ": expected checksum " + io::hex_text(expected[i]) +
                           ", found " + io::hex_text(found));
    }
  }

  std::shared_ptr<const trainstate::Storage> image_;
  std::string where_;
  const ReadOptions& options_;
  std::vector<zip::Entry> entries_;
  std::string_view root_;  // "archive/"
  std::map<std::string_view, const zip::Entry*, std::less<>> records_;
  bool ours_ = false, has_checksums_ = false;
};

}  // namespace trainstate::format::pt
