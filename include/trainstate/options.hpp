// What a caller may ask of a save, a load and a read.
#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trainstate/file_format.hpp"

namespace trainstate {

/// Called on the calling thread with the bytes done and the total. If it throws, the call is cancelled, nothing has
/// changed, and the exception passes through. Where nothing is verified, a load or read makes one call, with all bytes
/// done, before anything live changes: a later one could not cancel any more.
using Progress = std::function<void(std::uint64_t done, std::uint64_t total)>;

/// Which of two differing hyperparameters holds after a load.
enum class HyperPolicy {
  file,  ///< the file's; the default for schedulers, optimizers and extras
  code,  ///< the live one
  match  ///< neither: a difference is a mismatch; the default for modules
};

/// How to load. Whatever is found is in the Report; what is not allowed here becomes a MismatchError.
struct LoadOptions {
  bool allow_missing = false;                              ///< live values that the file lacks keep their value
  bool allow_unexpected = false;                           ///< what the file has beyond the live objects is passed over
  std::optional<HyperPolicy> hyper = std::nullopt;         ///< for every component; default: by kind, see HyperPolicy
  std::vector<std::string> only = {};                      ///< if not empty: just these parts of the checkpoint
  std::vector<std::string> except = {};                    ///< not these parts
  std::optional<c10::Device> map_location = std::nullopt;  ///< where newly built tensors go; live ones stay
  bool verify = true;                                      ///< check the checksum of every tensor first
  unsigned threads = 0;                                    ///< 0: as many as the machine has cores
  Progress progress = {};
};

/// How to save.
struct SaveOptions {
  std::optional<Format> format = std::nullopt;  ///< default: by the file name's extension, safetensors in memory
  bool sync = true;                             ///< fsync of file and folder before returning
  bool overwrite = true;                        ///< false: an existing file is an IoError (EEXIST)
  unsigned threads = 0;                         ///< 0: as many as the machine has cores
  Progress progress = {};
  /// Kept beside the tree. The keys `format`, `trainstate` and those that begin with `trainstate.` are taken: an Error.
  std::map<std::string, std::string> metadata = {};
  /// Of `save_async`: tensors that nothing has written to since the last snapshot with this option (in this process, of
  /// whatever objects) are not copied again. Always copied are
  /// - those of at most 64 KiB, and one-dimensional ones of at most 1 MiB, among them the running statistics of
  ///   normalization layers, which LibTorch writes through raw pointers;
  /// - what modules registered and an optimizer may have stepped: what has a `grad()`, or had one at that snapshot, and
  ///   what took part in a graph of autograd's that lived at that snapshot or was made since.
  ///
  /// Of the others, what autograd counts as a write is seen: every in-place operation on the tensor or a view of it, so
  /// the steps of all optimizers but SGD, too. NOT seen is a write through a raw pointer (`data_ptr()`, an accessor),
  /// through `data()`, or through another variable that shares the memory by `set_data`: the file would hold the older
  /// values. LibTorch's SGD writes through `data()`, so what it trains must stand in the checkpoint as part of a
  /// module, not as a tensor of its own.
  bool reuse_unchanged = false;
};

/// How to read a file without any type.
struct ReadOptions {
  std::optional<c10::Device> map_location = std::nullopt;  ///< default: CPU, mapped
  bool verify = false;  ///< also check every tensor's bytes; the structure is always checked
  Progress progress = {};
};

}  // namespace trainstate
