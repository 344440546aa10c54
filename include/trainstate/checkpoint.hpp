// Save, load and check: one typed checkpoint, or any single object, and one file.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "trainstate/checkpoint_parts.hpp"
#include "trainstate/files.hpp"
#include "trainstate/number_record.hpp"
#include "trainstate/objects.hpp"
#include "trainstate/options.hpp"
#include "trainstate/report.hpp"

namespace trainstate {
namespace detail {

template <class T>
Report load_file(T& x, const std::filesystem::path& path, const LoadOptions& options, bool apply) {
  const auto start = std::chrono::steady_clock::now();
  return load_object(x, read_source(path, options), options, path.string(), apply, start);
}

}  // namespace detail

/// Saves a checkpoint, or any single object, to a file: atomically (the old file or the whole new one, never anything
/// between) and durably (unless `sync` is off). Throws IoError, or Error for what cannot be stored; then the old file
/// is untouched. Any number of threads may save at once, also the same object, as long as nothing changes it meanwhile;
/// of those that save to one path, the last one's file stays. What `save_async` began to the same path, also through
/// symbolic links, is waited for first.
template <class T>
void save(const T& x, const std::filesystem::path& path, const SaveOptions& options = {}) {
  const std::string where = path.string();
  const auto document =
      detail::at_the_border(where, [&] { return detail::document_of(detail::save_object(x), options); });
  detail::at_the_border("", [&] { detail::write_document(document, path, options); });
}

/// Loads a file into a checkpoint, or into any single object. Everything is read, verified, migrated and compared
/// first, and only then applied, in place: tensors keep their memory, device and strides; random number generators come
/// last. Throws IoError, FormatError, IntegrityError, VersionError or MismatchError (with every difference), and what
/// code of the user's throws that is no std::exception; if it throws, no live object has changed (see adapter.hpp for
/// classes that load themselves). Any number of threads may load at once, each into objects of its own.
template <class T>
Report load(T&& x, const std::filesystem::path& path, const LoadOptions& options = {}) {
  return detail::load_file(detail::loadable(x), path, options, true);
}

/// What `load` would do, without doing it. Differences are in the report, not thrown; throws only when the file cannot
/// be read, verified or migrated.
template <class T>
Report check(T&& x, const std::filesystem::path& path, const LoadOptions& options = {}) {
  return detail::load_file(detail::loadable(x), path, options, false);
}

/// As `save`, into memory: safetensors, unless `options.format` says otherwise.
template <class T>
std::vector<std::byte> to_bytes(const T& x, const SaveOptions& options = {}) {
  if constexpr (detail::NumberRecord<T>) {
    if (detail::are_plain(options)) {
      if (auto bytes = detail::NumberRecordText<T>::get().write(x)) return *std::move(bytes);
    }
  }
  return detail::at_the_border("", [&] {
    return format::write_document(detail::document_of(detail::save_object(x), options),
                                  options.format.value_or(Format::safetensors), {options.threads, options.progress});
  });
}

/// As `load`, from memory.
template <class T>
Report from_bytes(T&& x, std::span<const std::byte> bytes, const LoadOptions& options = {}) {
  auto& live = detail::loadable(x);
  if constexpr (detail::NumberRecord<std::remove_cvref_t<decltype(live)>>) {
    const auto start = std::chrono::steady_clock::now();
    using Record = std::remove_cvref_t<decltype(live)>;
    if (detail::are_plain(options) && detail::NumberRecordText<Record>::get().read(live, bytes)) {
      Report report;
      report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      return report;
    }
  }
  auto source = detail::at_the_border("", [&] {
    auto copy = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
    Storage image{copy, copy->data(), copy->size()};
    detail::FollowedProgress progress(options.progress);
    auto read = detail::source_of(
        format::read_document(std::make_shared<const Storage>(std::move(image)), "bytes",
                              {.verify = options.verify, .threads = options.threads, .progress = progress.follower()}));
    read.is_reported = progress.was_called();
    return read;
  });
  return detail::load_object(live, std::move(source), options, "bytes", true);
}

}  // namespace trainstate
