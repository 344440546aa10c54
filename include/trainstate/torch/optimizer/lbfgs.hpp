// The state of LBFGS: one for all parameters, in flat vectors that hold the parameters one after the other.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/torch/optimizer/matching.hpp"
#include "trainstate/torch/optimizer/state.hpp"

namespace trainstate::detail {

using LBFGSKind = OptimizerKind<torch::optim::LBFGS>;

/// The longest history that a file may ask for: LibTorch allocates its scratch space, a pointer for each entry, at
/// once.
inline constexpr std::int64_t most_lbfgs_history = std::int64_t{1} << 20;

/// Under Python's keys. Before the first iteration there are only the counts: the rest is not set in LibTorch either.
inline StateDict save_lbfgs_state(const torch::optim::LBFGSParamState& state) {
  const auto list = [](const auto& tensors) {
    List values;
    for (const at::Tensor& tensor : tensors) {
      values.emplace_back();
      if (tensor.defined()) values.back() = tensor.detach();
    }
    return values;
  };
  StateDict dict;
  dict["func_evals"] = state.func_evals();
  dict["n_iter"] = state.n_iter();
  if (!state.d().defined()) return dict;
  if (state.al().has_value()) dict["al"] = list(*state.al());
  dict["d"] = state.d().detach();
  dict["t"] = state.t();
  dict["old_dirs"] = list(state.old_dirs());
  dict["old_stps"] = list(state.old_stps());
  dict["ro"] = list(state.ro());
  // LibTorch's first iteration leaves the tensor of an integer there, Python's the integer.
  const bool integer = state.H_diag().defined() && state.H_diag().scalar_type() == at::kLong;
  dict["H_diag"] = integer ? Value(Number(Value(state.H_diag())).integer) : Value(state.H_diag().detach());
  dict["prev_flat_grad"] = state.prev_flat_grad().detach();
  dict["prev_loss"] = state.prev_loss();
  return dict;
}

inline void swap_lbfgs_states(torch::optim::LBFGSParamState& a, torch::optim::LBFGSParamState& b) noexcept {
  using std::swap;
  swap(a.func_evals(), b.func_evals());
  swap(a.n_iter(), b.n_iter());
  swap(a.t(), b.t());
  swap(a.prev_loss(), b.prev_loss());
  swap(a.d(), b.d());
  swap(a.H_diag(), b.H_diag());
  swap(a.prev_flat_grad(), b.prev_flat_grad());
  swap(a.old_dirs(), b.old_dirs());
  swap(a.old_stps(), b.old_stps());
  swap(a.ro(), b.ro());
  swap(a.al(), b.al());
}

/// How a flat vector of the file becomes one of the live optimizer.
class FlatLayout {
 public:
  /// `from`: for each live parameter its place among those of the file.
  FlatLayout(const std::vector<at::Tensor>& parameters, const std::vector<std::size_t>& from)
      : slices_(parameters.size()) {
    std::vector<std::int64_t> sizes(parameters.size());
    for (std::size_t i = 0; i < from.size(); ++i) sizes[from[i]] = parameters[i].numel();
    std::vector<std::int64_t> offsets(sizes.size());
    std::exclusive_scan(sizes.begin(), sizes.end(), offsets.begin(), std::int64_t{0});
    for (std::size_t i = 0; i < from.size(); ++i) slices_[i] = {offsets[from[i]], sizes[from[i]]};
    numel_ = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
    in_order_ = std::is_sorted(from.begin(), from.end());
    dtype_ = parameters.front().scalar_type();
    for (const at::Tensor& parameter : parameters) dtype_ = c10::promoteTypes(dtype_, parameter.scalar_type());
    device_ = parameters.front().device();
  }

  [[nodiscard]] at::TensorOptions options() const { return at::TensorOptions().dtype(dtype_).device(device_); }
  /// What the flat vectors look like.
  [[nodiscard]] at::Tensor vector() const { return at::empty({numel_}, at::TensorOptions().dtype(dtype_)); }
  /// What the numbers that go with them look like.
  [[nodiscard]] at::Tensor number() const { return at::empty({}, at::TensorOptions().dtype(dtype_)); }

  [[nodiscard]] at::Tensor reordered(const at::Tensor& flat) const {
    if (in_order_) return flat;
    const c10::NoGradGuard no_grad;
    std::vector<at::Tensor> parts;
    for (const auto& [offset, size] : slices_) parts.push_back(flat.narrow(0, offset, size));
    return at::cat(parts);
  }

 private:
  std::vector<std::pair<std::int64_t, std::int64_t>> slices_;
  std::int64_t numel_ = 0;
  bool in_order_ = true;
  c10::ScalarType dtype_ = c10::ScalarType::Float;
  c10::Device device_ = c10::kCPU;
};

/// Plans the state of LBFGS from the file's.
class LBFGSPlanner {
 public:
  using State = torch::optim::LBFGSParamState;

  LBFGSPlanner(const State* live, const FlatLayout& layout, const StateDict& file,
               const torch::optim::LBFGSOptions& options, LoadContext& context)
      : live_(live), layout_(layout), file_(file), options_(options), context_(context) {}

  /// The state that will hold, or nullptr if something (noted) is wrong.
  std::unique_ptr<State> run() {
    auto state = std::make_unique<State>();
    state->t(0).prev_loss(0);  // which 1.13 leaves uninitialised
    with("func_evals", [&](const Value& value) { set(state->func_evals(), read_count(value, context_)); });
    with("n_iter", [&](const Value& value) { set(state->n_iter(), read_count(value, context_)); });
    if (state->n_iter() > 0 || file_.find_key("d")) {
      if (const auto* al = file_.find_key("al"); al && !al->is<None>()) plan_al(*al, *state);
      with("d", [&](const Value& v) { state->d(vector(v, live_ ? live_->d() : at::Tensor())); });
      with("t", [&](const Value& v) { set(state->t(), number(v)); });
      with("old_dirs", [&](const Value& v) { plan_history(v, layout_.vector(), state->old_dirs(), &State::old_dirs); });
      with("old_stps", [&](const Value& v) { plan_history(v, layout_.vector(), state->old_stps(), &State::old_stps); });
      with("ro", [&](const Value& v) { plan_history(v, layout_.number(), state->ro(), &State::ro); });
      with("H_diag", [&](const Value& v) { plan_h_diag(v, *state); });
      with("prev_flat_grad",
           [&](const Value& v) { state->prev_flat_grad(vector(v, live_ ? live_->prev_flat_grad() : at::Tensor())); });
      with("prev_loss", [&](const Value& v) { set(state->prev_loss(), number(v)); });
      fit_history(*state);
    }
    for (const auto& [key, value] : file_) {
      const auto* text = std::get_if<std::string>(&key);
      if (!text || std::find(std::begin(keys), std::end(keys), *text) == std::end(keys)) context_.unexpected(key);
    }
    return complete_ ? std::move(state) : nullptr;
  }

 private:
  static constexpr std::string_view keys[] = {
      "func_evals", "n_iter", "al", "d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss"};

  template <class F>
  void with(const char* key, const F& f) {
    const auto scope = context_.enter(key);
    if (const Value* value = file_.find_key(key)) return f(*value);
    context_.missing();
    complete_ = false;
  }

  template <class T>
  void set(T& target, const std::optional<T>& value) {
    if (value) target = *value;
    complete_ = complete_ && value;
  }

  std::optional<double> number(const Value& value) {
    const auto read = Number(value).as_floating<double>();
    if (!read) context_.mismatch("a number", value.describe());
    return read;
  }

  /// A tensor of the file that has to look like `like`.
  std::optional<at::Tensor> expect(const at::Tensor& like, const Value& value) {
    auto tensor = tensor_for(like, value, context_);
    if (tensor && (tensor->scalar_type() != like.scalar_type() || tensor->sizes() != like.sizes())) {
      context_.mismatch(tensor_text(like), value.describe());
      tensor.reset();
    }
    complete_ = complete_ && tensor;
    return tensor;
  }

  at::Tensor into(const at::Tensor& live, const at::Tensor& from) {
    return plan_into(
        live, from, [&] { return at::empty(from.sizes(), layout_.options().dtype(from.scalar_type())); }, context_);
  }

  at::Tensor vector(const Value& value, const at::Tensor& live) {
    const auto tensor = expect(layout_.vector(), value);
    return tensor ? into(live, layout_.reordered(*tensor)) : at::Tensor();
  }

  void plan_h_diag(const Value& value, State& state) {
    const bool integer = Number(value).kind == Number::Kind::integer;
    const auto like = integer ? at::empty({}, at::TensorOptions().dtype(at::kLong)) : layout_.number();
    if (const auto tensor = expect(like, value)) state.H_diag(into(live_ ? live_->H_diag() : at::Tensor(), *tensor));
  }

  using History = std::deque<at::Tensor>;
  void plan_history(const Value& value, const at::Tensor& like, History& history,
                    const History& (State::*of)() const noexcept) {
    const List* list = expect_list(value, context_);
    complete_ = complete_ && list;
    for (std::size_t i = 0; list && i < list->size(); ++i) {
      const auto scope = context_.enter(index_key(i));
      const auto tensor = expect(like, (*list)[i]);
      if (!tensor) continue;
      const bool in_place = live_ && (live_->*of)().size() == list->size();
      history.push_back(
          into(in_place ? (live_->*of)()[i] : at::Tensor(), like.dim() == 0 ? *tensor : layout_.reordered(*tensor)));
    }
  }

  void plan_al(const Value& value, State& state) {
    const auto scope = context_.enter("al");
    const List* list = expect_list(value, context_);
    complete_ = complete_ && list;
    std::vector<at::Tensor> al(list ? list->size() : 0);
    for (std::size_t i = 0; i < al.size(); ++i) {
      const auto inner = context_.enter(index_key(i));
      const Value& item = (*list)[i];
      if (item.is<None>()) continue;
      const bool in_place = live_ && live_->al().has_value() && live_->al()->size() == al.size();
      if (const auto tensor = expect(layout_.number(), item))
        al[i] = into(in_place ? (*live_->al())[i] : at::Tensor(), *tensor);
    }
    state.al(std::move(al));
  }

  /// A step takes for granted that the histories are equally long, and that neither they nor the scratch space `al`
  /// disagree with `history_size`.
  void fit_history(State& state) {
    if (!complete_) return;
    const std::size_t size = state.old_dirs().size();
    if (state.old_stps().size() != size || state.ro().size() != size) {
      context_.mismatch("old_dirs, old_stps and ro of one length", "lengths " + std::to_string(size) + ", " +
                                                                       std::to_string(state.old_stps().size()) +
                                                                       " and " + std::to_string(state.ro().size()));
      complete_ = false;
      return;
    }
    const auto limit = static_cast<std::size_t>(options_.history_size());
    if (size > limit) {
      context_.warn("the file's history of " + std::to_string(size) + " is cut to history_size, " +
                    std::to_string(limit));
      for (auto* history : {&state.old_dirs(), &state.old_stps(), &state.ro()}) {
        history->erase(history->begin(), history->end() - static_cast<std::ptrdiff_t>(limit));
      }
    }
    if (!state.al().has_value() || state.al()->size() == limit) return;
    if (state.al()->size() > limit) {
      state.al()->resize(limit);
    } else {
      state.al().reset();  // the next step makes it anew; no file decides how much memory a load takes
    }
  }

  const State* live_;
  const FlatLayout& layout_;
  const StateDict& file_;
  const torch::optim::LBFGSOptions& options_;
  LoadContext& context_;
  bool complete_ = true;
};

/// Notes a history_size of the file's that no step could bear. One that the live optimizer has already is its own.
inline void check_history_size(torch::optim::LBFGS& optimizer, const GroupMatch& match,
                               const torch::optim::LBFGSOptions& options, LoadContext& context) {
  const auto& live = static_cast<const torch::optim::LBFGSOptions&>(optimizer.param_groups()[0].options());
  const std::int64_t size = options.history_size();
  if (size <= most_lbfgs_history || size == live.history_size()) return;
  const auto groups = context.enter("param_groups");
  const auto group = context.enter(index_key(match.file));
  const auto option = context.enter("history_size");
  context.mismatch("at most " + std::to_string(most_lbfgs_history), Value(size).describe());
}

/// Plans the state of a live LBFGS. `match` is nullptr if its group corresponds to none.
inline void plan_lbfgs(torch::optim::LBFGS& optimizer, const LiveParameters& live, const FileParameters& file,
                       const GroupMatch* match, const torch::optim::LBFGSOptions& options, LoadContext& context) {
  OptimizerStates fresh;
  const auto finish = [&] {
    plan_states<torch::optim::LBFGSParamState>(optimizer, std::move(fresh), swap_lbfgs_states, context);
  };
  if (match) check_history_size(optimizer, *match, options, context);
  const auto scope = context.enter("state");
  for (const auto& [key, value] : *file.state) {
    if (file.groups.empty() || file.groups[0].ids.empty() || key != file.groups[0].ids[0]) context.unexpected(key);
  }
  if (!match || live.groups[0].parameters.empty()) return finish();
  const FileGroup& group = file.groups[match->file];
  const auto& parameters = live.groups[match->live].parameters;
  const Value* value = group.ids.empty() ? nullptr : file.state->find_key(group.ids[0]);
  if (!value) return finish();
  std::vector<std::size_t> from;
  for (const auto& place : match->from) {
    if (place) from.push_back(*place);
  }
  if (from.size() != parameters.size() || from.size() != group.ids.size()) {
    context.warn("LBFGS keeps one state for all its parameters, which are not those of the file: it starts afresh");
    return finish();
  }
  const auto inner = context.enter(group.ids[0]);
  const auto* state = value->get_if<StateDict>();
  if (!state) return context.mismatch("a dict", value->describe());
  const auto* live_now = live_state<torch::optim::LBFGSParamState>(optimizer, parameters[0]);
  const FlatLayout layout(parameters, from);
  if (auto planned = LBFGSPlanner(live_now, layout, *state, options, context).run()) {
    fresh[optimizer_state_key<OptimizerStates>(parameters[0].unsafeGetTensorImpl())] = std::move(planned);
    finish();
  }
}

}  // namespace trainstate::detail
