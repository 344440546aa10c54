// The records of a zip archive, byte for byte: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>

namespace trainstate::format::zip {

static_assert(std::endian::native == std::endian::little, "trainstate: only little-endian machines are supported");

inline constexpr std::uint32_t local_signature = 0x04034b50, central_signature = 0x02014b50,
                               descriptor_signature = 0x08074b50, end_signature = 0x06054b50,
                               end64_signature = 0x06064b50, locator_signature = 0x07064b50;

/// Bytes of each record without names, extra fields and comments.
inline constexpr std::size_t local_size = 30, central_size = 46, end_size = 22, end64_size = 56, locator_size = 20;

/// What a field holds when its true value stands in the zip64 record or extra field.
inline constexpr std::uint16_t see_zip64_16 = 0xFFFF;
inline constexpr std::uint32_t see_zip64_32 = 0xFFFFFFFF;

/// Tags of extra fields: zip64, and PyTorch's padding.
inline constexpr std::uint16_t zip64_tag = 0x0001, padding_tag = 0x4246;

/// Bits of the flags: sizes and CRC follow the data; the name is UTF-8.
inline constexpr std::uint16_t has_descriptor = 0x0008, utf8_name = 0x0800;

/// "stored": the data is not compressed.
inline constexpr std::uint16_t stored = 0;

/// Where PyTorch begins the data of every entry.
inline constexpr std::uint64_t alignment = 64;

/// The little-endian integer at a place that is known to be inside.
template <class T>
T get(std::span<const std::byte> bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

template <class T>
void put(std::string& to, T value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// One stored file of an archive that is being written. All else follows from these.
struct Record {
  std::string name;
  std::uint64_t size = 0;
  std::uint64_t header_at = 0;  // of the archive
  std::uint32_t crc = 0;

  [[nodiscard]] bool large() const { return size >= see_zip64_32; }

  /// Of the data, in the archive: aligned, with room for the padding's own tag and length.
  [[nodiscard]] std::uint64_t data_at() const {
    constexpr std::uint64_t smallest_field = 4;
    const std::uint64_t bare = header_at + local_size + name.size() + (large() ? 20 : 0) + smallest_field;
    return (bare + alignment - 1) / alignment * alignment;
  }

  [[nodiscard]] std::uint64_t end() const { return data_at() + size; }

  /// What stands before the data.
  void append_local_header(std::string& to) const {
    const std::size_t begin = to.size();
    const std::uint64_t whole = data_at() - header_at;
    put(to, local_signature);
    put<std::uint16_t>(to, large() ? 45 : 10);
    append_common(to);
    put(to, static_cast<std::uint16_t>(whole - local_size - name.size()));
    to += name;
    if (large()) append_zip64(to, false);
    const std::uint64_t padding = whole - (to.size() - begin) - 4;
    put(to, padding_tag);
    put(to, static_cast<std::uint16_t>(padding));
    to.append(static_cast<std::size_t>(padding), 'Z');
  }

  /// What stands in the directory at the end of the archive.
  void append_central_header(std::string& to) const {
    const bool far = header_at >= see_zip64_32;
    put(to, central_signature);
    put<std::uint16_t>(to, large() || far ? 45 : 10);  // made by
    put<std::uint16_t>(to, large() || far ? 45 : 10);  // needed
    append_common(to);
    put<std::uint16_t>(to, large() ? (far ? 28 : 20) : (far ? 12 : 0));
    to.append(10, '\0');  // no comment, first disk, no attributes
    put(to, far ? see_zip64_32 : static_cast<std::uint32_t>(header_at));
    to += name;
    if (large() || far) append_zip64(to, true);
  }

 private:
  void append_common(std::string& to) const {
    put(to, utf8_name);
    put(to, stored);
    put<std::uint32_t>(to, 0x00210000);  // 1980-01-01, the earliest, so that the same state makes the same bytes
    put(to, crc);
    const auto field = large() ? see_zip64_32 : static_cast<std::uint32_t>(size);
    put(to, field);
    put(to, field);
    put(to, static_cast<std::uint16_t>(name.size()));
  }

  void append_zip64(std::string& to, bool with_place) const {
    const bool far = with_place && header_at >= see_zip64_32;
    put(to, zip64_tag);
    put(to, static_cast<std::uint16_t>((large() ? 16 : 0) + (far ? 8 : 0)));
    if (large()) {
      put(to, size);
      put(to, size);
    }
    if (far) put(to, header_at);
  }
};

/// The end of an archive whose directory of `count` entries stands at `at`. As PyTorch does, zip64 records are written
/// only where they are needed.
inline void append_end(std::string& to, std::uint64_t count, std::uint64_t at, std::uint64_t size) {
  const bool large = count >= see_zip64_16 || at >= see_zip64_32 || size >= see_zip64_32;
  if (large) {
    const std::uint64_t end64_at = at + size;
    put(to, end64_signature);
    put<std::uint64_t>(to, end64_size - 12);
    put<std::uint16_t>(to, 45);
    put<std::uint16_t>(to, 45);
    put<std::uint64_t>(to, 0);  // the only disk
    put(to, count);
    put(to, count);
    put(to, size);
    put(to, at);
    put(to, locator_signature);
    put<std::uint32_t>(to, 0);
    put(to, end64_at);
    put<std::uint32_t>(to, 1);
  }
  put(to, end_signature);
  put<std::uint32_t>(to, 0);
  const auto count_field = large ? see_zip64_16 : static_cast<std::uint16_t>(count);
  put(to, count_field);
  put(to, count_field);
  put(to, large ? see_zip64_32 : static_cast<std::uint32_t>(size));
  put(to, large ? see_zip64_32 : static_cast<std::uint32_t>(at));
  put<std::uint16_t>(to, 0);
}

}  // namespace trainstate::format::zip
