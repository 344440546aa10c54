// What the records of PyTorch's zip container are called, in a folder around all of them.
#pragma once

#include <cstdint>
#include <string_view>

namespace trainstate::format::pt {

/// The number of the encoding of the manifest that this build writes, and the newest that it reads.
inline constexpr std::int64_t format_number = 1;

/// The folder in files that this library writes. PyTorch takes any name.
inline constexpr std::string_view root_folder = "archive/";
inline constexpr std::string_view pickle_record = "data.pkl";
inline constexpr std::string_view byte_order_record = "byteorder";  // since PyTorch 2.1
inline constexpr std::string_view version_record = "version";
/// The bytes of storage KEY are the record data/KEY.
inline constexpr std::string_view storage_folder = "data/";
/// What Python has no place for, as another pickle: {"format": 1, "manifest": {…}, "metadata": {…}}; and XXH3-64 of
/// every storage, in hexadecimal and in the order of their keys. PyTorch passes over records that its pickle does not
/// name.
inline constexpr std::string_view manifest_record = "trainstate.pkl";
inline constexpr std::string_view digests_record = "trainstate.xxh3";

}  // namespace trainstate::format::pt
