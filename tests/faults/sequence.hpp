// Checkpoints with a number in them from which all else follows, and how a saver tells which it has saved. No LibTorch.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>

#include "trainstate/basic_state_dict.hpp"
#include "trainstate/format/container.hpp"
#include "trainstate/tensor_info.hpp"

namespace faults {

/// A float holds these and some millions more exactly.
inline constexpr std::int64_t elements = 256 << 10;

/// Element `i` of the tensors of checkpoint `number`.
inline float element(std::int64_t number, std::int64_t i) { return static_cast<float>(number + i); }

/// How many saves in a row wait for the disk, and how many do not.
inline bool waits_for_disk(std::int64_t number) { return number % 4 < 2; }

inline void tell(int pipe, std::int64_t number) {
  if (::write(pipe, &number, sizeof number) != sizeof number) ::_exit(4);
}

/// Counts the tensors of a checkpoint. Throws if one is not as it should be.
inline std::size_t check_tensors(const trainstate::BasicStateDict<trainstate::TensorInfo>& tree, std::int64_t number) {
  std::size_t count = 0;
  for (const auto& [key, value] : tree) {
    if (const auto* inner = value.get_if<trainstate::BasicStateDict<trainstate::TensorInfo>>()) {
      count += check_tensors(*inner, number);
    } else if (const auto* tensor = value.get_if<trainstate::TensorInfo>()) {
      if (tensor->numel() != elements) throw std::runtime_error("a tensor of another size");
      for (std::int64_t i = 0; i < elements; ++i) {
        float found;
        std::memcpy(&found, tensor->bytes().data() + static_cast<std::size_t>(i) * sizeof found, sizeof found);
        if (found != element(number, i)) throw std::runtime_error("a tensor that belongs to another checkpoint");
      }
      ++count;
    }
  }
  return count;
}

/// The number of the checkpoint that stands at a path; nothing if there is none. Throws unless it is whole.
inline std::optional<std::int64_t> number_at(const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const auto document = trainstate::format::read_document(path, {.verify = true});
  const auto* number = document.tree.find("number");
  if (!number || !number->is<std::int64_t>()) throw std::runtime_error("a checkpoint without a number");
  if (check_tensors(document.tree, number->as<std::int64_t>()) != 3) throw std::runtime_error("another checkpoint");
  return number->as<std::int64_t>();
}

}  // namespace faults
