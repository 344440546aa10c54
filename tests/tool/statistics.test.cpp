#include "tool/statistics.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "format/samples.hpp"

using namespace trainstate::tests;
using trainstate::Dtype;
using trainstate::TensorInfo;

namespace {

template <class T>
TensorInfo tensor_of(Dtype dtype, const std::vector<T>& values, const Shape& shape, const Shape& strides) {
  const auto bytes = std::as_bytes(std::span(values));
  return {dtype, shape, strides, storage_of(std::vector<std::byte>(bytes.begin(), bytes.end())), 0};
}

tool::Statistics of(const TensorInfo& tensor, std::size_t bins = 4) {
  return tool::statistics_of({{"x", "x", tensor}}, bins, {}).at(0);
}

const float not_a_number = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();

}  // namespace

TEST_CASE("statistics: moments are those of the finite elements") {
  const auto found = of(tensor_of<float>(Dtype::f32, {0, 1, 2, 3, not_a_number, infinity, -infinity, -0.0F}, {8}, {1}));
  CHECK(found.known);
  CHECK(found.moments.finite == 5);
  CHECK(found.moments.nan == 1);
  CHECK(found.moments.infinite == 2);
  CHECK(found.moments.zero == 2);
  CHECK(found.moments.min == 0);
  CHECK(found.moments.max == 3);
  CHECK(found.moments.mean() == doctest::Approx(1.2));
  CHECK(found.deviation() == doctest::Approx(std::sqrt(6.8 / 5)));
  CHECK(found.norm() == doctest::Approx(std::sqrt(14.0)));
  CHECK(std::vector(found.histogram.bins.begin(), found.histogram.bins.begin() + 4) ==
        std::vector<std::uint64_t>{2, 1, 1, 1});
}

TEST_CASE("statistics: strided and expanded tensors") {
  // Columns 0 and 2 of three.
  const auto strided = of(tensor_of<std::int16_t>(Dtype::i16, {1, 100, 3, 4, 100, 6}, {2, 2}, {3, 2}));
  CHECK(strided.moments.finite == 4);
  CHECK(strided.moments.sum == 14);
  CHECK(strided.moments.max == 6);
  // One element, 10^12 times: counted once.
  const auto expanded = of(tensor_of<float>(Dtype::f32, {2}, {1'000'000, 1'000'000}, {0, 0}));
  CHECK(expanded.moments.finite == 1);
  CHECK(expanded.repeated == 1'000'000'000'000);
  CHECK(expanded.norm() == doctest::Approx(2e6));
  // 64 KiB shown as 2^40 elements without any stride of 0: only a file made for that has it.
  const TensorInfo endless =
      tensor_of<std::uint8_t>(Dtype::u8, std::vector<std::uint8_t>(1 << 16), {1 << 15, 1 << 10, 1 << 15}, {1, 1, 1});
  CHECK_THROWS_WITH_AS(of(endless), doctest::Contains("x: shows"), tool::Refusal);
}

TEST_CASE("statistics: a range beyond that of doubles, a range of nothing, no elements") {
  const double most = std::numeric_limits<double>::max();
  const auto wide = of(tensor_of<double>(Dtype::f64, {-most, 0, most}, {3}, {1}));
  CHECK(std::vector(wide.histogram.bins.begin(), wide.histogram.bins.begin() + 4) ==
        std::vector<std::uint64_t>{1, 0, 1, 1});
  // Squares that no double holds, of either size.
  CHECK(of(tensor_of<double>(Dtype::f64, {3e200, 4e200}, {2}, {1})).norm() == doctest::Approx(5e200));
  CHECK(of(tensor_of<double>(Dtype::f64, {3e-200, 4e-200}, {2}, {1})).norm() == doctest::Approx(5e-200));
  CHECK(of(tensor_of<double>(Dtype::f64, {1e200, 3e200}, {2}, {1})).deviation() == doctest::Approx(1e200));
  const auto narrow = of(tensor_of<double>(Dtype::f64, {5e-324, 5e-324, 0}, {3}, {1}));
  CHECK(std::accumulate(narrow.histogram.bins.begin(), narrow.histogram.bins.end(), std::uint64_t{0}) == 3);
  CHECK(of(tensor(Dtype::f32, {0, 3})).moments.finite == 0);
  CHECK(of(tensor_of<float>(Dtype::f32, {not_a_number}, {}, {})).moments.finite == 0);
  CHECK_FALSE(of(tensor(Dtype::f4, {4})).known);
}

TEST_CASE("statistics: large tensors give the same whatever the threads do") {
  std::vector<float> values(3'000'000);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
  const TensorInfo large = tensor_of(Dtype::f32, values, {1000, 3000}, {1, 1000});  // no chunk lies in place
  const auto first = of(large), second = of(large);
  double sum = 0;
  for (const float x : values) sum += static_cast<double>(x);
  CHECK(first.moments.finite == values.size());
  CHECK(first.moments.sum == doctest::Approx(sum).epsilon(1e-6));
  CHECK(first.moments.sum == second.moments.sum);
  CHECK(first.histogram.squares == second.histogram.squares);
  CHECK(std::accumulate(first.histogram.bins.begin(), first.histogram.bins.end(), std::uint64_t{0}) == values.size());
}
