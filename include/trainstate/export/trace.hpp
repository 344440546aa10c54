// Traces: a module of LibTorch's C++ frontend as a TorchScript module with the same tree of names, and its forward as a
// graph.
#pragma once

#include <ATen/record_function.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/ir.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/torch/module_tensors.hpp"
#include "trainstate/torch/private_access.hpp"

namespace trainstate::detail {

using Tensors = std::vector<at::Tensor>;
/// A module's forward: tensors in, one value of TorchScript's out.
using Forward = std::function<c10::IValue(const Tensors&)>;

/// The TorchScript module with the names of a module, whose attributes are the very same tensors. A module that is
/// registered twice is one object under two names. A name that TorchScript has taken, or could not read back, gets a
/// `_`; so does each character that it could not.
class Mirror {
 public:
  explicit Mirror(const torch::nn::Module& module) : root_(mirrored(module, {"forward"})) {}

  [[nodiscard]] torch::jit::Module& root() noexcept { return root_; }

 private:
  /// A name that TorchScript can read: the last part of the C++ class's, with `_` for other characters.
  static std::string class_name(const torch::nn::Module& module) {
    std::string name = module.name();
    name.erase(std::min(name.find('<'), name.size()));  // a template's arguments
    if (const auto colons = name.rfind("::"); colons != std::string::npos) name.erase(0, colons + 2);
    std::replace_if(
        name.begin(), name.end(), [](char c) { return !is_word(c); }, '_');
    return "__torch__." + readable(name.empty() || is_digit(name[0]) ? "_" + name : name);
  }
  static std::string readable(std::string name) {
    static const std::unordered_set<std::string_view> keywords{
        "False",    "None",   "True",  "and",  "as",     "assert",   "async",   "await",   "break", "class",
        "continue", "def",    "del",   "elif", "else",   "for",      "except",  "finally", "from",  "global",
        "if",       "import", "in",    "is",   "lambda", "nonlocal", "not",     "or",      "pass",  "raise",
        "return",   "try",    "while", "with", "yield",  "torch",    "annotate"};
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c < ' ' || c > '~' || c == '"' || c == '\\'; }, '_');
    return keywords.contains(name) ? name + '_' : name;
  }
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  static bool is_word(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

  torch::jit::Module mirrored(const torch::nn::Module& module, std::unordered_set<std::string> taken) {
    if (const auto known = known_.find(&module); known != known_.end()) return known->second;
    torch::jit::Module mirror(c10::QualifiedName(class_name(module)), unit_, /*shouldMangle=*/true);
    mirror.register_attribute("training", c10::BoolType::get(), false);  // train() and eval() want it
    taken.insert("training");
    const auto free_name = [&](const std::string& registered) {
      std::string name = readable(registered);
      while (!taken.insert(name).second) name += '_';
      return name;
    };
    for (const auto& item : module.named_parameters(/*recurse=*/false)) {
      if (item.value().defined()) mirror.register_parameter(free_name(item.key()), item.value(), /*is_buffer=*/false);
    }
    for (const auto& item : module.named_buffers(/*recurse=*/false)) {
      if (item.value().defined()) mirror.register_buffer(free_name(item.key()), item.value());
    }
    for (const auto& child : module.named_children()) {
      mirror.register_module(free_name(child.key()), mirrored(*child.value(), {}));
    }
    known_.emplace(&module, mirror);
    return mirror;
  }

  std::shared_ptr<torch::jit::CompilationUnit> unit_ = std::make_shared<torch::jit::CompilationUnit>();
  std::unordered_map<const torch::nn::Module*, torch::jit::Module> known_;
  torch::jit::Module root_;
};

/// Whether a value follows from the inputs of the graph, and not from the module alone.
inline bool follows_from_inputs(const torch::jit::Value* value) {
  std::vector<const torch::jit::Value*> open{value};
  std::unordered_set<const torch::jit::Value*> seen{value};
  const auto* const inputs = value->owningGraph()->param_node();
  while (!open.empty()) {
    const auto* const at = open.back();
    open.pop_back();
    if (at->node() == inputs && at->offset() != 0) return true;
    for (const auto* const input : at->node()->inputs()) {
      if (seen.insert(input).second) open.push_back(input);
    }
  }
  return false;
}

// `inputs()` fails in programs that are built without NDEBUG, for LibTorch itself is built with it.
template struct Reveal<PrivateMember<at::RecordFunction, "inputs_">, &at::RecordFunction::inputs_>;

/// Notices, while it lives, that this thread reads the value of a tensor that follows from the inputs of the trace.
/// Not `at::equal`: LibTorch's attention asks it whether its inputs are one tensor.
class ReadWatch {
 public:
  ReadWatch() : handle_(at::addThreadLocalCallback(at::RecordFunctionCallback(&look).needsInputs(true))) {
    found() = false;
  }
  ReadWatch(const ReadWatch&) = delete;
  ReadWatch& operator=(const ReadWatch&) = delete;
  ~ReadWatch() { at::removeCallback(handle_); }

  [[nodiscard]] bool has_read() const { return found(); }

 private:
  static bool& found() {
    thread_local bool value = false;
    return value;
  }
  static std::unique_ptr<at::ObserverContext> look(const at::RecordFunction& call) {
    const std::string_view name = call.name();
    const auto& state = torch::jit::tracer::getTracingState();
    if (!state || (name != "aten::item" && name != "aten::_local_scalar_dense")) return nullptr;
    for (const c10::IValue& input : call.*reveal<at::RecordFunction, "inputs_">) {
      if (input.isTensor() && input.toTensor().defined() && state->hasValue(input) &&
          follows_from_inputs(state->getValue(input))) {
        found() = true;
      }
    }
    return nullptr;
  }

  at::CallbackHandle handle_;
};

struct Trace {
  std::shared_ptr<torch::jit::Graph> graph;
  c10::IValue output;
  bool has_read = false;  ///< forward read the value of a tensor, see ReadWatch
};

inline Trace trace(const Forward& forward, const Tensors& examples, torch::jit::Module& self) {
  const ReadWatch watch;
  torch::jit::Stack inputs(examples.begin(), examples.end());
  auto [state, outputs] = torch::jit::tracer::trace(
      std::move(inputs),
      [&](const torch::jit::Stack& stack) {
        Tensors tensors;
        for (const c10::IValue& value : stack) tensors.push_back(value.toTensor());
        return torch::jit::Stack{forward(tensors)};
      },
      [](const at::Tensor&) { return std::string(); }, /*strict=*/false, /*force_outplace=*/false, &self);
  for (std::size_t i = 0; i < examples.size(); ++i) {
    state->graph->inputs()[i + 1]->setDebugName(examples.size() == 1 ? "input" : "input_" + std::to_string(i));
  }
  return {.graph = state->graph, .output = outputs.at(0), .has_read = watch.has_read()};
}

/// The operators of a graph that may draw random numbers, for a person. (Later versions count an LSTM among them, for
/// it has a dropout.)
inline std::string random_operators(const torch::jit::Graph& graph) {
  std::string names;
  for (const torch::jit::Node* node : graph.nodes()) {
    const std::string name = node->kind().toQualString();
    if (!node->isNondeterministic() || names.find(name) != std::string::npos) continue;
    names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

}  // namespace trainstate::detail
