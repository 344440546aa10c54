// What a load is going to do, collected while nothing live is touched yet, then done at once.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "trainstate/codec/copies.hpp"
#include "trainstate/error.hpp"

namespace trainstate::detail {

/// The copies and assignments of one load. Order of `apply`: what may fail and can be undone, tensors, assignments,
/// and last what every earlier step could disturb (random number generators).
class Plan {
 public:
  /// Copies `from` into the memory of `live`: same dtype and sizes, checked by the caller.
  void copy(at::Tensor live, at::Tensor from, std::string path) {
    copies_.push_back({std::move(live), std::move(from), std::move(path)});
  }

  /// `assign` must not throw.
  template <class F>
  void assign(F assign) {
    assignments_.push_back(erase(std::move(assign)));
  }

  /// As `assign`, after everything else.
  template <class F>
  void assign_last(F assign) {
    last_.push_back(erase(std::move(assign)));
  }

  /// `run` may throw; then `undo` is run for it and for all that ran before it.
  template <class Run, class Undo>
  void attempt(Run run, Undo undo) {
    attempts_.emplace_back(erase(std::move(run)), erase(std::move(undo)));
  }

  /// Takes copies of the sources that live in memory which this load writes to (a tree made from live objects, say).
  void own_sources() {
    std::unordered_set<const void*> written;
    for (const Copy& copy : copies_) written.insert(copy.live.storage().unsafeGetStorageImpl());
    const c10::NoGradGuard no_grad;
    for (Copy& copy : copies_) {
      const bool itself = copy.from.data_ptr() == copy.live.data_ptr() && copy.from.strides() == copy.live.strides();
      if (!itself && written.contains(copy.from.storage().unsafeGetStorageImpl())) copy.from = copy.from.clone();
    }
  }

  [[nodiscard]] const std::vector<Copy>& copies() const { return copies_; }

  /// `threads` of the copies; 0 means as many as the machine has cores.
  void apply(unsigned threads = 0) {
    std::size_t done = 0;
    try {
      for (; done < attempts_.size(); ++done) attempts_[done].first->run();
      const c10::NoGradGuard no_grad;
      copy_all(copies_, threads);
    } catch (...) {
      for (std::size_t i = std::min(done + 1, attempts_.size()); i-- > 0;) {
        try {
          attempts_[i].second->run();
        } catch (...) {  // the others are still undone, and the first exception is the one to report
        }
      }
      throw;
    }
    for (auto& action : assignments_) action->run();
    for (auto& action : last_) action->run();
  }

 private:
  struct Action {
    virtual ~Action() = default;
    virtual void run() = 0;
  };

  template <class F>
  static std::unique_ptr<Action> erase(F f) {
    struct Erased final : Action {
      explicit Erased(F function) : function_(std::move(function)) {}
      void run() override { function_(); }
      F function_;
    };
    return std::make_unique<Erased>(std::move(f));
  }

  std::vector<std::pair<std::unique_ptr<Action>, std::unique_ptr<Action>>> attempts_;
  std::vector<Copy> copies_;
  std::vector<std::unique_ptr<Action>> assignments_, last_;
};

}  // namespace trainstate::detail
