// The header of a safetensors file: parsed strictly, every rule of the format checked.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/format/dense.hpp"
#include "trainstate/format/json_reader.hpp"
#include "trainstate/format/text.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format::safetensors {

static_assert(std::endian::native == std::endian::little, "trainstate: only little-endian machines are supported");

/// The format's own limit, for readers and writers.
inline constexpr std::uint64_t longest_header = 100'000'000;
/// Bytes of the header's length, at the beginning of a file.
inline constexpr std::size_t length_size = 8;
/// Levels of nesting in a header, as many as the reference reader takes.
inline constexpr std::size_t header_depth = 127;
inline constexpr std::string_view metadata_name = "__metadata__";

/// Keys in `__metadata__` that a user's metadata must not have.
inline constexpr std::string_view format_key = "format";
inline constexpr std::string_view tree_key = "trainstate";
inline constexpr std::string_view digests_key = "trainstate.xxh3";
/// Tensors that hold the JSON of a tree that is too long for the header.
inline constexpr std::string_view tree_name = "trainstate.tree";
inline constexpr std::string_view manifest_name = "trainstate.manifest";

/// One tensor of a file. Offsets count from the end of the header.
struct Entry {
  std::string name;
  Dtype dtype = Dtype::u8;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
};

/// What a header says.
struct Header {
  std::vector<Entry> entries;          // in the order of the header
  std::vector<std::size_t> by_offset;  // indices of entries, in the order of the data
  std::map<std::string, std::string> metadata;
  std::size_t data_at = 0;                // of the file
  std::optional<std::size_t> digests_at;  // of the file, if the text under `digests_key` has no escapes
};

inline std::optional<Dtype> dtype_of(std::string_view tag) {
  for (auto dtype = Dtype::boolean; dtype <= Dtype::u64; dtype = static_cast<Dtype>(static_cast<unsigned>(dtype) + 1)) {
    if (detail::facts(dtype).tag == tag) return dtype;
  }
  return std::nullopt;
}

/// Parses and checks the header of a file.
class HeaderParser {
 public:
  /// `where` begins every error text, and must live as long as the parser.
  HeaderParser(std::span<const std::byte> image, std::string_view where) : where_(where), image_(image) {}

  /// Throws FormatError for whatever the format does not allow.
  Header parse() {
    const std::string_view text = header_text();
    JsonReader json(text, where_, "header", header_depth);
    json.begin_object();
    bool has_metadata = false;
    while (const auto key = json.next_key()) {
      if (*key != metadata_name) {
        header_.entries.push_back({std::string(*key), Dtype::u8, {}, 0, 0});
        read_entry(json, header_.entries.back());
      } else if (std::exchange(has_metadata, true)) {
        json.fail("only one __metadata__");
      } else if (json.peek() == JsonReader::Kind::null) {
        json.null();
      } else {
        read_metadata(json, text);
      }
    }
    json.finish();
    check_names();
    check_offsets();
    return std::move(header_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw FormatError(std::string(where_) + what); }
  [[noreturn]] void fail(const Entry& entry, const std::string& what) const { fail(shown(entry.name) + ": " + what); }

  std::string_view header_text() {
    if (image_.size() < length_size) {
      fail("expected the header's length in 8 bytes, found a file of " + std::to_string(image_.size()));
    }
    std::uint64_t length = 0;
    std::memcpy(&length, image_.data(), length_size);
    if (length > longest_header) {
      fail("expected a header of at most " + std::to_string(longest_header) + " bytes, found " +
           std::to_string(length));
    }
    if (length > image_.size() - length_size) {
      fail("expected a header of " + std::to_string(length) + " bytes, found " +
           std::to_string(image_.size() - length_size) + " until the end of the file");
    }
    header_.data_at = length_size + static_cast<std::size_t>(length);
    return {reinterpret_cast<const char*>(image_.data()) + length_size, static_cast<std::size_t>(length)};
  }

  void read_metadata(JsonReader& json, std::string_view text) {
    json.begin_object();
    while (const auto key = json.next_key()) {
      const auto [at, added] = header_.metadata.emplace(*key, std::string());
      if (!added) json.fail("no second key " + shown(at->first) + " in __metadata__");
      const std::string_view value = json.string();
      at->second = value;
      if (at->first == digests_key) {
        const std::size_t begin = json.position() - 1 - std::min(value.size(), json.position() - 1);
        if (value.data() == text.data() + begin) header_.digests_at = length_size + begin;
      }
    }
  }

  void read_entry(JsonReader& json, Entry& entry) {
    bool dtype = false, shape = false, offsets = false;
    const auto once = [&](bool& seen) {
      if (std::exchange(seen, true)) json.fail("no member twice in " + shown(entry.name));
    };
    json.begin_object();
    while (const auto key = json.next_key()) {
      if (*key == "dtype") {
        once(dtype);
        const std::string_view tag = json.string();
        // Most tensors of a file have the dtype of the one before.
        if (tag != detail::facts(last_dtype_).tag) {
          const auto known = dtype_of(tag);
          if (!known) fail(entry, "expected a dtype of the format, found " + shown(tag));
          last_dtype_ = *known;
        }
        entry.dtype = last_dtype_;
      } else if (*key == "shape") {
        once(shape);
        json.begin_array();
        while (json.next_item()) {
          const auto dimension = json.integer<std::uint64_t>();
          if (dimension > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
            fail(entry, "expected dimensions of 63 bits, found " + std::to_string(dimension));
          }
          if (entry.shape.empty()) entry.shape.reserve(4);
          entry.shape.push_back(static_cast<std::int64_t>(dimension));
        }
      } else if (*key == "data_offsets") {
        once(offsets);
        json.begin_array();
        std::size_t found = 0;
        for (; json.next_item(); ++found) {
          if (found == 2) fail(entry, "expected two data_offsets, found more");
          (found == 0 ? entry.begin : entry.end) = json.integer<std::uint64_t>();
        }
        if (found != 2) fail(entry, "expected two data_offsets, found " + std::to_string(found));
      } else {
        json.skip();
      }
    }
    if (!dtype || !shape || !offsets) fail(entry, "expected dtype, shape and data_offsets, found not all of them");
  }

  // By sorting, which no choice of names can make slow.
  void check_names() const {
    std::vector<std::string_view> names;
    names.reserve(header_.entries.size());
    for (const auto& entry : header_.entries) names.push_back(entry.name);
    if (!std::is_sorted(names.begin(), names.end())) std::sort(names.begin(), names.end());
    const auto twin = std::adjacent_find(names.begin(), names.end());
    if (twin != names.end()) fail(shown(*twin) + ": expected a name once, found it twice");
  }

  void check_offsets() {
    auto& order = header_.by_offset;
    order.resize(header_.entries.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto less = [&](std::size_t a, std::size_t b) {
      const Entry &x = header_.entries[a], &y = header_.entries[b];
      return std::pair(x.begin, x.end) < std::pair(y.begin, y.end);
    };
    if (!std::is_sorted(order.begin(), order.end(), less)) std::stable_sort(order.begin(), order.end(), less);
    std::uint64_t at = 0;
    for (const std::size_t i : order) {
      const Entry& entry = header_.entries[i];
      if (entry.begin != at) {
        fail(entry, "expected its data at offset " + std::to_string(at) + ", found " + std::to_string(entry.begin));
      }
      if (entry.end < entry.begin) fail(entry, "expected its data to end after it begins");
      const auto size = dense_size(entry.dtype, entry.shape);
      if (!size) fail(entry, "its shape overflows, or does not fill whole bytes");
      if (*size != entry.end - entry.begin) {
        fail(entry, "expected " + std::to_string(*size) + " bytes for its dtype and shape, found " +
                        std::to_string(entry.end - entry.begin));
      }
      at = entry.end;
    }
    if (at != image_.size() - header_.data_at) {
      fail("expected " + std::to_string(at) + " bytes of data, found " +
           std::to_string(image_.size() - header_.data_at));
    }
  }

  std::string_view where_;
  std::span<const std::byte> image_;
  Header header_;
  Dtype last_dtype_ = Dtype::f32;
};

}  // namespace trainstate::format::safetensors
