#include "trainstate/codec/strided_copy.hpp"

#include <algorithm>
#include <numeric>
#include <random>
#include <utility>
#include <vector>

#include "support/torch_doctest.hpp"

namespace {

namespace io = trainstate::io;
using trainstate::detail::StridedCopy;

/// Elements of any size that all differ, as far as they can.
at::Tensor numbered(at::IntArrayRef sizes, at::ScalarType type) {
  const auto count = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{1}, std::multiplies<>());
  return torch::arange(count).to(type).reshape(sizes);
}

/// Copies slab by slab, the last one first, each out of a copy of what it reads.
void check_slabs(const at::Tensor& live, const at::Tensor& from) {
  const at::Tensor expected = from.clone();
  const StridedCopy copy(live, from);
  std::uint64_t bytes = 0;
  for (std::size_t i = copy.slabs(); i-- > 0;) {
    const auto source = copy.source(i);
    REQUIRE(source.data() >= copy.source().data());
    REQUIRE(source.data() + source.size() <= copy.source().data() + copy.source().size());
    REQUIRE(copy.slab_bytes(i) <= io::chunk_size);
    if (from.is_contiguous()) REQUIRE(source.size() == copy.slab_bytes(i));  // nothing is read twice
    const std::vector<std::byte> read(source.begin(), source.end());
    copy.run(i, read.data());
    bytes += copy.slab_bytes(i);
  }
  CHECK(bytes == from.nbytes());
  CHECK(live.equal(expected));
  live.zero_();
  copy.run();
  CHECK(live.equal(expected));
}

TEST_CASE("strided copies: any order of dimensions, any size of element") {
  const torch::NoGradGuard no_grad;
  std::mt19937 random(5);
  const auto any = [&](int from, int to) { return std::uniform_int_distribution<std::int64_t>(from, to)(random); };
  for (const auto type : {torch::kInt8, torch::kInt16, torch::kFloat, torch::kDouble, torch::kComplexDouble}) {
    for (int round = 0; round < 60; ++round) {
      std::vector<std::int64_t> sizes(static_cast<std::size_t>(any(1, 5)));
      for (auto& size : sizes) size = any(1, 6);
      std::vector<std::int64_t> order(sizes.size());
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), random);
      at::Tensor live = torch::zeros(sizes, type).permute(order);
      at::Tensor from = numbered(live.sizes(), type);
      if (round % 3 == 1) from = numbered(sizes, type).permute(order);  // the other way round, or the same
      if (round % 3 == 2) {                                             // with holes, on either side
        auto wide = live.sizes().vec();
        wide.back() *= 2;
        live = torch::zeros(wide, type).slice(-1, 0, wide.back(), 2);
        from = numbered(wide, type).slice(-1, 1, wide.back(), 2);
      }
      CAPTURE(live.sizes());
      CAPTURE(live.strides());
      check_slabs(live, from);
    }
  }
}

TEST_CASE("strided copies: large ones are cut where what is read lies together") {
  const torch::NoGradGuard no_grad;
  const auto floats = [](at::IntArrayRef sizes) { return numbered(sizes, torch::kFloat); };
  const auto zeros = [](at::IntArrayRef sizes) { return torch::zeros(sizes); };
  check_slabs(zeros({1000, 900}).t(), floats({900, 1000}));
  check_slabs(zeros({1'200'000, 2}).t(), floats({2, 1'200'000}));  // rows longer than a slab
  check_slabs(zeros({2, 1'200'000}).t(), floats({1'200'000, 2}));
  check_slabs(zeros({700'000, 3, 2}).permute({2, 1, 0}), floats({2, 3, 700'000}));
  check_slabs(torch::zeros({40, 64, 9, 9}, at::MemoryFormat::ChannelsLast), floats({40, 64, 9, 9}));
  check_slabs(zeros({40, 64, 9, 9}), floats({40, 64, 9, 9}).contiguous(at::MemoryFormat::ChannelsLast));
  check_slabs(zeros({3, 600'000}).slice(1, 0, 600'000, 2), floats({3, 300'000}));
  check_slabs(zeros({4, 300'000}), floats({300'000}).expand({4, 300'000}));  // of which much is read often
}

TEST_CASE("strided copies: signs that differ are changed on the way") {
  const torch::NoGradGuard no_grad;
  for (const auto& [type, dtype] : {std::pair(torch::kComplexFloat, trainstate::Dtype::c64),
                                    std::pair(torch::kComplexDouble, trainstate::Dtype::c128)}) {
    const auto from = torch::randn({40, 50, 3}, type);
    for (const auto& [conjugated, negated] : {std::pair(true, false), std::pair(false, true), std::pair(true, true)}) {
      auto expected = conjugated ? from.conj().resolve_conj() : from;
      if (negated) expected = expected.neg();
      const auto flip = trainstate::detail::SignFlip::of(dtype, conjugated, negated).value();
      for (const auto& live : {torch::zeros_like(from), torch::zeros({3, 40, 50}, type).permute({1, 2, 0}),
                               torch::zeros({40, 50, 6}, type).slice(2, 0, 6, 2)}) {
        StridedCopy(live, from, flip).run();
        CHECK(live.equal(expected));
      }
    }
  }
}

TEST_CASE("strided copies: what they touch") {
  const auto live = torch::zeros({4, 6}).slice(0, 1, 3).t(), from = torch::zeros({6, 2});
  const StridedCopy copy(live, from);
  CHECK(copy.target().data() == static_cast<std::byte*>(live.data_ptr()));
  CHECK(copy.target().size() == 12 * sizeof(float));
  CHECK(copy.source().data() == static_cast<const std::byte*>(from.data_ptr()));
  CHECK(copy.source().size() == 12 * sizeof(float));
  CHECK(copy.slabs() == 1);
}

}  // namespace
