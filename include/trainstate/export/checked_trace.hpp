// A trace that is tried: what it gives is compared with what the module gives, for other values and other batch sizes.
#pragma once

#include <ATen/Functions.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>
#include <torch/csrc/jit/python/update_graph_executor_opt.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <sstream>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/export/batch_size.hpp"
#include "trainstate/export/options.hpp"
#include "trainstate/export/other_inputs.hpp"
#include "trainstate/export/put_back.hpp"
#include "trainstate/export/scripted_module.hpp"
#include "trainstate/export/trace.hpp"
#include "trainstate/torch/module_tensors.hpp"

namespace trainstate::detail {

/// What is different between a result of the file and the module's; empty if nothing is.
inline std::string output_difference(const c10::IValue& expected, const c10::IValue& found, const std::string& where,
                                     const TorchScriptOptions& options) {
  if (expected.isTensor() && !expected.toTensor().defined() && found.isNone()) return "";
  if (expected.isTensor() && found.isTensor()) {
    const at::Tensor& a = expected.toTensor();
    const at::Tensor& b = found.toTensor();
    if (a.scalar_type() != b.scalar_type()) return where + " has another dtype";
    if (a.sizes() != b.sizes()) return where + " has another shape";
    if (a.device() != b.device()) return where + " is on another device";
    const bool close = a.is_floating_point() || a.is_complex()
                           ? at::allclose(b, a, options.rtol, options.atol, /*equal_nan=*/true)
                           : at::equal(a, b);
    return close ? "" : where + " has other values";
  }
  const auto elements = [](const c10::IValue& value) -> std::optional<std::vector<c10::IValue>> {
    if (value.isTuple()) return value.toTuple()->elements().vec();
    if (value.isList()) return value.toListRef().vec();
    if (!value.isGenericDict()) return std::nullopt;
    std::vector<c10::IValue> values;
    for (const auto& entry : value.toGenericDict()) values.push_back(entry.value());
    return values;
  };
  const auto a = elements(expected), b = elements(found);
  if (!a || !b || a->size() != b->size()) return where + " is another kind of value";
  for (std::size_t i = 0; i < a->size(); ++i) {
    auto text = output_difference((*a)[i], (*b)[i], where + '/' + std::to_string(i), options);
    if (!text.empty()) return text;
  }
  return "";
}

/// Traces a module, tries the result, and gives the bytes of its file.
class CheckedTrace {
 public:
  CheckedTrace(const torch::nn::Module& module, const Forward& forward, const Tensors& examples,
               const TorchScriptOptions& options)
      : module_(module), forward_(forward), examples_(examples), options_(options) {}

  std::string script() {
    require_examples();
    find_batch();
    const c10::NoGradGuard no_grad;
    Mirror mirror(module_);
    const auto graph = traced(mirror.root());
    auto& root = mirror.root();
    auto* const function =
        root._ivalue()->compilation_unit()->create_function(c10::QualifiedName(*root.type()->name(), "forward"), graph);
    root.type()->addMethod(function);
    std::ostringstream out;
    root.save(out);
    return tried(std::move(out).str());
  }

 private:
  struct Trial {
    std::string with;  ///< for a person: "at batch size 3"
    Tensors inputs;
    c10::IValue expected;
  };

  /// What a refusal adds for a module that may do what it is refused for in training mode only; else empty.
  [[nodiscard]] std::string advice() const {
    std::unordered_set<const torch::nn::Module*> seen;
    const auto name = name_in_training(module_, "", seen);
    if (!name) return "";
    return "; " + (name->empty() ? "the module" : "its submodule " + *name) +
           " is in training mode: call eval() on the module before it is exported";
  }

  /// The dotted name of the module or of the first below it that is in training mode.
  static std::optional<std::string> name_in_training(const torch::nn::Module& module, const std::string& name,
                                                     std::unordered_set<const torch::nn::Module*>& seen) {
    if (!seen.insert(&module).second) return std::nullopt;
    if (module.is_training()) return name;
    for (const auto& child : module.named_children()) {
      auto found = name_in_training(*child.value(), name.empty() ? child.key() : name + '.' + child.key(), seen);
      if (found) return found;
    }
    return std::nullopt;
  }

  void require_examples() const {
    if (examples_.empty()) throw Error("there are no examples to call forward with");
    for (std::size_t i = 0; i < examples_.size(); ++i) {
      if (!examples_[i].defined()) throw Error("example " + std::to_string(i) + " is an undefined tensor");
    }
  }

  // Finds `batch_dims_`, the example that has the batch size, and the size.
  void find_batch() {
    batch_dims_.assign(examples_.size(), std::nullopt);
    const std::size_t listed = options_.batch_dims.size();
    if (listed != 0 && listed != examples_.size()) {
      throw Error("batch_dims has " + std::to_string(listed) + " entries for " + std::to_string(examples_.size()) +
                  " examples");
    }
    if (options_.fixed_batch_size) return;
    for (std::size_t i = 0; i < examples_.size(); ++i) {
      const at::Tensor& x = examples_[i];
      auto dim = listed == 0 ? std::optional<std::int64_t>(0) : options_.batch_dims[i];
      if (dim && *dim < 0) *dim += x.dim();
      if (listed != 0 && dim && (*dim < 0 || *dim >= x.dim())) {
        throw Error("batch_dims: example " + std::to_string(i) + " has no such dimension");
      }
      if (listed == 0 && x.dim() == 0) dim.reset();
      if (listed == 0 && i != 0 && (!source_ || (dim && x.size(0) != batch_size_))) dim.reset();
      if (!dim) continue;
      if (!source_) {
        source_ = i;
        batch_size_ = x.size(*dim);
      }
      if (x.size(*dim) != batch_size_) {
        throw Error("the examples have batch sizes " + std::to_string(batch_size_) + " and " +
                    std::to_string(x.size(*dim)) + "; see TorchScriptOptions::batch_dims");
      }
      batch_dims_[i] = dim;
    }
    if (source_ && batch_size_ == 0) throw Error("the batch size of the examples is 0");
  }

  std::shared_ptr<torch::jit::Graph> traced(torch::jit::Module& self) {
    Tensors tensors = examples_;
    for_each_tensor(module_, "", [&](const std::string&, const at::Tensor& tensor) { tensors.push_back(tensor); });
    const Generators generators(tensors);
    Contents contents(module_);
    OtherInputs other(examples_, batch_dims_);

    Trace ours = with_reason("forward cannot be traced with the examples: ",
                             [&] { return trace(forward_, copies(examples_), self); });
    if (generators.have_drawn()) {
      const std::string names = random_operators(*ours.graph);
      throw Error("forward draws random numbers" + (names.empty() ? "" : " (" + names + ")") +
                  ", which a trace cannot repeat" + advice());
    }
    require_unchanged(contents);
    if (ours.has_read && !options_.allow_value_reads) {
      throw Error(
          "forward reads values of its inputs (item()), and a trace keeps what it does with those of the examples; if "
          "no result depends on it, see TorchScriptOptions::allow_value_reads");
    }
    if (source_) {
      const std::int64_t size = batch_size_ + 1;
      Trace theirs = with_reason(fails_at(size), [&] { return trace(forward_, other.of_batch_size(size), self); });
      BatchSize(*ours.graph, *source_, *batch_dims_[*source_], batch_size_, size).generalize(*theirs.graph);
    }
    torch::jit::EliminateDeadCode(ours.graph);

    trials_.push_back({"for the examples", examples_, forward_(copies(examples_))});
    try_if_possible("for the examples' values in another order", [&] { return other.shuffled(); });
    try_if_possible("for other values", [&] { return other.normal(); });
    if (source_) {
      if (batch_size_ != 1) try_if_possible("at batch size 1", [&] { return other.of_batch_size(1); });
      const std::int64_t size = batch_size_ + std::min<std::int64_t>(batch_size_ + 3, 16);  // not to run out of memory
      const Tensors inputs = other.of_batch_size(size);
      trials_.push_back({"at batch size " + std::to_string(size), inputs,
                         with_reason(fails_at(size), [&] { return forward_(copies(inputs)); })});
    }
    require_unchanged(contents);
    return ours.graph;
  }

  void require_unchanged(Contents& contents) const {
    const auto changed = contents.put_back();
    if (!changed.empty()) throw Error("forward changes " + changed + " of the module" + advice());
  }

  [[nodiscard]] std::string fails_at(std::int64_t size) const {
    return "forward fails at batch size " + std::to_string(size) + " (the examples' is " + std::to_string(batch_size_) +
           "; if it takes no other, see TorchScriptOptions::fixed_batch_size): ";
  }

  // Values that the module itself refuses say nothing about the trace.
  template <class MakeInputs>
  void try_if_possible(const std::string& with, const MakeInputs& make_inputs) {
    try {
      const Tensors inputs = make_inputs();
      trials_.push_back({with, inputs, forward_(copies(inputs))});
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception&) {
    }
  }

  // Forward may write to its inputs.
  static Tensors copies(const Tensors& tensors) {
    Tensors copied;
    for (const at::Tensor& tensor : tensors) copied.push_back(tensor.detach().clone());
    return copied;
  }

  /// Loads the bytes of a file and compares what it gives; returns them.
  std::string tried(std::string bytes) const {
    std::istringstream in(std::move(bytes));
    torch::jit::Module loaded =
        with_reason("LibTorch cannot read the exported module: ", [&] { return torch::jit::load(in); });
    const WithoutOptimizer plain;
    for (const auto& [with, inputs, expected] : trials_) {
      const Tensors arguments = copies(inputs);
      const auto found = with_reason("the exported module fails " + with + ": ", [&] {
        return loaded.forward(std::vector<c10::IValue>(arguments.begin(), arguments.end()));
      });
      const auto difference = output_difference(expected, found, "output", options_);
      if (!difference.empty()) {
        throw Error("the exported module does not do what the module does " + with + ": " + difference +
                    "; forward depends on what a trace cannot see: values or sizes that C++ code reads, or random "
                    "numbers");
      }
    }
    return std::move(in).str();
  }

  /// Compiling for speed takes longer than the few calls here.
  struct WithoutOptimizer {
    WithoutOptimizer() { torch::jit::setGraphExecutorOptimize(false); }
    WithoutOptimizer(const WithoutOptimizer&) = delete;
    WithoutOptimizer& operator=(const WithoutOptimizer&) = delete;
    ~WithoutOptimizer() { torch::jit::setGraphExecutorOptimize(before); }
    bool before = torch::jit::getGraphExecutorOptimize();
  };

  const torch::nn::Module& module_;
  const Forward& forward_;
  const Tensors& examples_;
  const TorchScriptOptions& options_;
  std::vector<std::optional<std::int64_t>> batch_dims_;
  std::optional<std::size_t> source_;  ///< the first example with a batch
  std::int64_t batch_size_ = 0;
  std::vector<Trial> trials_;
};

}  // namespace trainstate::detail
