// The containers of checkpoints, and which of them a file's name asks for.
#pragma once

#include <filesystem>

namespace trainstate {

/// The containers that trainstate writes and reads.
enum class Format {
  safetensors,  ///< `.safetensors`, the default
  pt            ///< `.pt` and `.pth`, PyTorch's zip of a pickle
};

/// The format that a file of this name is written in: `.pt` and `.pth` as in Python, everything else safetensors.
[[nodiscard]] inline Format format_of(const std::filesystem::path& path) {
  const auto extension = path.extension();
  return extension == ".pt" || extension == ".pth" ? Format::pt : Format::safetensors;
}

}  // namespace trainstate
