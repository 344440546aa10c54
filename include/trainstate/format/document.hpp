// What a checkpoint file says, whatever its format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/basic_state_dict.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::io {
class MappedFile;
}  // namespace trainstate::io

namespace trainstate::format {

/// The deepest nesting of dicts and lists that files hold, so that no file can exhaust the stack.
inline constexpr std::size_t max_depth = 512;

/// The most memory that reading a file of `size` bytes takes beyond the file itself, whatever it says. Values take so
/// much (a bool is one byte in a list that a file keeps as a tensor, and 128 in a tree), not tensors, which stay where
/// they are. The worst that is known stands in tests/fuzz/bounds.cpp.
constexpr std::uint64_t memory_bound(std::uint64_t size) { return size * 208 + (std::uint64_t{8} << 20); }

/// The content of a checkpoint file. Tensors alias the memory that they are written from or were read into.
struct Document {
  BasicStateDict<TensorInfo> tree;
  /// What Python has no place for; nothing in a file that Python wrote.
  std::optional<BasicStateDict<TensorInfo>> manifest;
  /// The user's own texts, without those that the format keeps for itself. Of a foreign file: all that it has.
  std::map<std::string, std::string> metadata;
  /// What a reader found: the number of the format's version, 0 in a foreign file, and the checksum of every tensor as
  /// the file states it, in hexadecimal. Writers ignore both.
  int format = 0;
  std::vector<std::pair<std::string, std::string>> checksums;
  /// For a person: what a reader could not check or keep. Writers ignore it.
  std::vector<std::string> warnings;
};

/// How to write a file. Neither member changes a byte of it.
struct WriteOptions {
  unsigned threads = 0;        ///< 0: as many as the machine has cores
  io::Progress progress = {};  ///< bytes of tensors written
};

/// How to read a file.
struct ReadOptions {
  bool verify = false;         ///< check every tensor's bytes, too; the structure is always checked
  bool checksums = false;      ///< fill `Document::checksums`
  unsigned threads = 0;        ///< for verifying; 0: as many as the machine has cores
  io::Progress progress = {};  ///< bytes of tensors verified; not called without `verify`
  /// Copy the tensors that are not aligned in the file, so that elements can be read in place. Otherwise they alias the
  /// file, too, which is enough for those who only look at shapes or copy bytes.
  bool align = true;
  /// What the bytes are a mapping of, if that is large: what is verified is then read from there, not mapped.
  const io::MappedFile* file = nullptr;
};

}  // namespace trainstate::format
