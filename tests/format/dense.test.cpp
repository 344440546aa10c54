#include "trainstate/format/dense.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "format/samples.hpp"

namespace format = trainstate::format;
using trainstate::Dtype;
using trainstate::Storage;
using trainstate::TensorInfo;
using namespace trainstate::tests;

namespace {

constexpr std::int64_t huge = std::numeric_limits<std::int64_t>::max();

// The slow and obvious way, element by element.
std::vector<std::byte> dense_bytes(const TensorInfo& t) {
  const std::size_t item = bits(t.dtype) / 8;
  std::vector<std::byte> bytes;
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    std::int64_t rest = i, element = 0;
    for (std::size_t d = t.shape.size(); d-- > 0; rest /= t.shape[d]) element += rest % t.shape[d] * t.strides[d];
    const std::byte* at = t.storage->data + t.offset + static_cast<std::size_t>(element) * item;
    bytes.insert(bytes.end(), at, at + item);
  }
  return bytes;
}

}  // namespace

TEST_CASE("dense: sizes, with every overflow noticed") {
  CHECK(format::dense_size(Dtype::f32, Shape{}) == 4);
  CHECK(format::dense_size(Dtype::f32, Shape{2, 3}) == 24);
  CHECK(format::dense_size(Dtype::c128, Shape{3}) == 48);
  CHECK(format::dense_size(Dtype::boolean, Shape{0}) == 0);
  CHECK(format::dense_size(Dtype::f64, Shape{0, huge}) == 0);
  CHECK(format::dense_size(Dtype::f4, Shape{2}) == 1);
  CHECK(format::dense_size(Dtype::f6_e2m3, Shape{4}) == 3);
  CHECK_FALSE(format::dense_size(Dtype::f4, Shape{3}));
  CHECK_FALSE(format::dense_size(Dtype::f4, Shape{}));
  CHECK_FALSE(format::dense_size(Dtype::f6_e3m2, Shape{2}));
  CHECK_FALSE(format::dense_size(Dtype::f32, Shape{-1}));
  CHECK_FALSE(format::dense_size(Dtype::u8, Shape{2, huge}));
  CHECK_FALSE(format::dense_size(Dtype::u8, Shape{0, 2, huge}));
  CHECK_FALSE(format::dense_size(Dtype::u8, Shape{huge, huge}));
  CHECK_FALSE(format::dense_size(Dtype::u8, Shape{huge}));  // its bits leave 64
  CHECK_FALSE(format::dense_size(Dtype::i32, Shape{2, huge / 2 + 1}));
}

TEST_CASE("dense: tensors that lie outside their storage, or cannot be, have a defect") {
  const auto good = tensor(Dtype::i16, {3, 4});
  CHECK(format::defect_of(good).empty());
  const auto defect = [&](auto change) {
    TensorInfo t = good;
    change(t);
    return std::string(format::defect_of(t));
  };
  CHECK(defect([](auto& t) { t.strides.pop_back(); }) == "its shape and strides differ in length");
  CHECK(defect([](auto& t) { t.shape = {-3, -4}; }) == "its shape is impossible");
  CHECK(defect([](auto& t) { t.shape = {huge, 2}; }) == "its shape is impossible");
  CHECK(defect([](auto& t) { t.storage = nullptr; }) == "it has no memory");
  CHECK(defect([](auto& t) { t.storage = std::make_shared<const Storage>(); }) == "it has no memory");
  CHECK(defect([](auto& t) { t.offset = 25; }) == "it begins past the end of its storage");
  CHECK(defect([](auto& t) { t.strides = {4, -1}; }) == "it has a negative stride");
  for (const auto& text :
       {defect([](auto& t) { t.offset = 1; }), defect([](auto& t) { t.offset = 24; }), defect([](auto& t) {
          t.shape = {4, 4};
        }),
        defect([](auto& t) {
          t.strides = {5, 1};
        }),
        defect([](auto& t) {
          t.strides = {huge, 1};
        }),
        defect([](auto& t) {
          t.strides = {huge / 2, huge / 2};
        }),
        defect([](auto& t) { t.dtype = Dtype::i32; })}) {
    CHECK(text == "it ends past the end of its storage");
  }
  CHECK(defect([](auto& t) { t.strides = {4, 0}; }).empty());
  CHECK(defect([](auto& t) { t.shape = {3, 1}, t.strides = {4, huge}; }).empty());
  CHECK(defect([](auto& t) { t.shape = {0, 4}, t.storage = nullptr; }).empty());
  CHECK(defect([](auto& t) { t.offset = 22, t.shape = {}, t.strides = {}; }).empty());
  CHECK(defect([](auto& t) { t.offset = 23, t.shape = {}, t.strides = {}; }) == "it ends past the end of its storage");

  auto small = tensor(Dtype::f4, {2, 4});
  CHECK(format::defect_of(small).empty());
  small.strides = {1, 2};
  CHECK(format::defect_of(small) == "a tensor of elements below a byte must be dense");
  small.strides = {4, 1};
  small.offset = 1;
  CHECK(format::defect_of(small) == "it ends past the end of its storage");
}

TEST_CASE("dense: every part of every view is copied right") {
  struct View {
    Shape shape, strides;
  };
  const std::vector<View> views{{{}, {}},
                                {{1}, {1}},
                                {{5}, {2}},
                                {{5}, {0}},
                                {{4, 3}, {3, 1}},
                                {{3, 4}, {1, 3}},
                                {{2, 3, 4}, {12, 4, 1}},
                                {{2, 4, 3}, {12, 1, 4}},
                                {{4, 2, 3}, {1, 12, 4}},
                                {{2, 1, 3}, {4, 77, 1}},
                                {{2, 3, 2, 2}, {12, 1, 6, 3}},
                                {{3, 1, 1, 4}, {0, 9, 9, 1}},
                                {{2, 2, 2, 2, 2}, {1, 2, 4, 8, 16}},
                                {{1, 1}, {50, 60}}};
  for (const Dtype dtype : {Dtype::u8, Dtype::f16, Dtype::f32, Dtype::f64, Dtype::c128}) {
    const std::size_t item = bits(dtype) / 8;
    const auto storage = tensor(dtype, {40}).storage;
    for (const auto& view : views) {
      for (const std::size_t offset : {std::size_t{0}, item, 3 * item}) {
        const TensorInfo t{dtype, view.shape, view.strides, storage, offset};
        REQUIRE(format::defect_of(t).empty());
        const auto expected = dense_bytes(t);
        for (std::size_t begin = 0; begin <= expected.size(); begin += item) {
          for (std::size_t end = begin; end <= expected.size(); end += item) {
            std::vector<std::byte> part(end - begin);
            format::copy_dense(t, begin, part);
            CHECK(std::equal(part.begin(), part.end(), expected.begin() + static_cast<std::ptrdiff_t>(begin)));
          }
        }
      }
    }
  }
}

TEST_CASE("dense: an empty tensor needs no memory") {
  const TensorInfo t{Dtype::f32, {0, 3}, {3, 1}, nullptr, 0};
  format::copy_dense(t, 0, {});
  CHECK(format::defect_of(t).empty());
}
