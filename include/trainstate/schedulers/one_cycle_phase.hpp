// What OneCycleLR is made of: the phases of a cycle, as Python writes them, and the momentum of a parameter group.
#pragma once

#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/optimizer.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>

#include "trainstate/adapter.hpp"
#include "trainstate/codec/scalar.hpp"
#include "trainstate/error.hpp"
#include "trainstate/state_dict.hpp"
#include "trainstate/torch/optimizer/group_notes.hpp"

namespace trainstate {
namespace detail {

/// A part of the cycle: until which step, and between which notes of a parameter group it leads.
struct OneCyclePhase {
  double end_step = 0;
  std::string start_lr, end_lr, start_momentum, end_momentum;
};

/// The note that a phase names. Throws Error if the group has none.
inline double note_at(const GroupNotes& notes, std::string_view key) {
  for (const auto& [name, note] : group_note_keys) {
    if (name == key && notes.*note) return *(notes.*note);
  }
  throw Error("OneCycleLR: a parameter group lacks '" + std::string(key) + "'");
}

/// Calls `f(momentum)` with what OneCycleLR takes for the momentum of a group: `momentum`, or the first of `betas`.
/// False if the group has neither.
template <class F>
bool with_momentum(torch::optim::OptimizerOptions& options, const F& f) {
  if (auto* sgd = dynamic_cast<torch::optim::SGDOptions*>(&options)) return f(sgd->momentum()), true;
  if (auto* rmsprop = dynamic_cast<torch::optim::RMSpropOptions*>(&options)) return f(rmsprop->momentum()), true;
  if (auto* adam = dynamic_cast<torch::optim::AdamOptions*>(&options)) return f(std::get<0>(adam->betas())), true;
  if (auto* adamw = dynamic_cast<torch::optim::AdamWOptions*>(&options)) return f(std::get<0>(adamw->betas())), true;
  return false;
}

inline bool has_betas(torch::optim::OptimizerOptions& options) {
  return dynamic_cast<torch::optim::AdamOptions*>(&options) || dynamic_cast<torch::optim::AdamWOptions*>(&options);
}

}  // namespace detail

/// As in Python: a dict of its step and the keys of the notes.
template <>
struct adapter<detail::OneCyclePhase> {
  static constexpr std::string_view type_name = "a phase of OneCycleLR";

  static Value save(const detail::OneCyclePhase& phase) {
    return StateDict{{"end_step", phase.end_step},
                     {"start_lr", phase.start_lr},
                     {"end_lr", phase.end_lr},
                     {"start_momentum", phase.start_momentum},
                     {"end_momentum", phase.end_momentum}};
  }

  static detail::OneCyclePhase decode(const Value& value) {
    const auto& dict = value.as<StateDict>();
    const auto end = detail::Number(dict.at("end_step")).as_floating<double>();
    if (!end) throw Error("end_step: expected a number, found " + dict.at("end_step").describe());
    const auto note = [&](const char* key) {
      const auto& name = dict.at(key).as<std::string>();
      const auto is_known = [&](const auto& known) { return known.first == name; };
      if (std::none_of(detail::group_note_keys.begin(), detail::group_note_keys.end(), is_known)) {
        throw Error(std::string(key) + ": '" + name + "' is nothing that a parameter group has");
      }
      return name;
    };
    return {*end, note("start_lr"), note("end_lr"), note("start_momentum"), note("end_momentum")};
  }
};

}  // namespace trainstate
