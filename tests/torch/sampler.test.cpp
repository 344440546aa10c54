#include "trainstate/torch/sampler.hpp"

#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

#include "torch/training.hpp"

namespace ts = trainstate;
namespace samplers = torch::data::samplers;
using training::refused;
using training::restore;
using training::store;
using Indices = std::vector<std::size_t>;

TYPE_TO_STRING(samplers::RandomSampler);
TYPE_TO_STRING(samplers::SequentialSampler);
TYPE_TO_STRING(samplers::DistributedRandomSampler);
TYPE_TO_STRING(samplers::DistributedSequentialSampler);

namespace {

template <class S>
S make(std::size_t size = 13) {
  if constexpr (std::is_same_v<S, samplers::RandomSampler>) {
    return S(static_cast<std::int64_t>(size), torch::kInt32);
  } else if constexpr (std::is_same_v<S, samplers::SequentialSampler>) {
    return S(size);
  } else {
    return S(size, /*num_replicas=*/2, /*rank=*/1);
  }
}

template <class S>
Indices rest(S& sampler) {
  Indices all;
  while (const auto batch = sampler.next(2)) all.insert(all.end(), batch->begin(), batch->end());
  return all;
}

}  // namespace

TEST_CASE_TEMPLATE("LibTorch's samplers go on in the middle of an epoch", S, samplers::RandomSampler,
                   samplers::SequentialSampler, samplers::DistributedRandomSampler,
                   samplers::DistributedSequentialSampler) {
  torch::manual_seed(1);
  S sampler = make<S>(), other = make<S>();
  if constexpr (requires { sampler.set_epoch(3); }) sampler.set_epoch(3);
  sampler.reset();
  sampler.next(3);
  const auto stored = store(sampler);
  restore(other, stored);
  CHECK(ts::state_dict(other) == stored.tree);
  CHECK(other.index() == sampler.index());
  const auto left = rest(sampler);
  CHECK(left.size() > 2);
  CHECK(rest(other) == left);
  if constexpr (requires { sampler.set_epoch(3); }) {
    sampler.reset();
    other.reset();
    CHECK(rest(other) == rest(sampler));  // the epoch was restored, too
  }
}

TEST_CASE("StreamSampler goes on, too") {
  samplers::StreamSampler sampler(10), other(10);
  sampler.next(7);
  restore(other, store(sampler));
  CHECK(other.next(7)->size() == 3);
  CHECK(!other.next(7).has_value());
}

TEST_CASE_TEMPLATE("a data set of another size is refused", S, samplers::RandomSampler, samplers::SequentialSampler,
                   samplers::DistributedRandomSampler, samplers::DistributedSequentialSampler) {
  S sampler = make<S>(13), larger = make<S>(40);
  const auto before = store(larger).tree;
  CHECK(!refused(larger, store(sampler)).mismatched.empty());
  CHECK(store(larger).tree == before);
}

TEST_CASE("another place in the group of processes is refused") {
  samplers::DistributedRandomSampler first(13, 2, 0), second(13, 2, 1);
  const auto report = refused(second, store(first));
  CHECK(report.mismatched.at(0).path == "params/rank");
}

TEST_CASE_TEMPLATE("an index beyond the end is refused", S, samplers::RandomSampler, samplers::SequentialSampler) {
  S sampler = make<S>();
  auto stored = store(sampler);
  stored.tree.set("state/index", 14);
  CHECK(refused(sampler, stored).mismatched.at(0).path == "state/index");
  stored.tree.set("state/index", -1);
  CHECK(refused(sampler, stored).mismatched.at(0).path == "state/index");
}

TEST_CASE("indices beyond the data set are refused") {
  auto random = make<samplers::RandomSampler>();
  auto stored = store(random);
  stored.tree.at<torch::Tensor>("state/indices")[3] = 13;
  CHECK(refused(random, stored).mismatched.at(0).path == "state/indices");

  auto distributed = make<samplers::DistributedRandomSampler>();
  stored = store(distributed);
  stored.tree.set("state/all_indices/2", 13);
  CHECK(refused(distributed, stored).mismatched.at(0).path == "state/all_indices");
  stored = store(distributed);
  stored.tree.at<ts::List>("state/all_indices").pop_back();
  CHECK(refused(distributed, stored).mismatched.at(0).path == "state/all_indices");
  stored = store(distributed);
  stored.tree.set("state/sample_index", 99);
  CHECK(refused(distributed, stored).mismatched.at(0).path == "state/sample_index");

  samplers::StreamSampler stream(10);
  stored = store(stream);
  stored.tree.set("state/examples_retrieved", 11);
  CHECK(refused(stream, stored).mismatched.at(0).path == "state/examples_retrieved");
}
