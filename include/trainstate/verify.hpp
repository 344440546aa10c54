// Whether a file is whole, without loading it. No LibTorch.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "trainstate/format/container.hpp"
#include "trainstate/format/tensors.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/report.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate {

/// How to verify a file.
struct VerifyOptions {
  unsigned threads = 0;  ///< 0: as many as the machine has cores
  io::Progress progress = {};
};

/// Reads all of a file and checks it: structure, and the checksum of every tensor (XXH3-64 of trainstate's own files,
/// CRC-32 of other `.pt` files). Touches no live object and needs no type. The report has the bytes of tensors that
/// were read, the time, and a warning where a file carries no checksums (safetensors of other programs, PyTorch's older
/// container). Throws IoError, FormatError, IntegrityError or VersionError, the text beginning with the path, for a
/// file that a load would refuse.
inline Report verify(const std::filesystem::path& path, const VerifyOptions& options = {}) {
  const auto start = std::chrono::steady_clock::now();
  auto document = format::read_document(
      path, {.verify = true, .threads = options.threads, .progress = options.progress, .align = false});
  Report report;
  std::set<std::pair<const std::byte*, std::size_t>> seen;  // tied tensors and other views of the same count once
  const auto add = [&](const TensorInfo& tensor, const std::string&) {
    if (seen.emplace(tensor.storage->data + tensor.offset, tensor.nbytes()).second) report.bytes += tensor.nbytes();
  };
  format::for_each_tensor(document.tree, add);
  if (document.manifest) format::for_each_tensor(*document.manifest, add);
  report.warnings = std::move(document.warnings);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

}  // namespace trainstate
