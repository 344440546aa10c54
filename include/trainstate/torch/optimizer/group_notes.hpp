// What learning rate schedulers keep in an optimizer's parameter groups. Python puts it into the groups themselves, and
// so into `optimizer.state_dict()`; LibTorch's groups have no place for it, so it stands beside them here.
#pragma once

#include <torch/optim/optimizer.h>

#include <array>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace trainstate::detail {

/// The notes on one parameter group.
struct GroupNotes {
  std::optional<double> initial_lr, max_lr, min_lr, max_momentum, base_momentum;
};

/// Their keys, in the order in which Python's groups have them.
inline constexpr std::array<std::pair<std::string_view, std::optional<double> GroupNotes::*>, 5> group_note_keys{{
    {"initial_lr", &GroupNotes::initial_lr},
    {"max_lr", &GroupNotes::max_lr},
    {"min_lr", &GroupNotes::min_lr},
    {"max_momentum", &GroupNotes::max_momentum},
    {"base_momentum", &GroupNotes::base_momentum},
}};

/// One for each parameter group.
using OptimizerNotes = std::vector<GroupNotes>;

/// The notes of every optimizer that has a scheduler, by the optimizer's address. The schedulers of one optimizer share
/// its notes, and the last of them takes them along.
class NotesRegistry {
 public:
  /// The notes of an optimizer; nullptr if no scheduler has made any.
  static std::shared_ptr<OptimizerNotes> find(const torch::optim::Optimizer& optimizer) {
    const std::lock_guard lock(instance().mutex_);
    return instance().find_locked(optimizer);
  }

  /// As `find`, but made where there are none.
  static std::shared_ptr<OptimizerNotes> obtain(const torch::optim::Optimizer& optimizer) {
    NotesRegistry& registry = instance();
    const std::lock_guard lock(registry.mutex_);
    if (auto notes = registry.find_locked(optimizer)) return notes;
    std::erase_if(registry.notes_, [](const auto& entry) { return entry.second.expired(); });
    auto fresh = std::make_shared<OptimizerNotes>(optimizer.param_groups().size());
    registry.notes_[&optimizer] = fresh;
    return fresh;
  }

 private:
  static NotesRegistry& instance() {
    static NotesRegistry registry;
    return registry;
  }

  std::shared_ptr<OptimizerNotes> find_locked(const torch::optim::Optimizer& optimizer) {
    const auto at = notes_.find(&optimizer);
    auto notes = at == notes_.end() ? nullptr : at->second.lock();
    // Groups may have been added since.
    if (notes && notes->size() < optimizer.param_groups().size()) notes->resize(optimizer.param_groups().size());
    return notes;
  }

  std::mutex mutex_;
  std::unordered_map<const torch::optim::Optimizer*, std::weak_ptr<OptimizerNotes>> notes_;
};

}  // namespace trainstate::detail
