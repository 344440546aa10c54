// What a load is going to do, collected while nothing live is touched yet, then done at once.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "trainstate/codec/copies.hpp"
#include "trainstate/error.hpp"
#include "trainstate/io/source_file.hpp"

namespace trainstate::detail {

/// What code of the user's says went wrong.
inline std::string text_of(const std::exception& e) {
  const auto* torch = dynamic_cast<const c10::Error*>(&e);
  return torch ? torch->what_without_backtrace() : e.what();
}

/// The text of the exception that is being handled.
inline std::string current_text() {
  try {
    throw;
  } catch (const std::exception& e) {
    return text_of(e);
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

/// The copies and assignments of one load. Order of `apply`: what may fail and can be undone, tensors, assignments,
/// and last what every earlier step could disturb (random number generators).
class Plan {
 public:
  /// Copies `from` into the memory of `live`: same dtype and sizes, checked by the caller.
  void copy(at::Tensor live, at::Tensor from, std::string path) {
    copies_.push_back({std::move(live), std::move(from), std::move(path)});
  }

  /// `assign` cannot throw: when it runs, there is no way back.
  template <class F>
  requires std::is_nothrow_invocable_v<F&>
  void assign(F assign) { assignments_.push_back(erase(std::move(assign))); }

  /// As `assign`, after everything else.
  template <class F>
  requires std::is_nothrow_invocable_v<F&>
  void assign_last(F assign) { last_.push_back(erase(std::move(assign))); }

  /// `run` may throw; then `undo` is run for it and for all that ran before it, the latest first. `path` is for the
  /// error if `undo` throws, too.
  template <class Run, class Undo>
  void attempt(std::string path, Run run, Undo undo) {
    attempts_.push_back({std::move(path), erase(std::move(run)), erase(std::move(undo))});
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

  /// Where sources are mapped that may be read from the file itself.
  void read_from(io::SourceFile file) { file_ = std::move(file); }

  [[nodiscard]] const std::vector<Copy>& copies() const { return copies_; }

  /// Throws what an attempt or a device throws, after everything has been undone. `threads` of the copies; 0 means as
  /// many as the machine has cores. `before_last`, which must not throw, is run when only `assign_last` is left to do.
  void apply(unsigned threads = 0, const std::function<void()>& before_last = {}) {
    std::size_t begun = 0;
    std::optional<CopyRun> copies;
    try {
      while (begun < attempts_.size()) attempts_[begun++].run->run();
      const c10::NoGradGuard no_grad;
      copies.emplace(copies_, file_);
      copies->run_on_devices();
    } catch (...) {
      undo(begun);
      throw;
    }
    finish(*copies, threads, before_last);
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

  struct Attempt {
    std::string path;
    std::unique_ptr<Action> run, undo;
  };

  /// Called while the exception is handled. One that is lost because of it is replaced by one that says both.
  void undo(std::size_t begun) {
    std::string lost;
    while (begun-- > 0) {
      try {
        attempts_[begun].undo->run();
      } catch (...) {
        note_lost(lost, attempts_[begun].path);
      }
    }
    if (!lost.empty()) throw Error(current_text() + lost);
  }

  /// Without memory for its text the rest is still undone.
  static void note_lost(std::string& lost, const std::string& path) noexcept {
    try {
      lost += "; " + (path.empty() ? "" : path + ": ") + "what it was before could not be restored: " + current_text();
    } catch (...) {
      return;
    }
  }

  void finish(CopyRun& copies, unsigned threads, const std::function<void()>& before_last) noexcept {
    copies.run(threads);
    for (auto& action : assignments_) action->run();
    if (before_last) before_last();
    for (auto& action : last_) action->run();
  }

  std::vector<Attempt> attempts_;
  std::vector<Copy> copies_;
  io::SourceFile file_;
  std::vector<std::unique_ptr<Action>> assignments_, last_;
};

}  // namespace trainstate::detail
