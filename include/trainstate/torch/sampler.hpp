// LibTorch's samplers as components. A DataLoader keeps a copy of the sampler it is given, which nothing outside
// reaches: for data loading that resumes within an epoch there is `ts::ResumableSampler`.
#pragma once

#include <torch/data/samplers/distributed.h>
#include <torch/data/samplers/random.h>
#include <torch/data/samplers/sequential.h>
#include <torch/data/samplers/stream.h>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/component.hpp"
#include "trainstate/codec/sequence.hpp"
#include "trainstate/component.hpp"
#include "trainstate/torch/private_access.hpp"
#include "trainstate/torch/resumable_sampler.hpp"
#include "trainstate/torch/tensor.hpp"

namespace trainstate {
namespace detail {

namespace samplers = torch::data::samplers;

template struct Reveal<PrivateMember<samplers::RandomSampler, "indices">, &samplers::RandomSampler::indices_>;
template struct Reveal<PrivateMember<samplers::RandomSampler, "index">, &samplers::RandomSampler::index_>;

template struct Reveal<PrivateMember<samplers::SequentialSampler, "size">, &samplers::SequentialSampler::size_>;
template struct Reveal<PrivateMember<samplers::SequentialSampler, "index">, &samplers::SequentialSampler::index_>;

template struct Reveal<PrivateMember<samplers::StreamSampler, "epoch_size">, &samplers::StreamSampler::epoch_size_>;
template struct Reveal<PrivateMember<samplers::StreamSampler, "examples_retrieved">,
                       &samplers::StreamSampler::examples_retrieved_so_far_>;

using Distributed = samplers::DistributedSampler<>;
template struct Reveal<PrivateMember<Distributed, "size">, &Distributed::size_>;
template struct Reveal<PrivateMember<Distributed, "num_replicas">, &Distributed::num_replicas_>;
template struct Reveal<PrivateMember<Distributed, "rank">, &Distributed::rank_>;
template struct Reveal<PrivateMember<Distributed, "allow_duplicates">, &Distributed::allow_duplicates_>;
template struct Reveal<PrivateMember<Distributed, "epoch">, &Distributed::epoch_>;

using DistributedRandom = samplers::DistributedRandomSampler;
template struct Reveal<PrivateMember<DistributedRandom, "begin_index">, &DistributedRandom::begin_index_>;
template struct Reveal<PrivateMember<DistributedRandom, "end_index">, &DistributedRandom::end_index_>;
template struct Reveal<PrivateMember<DistributedRandom, "sample_index">, &DistributedRandom::sample_index_>;
template struct Reveal<PrivateMember<DistributedRandom, "all_indices">, &DistributedRandom::all_indices_>;

using DistributedSequential = samplers::DistributedSequentialSampler;
template struct Reveal<PrivateMember<DistributedSequential, "begin_index">, &DistributedSequential::begin_index_>;
template struct Reveal<PrivateMember<DistributedSequential, "end_index">, &DistributedSequential::end_index_>;
template struct Reveal<PrivateMember<DistributedSequential, "sample_index">, &DistributedSequential::sample_index_>;
template struct Reveal<PrivateMember<DistributedSequential, "all_indices">, &DistributedSequential::all_indices_>;

/// A member as if it were const, so that it is compared and never written: what belongs to the data set or to the place
/// in a group of processes is not the file's to say.
template <class M, class C>
constexpr const M C::*as_const_member(M C::*pointer) {
  return pointer;
}

template <class T, std::size_t N>
constexpr auto describe_distributed(const char (&name)[N]) {
  return component<T>(name, version<1>, hyper("size", as_const_member(reveal<Distributed, "size">)),
                      hyper("num_replicas", as_const_member(reveal<Distributed, "num_replicas">)),
                      hyper("rank", as_const_member(reveal<Distributed, "rank">)),
                      hyper("allow_duplicates", as_const_member(reveal<Distributed, "allow_duplicates">)),
                      state("epoch", reveal<Distributed, "epoch">),
                      state("begin_index", as_const_member(reveal<T, "begin_index">)),
                      state("end_index", as_const_member(reveal<T, "end_index">)),
                      state("sample_index", reveal<T, "sample_index">), state("all_indices", reveal<T, "all_indices">));
}

}  // namespace detail

/// The permutation of the current epoch and the place in it. The number of indices has to be the live one.
template <>
struct describe_for<torch::data::samplers::RandomSampler> {
  static constexpr auto describe() {
    using T = torch::data::samplers::RandomSampler;
    return component<T>("torch.data.RandomSampler", version<1>, state("indices", detail::reveal<T, "indices">),
                        state("index", detail::reveal<T, "index">));
  }
};

template <>
struct describe_for<torch::data::samplers::SequentialSampler> {
  static constexpr auto describe() {
    using T = torch::data::samplers::SequentialSampler;
    return component<T>("torch.data.SequentialSampler", version<1>,
                        hyper("size", detail::as_const_member(detail::reveal<T, "size">)),
                        state("index", detail::reveal<T, "index">));
  }
};

template <>
struct describe_for<torch::data::samplers::StreamSampler> {
  static constexpr auto describe() {
    using T = torch::data::samplers::StreamSampler;
    return component<T>("torch.data.StreamSampler", version<1>,
                        hyper("epoch_size", detail::as_const_member(detail::reveal<T, "epoch_size">)),
                        state("examples_retrieved", detail::reveal<T, "examples_retrieved">));
  }
};

template <>
struct describe_for<torch::data::samplers::DistributedRandomSampler> {
  static constexpr auto describe() {
    return detail::describe_distributed<torch::data::samplers::DistributedRandomSampler>(
        "torch.data.DistributedRandomSampler");
  }
};

template <>
struct describe_for<torch::data::samplers::DistributedSequentialSampler> {
  static constexpr auto describe() {
    return detail::describe_distributed<torch::data::samplers::DistributedSequentialSampler>(
        "torch.data.DistributedSequentialSampler");
  }
};

namespace detail {

/// Notes a mismatch if the integer at `state/key` of a record lies outside of what the sampler can go on from.
inline void expect_between(const StateDict& record, const std::string& key, std::size_t low, std::size_t high,
                           LoadContext& context) {
  const Value* value = record.find("state/" + key);
  const auto* number = value ? value->get_if<std::int64_t>() : nullptr;
  if (!number || (*number >= static_cast<std::int64_t>(low) && *number <= static_cast<std::int64_t>(high))) return;
  const auto scope = context.enter("state");
  const auto inner = context.enter(key);
  context.mismatch("an integer from " + std::to_string(low) + " to " + std::to_string(high), value->describe());
}

inline void check_sampler(const samplers::RandomSampler& live, const StateDict& record, LoadContext& context) {
  const auto size = static_cast<std::size_t>((live.*reveal<samplers::RandomSampler, "indices">).numel());
  expect_between(record, "index", 0, size, context);
  const Value* value = record.find("state/indices");
  const auto* indices = value ? value->get_if<at::Tensor>() : nullptr;
  if (!indices || !indices->defined() || indices->numel() == 0) return;
  const at::Tensor whole = indices->to(at::kLong);
  const auto first = whole.min().item<std::int64_t>(), last = whole.max().item<std::int64_t>();
  if (first >= 0 && last < static_cast<std::int64_t>(size)) return;
  const auto scope = context.enter("state");
  const auto inner = context.enter("indices");
  context.mismatch("indices below " + std::to_string(size),
                   "indices from " + std::to_string(first) + " to " + std::to_string(last));
}

inline void check_sampler(const samplers::SequentialSampler& live, const StateDict& record, LoadContext& context) {
  expect_between(record, "index", 0, live.*reveal<samplers::SequentialSampler, "size">, context);
}

inline void check_sampler(const samplers::StreamSampler& live, const StateDict& record, LoadContext& context) {
  expect_between(record, "examples_retrieved", 0, live.*reveal<samplers::StreamSampler, "epoch_size">, context);
}

template <class T>
requires std::derived_from<T, Distributed>
void check_sampler(const T& live, const StateDict& record, LoadContext& context) {
  expect_between(record, "sample_index", live.*reveal<T, "begin_index">, live.*reveal<T, "end_index">, context);
  const Value* value = record.find("state/all_indices");
  const auto* indices = value ? value->get_if<List>() : nullptr;
  if (!indices) return;
  const auto size = static_cast<std::int64_t>(live.*reveal<Distributed, "size">);
  const auto count = (live.*reveal<T, "all_indices">).size();
  const bool fit = indices->size() == count && std::all_of(indices->begin(), indices->end(), [&](const Value& index) {
                     const auto* number = index.get_if<std::int64_t>();
                     return number && *number >= 0 && *number < size;
                   });
  if (fit) return;
  const auto scope = context.enter("state");
  const auto inner = context.enter("all_indices");
  context.mismatch(std::to_string(count) + " indices below " + std::to_string(size), value->describe());
}

/// As any component, and what a sampler would run into only while it is used is found out before.
template <class T>
struct SamplerCodec : ComponentCodec<T> {
  static constexpr bool takes_description = true;

  static void plan(T& live, const Value& value, LoadContext& context) {
    ComponentCodec<T>::plan(live, value, context);
    if (const auto* record = value.get_if<StateDict>()) check_sampler(live, *record, context);
  }
};

template <std::same_as<samplers::RandomSampler> Only>
struct TorchCodec<Only> : SamplerCodec<samplers::RandomSampler> {};
template <std::same_as<samplers::SequentialSampler> Only>
struct TorchCodec<Only> : SamplerCodec<samplers::SequentialSampler> {};
template <std::same_as<samplers::StreamSampler> Only>
struct TorchCodec<Only> : SamplerCodec<samplers::StreamSampler> {};
template <std::same_as<samplers::DistributedRandomSampler> Only>
struct TorchCodec<Only> : SamplerCodec<samplers::DistributedRandomSampler> {};
template <std::same_as<samplers::DistributedSequentialSampler> Only>
struct TorchCodec<Only> : SamplerCodec<samplers::DistributedSequentialSampler> {};

}  // namespace detail
}  // namespace trainstate
