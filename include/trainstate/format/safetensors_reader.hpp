// Safetensors to documents, aliasing the memory that they were read from.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/format/digests.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/format/json_tree.hpp"
#include "trainstate/format/safetensors_header.hpp"
#include "trainstate/format/safetensors_layout.hpp"
#include "trainstate/io/checksum.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/io/mapped_file.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format::safetensors {

/// Reads one image of a file.
class Reader final : TensorSource {
 public:
  Reader(std::shared_ptr<const Storage> image, std::string_view where, const ReadOptions& options)
      : image_(std::move(image)),
        where_(where.empty() ? std::string() : std::string(where) + ": "),
        options_(options) {}

  Document read() {
    header_ = HeaderParser(bytes(), where_).parse();
    if (!is_ours()) return foreign();
    read_digests();
    if (options_.verify) verify_all();
    return own();
  }

 private:
  static constexpr std::uint64_t shared_dimensions = 10'000;

  [[noreturn]] void fail(const std::string& what) const { throw FormatError(where_ + what); }
  [[noreturn]] void fail(std::size_t entry, const std::string& what) const {
    fail(shown(header_.entries[entry].name) + ": " + what);
  }

  [[nodiscard]] std::span<const std::byte> bytes() const { return {image_->data, image_->size}; }
  [[nodiscard]] std::span<const std::byte> bytes_of(const Entry& entry) const {
    return bytes().subspan(header_.data_at + static_cast<std::size_t>(entry.begin),
                           static_cast<std::size_t>(entry.end - entry.begin));
  }

  // Anything that only a file of ours has will do, so that damage does not make it pass for a foreign one, without
  // checksums.
  [[nodiscard]] bool is_ours() const {
    return std::any_of(header_.metadata.begin(), header_.metadata.end(), [](const auto& text) {
      return text.first == tree_key || text.first == digests_key ||
             (text.second.starts_with("{\"format\":") &&
              text.second.substr(0, 20).find(",\"tree\":") != std::string::npos);
    });
  }

  // A file that trainstate did not write: one flat dict.
  Document foreign() {
    Document document;
    document.tree.reserve(header_.entries.size());
    for (const std::size_t i : header_.by_offset) {
      document.tree[header_.entries[i].name] = view(i, header_.entries[i].dtype, header_.entries[i].shape, "cpu");
    }
    document.metadata = std::move(header_.metadata);
    if (options_.verify) document.warnings.push_back(where_ + "has no checksums, so its tensors cannot be verified");
    return document;
  }

  // The header's own checksum is that of all bytes before the data, its own digits taken as zeros.
  void read_digests() {
    if (!header_.digests_at || !header_.metadata.contains(std::string(tree_key))) {
      throw IntegrityError(where_ + "expected checksums and a tree in the metadata, found only parts of them");
    }
    const std::string& text = header_.metadata.at(std::string(digests_key));
    if (text.size() != (header_.entries.size() + 1) * io::hex_digits) {
      throw IntegrityError(where_ + "expected checksums of the header and " + std::to_string(header_.entries.size()) +
                           " tensors, found " + std::to_string(text.size()) + " digits");
    }
    constexpr std::string_view zeros = "0000000000000000";
    io::Hasher hasher;
    hasher.update(bytes().first(*header_.digests_at));
    hasher.update(std::as_bytes(std::span(zeros)));
    hasher.update(bytes().first(header_.data_at).subspan(*header_.digests_at + zeros.size()));
    const std::string found = io::hex_text(hasher.digest());
    const std::string_view expected = std::string_view(text).substr(0, io::hex_digits);
    if (found != expected) {
      throw IntegrityError(where_ + "header: expected checksum " + std::string(expected) + ", found " + found);
    }
    if (!std::is_sorted(header_.by_offset.begin(), header_.by_offset.end())) {
      fail("header: expected tensors in the order of their data");
    }
    digests_.reserve(header_.entries.size());
    for (std::size_t i = 1; i <= header_.entries.size(); ++i) {
      const auto digest = io::parse_hex(std::string_view(text).substr(i * io::hex_digits, io::hex_digits));
      if (!digest) fail(i - 1, "its checksum is no hexadecimal number");
      digests_.push_back(*digest);
    }
  }

  void verify_all() {
    struct Job final : io::ChunkJob {
      Job(std::span<const std::byte> all, const std::vector<Entry>& of, std::span<const std::uint64_t> each,
          const io::MappedFile* mapped)
          : data(all), entries(of), digests(each), file(mapped) {}
      std::span<const std::byte> data;
      const std::vector<Entry>& entries;
      Digests digests;
      const io::MappedFile* file;
      std::span<const std::byte> load(const io::Chunk& chunk, io::Scratch& scratch) override {
        const auto part = data.subspan(static_cast<std::size_t>(entries[chunk.first].begin + chunk.from),
                                       static_cast<std::size_t>(chunk.size));
        return io::bytes_once(part, file, scratch);
      }
      void digest(const io::Chunk& chunk, std::span<const std::byte> part) override { digests.update(chunk, part); }
    };
    std::vector<std::uint64_t> sizes;
    sizes.reserve(header_.entries.size());
    for (const auto& entry : header_.entries) sizes.push_back(entry.end - entry.begin);
    Job job(bytes().subspan(header_.data_at), header_.entries, sizes, options_.file);
    io::run_chunks(sizes, job, options_.threads, options_.progress);
    for (std::size_t i = 0; i < digests_.size(); ++i) check_digest(i, job.digests.all()[i]);
    verified_ = true;
  }

  void check_digest(std::size_t entry, std::uint64_t found) const {
    if (found == digests_[entry]) return;
    throw IntegrityError(where_ + shown(header_.entries[entry].name) + ": expected checksum " +
                         io::hex_text(digests_[entry]) + ", found " + io::hex_text(found));
  }

  // What the tree is made of is always verified.
  std::span<const std::byte> verified_bytes(std::size_t entry) const {
    const auto data = bytes_of(header_.entries[entry]);
    if (!verified_) check_digest(entry, io::checksum(data));
    return data;
  }

  Document own() {
    for (std::size_t i = 0; i < header_.entries.size(); ++i) {
      const auto& name = header_.entries[i].name;
      if (name != tree_name && name != manifest_name) numbered_.push_back(i);
    }
    used_.assign(numbered_.size(), Use::none);
    dimensions_left_ = header_.data_at + shared_dimensions;

    Document document;
    const auto text = header_.metadata.extract(std::string(tree_key));
    JsonReader json(text.mapped(), where_, tree_key, TreeDecoder::json_depth);
    json.begin_object();
    expect_key(json, "format");
    const auto number = json.integer<std::int64_t>();
    if (number < 1) json.fail("a positive number before this byte");
    if (number > format_number) {
      throw VersionError(where_ + "expected format " + std::to_string(format_number) + " or older, found " +
                         std::to_string(number));
    }
    expect_key(json, "tree");
    document.format = static_cast<int>(number);
    document.tree = read_tree(json, tree_name);
    if (const auto key = json.next_key()) {
      if (*key != "manifest") json.fail("'manifest'");
      document.manifest = read_tree(json, manifest_name);
      if (json.next_key()) json.fail("no further member");
    }
    json.finish();
    for (std::size_t i = 0; i < used_.size(); ++i) {
      if (used_[i] == Use::none) fail(numbered_[i], "has no place in the tree");
    }
    if (options_.checksums) document.checksums.reserve(digests_.size());
    for (std::size_t i = 0; options_.checksums && i < digests_.size(); ++i) {
      document.checksums.emplace_back(header_.entries[i].name, io::hex_text(digests_[i]));
    }
    header_.metadata.erase(std::string(digests_key));
    header_.metadata.erase(std::string(format_key));
    document.metadata = std::move(header_.metadata);
    return document;
  }

  static void expect_key(JsonReader& json, std::string_view expected) {
    const auto key = json.next_key();
    if (!key || *key != expected) json.fail(shown(expected));
  }

  // A tree, or the name of the tensor that holds its text.
  Tree read_tree(JsonReader& json, std::string_view name) {
    if (json.peek() == JsonReader::Kind::object) return TreeDecoder(json, this).read_dict();
    if (json.string() != name) json.fail("a tree or " + shown(name) + " before this byte");
    const auto entry = std::find_if(header_.entries.begin(), header_.entries.end(),
                                    [&](const Entry& candidate) { return candidate.name == name; });
    if (entry == header_.entries.end()) fail(shown(name) + ": expected a tensor with the tree, found none");
    const auto data = verified_bytes(static_cast<std::size_t>(entry - header_.entries.begin()));
    if (entry->dtype != Dtype::u8)
      fail(shown(name) + ": expected U8, found " + std::string(trainstate::name(entry->dtype)));
    dimensions_left_ += data.size();
    const std::string_view characters(reinterpret_cast<const char*>(data.data()), data.size());
    JsonReader text(characters, where_, name, TreeDecoder::json_depth);
    Tree tree = TreeDecoder(text, this).read_dict();
    text.finish();
    return tree;
  }

  enum class Use : unsigned char { none, tensor, list };

  // The entry of a tensor by its number in the tree.
  std::size_t use(std::uint64_t number, Use how) {
    if (number >= numbered_.size()) {
      fail("expected tensors below number " + std::to_string(numbered_.size()) + " in the tree, found " +
           std::to_string(number));
    }
    const auto i = static_cast<std::size_t>(number);
    // A list is copied, so that naming it many times would cost memory out of proportion to the file.
    if (used_[i] == Use::list || (how == Use::list && used_[i] != Use::none)) {
      fail(numbered_[i], "expected a list once in the tree, found it again");
    }
    used_[i] = how;
    return numbered_[i];
  }

  TensorInfo tensor(std::uint64_t number, std::optional<Dtype> complex, std::string_view device) override {
    const std::size_t i = use(number, Use::tensor);
    const Entry& entry = header_.entries[i];
    if (!complex) return view(i, entry.dtype, entry.shape, device);
    if (entry.dtype != (*complex == Dtype::c32 ? Dtype::f16 : Dtype::f64) || entry.shape.empty() ||
        entry.shape.back() != 2) {
      fail(i, "expected pairs of reals for " + std::string(name(*complex)) + ", found something else");
    }
    return view(i, *complex, std::span(entry.shape).first(entry.shape.size() - 1), device);
  }

  TreeList list(std::uint64_t number) override {
    const std::size_t i = use(number, Use::list);
    const Entry& entry = header_.entries[i];
    if (entry.shape.size() != 1) fail(i, "expected a list of numbers, found a tensor of another rank");
    const auto data = verified_bytes(i);
    switch (entry.dtype) {
      case Dtype::boolean:
        return list_of<bool>(i, data);
      case Dtype::i64:
        return list_of<std::int64_t>(i, data);
      case Dtype::f64:
        return list_of<double>(i, data);
      default:
        fail(i, "expected a list of bool, int64 or double, found " + std::string(name(entry.dtype)));
    }
  }

  template <class T>
  TreeList list_of(std::size_t entry, std::span<const std::byte> data) const {
    TreeList list;
    list.reserve(data.size() / sizeof(T));
    for (; !data.empty(); data = data.subspan(sizeof(T))) {
      if constexpr (std::same_as<T, bool>) {
        if (data[0] > std::byte{1}) fail(entry, "expected 0 or 1 for a bool, found another byte");
        list.emplace_back(data[0] == std::byte{1});
      } else {
        T value;
        std::memcpy(&value, data.data(), sizeof value);
        list.emplace_back(value);
      }
    }
    return list;
  }

  TensorInfo view(std::size_t entry, Dtype dtype, std::span<const std::int64_t> shape, std::string_view device) {
    if (shape.size() > dimensions_left_) fail(entry, "expected it less often in the tree, with so many dimensions");
    dimensions_left_ -= shape.size();
    const auto data = bytes_of(header_.entries[entry]);
    TensorInfo tensor{dtype, {shape.begin(), shape.end()}, TensorInfo::contiguous_strides(shape), nullptr, 0};
    const std::size_t alignment = std::max<std::size_t>(1, bits(dtype) / 8);
    if (data.empty()) {
      tensor.storage = on(image_, device);
    } else if (options_.align && reinterpret_cast<std::uintptr_t>(data.data()) % alignment != 0) {
      tensor.storage = copy_of(entry, data, device);
    } else {
      tensor.storage = on(image_, device);
      tensor.offset = static_cast<std::size_t>(data.data() - image_->data);
    }
    return tensor;
  }

  // Elements that the processor could not read in place. One copy, however often the tree has the tensor.
  std::shared_ptr<const Storage> copy_of(std::size_t entry, std::span<const std::byte> data, std::string_view device) {
    auto& copy = copies_[entry];
    if (!copy) {
      auto memory = std::make_shared<std::vector<std::byte>>(data.begin(), data.end());
      copy = std::make_shared<const Storage>(Storage{memory, memory->data(), memory->size(), std::string(device)});
    }
    return on(copy, device);
  }

  // The same memory, as it was on a device.
  std::shared_ptr<const Storage> on(const std::shared_ptr<const Storage>& memory, std::string_view device) {
    if (memory->device == device) return memory;
    auto& there = elsewhere_[{memory.get(), std::string(device)}];
    if (!there) {
      // The owner is the other storage, which owns the memory.
      there = std::make_shared<const Storage>(Storage{memory, memory->data, memory->size, std::string(device)});
    }
    return there;
  }

  std::shared_ptr<const Storage> image_;
  std::string where_;
  const ReadOptions& options_;
  Header header_;
  std::vector<std::uint64_t> digests_;  // by entry, as the file claims
  bool verified_ = false;
  std::vector<std::size_t> numbered_;  // entries by their number in the tree
  std::vector<Use> used_;              // by number
  // Of all tensors in the tree together, as many as there are bytes to name them: a tensor of many dimensions takes
  // much memory wherever it is named.
  std::uint64_t dimensions_left_ = std::numeric_limits<std::uint64_t>::max();
  std::unordered_map<std::size_t, std::shared_ptr<const Storage>> copies_;
  std::map<std::pair<const Storage*, std::string>, std::shared_ptr<const Storage>> elsewhere_;
};

}  // namespace trainstate::format::safetensors
