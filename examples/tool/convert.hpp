// `trainstate convert`: from one format to the other, with all that a checkpoint holds or not at all.
#pragma once

#include <cerrno>
#include <filesystem>

#include "checkpoint_file.hpp"
#include "console.hpp"
#include "progress.hpp"
#include "text.hpp"
#include "trainstate/error.hpp"
#include "trainstate/file_format.hpp"
#include "trainstate/format/container.hpp"
#include "trainstate/io/atomic_file.hpp"

namespace tool {

/// How `convert` and `extract` read and write.
struct CopyOptions {
  bool force = false;  ///< replace a file that exists
  bool verify = true;  ///< check every tensor that is read
};

/// The format of a file to be written. Throws Refusal unless its name says it.
inline ts::Format format_to_write(const std::filesystem::path& path) {
  const auto extension = path.extension();
  if (extension == ".pt" || extension == ".pth") return ts::Format::pt;
  if (extension == ".safetensors") return ts::Format::safetensors;
  throw Refusal(path.string() + ": expected a name that ends in .safetensors, .pt or .pth");
}

/// Calls `write(mode)`; says how to replace a file that exists.
template <class F>
void write_unless_there(const std::filesystem::path& path, bool force, const F& write) {
  try {
    write(ts::io::WriteMode{.sync = true, .overwrite = force});
  } catch (const ts::IoError& error) {
    if (force || error.code() != EEXIST) throw;
    throw Refusal(path.string() + ": exists; --force replaces it");
  }
}

/// Reads a file for copying; what could not be checked is said.
inline CheckpointFile read_for_copy(const Console& console, const std::filesystem::path& path, bool verify) {
  ProgressBar bar(console, "reading");
  CheckpointFile file = open_file(path, {.verify = verify, .threads = 0, .progress = bar.callback()});
  for (const auto& warning : file.document.warnings) console.note("note: " + printable(warning));
  return file;
}

/// Writes a document and says so.
inline void write_copy(const Console& console, const ts::format::Document& document, const std::filesystem::path& path,
                       ts::Format format, const CopyOptions& options) {
  write_unless_there(path, options.force, [&](const ts::io::WriteMode& mode) {
    ProgressBar bar(console, "writing");
    ts::format::write_document(document, path, format, mode, {.threads = 0, .progress = bar.callback()});
  });
  TensorCount tensors;
  tensors.add(document.tree);
  console.out << "wrote " << printable(path.string()) << ": " << tensors.text() << '\n';
}

/// Drops what a foreign file's metadata says about its own container.
inline void drop_format(const Console& console, ts::format::Document& document) {
  const auto format = document.metadata.find("format");
  if (format == document.metadata.end()) return;
  if (format->second != "pt") {
    console.note("note: the metadata 'format' = " + text_in_quotes(format->second) + " becomes \"pt\"");
  }
  document.metadata.erase(format);
}

/// Writes the document of one file into another. Throws what reading and writing throw; then there is no new file.
inline int convert(const Console& console, const std::filesystem::path& from, const std::filesystem::path& to,
                   const CopyOptions& options) {
  const ts::Format format = format_to_write(to);
  CheckpointFile file = read_for_copy(console, from, options.verify);
  drop_format(console, file.document);
  write_copy(console, file.document, to, format, options);
  return 0;
}

}  // namespace tool
