// The directory of a zip archive, checked in every field that decides what is read. Nothing is decompressed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/format/text.hpp"
#include "trainstate/format/zip/layout.hpp"
#include "trainstate/io/mapped_file.hpp"
#include "trainstate/io/window.hpp"

namespace trainstate::format::zip {

/// One file of an archive. Both point into the archive's bytes.
struct Entry {
  std::string_view name;
  std::span<const std::byte> data;
  std::uint32_t crc = 0;
};

/// Reads the directory. Archives must be as PyTorch writes them: entries stored, one after the other from the first
/// byte on, nothing in between, each named once and inside the archive; local and central headers agree.
class DirectoryReader {
 public:
  /// `where` begins every error text and must live as long as the reader. The headers between the data are read from
  /// `file`, unless it is null, see io::Window.
  DirectoryReader(std::span<const std::byte> image, std::string_view where, const io::MappedFile* file = nullptr)
      : image_(image), where_(where), headers_(image, file) {}

  /// The entries in the order of the directory. Throws FormatError.
  std::vector<Entry> read() {
    find_end();
    std::uint64_t at = directory_at_;
    const std::uint64_t end = directory_at_ + directory_size_;
    if (count_ > directory_size_ / central_size) fail("claims more entries than its directory has room for");
    entries_.reserve(static_cast<std::size_t>(count_));
    for (std::uint64_t i = 0; i < count_; ++i) at = read_central(at, end);
    if (at != end)
      fail("expected its directory to end at byte " + std::to_string(end) + ", found the end at byte " +
           std::to_string(at));
    check_places();
    check_names();
    return std::move(entries_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw FormatError(std::string(where_) + what); }
  [[noreturn]] void fail(std::string_view name, const std::string& what) const { fail(shown(name) + ": " + what); }

  [[nodiscard]] bool inside(std::uint64_t at, std::uint64_t size) const {
    return at <= image_.size() && size <= image_.size() - at;
  }
  template <class T>
  [[nodiscard]] T get(std::uint64_t at) const {
    return zip::get<T>(image_, static_cast<std::size_t>(at));
  }
  [[nodiscard]] std::span<const std::byte> bytes(std::uint64_t at, std::uint64_t size) const {
    return image_.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(size));
  }
  [[nodiscard]] std::span<const std::byte> header_bytes(std::uint64_t at, std::uint64_t size) {
    return headers_.show(static_cast<std::size_t>(at), static_cast<std::size_t>(size));
  }
  static std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  // The last record, whose comment ends with the file; then, if there is one, its zip64 form.
  void find_end() {
    if (image_.size() < end_size) fail("too short for a zip archive");
    const std::uint64_t last = image_.size() - end_size;
    const std::uint64_t first = last > 0xFFFF ? last - 0xFFFF : 0;
    std::optional<std::uint64_t> end;
    for (std::uint64_t at = last + 1; at-- > first && !end;) {
      if (get<std::uint32_t>(at) == end_signature && at + end_size + get<std::uint16_t>(at + 20) == image_.size())
        end = at;
    }
    if (!end) fail("a zip archive that was cut off, or is none: it has no end of its directory");
    std::uint64_t disks = get<std::uint32_t>(*end + 4);
    std::uint64_t count_here = get<std::uint16_t>(*end + 8);
    count_ = get<std::uint16_t>(*end + 10);
    directory_size_ = get<std::uint32_t>(*end + 12);
    directory_at_ = get<std::uint32_t>(*end + 16);
    std::uint64_t ends_at = *end;
    if (*end >= locator_size && get<std::uint32_t>(*end - locator_size) == locator_signature) {
      const std::uint64_t locator = *end - locator_size;
      const std::uint64_t at = get<std::uint64_t>(locator + 8);
      if (get<std::uint32_t>(locator + 4) != 0 || get<std::uint32_t>(locator + 16) > 1) fail("spans several disks");
      if (!inside(at, end64_size) || at + end64_size > locator || get<std::uint32_t>(at) != end64_signature) {
        fail("expected the zip64 end of its directory at byte " + std::to_string(at) + ", found none");
      }
      if (get<std::uint64_t>(at + 4) != locator - at - 12) fail("its zip64 end of the directory has another length");
      const auto agree = [&](std::uint64_t narrow, std::uint64_t escape, std::uint64_t wide) {
        if (narrow != escape && narrow != wide) fail("its zip64 end of the directory disagrees with the end itself");
        return wide;
      };
      disks = get<std::uint64_t>(at + 16);
      count_here = agree(count_here, see_zip64_16, get<std::uint64_t>(at + 24));
      count_ = agree(count_, see_zip64_16, get<std::uint64_t>(at + 32));
      directory_size_ = agree(directory_size_, see_zip64_32, get<std::uint64_t>(at + 40));
      directory_at_ = agree(directory_at_, see_zip64_32, get<std::uint64_t>(at + 48));
      ends_at = at;
    }
    if (disks != 0 || count_here != count_) fail("spans several disks");
    if (!inside(directory_at_, directory_size_) || directory_at_ + directory_size_ != ends_at) {
      fail("expected its directory to end at byte " + std::to_string(ends_at) + ", found " +
           std::to_string(directory_size_) + " bytes at " + std::to_string(directory_at_));
    }
  }

  struct Sizes {
    std::uint64_t compressed, size, header_at;
  };

  // Replaces the fields that refer to the zip64 extra field, in the order of the specification.
  static bool read_extra(std::span<const std::byte> extra, Sizes& sizes) {
    bool found = false;
    while (!extra.empty()) {
      if (extra.size() < 4) return false;
      const auto tag = zip::get<std::uint16_t>(extra, 0);
      const std::size_t length = zip::get<std::uint16_t>(extra, 2);
      extra = extra.subspan(4);
      if (length > extra.size()) return false;
      if (tag == zip64_tag) {
        if (std::exchange(found, true)) return false;
        std::size_t field = 0;
        for (std::uint64_t* value : {&sizes.size, &sizes.compressed, &sizes.header_at}) {
          if (*value != see_zip64_32) continue;
          if (length - field < 8) return false;
          *value = zip::get<std::uint64_t>(extra, field);
          field += 8;
        }
      }
      extra = extra.subspan(length);
    }
    return true;
  }

  // Reads one entry of the directory, and the header that it points to. Returns where the next one begins.
  std::uint64_t read_central(std::uint64_t at, std::uint64_t end) {
    if (end - at < central_size || get<std::uint32_t>(at) != central_signature) {
      fail("expected an entry of its directory at byte " + std::to_string(at) + ", found none");
    }
    const auto flags = get<std::uint16_t>(at + 8), method = get<std::uint16_t>(at + 10);
    const auto crc = get<std::uint32_t>(at + 16);
    Sizes sizes{get<std::uint32_t>(at + 20), get<std::uint32_t>(at + 24), get<std::uint32_t>(at + 42)};
    const std::uint64_t name_size = get<std::uint16_t>(at + 28), extra_size = get<std::uint16_t>(at + 30),
                        comment_size = get<std::uint16_t>(at + 32);
    const std::uint64_t whole = central_size + name_size + extra_size + comment_size;
    if (whole > end - at) fail("its directory is cut off in an entry at byte " + std::to_string(at));
    const std::string_view name = text_of(bytes(at + central_size, name_size));
    if (!read_extra(bytes(at + central_size + name_size, extra_size), sizes)) fail(name, "has a malformed extra field");
    if (get<std::uint16_t>(at + 34) != 0) fail(name, "is on another disk");
    if ((flags | has_descriptor | utf8_name | 0x0006) != (has_descriptor | utf8_name | 0x0006))
      fail(name, "is encrypted, or of an unknown kind");
    if (method != stored && name.find("/code/") != std::string_view::npos) {
      fail(name, "is code: this is a TorchScript archive, which is a program; load it with torch::jit::load");
    }
    if (method != stored) {
      fail(name, "expected it stored, as PyTorch writes it, found it compressed by method " + std::to_string(method));
    }
    if (sizes.compressed != sizes.size) fail(name, "is stored, but claims two different sizes");
    read_local(name, flags, crc, sizes);
    return at + whole;
  }

  void read_local(std::string_view name, std::uint16_t flags, std::uint32_t crc, const Sizes& central) {
    const std::uint64_t at = central.header_at;
    std::span<const std::byte> header;
    if (inside(at, local_size) && at + local_size <= directory_at_) header = header_bytes(at, local_size);
    if (header.empty() || zip::get<std::uint32_t>(header, 0) != local_signature) {
      fail(name, "expected its header at byte " + std::to_string(at) + ", found none");
    }
    const auto own_flags = zip::get<std::uint16_t>(header, 6), own_method = zip::get<std::uint16_t>(header, 8);
    const auto own_crc = zip::get<std::uint32_t>(header, 14);
    Sizes local{zip::get<std::uint32_t>(header, 18), zip::get<std::uint32_t>(header, 22), 0};
    const std::size_t name_size = zip::get<std::uint16_t>(header, 26), extra_size = zip::get<std::uint16_t>(header, 28);
    const std::uint64_t data_at = at + local_size + name_size + extra_size;
    if (data_at > directory_at_ || central.size > directory_at_ - data_at) {
      fail(name, "expected " + std::to_string(central.size) + " bytes of data at byte " + std::to_string(data_at) +
                     ", found the directory before their end");
    }
    const auto rest = header_bytes(at + local_size, name_size + extra_size);
    if (text_of(rest.first(name_size)) != name) fail(name, "is named otherwise in its own header");
    if (own_flags != flags || own_method != stored) fail(name, "has other flags or another method in its own header");
    if (!read_extra(rest.subspan(name_size), local)) fail(name, "has a malformed extra field");
    const bool later = (flags & has_descriptor) != 0;
    const auto agrees = [&](std::uint64_t value, std::uint64_t expected) {
      return value == expected || (later && value == 0);
    };
    if (!agrees(local.compressed, central.size) || !agrees(local.size, central.size) || !agrees(own_crc, crc)) {
      fail(name, "has another size or CRC in its own header");
    }
    std::uint64_t end = data_at + central.size;
    if (later) end = read_descriptor(name, end, crc, central.size);
    const auto data = image_.subspan(static_cast<std::size_t>(data_at), static_cast<std::size_t>(central.size));
    entries_.push_back({name, data, crc});
    places_.emplace_back(at, end);
  }

  // Size and CRC once more, behind the data: with and without a signature, of 32 and of 64 bits.
  std::uint64_t read_descriptor(std::string_view name, std::uint64_t at, std::uint32_t crc, std::uint64_t size) {
    const auto behind = header_bytes(at, std::min<std::uint64_t>(directory_at_ - at, 24));
    const std::size_t room = behind.size();
    for (const std::size_t from : {std::size_t{4}, std::size_t{0}}) {
      if (from == 4 && (room < 4 || zip::get<std::uint32_t>(behind, 0) != descriptor_signature)) continue;
      if (room < from + 12 || zip::get<std::uint32_t>(behind, from) != crc) continue;
      // The wide form first: what follows a narrow one is a signature, which is no half of a size.
      if (room >= from + 20 && zip::get<std::uint64_t>(behind, from + 4) == size &&
          zip::get<std::uint64_t>(behind, from + 12) == size) {
        return at + from + 20;
      }
      if (zip::get<std::uint32_t>(behind, from + 4) == size && zip::get<std::uint32_t>(behind, from + 8) == size) {
        return at + from + 12;
      }
    }
    fail(name, "has another size or CRC behind its data");
  }

  void check_places() {
    std::sort(places_.begin(), places_.end());
    std::uint64_t at = 0;
    for (const auto& [begin, end] : places_) {
      if (begin != at) {
        fail(begin < at ? "two of its entries overlap"
                        : "has " + std::to_string(begin - at) + " bytes that belong to no entry at byte " +
                              std::to_string(at));
      }
      at = end;
    }
    if (at != directory_at_) {
      fail("has " + std::to_string(directory_at_ - at) + " bytes that belong to no entry at byte " +
           std::to_string(at));
    }
  }

  void check_names() const {
    std::vector<std::string_view> names;
    names.reserve(entries_.size());
    for (const Entry& entry : entries_) {
      names.push_back(entry.name);
      if (!is_safe(entry.name)) fail(entry.name, "is no name that PyTorch would write");
    }
    std::sort(names.begin(), names.end());
    const auto twin = std::adjacent_find(names.begin(), names.end());
    if (twin != names.end()) fail(*twin, "expected a name once, found it twice");
  }

  // Nothing here is ever written to a disk by its name; but such a file was made to deceive.
  static bool is_safe(std::string_view name) {
    if (name.empty() || name.front() == '/' || name.find('\\') != std::string_view::npos ||
        name.find('\0') != std::string_view::npos || !is_utf8(name)) {
      return false;
    }
    for (std::size_t begin = 0; begin <= name.size();) {
      const std::size_t end = std::min(name.find('/', begin), name.size());
      const std::string_view part = name.substr(begin, end - begin);
      if (part.empty() || part == "." || part == "..") return false;
      begin = end + 1;
    }
    return true;
  }

  std::span<const std::byte> image_;
  std::string_view where_;
  io::Window headers_;
  std::uint64_t count_ = 0, directory_at_ = 0, directory_size_ = 0;
  std::vector<Entry> entries_;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> places_;  // from a header to the end of what belongs to it
};

}  // namespace trainstate::format::zip
