// Norms, moments and histograms of tensors.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "checkpoint_file.hpp"
#include "elements.hpp"
#include "measure.hpp"
#include "trainstate/io/chunks.hpp"
#include "trainstate/tensor_info.hpp"

namespace tool {

/// What one pass finds; sum, minimum and maximum are those of finite elements.
struct Moments {
  std::uint64_t finite = 0, nan = 0, infinite = 0, zero = 0;
  double sum = 0;
  double min = std::numeric_limits<double>::infinity(), max = -std::numeric_limits<double>::infinity();

  void add(double x) {
    if (std::abs(x) <= std::numeric_limits<double>::max()) {
      ++finite;
      zero += x == 0;
      sum += x;
      min = x < min ? x : min;
      max = x > max ? x : max;
    } else if (x != x) {
      ++nan;
    } else {
      ++infinite;
    }
  }
  void merge(const Moments& next) {
    finite += next.finite;
    nan += next.nan;
    infinite += next.infinite;
    zero += next.zero;
    sum += next.sum;
    min = std::min(min, next.min);
    max = std::max(max, next.max);
  }
  [[nodiscard]] double mean() const { return sum / static_cast<double>(finite); }
  /// The power of two by which to multiply, so that no square leaves the range of doubles.
  [[nodiscard]] double scale() const {
    const double largest = std::max(std::abs(min), std::abs(max));
    return finite == 0 || largest == 0 ? 1 : std::ldexp(1.0, -std::max(std::ilogb(largest) + 1, -1000));
  }
};

/// What a second pass finds, which knows minimum, maximum and mean.
struct Histogram {
  static constexpr std::size_t most_bins = 64;
  std::array<std::uint64_t, most_bins> bins{};
  double squares = 0, apart = 0;  ///< of the elements and of their distances to the mean, both scaled

  void merge(const Histogram& next) {
    for (std::size_t i = 0; i < most_bins; ++i) bins[i] += next.bins[i];
    squares += next.squares;
    apart += next.apart;
  }
};

struct Statistics {
  bool known = false;  ///< false for dtypes whose elements share bytes
  Moments moments;
  Histogram histogram;
  std::uint64_t repeated = 1;  ///< how often each counted element is shown: expanded tensors show one many times

  [[nodiscard]] double norm() const {
    return std::sqrt(histogram.squares * static_cast<double>(repeated)) / moments.scale();
  }
  [[nodiscard]] double deviation() const {  // of all elements, not of a sample
    return std::sqrt(histogram.apart / static_cast<double>(moments.finite)) / moments.scale();
  }
};

namespace statistics_detail {

// Dimensions along which nothing changes are left out.
inline ts::TensorInfo without_repeats(ts::TensorInfo tensor, std::uint64_t& repeated) {
  if (tensor.numel() == 0) return tensor;
  for (std::size_t d = 0; d < tensor.shape.size(); ++d) {
    if (tensor.strides[d] != 0 || tensor.shape[d] == 1) continue;
    repeated *= static_cast<std::uint64_t>(tensor.shape[d]);
    tensor.shape[d] = 1;
  }
  return tensor;
}

template <class F>
void each_element(const ts::TensorInfo& tensor, std::uint64_t from, std::uint64_t size, const F& f) {
  thread_local std::vector<std::byte> memory;
  const auto part = dense_part(tensor, from, size, memory);
  with_elements(tensor.dtype, [&](const auto element) {
    for (std::size_t at = 0; at < part.size(); at += element.size) f(as_double(element(part.data() + at)));
  });
}

}  // namespace statistics_detail

/// The statistics of tensors, in two passes at the speed of memory; of complex ones, of their magnitudes. `bins` are at
/// most Histogram::most_bins. Throws Refusal for a tensor that would take for ever.
inline std::vector<Statistics> statistics_of(const std::vector<NamedTensor>& tensors, std::size_t bins,
                                             const ts::io::Progress& progress) {
  std::vector<Statistics> found(tensors.size());
  std::vector<ts::TensorInfo> counted_once;
  std::vector<std::uint64_t> sizes;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    found[i].known = with_elements(tensors[i].tensor.dtype, [](const auto&) {});
    counted_once.push_back(statistics_detail::without_repeats(tensors[i].tensor, found[i].repeated));
    if (found[i].known) require_sensible(tensors[i].path, counted_once[i]);
    sizes.push_back(found[i].known ? counted_once[i].nbytes() : 0);
  }
  const auto pass = [&](std::uint64_t number) -> ts::io::Progress {
    if (!progress) return {};
    return [&progress, number](std::uint64_t done, std::uint64_t total) {
      progress(done / 2 + number * (total / 2), total);
    };
  };
  const auto moments = measured<Moments>(
      sizes,
      [&](std::size_t i, std::uint64_t from, std::uint64_t size, Moments& partial) {
        if (size == 0) return;
        Moments local;  // in registers, not in memory that others may see
        statistics_detail::each_element(counted_once[i], from, size, [&](double x) { local.add(x); });
        partial = local;
      },
      pass(0));
  const auto histograms = measured<Histogram>(
      sizes,
      [&](std::size_t i, std::uint64_t from, std::uint64_t size, Histogram& partial) {
        if (moments[i].finite == 0) return;
        const double min = moments[i].min, max = moments[i].max, mean = moments[i].mean();
        const double scale = moments[i].scale();
        // Halves, since the range of doubles may be more than a double holds.
        double per_unit = static_cast<double>(bins) / (max / 2 - min / 2);
        if (!(per_unit <= std::numeric_limits<double>::max())) per_unit = 0;
        double squares = 0, apart = 0;
        statistics_detail::each_element(counted_once[i], from, size, [&](double x) {
          if (!(std::abs(x) <= std::numeric_limits<double>::max())) return;
          ++partial.bins[std::min(static_cast<std::size_t>((x / 2 - min / 2) * per_unit), bins - 1)];
          squares += (x * scale) * (x * scale);
          apart += (x * scale - mean * scale) * (x * scale - mean * scale);
        });
        partial.squares = squares;
        partial.apart = apart;
      },
      pass(1));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    found[i].moments = moments[i];
    found[i].histogram = histograms[i];
  }
  return found;
}

}  // namespace tool
