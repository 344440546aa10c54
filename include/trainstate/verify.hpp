// Whether a file is whole, without loading it. No LibTorch.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <utility>

#include "trainstate/basic_state_dict.hpp"
#include "trainstate/format/container.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/report.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate {

/// How to verify a file.
struct VerifyOptions {
  unsigned threads = 0;  ///< 0: as many as the machine has cores
  io::Progress progress = {};
};

namespace detail {

/// Adds up the bytes of tensors, tied ones once.
class TensorBytes {
 public:
  void add(const BasicStateDict<TensorInfo>& dict) {
    for (const auto& [key, value] : dict) add(value);
  }

  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }

 private:
  void add(const BasicValue<TensorInfo>& value) {
    if (const auto* dict = value.get_if<BasicStateDict<TensorInfo>>()) {
      add(*dict);
    } else if (const auto* list = value.get_if<BasicList<TensorInfo>>()) {
      for (const auto& item : *list) add(item);
    } else if (const auto* tensor = value.get_if<TensorInfo>(); tensor && tensor->nbytes() != 0) {
      const bool added = seen_.emplace(tensor->storage->data + tensor->offset, tensor->nbytes()).second;
      if (added) total_ += tensor->nbytes();
    }
  }

  std::set<std::pair<const std::byte*, std::size_t>> seen_;
  std::uint64_t total_ = 0;
};

}  // namespace detail

/// Reads all of a file and checks it: structure, and the checksum of every tensor (XXH3-64 of trainstate's own files,
/// CRC-32 of other `.pt` files). Touches no live object and needs no type. The report has the bytes of tensors that
/// were read, the time, and a warning where a file carries no checksums (safetensors of other programs, PyTorch's older
/// container). Throws IoError, FormatError, IntegrityError or VersionError, the text beginning with the path, for a
/// file that a load would refuse.
inline Report verify(const std::filesystem::path& path, const VerifyOptions& options = {}) {
  const auto start = std::chrono::steady_clock::now();
  auto document =
      format::read_document(path, {.verify = true, .threads = options.threads, .progress = options.progress});
  Report report;
  detail::TensorBytes bytes;
  bytes.add(document.tree);
  if (document.manifest) bytes.add(*document.manifest);
  report.bytes = bytes.total();
  report.warnings = std::move(document.warnings);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace trainstate
