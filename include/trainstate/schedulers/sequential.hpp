// Schedulers made of schedulers: one after the other, or all at once.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/schedulers/base.hpp"
#include "trainstate/schedulers/codec.hpp"
#include "trainstate/schedulers/part.hpp"

namespace trainstate {

/// One scheduler after the other: the next one takes over at each milestone.
/// `torch.optim.lr_scheduler.SequentialLR`.
///
///     ts::SequentialLR warmed_up(optimizer, {ts::LinearLR(optimizer), ts::CosineAnnealingLR(optimizer, 100)}, {5});
class SequentialLR : public Scheduler {
 public:
  /// A scheduler that counts epochs, as a temporary or a shared_ptr.
  using Part = detail::SchedulerPart<LRScheduler>;

  /// Throws Error if there is no scheduler, or one of another optimizer, or not one milestone less than schedulers.
  SequentialLR(torch::optim::Optimizer& optimizer, std::vector<Part> schedulers, std::vector<std::int64_t> milestones,
               std::int64_t last_epoch = -1)
      : Scheduler(optimizer),
        milestones_(std::move(milestones)),
        last_epoch_(last_epoch + 1),
        schedulers_(std::move(schedulers)) {
    detail::check_parts(schedulers_, &optimizer, "SequentialLR");
    if (milestones_.size() + 1 != schedulers_.size()) {
      throw Error("SequentialLR: " + std::to_string(schedulers_.size()) + " schedulers need one milestone less, not " +
                  std::to_string(milestones_.size()));
    }
    // What the schedulers' own constructors did to the rates is undone.
    auto& groups = optimizer.param_groups();
    const auto notes = detail::NotesRegistry::obtain(optimizer);
    for (std::size_t g = 0; g < groups.size(); ++g) {
      if (const auto initial = (*notes)[g].initial_lr) groups[g].options().set_lr(*initial);
    }
    for (const Part& part : schedulers_) --part->last_epoch_;
    const Part& first = schedulers_[index_at(0)];
    first->initial_step();
    last_lr_ = first->get_last_lr();
  }

  void step() override {
    const std::int64_t epoch = last_epoch_ + 1;
    const std::size_t i = index_at(epoch);
    const Part& part = schedulers_[i];
    if (i > 0 && milestones_[i - 1] == epoch) {
      part->update_lr(0, true);
    } else {
      part->step();
    }
    last_epoch_ = epoch;
    last_lr_ = part->get_last_lr();
  }

  /// How many steps were made after the one of the constructor.
  [[nodiscard]] std::int64_t last_epoch() const { return last_epoch_; }

  static constexpr auto describe() {
    return component<SequentialLR>(
        "torch.optim.lr_scheduler.SequentialLR", flat, hyper("_milestones", &SequentialLR::milestones_),
        state("last_epoch", &SequentialLR::last_epoch_), state("_last_lr", &SequentialLR::last_lr_),
        state("_schedulers", &SequentialLR::schedulers_));
  }

 private:
  /// Which scheduler it is at an epoch.
  [[nodiscard]] std::size_t index_at(std::int64_t epoch) const {
    const auto after = std::upper_bound(milestones_.begin(), milestones_.end(), epoch);
    return static_cast<std::size_t>(after - milestones_.begin());
  }

  std::vector<std::int64_t> milestones_;
  std::int64_t last_epoch_;
  std::vector<Part> schedulers_;
};

/// All schedulers at once: each works on what the one before it has made of the rates. If one of them throws, those
/// before it have stepped. `torch.optim.lr_scheduler.ChainedScheduler`.
class ChainedScheduler : public Scheduler {
 public:
  /// Any scheduler but ReduceLROnPlateau, as a temporary or a shared_ptr.
  using Part = detail::SchedulerPart<Scheduler>;

  /// Throws Error if there is no scheduler, or if they are not of one optimizer.
  explicit ChainedScheduler(std::vector<Part> schedulers)
      : Scheduler(optimizer_of(schedulers)), schedulers_(std::move(schedulers)) {
    last_lr_ = detail::current_rates(*optimizer_);
  }

  /// As above, and throws Error if they are not of this optimizer.
  ChainedScheduler(std::vector<Part> schedulers, torch::optim::Optimizer& optimizer)
      : ChainedScheduler(std::move(schedulers)) {
    detail::check_parts(schedulers_, &optimizer, "ChainedScheduler");
  }

  void step() override {
    for (const Part& part : schedulers_) part->step();
    last_lr_ = detail::current_rates(*optimizer_);
  }

  static constexpr auto describe() {
    return component<ChainedScheduler>("torch.optim.lr_scheduler.ChainedScheduler", flat,
                                       state("_last_lr", &ChainedScheduler::last_lr_),
                                       state("_schedulers", &ChainedScheduler::schedulers_));
  }

 private:
  static torch::optim::Optimizer& optimizer_of(const std::vector<Part>& parts) {
    detail::check_parts(parts, nullptr, "ChainedScheduler");
    return parts.front()->optimizer();
  }

  std::vector<Part> schedulers_;
};

namespace detail {

/// As any component, but the lists have to be as long as what they are about.
template <class T>
requires(std::same_as<T, SequentialLR> || std::same_as<T, ChainedScheduler>) struct TorchCodec<T> : ComponentCodec<T> {
  static constexpr bool takes_description = true;

  static void plan(T& live, const Value& value, LoadContext& context) {
    ComponentCodec<T>::plan(live, value, context);
    const auto* record = value.get_if<StateDict>();
    if (!record) return;
    check_size("_last_lr", live.optimizer().param_groups().size(), *record, context);
    const Value* parts = record->find_key("_schedulers");
    const auto* list = parts ? parts->get_if<List>() : nullptr;
    const bool by_file = context.hyper_policy(HyperPolicy::file) == HyperPolicy::file;
    if (by_file && list && !list->empty()) check_size("_milestones", list->size() - 1, *record, context);
    const Value* epoch = record->find_key("last_epoch");
    const auto* number = epoch ? epoch->get_if<std::int64_t>() : nullptr;
    if (!number) return;
    if (auto fault = outside("last_epoch", *number, -1)) {
      const auto scope = context.enter(fault->key);
      context.mismatch(fault->expected, fault->found);
    }
  }

 private:
  static void check_size(const char* key, std::size_t size, const StateDict& record, LoadContext& context) {
    const Value* value = record.find_key(key);
    const auto* list = value ? value->get_if<List>() : nullptr;
    if (!list || list->size() == size) return;
    const auto scope = context.enter(key);
    context.mismatch("a list of " + std::to_string(size), value->describe());
  }
};

}  // namespace detail
}  // namespace trainstate
