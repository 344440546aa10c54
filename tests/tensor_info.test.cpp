#include "trainstate/tensor_info.hpp"

#include <doctest/doctest.h>

#include <set>
#include <sstream>
#include <string>

#include "format/samples.hpp"

using trainstate::Dtype;
using trainstate::Storage;
using trainstate::TensorInfo;
using trainstate::tests::tensor;
using trainstate::tests::text_of;
using Traits = trainstate::detail::TensorTraits<TensorInfo>;

TEST_CASE("tensor info: dtypes have distinct names and the sizes that they say") {
  std::set<std::string_view> names, tags;
  for (int d = 0; d < 24; ++d) {
    const auto dtype = static_cast<Dtype>(d);
    names.insert(trainstate::name(dtype));
    tags.insert(trainstate::detail::facts(dtype).tag);
    const auto tag = trainstate::detail::facts(dtype).tag;
    // The number in a tag is the number of bits, up to the format's own names of bytes.
    if (const auto at = tag.find_first_of("123468"); at != std::string_view::npos) {
      CHECK(trainstate::bits(dtype) == static_cast<unsigned>(std::stoi(std::string(tag.substr(at)))));
    }
  }
  CHECK(names.size() == 24);
  CHECK(tags.size() == 24);
  CHECK(trainstate::bits(Dtype::boolean) == 8);
  CHECK(trainstate::bits(Dtype::c128) == 128);
  CHECK(trainstate::name(Dtype::bf16) == "bfloat16");
  CHECK(trainstate::name(Dtype::f8_e4m3) == "float8_e4m3fn");
}

TEST_CASE("tensor info: counts and bytes") {
  CHECK(tensor(Dtype::f32, {}).numel() == 1);
  CHECK(tensor(Dtype::f32, {}).nbytes() == 4);
  CHECK(tensor(Dtype::f32, {2, 3}).nbytes() == 24);
  CHECK(tensor(Dtype::f32, {2, 0}).nbytes() == 0);
  CHECK(tensor(Dtype::f4, {6}).nbytes() == 3);
  CHECK(tensor(Dtype::f32, {2, 0}).bytes().empty());
}

TEST_CASE("tensor info: contiguous strides") {
  CHECK(TensorInfo::contiguous_strides(std::vector<std::int64_t>{}).empty());
  CHECK(TensorInfo::contiguous_strides(std::vector<std::int64_t>{2, 3, 4}) == std::vector<std::int64_t>{12, 4, 1});
  CHECK(TensorInfo::contiguous_strides(std::vector<std::int64_t>{2, 0, 4}) == std::vector<std::int64_t>{4, 4, 1});
}

TEST_CASE("tensor info: what is contiguous") {
  const auto base = tensor(Dtype::u8, {24});
  const auto view = [&](std::vector<std::int64_t> shape, std::vector<std::int64_t> strides) {
    return TensorInfo{Dtype::u8, std::move(shape), std::move(strides), base.storage, 0};
  };
  CHECK(view({}, {}).is_contiguous());
  CHECK(view({2, 3}, {3, 1}).is_contiguous());
  CHECK(view({2, 1, 3}, {3, 99, 1}).is_contiguous());  // the stride of one element does not matter
  CHECK(view({0, 3}, {7, 7}).is_contiguous());
  CHECK_FALSE(view({2, 3}, {1, 2}).is_contiguous());
  CHECK_FALSE(view({2, 3}, {4, 1}).is_contiguous());
  CHECK_FALSE(view({3}, {0}).is_contiguous());
  CHECK_FALSE(view({3}, {2}).is_contiguous());
}

TEST_CASE("tensor info: the same view is the same elements of the same memory") {
  const auto t = tensor(Dtype::i32, {2, 2});
  const auto changed = [&](auto change) {
    TensorInfo other = t;
    change(other);
    return t.same_view(other) && other.same_view(t);
  };
  CHECK(changed([](auto&) {}));
  CHECK_FALSE(changed([](auto& o) { o.dtype = Dtype::f32; }));
  CHECK_FALSE(changed([](auto& o) { o.offset = 4; }));
  CHECK_FALSE(changed([](auto& o) { o.strides = {1, 2}; }));
  CHECK_FALSE(changed([](auto& o) { o.shape = {4}, o.strides = {1}; }));
  CHECK_FALSE(changed([](auto& o) { o = tensor(Dtype::i32, {2, 2}); }));
  CHECK_FALSE(changed([](auto& o) { o.storage = nullptr; }));
  // Two handles of one memory are one memory.
  CHECK(changed([](auto& o) { o.storage = std::make_shared<const Storage>(*o.storage); }));
  const auto empty = tensor(Dtype::i32, {0});
  CHECK_FALSE(empty.same_view(empty));  // nothing is shown
}

TEST_CASE("tensor info: copies are dense, own their memory and keep the device") {
  const auto base = tensor(Dtype::i16, {4, 3}, 1, "cuda:2");
  const TensorInfo view{Dtype::i16, {3, 2}, {1, 6}, base.storage, 2};
  const auto copy = Traits::clone(view);
  CHECK(copy.is_contiguous());
  CHECK(copy.storage->data != base.storage->data);
  CHECK(copy.storage->size == 12);
  CHECK(copy.storage->device == "cuda:2");
  CHECK(Traits::equal(view, copy));
  std::string expected;
  const std::string all = text_of(base.bytes());
  for (const std::size_t element : {1U, 7U, 2U, 8U, 3U, 9U}) expected += all.substr(element * 2, 2);
  CHECK(text_of(copy.bytes()) == expected);
  CHECK(text_of(Traits::clone(base).bytes()) == all);
  CHECK(text_of(Traits::clone(tensor(Dtype::f4, {4})).bytes()) == text_of(tensor(Dtype::f4, {4}).bytes()));
  CHECK(Traits::clone(tensor(Dtype::i16, {0, 2})).shape == std::vector<std::int64_t>{0, 2});
  CHECK(Traits::clone({Dtype::i16, {0}, {1}, nullptr, 0}).storage->size == 0);
}

TEST_CASE("tensor info: equality is of dtype, shape and bits") {
  CHECK(Traits::equal(tensor(Dtype::f32, {2}, 1), tensor(Dtype::f32, {2}, 1)));
  CHECK_FALSE(Traits::equal(tensor(Dtype::f32, {2}, 1), tensor(Dtype::f32, {2}, 2)));
  CHECK_FALSE(Traits::equal(tensor(Dtype::f32, {2}, 1), tensor(Dtype::i32, {2}, 1)));
  CHECK_FALSE(Traits::equal(tensor(Dtype::f32, {2}, 1), tensor(Dtype::f32, {2, 1}, 1)));
  CHECK(Traits::equal(tensor(Dtype::f32, {0}, 1), tensor(Dtype::f32, {0}, 2)));
}

TEST_CASE("tensor info: prints dtype and shape") {
  std::ostringstream os;
  Traits::print(os, tensor(Dtype::bf16, {16, 3}));
  os << ' ';
  Traits::print(os, tensor(Dtype::f32, {}));
  CHECK(os.str() == "bfloat16[16, 3] float32[]");
}
