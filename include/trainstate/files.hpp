// State dicts into files and back, without any type.
#pragma once

#include <c10/core/Device.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/codec/memory.hpp"
#include "trainstate/environment.hpp"
#include "trainstate/error.hpp"
#include "trainstate/file_format.hpp"
#include "trainstate/format/container.hpp"
#include "trainstate/format/dense.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/format/tensors.hpp"
#include "trainstate/format/views.hpp"
#include "trainstate/io/mapped_file.hpp"
#include "trainstate/io/pending_writes.hpp"
#include "trainstate/objects.hpp"
#include "trainstate/options.hpp"
#include "trainstate/state_dict.hpp"
#include "trainstate/torch/compat.hpp"
#include "trainstate/torch/convert.hpp"
#include "trainstate/torch/device.hpp"

namespace trainstate {
namespace detail {

/// The paths of tensors that show the very same elements: a list for each group of them, in the order of the tree.
inline List find_ties(const BasicStateDict<TensorInfo>& tree) {
  std::vector<const TensorInfo*> sorted;
  format::for_each_tensor(tree, [&](const TensorInfo& tensor, const std::string&) { sorted.push_back(&tensor); });
  const format::ViewOrder less;
  std::sort(sorted.begin(), sorted.end(), less);
  // One of each group; most trees have none.
  format::ViewMap<List> groups;
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    if (!less(sorted[i - 1], sorted[i])) groups.try_emplace(sorted[i]);
  }
  List ties;
  if (groups.empty()) return ties;
  std::vector<List*> in_order;
  format::for_each_tensor(tree, [&](const TensorInfo& tensor, const std::string& place) {
    const auto group = groups.find(&tensor);
    if (group == groups.end()) return;
    if (group->second.empty()) in_order.push_back(&group->second);
    group->second.push_back(place);
  });
  for (List* const group : in_order) ties.push_back(std::move(*group));
  return ties;
}

/// As `to_info`; but what the CPU conjugates or negates lazily is resolved piece by piece when its bytes are wanted,
/// rather than as a whole now.
inline TensorInfo to_info_in_pieces(const at::Tensor& tensor) {
  const auto dtype = dtype_of(tensor.scalar_type());
  const bool lazy = tensor.is_cpu() && dtype && !why_not_storable(tensor) && (tensor.is_conj() || tensor.is_neg());
  const auto flip = lazy ? SignFlip::of(*dtype, tensor.is_conj(), tensor.is_neg()) : std::optional<SignFlip>();
  if (!flip) return to_info(tensor);
  auto memory = std::make_shared<const TensorInfo>(to_info(as_in_memory(tensor)));
  TensorInfo info{*dtype, memory->shape, TensorInfo::contiguous_strides(memory->shape), nullptr, 0};
  // Any address that is its own will do: these bytes stand nowhere.
  auto* const place = reinterpret_cast<std::byte*>(const_cast<TensorInfo*>(memory.get()));
  info.storage = std::make_shared<const Storage>(Storage{memory, place, info.nbytes(), memory->storage->device});
  using Fetch = std::function<void(std::size_t, std::span<std::byte>)>;
  info.fetch = std::make_shared<const Fetch>([memory, flip = *flip](std::size_t at, std::span<std::byte> to) {
    format::copy_dense(*memory, at, to);
    flip.apply(to);
  });
  return info;
}

/// A tensor of a document that shares the memory of the live one.
inline constexpr auto shared_with_live = [](const at::Tensor& tensor) { return to_info_in_pieces(tensor); };

/// The file that `saved` makes: the tree, and the manifest with what the tree has no place for. `convert` makes the
/// document's tensors.
template <class Convert = decltype(shared_with_live)>
format::Document document_of(const Saved& saved, const SaveOptions& options,
                             const Convert& convert = shared_with_live) {
  format::Document document;
  std::set<std::string> devices;
  document.tree = to_info(saved.tree, "", [&](const at::Tensor& tensor) {
    TensorInfo info = convert(tensor);
    if (info.storage) devices.insert(info.storage->device);
    return info;
  });
  document.metadata = options.metadata;
  StateDict manifest;
  note_environment(manifest, devices);
  manifest["components"] = saved.components;
  manifest["ties"] = find_ties(document.tree);
  if (!saved.upgrades.empty()) manifest["upgrades"] = saved.upgrades;
  document.manifest = to_info(manifest, "", convert);
  return document;
}

/// Writes a file, whatever else is to be written to its path.
inline void write_document_now(const format::Document& document, const std::filesystem::path& path,
                               const SaveOptions& options) {
  format::write_document(document, path, options.format.value_or(format_of(path)),
                         {.sync = options.sync, .overwrite = options.overwrite}, {options.threads, options.progress});
}

/// The same, once the saves to that path that go on behind (see `save_async`) have ended, well or not: they were called
/// before.
inline void write_document(const format::Document& document, const std::filesystem::path& path,
                           const SaveOptions& options) {
  io::pending_writes().wait_for(path);
  write_document_now(document, path, options);
}

/// The device of this name; nothing if this machine has none such. Throws c10::Error for a name that LibTorch lacks.
inline std::optional<c10::Device> present_device(const std::string& name) {
  const c10::Device device(name);
  return is_present(device) ? std::optional(device) : std::nullopt;
}

/// Where the tensors of a file were when they were saved: those devices, other than the CPU, that this machine has.
inline void find_devices(const BasicStateDict<TensorInfo>& tree, Source& source) {
  format::for_each_tensor(tree, [&](const TensorInfo& tensor, const std::string& place) {
    const std::string& device = tensor.storage->device;
    if (device == "cpu") return;
    try {
      if (const auto there = present_device(device)) source.devices.emplace(place, *there);
    } catch (const c10::Error&) {
      source.warnings.push_back(place + ": was on " + device + ", which this LibTorch does not know");
    }
  });
}

/// Warns of what further training may notice: other programs than the file's, and devices that are not here.
inline void compare_environment(Source& source) {
  if (auto text = environment_difference(source.manifest, environment()); !text.empty()) {
    source.warnings.push_back(std::move(text));
  }
  for (const Value& name : list_in(source.manifest, "devices")) {
    const auto* text = name.get_if<std::string>();
    if (!text || *text == "cpu") continue;
    try {
      if (!present_device(*text)) source.warnings.push_back(absent_device_text(*text));
    } catch (const c10::Error&) {
      source.warnings.push_back(absent_device_text(*text));
    }
  }
}

inline Source source_of(const format::Document& document) {
  Source source;
  const auto mapped = [](at::Tensor tensor, const TensorInfo&) { return tensor; };
  source.tree = to_torch(document.tree, mapped);
  source.warnings = document.warnings;
  find_devices(document.tree, source);
  if (document.manifest) {
    source.has_manifest = true;
    source.manifest = to_torch(*document.manifest, mapped);
    source.components = dict_in(source.manifest, "components");
    compare_environment(source);
  }
  return source;
}

/// Passes on what a reader reports, and remembers whether it did: it does so only of bytes that it verifies.
class FollowedProgress {
 public:
  explicit FollowedProgress(const Progress& progress) : progress_(progress) {}

  /// For the reader; must not outlive this.
  [[nodiscard]] io::Progress follower() {
    if (!progress_) return {};
    return [this](std::uint64_t done, std::uint64_t total) {
      was_called_ = true;
      progress_(done, total);
    };
  }
  [[nodiscard]] bool was_called() const noexcept { return was_called_; }

 private:
  const Progress& progress_;
  bool was_called_ = false;
};

/// Reads what is to be loaded.
inline Source read_source(const std::filesystem::path& path, const LoadOptions& options) {
  return at_the_border("", [&] {
    auto file = std::make_shared<const io::MappedFile>(path);
    FollowedProgress progress(options.progress);
    Source source = source_of(format::read_document(
        *file, path.string(), {.verify = options.verify, .threads = options.threads, .progress = progress.follower()}));
    source.is_reported = progress.was_called();
    // What was verified where it is mapped is quicker to copy from there.
    if (!options.verify || file->is_large()) source.file = std::move(file);
    return source;
  });
}

}  // namespace detail

/// Writes a tree to a file, atomically, durably and after earlier saves to its path (see `save`). Throws IoError, or
/// Error for what cannot be stored.
inline void write(const StateDict& tree, const std::filesystem::path& path, const SaveOptions& options = {}) {
  const auto document =
      detail::at_the_border(path.string(), [&] { return detail::document_of(detail::Saved{.tree = tree}, options); });
  detail::at_the_border("", [&] { detail::write_document(document, path, options); });
}

/// Reads a file's tree, without any type. The file is mapped, copy on write: tensors cost nothing until they are
/// touched, may be written to, and never change the file. What is not verified counts as done at once for
/// `options.progress`. Throws IoError, FormatError, IntegrityError.
inline StateDict read(const std::filesystem::path& path, const ReadOptions& options = {}) {
  const std::string where = path.string();
  detail::FollowedProgress progress(options.progress);
  const auto document = detail::at_the_border(
      "", [&] { return format::read_document(path, {.verify = options.verify, .progress = progress.follower()}); });
  if (options.progress && !progress.was_called()) {
    std::uint64_t total = 0;
    format::for_each_tensor(document.tree,
                            [&](const TensorInfo& tensor, const std::string&) { total += tensor.nbytes(); });
    options.progress(total, total);
  }
  return detail::at_the_border(where, [&] {
    return detail::to_torch(document.tree, [&](at::Tensor tensor, const TensorInfo&) {
      if (!options.map_location) return tensor;
      return detail::copy_once_each(tensor, [&](const at::Tensor& t) { return t.to(*options.map_location); });
    });
  });
}

/// A file's manifest: `components` (by path: name, version, kind, and what the tree has no place for), `ties`, the
/// checksums, the format number, the versions of trainstate, LibTorch, compiler and (where there is one) `cuda`, and
/// the `devices` of the tensors. Empty for a file of Python's. Reads no tensor bytes. Throws IoError, FormatError,
/// IntegrityError.
inline StateDict read_manifest(const std::filesystem::path& path) {
  return detail::at_the_border("", [&] {
    const auto document = format::read_document(path, {.checksums = true});
    if (!document.manifest) return StateDict();
    auto manifest = detail::to_torch(*document.manifest, [](at::Tensor tensor, const TensorInfo&) { return tensor; });
    StateDict checksums;
    checksums.reserve(document.checksums.size());
    for (const auto& [tensor, checksum] : document.checksums) checksums[tensor] = checksum;
    manifest["format"] = document.format;
    manifest["checksums"] = std::move(checksums);
    return manifest;
  });
}

}  // namespace trainstate
