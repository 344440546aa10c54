// What a state dict of LibTorch's tensors has beyond the one of any tensors, see basic_state_dict.test.cpp.
#include "support/torch_doctest.hpp"

#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "trainstate/state_dict.hpp"

namespace {

namespace ts = trainstate;
using torch::Tensor;

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const ts::Error& e) {
    return e.what();
  }
  return "";
}

ts::StateDict sample() {
  return {{"w", torch::arange(12).view({6, 2})},
          {"n", 5},
          {"none", Tensor()},
          {"list", ts::List{torch::ones({1, 2}), torch::zeros({2, 2}), torch::full({3, 2}, 7.F)}}};
}

TEST_CASE("split and merge undo each other, along any dimension and into any lengths") {
  auto d = sample();
  const auto before = d.clone();
  CHECK(d.split("w", {"a", "deep/b", "c"}));
  CHECK_FALSE(d.contains("w"));
  CHECK(d.at<Tensor>("deep/b").equal(torch::tensor({{4, 5}, {6, 7}})));
  CHECK_FALSE(d.at<Tensor>("a").is_alias_of(before.at<Tensor>("w")));
  CHECK(d.merge({"a", "deep/b", "c"}, "w"));
  d.erase("deep");
  CHECK(d == before);

  CHECK(d.split("w", {"a", "b"}, -1));
  CHECK(d.at<Tensor>("b").sizes() == torch::IntArrayRef({6, 1}));
  CHECK(d.merge({"a", "b"}, "w", 1));
  CHECK(d.split("w", {"a", "b"}, 0, {1, 5}));
  CHECK(d.at<Tensor>("b").size(0) == 5);
  CHECK(d.merge({"a", "b"}, "a"));  // a name may stay
  CHECK(d.split("a", {"w", "a"}, 0, {6, 0}));
  CHECK(d.at<Tensor>("w").equal(before.at<Tensor>("w")));
  CHECK(d.at<Tensor>("a").numel() == 0);

  CHECK_FALSE(d.split("absent", {"x", "y"}));
  CHECK_FALSE(d.merge({"absent", "gone"}, "x"));
}

TEST_CASE("split and merge where paths lead through lists, or the parts take the place of the whole") {
  auto d = sample();
  CHECK(d.split("w", {"w/q", "w/k", "w/v"}));
  CHECK(d.at<Tensor>("w/k").equal(torch::tensor({{4, 5}, {6, 7}})));
  CHECK(d.merge({"list/0", "list/2"}, "joined"));
  CHECK(d.at<Tensor>("joined").equal(torch::cat({torch::ones({1, 2}), torch::full({3, 2}, 7.F)})));
  REQUIRE(d.at<ts::List>("list").size() == 1);
  CHECK(d.at<Tensor>("list/0").equal(torch::zeros({2, 2})));
  CHECK(d.split("list/0", {"list/0", "other"}));
  CHECK(d.at<Tensor>("list/0").size(0) == 1);
  CHECK(d.merge({"list/0", "other"}, "list/0"));
  CHECK(d.at<Tensor>("list/0").equal(torch::zeros({2, 2})));
  CHECK(d.split("list/0", {"list/0/a", "list/0/b"}));
  CHECK(d.at<Tensor>("list/0/b").size(0) == 1);
}

TEST_CASE("split and merge that cannot be done name the path and change nothing") {
  auto d = sample();
  const auto before = d.clone();
  const auto split = [&](const char* from, const std::vector<std::string>& to, std::int64_t dim = 0,
                         const std::vector<std::int64_t>& sizes = {}) {
    return error_of([&] { d.split(from, to, dim, sizes); });
  };
  CHECK(split("n", {"a", "b"}) == "n: expected tensor, found int64 5");
  CHECK(split("w", {"a", "b", "c", "d"}) ==
        "w: int64[6, 2] cannot be split into 4 parts of equal length along dimension 0");
  CHECK(split("w", {"a", "b"}, 2).ends_with("along dimension 2"));
  CHECK(split("w", {"a", "b"}, -3).ends_with("along dimension -3"));
  CHECK(split("w", {}).starts_with("w: "));
  CHECK(split("w", {"a", "b"}, 0, {2, 2}).ends_with("2 parts of these lengths along dimension 0"));
  CHECK(split("w", {"a", "b"}, 0, {7, -1}).starts_with("w: "));
  CHECK(split("w", {"a"}, 0, {3, 3}).starts_with("w: "));
  CHECK(split("none", {"a", "b"}).starts_with("none: undefined tensor cannot be split"));
  CHECK(split("w", {"a", "n"}) == "w: cannot be split to n, which exists");
  CHECK(split("w", {"a", "a"}) == "w: cannot be split to a, which exists");
  CHECK(split("w", {"a", "a/b"}).starts_with("a/b: "));
  CHECK(split("w", {"a", "n/b"}) == "n/b: cannot be set, since n is int64 5");
  CHECK(d == before);

  const auto merge = [&](const std::vector<std::string>& from, const char* to, std::int64_t dim = 0) {
    return error_of([&] { d.merge(from, to, dim); });
  };
  CHECK(merge({"w", "absent"}, "x").starts_with("absent: no such path"));
  CHECK(merge({"w", "n"}, "x") == "n: expected tensor, found int64 5");
  CHECK(merge({"list/0", "list/1"}, "n") == "n: cannot take merged tensors, since it exists");
  CHECK(merge({"list/0", "list/1"}, "n/x") == "n/x: cannot be set, since n is int64 5");
  CHECK(merge({"list/0", "list/1"}, "x", 1).starts_with("x: the tensors cannot be merged along dimension 1"));
  CHECK(merge({"list/0", "list/1"}, "x", 5).starts_with("x: the tensors cannot be merged along dimension 5"));
  CHECK(d == before);
}

TEST_CASE("a rename within one list puts the value where the path led") {
  ts::StateDict d{{"list", ts::List{1, ts::StateDict(), ts::StateDict()}}};
  CHECK(d.rename("list/0", "list/1/moved"));
  CHECK(d.at("list") == ts::Value(ts::List{ts::StateDict{{"moved", 1}}, ts::StateDict()}));
}

TEST_CASE("tensors are equal bit by bit, whatever their strides and memory") {
  const auto equal = [](const Tensor& a, const Tensor& b) { return ts::Value(a) == ts::Value(b); };
  const Tensor x = torch::arange(6.F).view({2, 3});
  CHECK(equal(x, x.clone()));
  CHECK(equal(x, x.t().contiguous().t()));
  CHECK_FALSE(equal(x, x.view({3, 2})));
  CHECK_FALSE(equal(x, x.to(torch::kFloat64)));
  CHECK_FALSE(equal(x, x + 1));
  const Tensor nan = torch::full({2}, std::numeric_limits<float>::quiet_NaN());
  CHECK(equal(nan, nan.clone()));
  CHECK_FALSE(equal(torch::zeros({1}), -torch::zeros({1})));
  CHECK(equal(torch::zeros({0, 3}), torch::zeros({0, 3})));
  CHECK_FALSE(equal(torch::zeros({0, 3}), torch::zeros({3, 0})));
  CHECK(equal(Tensor(), Tensor()));
  CHECK_FALSE(equal(Tensor(), x));
  const Tensor conj = torch::view_as_complex(torch::ones({2, 2})).conj();
  CHECK(equal(conj, conj.resolve_conj()));
}

TEST_CASE("as says what it found instead, and where `at` found it") {
  auto d = sample();
  CHECK(error_of([&] { static_cast<void>(d.at("w").as<std::int64_t>()); }) == "w: expected int64, found int64[6, 2]");
  CHECK(error_of([&] { static_cast<void>(d.at<Tensor>("list")); }) == "list: expected tensor, found a list of 3");
  CHECK(error_of([&] { static_cast<void>(d.at<double>("list/2")); }) == "list/2: expected double, found float32[3, 2]");
  CHECK(error_of([&] { static_cast<void>(ts::Value(torch::ones({2}, torch::kMeta)).as<bool>()); }) ==
        "expected bool, found float32[2] on meta");
}

TEST_CASE("a clone has memory of its own, is no part of a graph, and keeps ties") {
  const Tensor w = torch::ones({3}, torch::requires_grad());
  const ts::StateDict d{{"w", w}, {"again", w}, {"view", w.detach()}, {"none", Tensor()}};
  const auto copy = d.clone();
  CHECK(copy == d);
  CHECK_FALSE(copy.at<Tensor>("w").is_alias_of(w));
  CHECK_FALSE(copy.at<Tensor>("w").requires_grad());
  CHECK(copy.at<Tensor>("w").data_ptr() == copy.at<Tensor>("again").data_ptr());
  CHECK(copy.at<Tensor>("w").data_ptr() == copy.at<Tensor>("view").data_ptr());
}

}  // namespace
