// A sampler for data loading that resumes in the middle of an epoch, exactly.
#pragma once

#include <ATen/core/ivalue.h>
#include <torch/data/samplers/base.h>
#include <torch/serialize/input-archive.h>
#include <torch/serialize/output-archive.h>
#include <torch/types.h>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/component.hpp"
#include "trainstate/codec/scalar.hpp"
#include "trainstate/component.hpp"
#include "trainstate/error.hpp"

namespace trainstate {

class ResumableSampler;

namespace detail {

template <std::same_as<ResumableSampler> Only>
struct TorchCodec<Only>;

/// The record of a ResumableSampler.
struct SamplerRecord {
  std::size_t size = 0;
  std::int64_t seed = 0;  ///< the bits of the unsigned seed, all of which fit a state dict this way
  bool shuffle = true;
  std::size_t epoch = 0;
  std::size_t position = 0;

  static constexpr auto describe() {
    return component<SamplerRecord>("resumable_sampler", version<1>, hyper("size", &SamplerRecord::size),
                                    hyper("seed", &SamplerRecord::seed), hyper("shuffle", &SamplerRecord::shuffle),
                                    state("epoch", &SamplerRecord::epoch), state("position", &SamplerRecord::position));
  }
};

/// A number below `bound`, each equally likely: draws that would favour the small ones are drawn again. (The
/// distributions of <random> differ from one standard library to the next.)
inline std::uint64_t draw_below(std::uint64_t bound, std::mt19937_64& engine) {
  const std::uint64_t biased = (0 - bound) % bound;  // 2^64 modulo bound
  for (;;) {
    const std::uint64_t x = engine();
    if (x >= biased) return x % bound;
  }
}

/// The order of one epoch: 0 … size-1 shuffled by Fisher and Yates from the back, with std::mt19937_64 seeded by the
/// SplitMix64 scrambling of `seed + (epoch + 1) * 0x9E3779B97F4A7C15`. The same on every platform. O(size).
inline std::vector<std::size_t> shuffled_order(std::size_t size, std::uint64_t seed, std::uint64_t epoch) {
  std::uint64_t mixed = seed + (epoch + 1) * 0x9E3779B97F4A7C15ULL;
  mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ULL;
  mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBULL;
  std::mt19937_64 engine(mixed ^ (mixed >> 31));
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::size_t i = size; i > 1; --i) std::swap(order[i - 1], order[draw_below(i, engine)]);
  return order;
}

}  // namespace detail

/// A sampler that visits 0 … size-1 in every epoch, in an order that depends on its seed and the epoch alone, and that
/// resumes where it was saved. It is a handle: copies share one state, so the copy that a DataLoader keeps and the one
/// in a checkpoint stay in step. Not for use from several threads at once (a DataLoader asks from one).
///
///     ts::ResumableSampler sampler(dataset.size().value(), /*seed=*/42);
///     auto loader = torch::data::make_data_loader(dataset, sampler, 64);
///     ts::load(ckpt, path);                                       // "data"_key = sampler; before begin()
///     for (auto epoch = sampler.epoch(); epoch < epochs; ++epoch)
///       for (auto& batch : *loader) { train(batch); sampler.consumed(batch.size()); save when due; }
///
/// A DataLoader without workers asks for a batch when it is due. One with workers asks for `max_jobs` batches ahead:
/// then the position is only right if the training loop says what it has consumed; so it is, without workers, where an
/// iterator is advanced before the save. With `drop_last`, say `consumed(size() - position())` after the loop, for the
/// batch that was never seen.
///
/// Random numbers that workers draw come in no fixed order: for exact resumption, draw them in the training loop, or
/// from an engine that is seeded with the example's index.
class ResumableSampler : public torch::data::samplers::Sampler<> {
 public:
  explicit ResumableSampler(std::size_t size, std::uint64_t seed = 0, bool shuffle = true)
      : shared_(std::make_shared<Shared>()) {
    shared_->record = {size, std::bit_cast<std::int64_t>(seed), shuffle, 0, 0};
  }

  /// Starts the next epoch, as a DataLoader's begin() does. The first time, and the first time after a load, it goes on
  /// from the saved place instead. A new size holds from here on; where it cuts off the place, the next epoch starts.
  void reset(torch::optional<std::size_t> new_size = {}) override {
    auto& s = *shared_;
    if (new_size.has_value() && *new_size != s.record.size) {
      s.record.size = *new_size;
      s.order.clear();
    }
    const bool over = s.record.position >= s.record.size && s.record.size != 0;
    if (!std::exchange(s.continues, false) || over) {
      ++s.record.epoch;
      s.record.position = 0;
      s.order.clear();
    }
    s.begun_at = s.handed_out = s.record.position;
  }

  /// The next indices, at most `batch_size` of them; nothing at the end of the epoch.
  torch::optional<std::vector<std::size_t>> next(std::size_t batch_size) override {
    auto& s = *shared_;
    s.continues = false;
    const std::size_t first = s.handed_out;
    if (first >= s.record.size) return {};
    const std::size_t count = std::min(batch_size, s.record.size - first);
    std::vector<std::size_t> batch(count);
    if (s.record.shuffle) {
      if (s.order.empty()) s.order = detail::shuffled_order(s.record.size, seed(), s.record.epoch);
      std::copy_n(s.order.begin() + static_cast<std::ptrdiff_t>(first), count, batch.begin());
    } else {
      std::iota(batch.begin(), batch.end(), first);
    }
    s.handed_out += count;
    if (!s.counts_consumed) s.record.position = s.handed_out;
    return batch;
  }

  /// Says that the training loop is done with `n` more examples. From the first call on (0 will do), `position()`
  /// counts these and not what was handed out. Throws Error if so many were not handed out.
  void consumed(std::size_t n) {
    auto& s = *shared_;
    if (!std::exchange(s.counts_consumed, true)) s.record.position = s.begun_at;
    if (n > s.handed_out - s.record.position) {
      throw Error("ResumableSampler: consumed " + std::to_string(n) + " examples, but only " +
                  std::to_string(s.handed_out - s.record.position) + " are handed out and not consumed yet");
    }
    s.record.position += n;
  }

  /// The epoch, from 0.
  [[nodiscard]] std::size_t epoch() const noexcept { return shared_->record.epoch; }
  /// How many examples of this epoch were handed out, or consumed if the training loop says so.
  [[nodiscard]] std::size_t position() const noexcept { return shared_->record.position; }
  [[nodiscard]] std::size_t size() const noexcept { return shared_->record.size; }
  [[nodiscard]] std::uint64_t seed() const noexcept { return std::bit_cast<std::uint64_t>(shared_->record.seed); }
  [[nodiscard]] bool shuffle() const noexcept { return shared_->record.shuffle; }

  /// Saves as LibTorch's own samplers do, for `torch::save`.
  void save(torch::serialize::OutputArchive& archive) const override {
    const auto record = resumed_from();
    archive.write("size", c10::IValue(static_cast<std::int64_t>(record.size)));
    archive.write("seed", c10::IValue(record.seed));
    archive.write("shuffle", c10::IValue(record.shuffle));
    archive.write("epoch", c10::IValue(static_cast<std::int64_t>(record.epoch)));
    archive.write("position", c10::IValue(static_cast<std::int64_t>(record.position)));
  }

  /// Loads what `save` wrote. Throws Error, changing nothing, if it makes no sense.
  void load(torch::serialize::InputArchive& archive) override {
    const auto count = [&](const char* key) {
      c10::IValue value;
      if (!archive.try_read(key, value) || !value.isInt() || value.toInt() < 0) {
        throw Error("ResumableSampler: the archive should hold an integer, 0 or more, as " + std::string(key));
      }
      return static_cast<std::size_t>(value.toInt());
    };
    c10::IValue seed, shuffle;
    if (!archive.try_read("seed", seed) || !seed.isInt() || !archive.try_read("shuffle", shuffle) ||
        !shuffle.isBool()) {
      throw Error("ResumableSampler: the archive should hold seed and shuffle");
    }
    const detail::SamplerRecord record{count("size"), seed.toInt(), shuffle.toBool(), count("epoch"),
                                       count("position")};
    if (record.position > record.size) throw Error("ResumableSampler: the archive's position is beyond its size");
    shared_->record = record;
    shared_->resume();
  }

 private:
  friend struct detail::TorchCodec<ResumableSampler>;

  struct Shared {
    detail::SamplerRecord record;
    std::vector<std::size_t> order = {};  ///< of this epoch; empty until it is needed
    std::size_t begun_at = 0;             ///< where in this epoch this run began
    std::size_t handed_out = 0;
    bool counts_consumed = false;
    bool continues = true;  ///< the next reset goes on instead of starting an epoch

    void resume() noexcept {
      order.clear();
      begun_at = handed_out = record.position;
      continues = true;
    }
  };

  /// What a file has to say for the resumed run to go on here: after the last example of an epoch, in the next one.
  [[nodiscard]] detail::SamplerRecord resumed_from() const noexcept {
    auto record = shared_->record;
    if (record.size != 0 && record.position >= record.size) {
      ++record.epoch;
      record.position = 0;
    }
    return record;
  }

  std::shared_ptr<Shared> shared_;
};

namespace detail {

/// The component `resumable_sampler`, which all copies of the handle share.
template <std::same_as<ResumableSampler> Only>
struct TorchCodec<Only> {
  static constexpr bool is_object = true;
  using Record = ComponentCodec<SamplerRecord>;

  static Value save(const ResumableSampler& x, SaveContext& context) { return Record::save(x.resumed_from(), context); }

  static void migrate(const ResumableSampler* live, Value& value, LoadContext& context) {
    Record::migrate(live ? &live->shared_->record : nullptr, value, context);
  }

  static void plan(ResumableSampler& live, const Value& value, LoadContext& context) {
    SamplerRecord& record = live.shared_->record;
    Record::plan(record, value, context);
    check_position(record, value, context);
    context.plan->assign([shared = live.shared_]() noexcept { shared->resume(); });
  }

 private:
  static void check_position(const SamplerRecord& live, const Value& value, LoadContext& context) {
    const auto integer = [&](const char* path, std::size_t otherwise) {
      const auto* record = value.get_if<StateDict>();
      const Value* found = record ? record->find(path) : nullptr;
      return (found ? Number(*found).as_integer() : std::nullopt).value_or(static_cast<std::int64_t>(otherwise));
    };
    const bool keeps_size = context.hyper_policy(HyperPolicy::file) == HyperPolicy::code;
    const auto size = keeps_size ? static_cast<std::int64_t>(live.size) : integer("params/size", live.size);
    const auto position = integer("state/position", live.position);
    if (position <= size) return;
    const auto scope = context.enter("state");
    const auto inner = context.enter("position");
    context.mismatch("at most the size, " + std::to_string(size), std::to_string(position));
  }
};

}  // namespace detail
}  // namespace trainstate
