// Rates by a function of the epoch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/schedulers/base.hpp"
#include "trainstate/schedulers/codec.hpp"

namespace trainstate {
namespace detail {

/// A function, which is code and not state: in a file it is None.
struct UnsavedFunction {
  std::function<double(std::int64_t)> call;
};

/// Python saves what a callable object holds as a dict. No C++ function can take that over, so it is refused.
template <>
struct StandardCodec<UnsavedFunction> {
  static Value save(const UnsavedFunction&, SaveContext&) { return None(); }
  static void plan(UnsavedFunction&, const Value& value, LoadContext& context) {
    if (value.is<None>()) return;
    context.mismatch("None, since a function is not loaded and the state of a callable object has no place here",
                     value.describe());
  }
};

}  // namespace detail

/// Sets the rates to those at the start times a function of the epoch: `torch.optim.lr_scheduler.LambdaLR`. The
/// functions are not saved: construct the scheduler with them, then load its state.
class LambdaLR : public LRScheduler {
 public:
  /// The factor at an epoch.
  using Function = std::function<double(std::int64_t)>;

  /// One function for all parameter groups. Throws what it throws.
  LambdaLR(torch::optim::Optimizer& optimizer, Function lr_lambda, std::int64_t last_epoch = -1)
      : LambdaLR(optimizer, std::vector<Function>(optimizer.param_groups().size(), std::move(lr_lambda)), last_epoch) {}

  /// A function for each parameter group. Throws Error if there are not as many.
  LambdaLR(torch::optim::Optimizer& optimizer, std::vector<Function> lr_lambdas, std::int64_t last_epoch = -1)
      : LRScheduler(optimizer, last_epoch) {
    if (lr_lambdas.size() != base_lrs_.size()) {
      throw Error("LambdaLR: " + std::to_string(lr_lambdas.size()) + " functions for " +
                  std::to_string(base_lrs_.size()) + " parameter groups");
    }
    for (Function& function : lr_lambdas) functions_.push_back({std::move(function)});
    initial_step();
  }

  static constexpr auto describe() {
    return component<LambdaLR>("torch.optim.lr_scheduler.LambdaLR", flat, base<LRScheduler>,
                               hyper("lr_lambdas", &LambdaLR::functions_));
  }

 protected:
  std::vector<double> get_lr() override {
    auto rates = base_lrs_;
    for (std::size_t g = 0; g < rates.size(); ++g) rates[g] = rates[g] * functions_.at(g).call(last_epoch_);
    return rates;
  }

 private:
  std::vector<detail::UnsavedFunction> functions_;
};

}  // namespace trainstate
