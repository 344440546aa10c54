// The data: 1797 handwritten digits of 8 x 8 pixels, 0 to 16 dark, and what each one is. digits.csv is the test set of
// "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, CC BY 4.0).
#pragma once

#include <torch/torch.h>

#include <charconv>
#include <cstdint>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace digits {

struct Examples {
  torch::Tensor images;  // float32 [n, 1, 8, 8], 0 to 1
  torch::Tensor labels;  // int64 [n]

  [[nodiscard]] std::int64_t size() const { return labels.size(0); }
  [[nodiscard]] Examples select(const torch::Tensor& index) const {
    return {images.index_select(0, index), labels.index_select(0, index)};
  }
};

/// Reads lines of 64 pixels and a label.
inline Examples read_csv(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + ": cannot be opened");
  std::vector<float> pixels;
  std::vector<std::int64_t> labels;
  for (std::string line; std::getline(file, line);) {
    const char *at = line.data(), *const end = at + line.size();
    for (int column = 0; column <= 64; ++column) {
      std::int64_t value = 0;
      const auto [next, error] = std::from_chars(at, end, value);
      if (error != std::errc{}) throw std::runtime_error(path + ": a line is not 65 numbers: " + line);
      column < 64 ? pixels.push_back(static_cast<float>(value) / 16) : labels.push_back(value);
      at = next == end ? end : next + 1;
    }
  }
  const auto n = static_cast<std::int64_t>(labels.size());
  return {torch::tensor(pixels).view({n, 1, 8, 8}), torch::tensor(labels)};
}

/// Every fifth example is for validation, the others are for training.
struct Split {
  Examples training, validation;

  explicit Split(const Examples& all) {
    const auto is_fifth = torch::arange(all.size()).remainder(5).eq(4);
    training = all.select(is_fifth.logical_not().nonzero().squeeze(1));
    validation = all.select(is_fifth.nonzero().squeeze(1));
  }
};

}  // namespace digits
