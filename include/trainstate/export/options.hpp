// What a caller may ask of an export.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace trainstate {

/// How to export a module.
struct TorchScriptOptions {
  bool fixed_batch_size = false;  ///< forward takes no batch size but the examples'; others are not tried
  /// For every example the dimension that is the batch's, or nullopt. Default: dimension 0 of the first, and of those
  /// that are as long there.
  std::vector<std::optional<std::int64_t>> batch_dims = {};
  double rtol = 1e-5;              ///< how far the file's outputs may be from the module's: atol + rtol * |module's|
  double atol = 1e-6;              ///< see rtol
  bool allow_value_reads = false;  ///< forward may read values of its inputs (to check them): no result depends on it
  bool sync = true;                ///< fsync of file and folder before returning
  bool overwrite = true;           ///< false: an existing file is an IoError (EEXIST)
};

}  // namespace trainstate
