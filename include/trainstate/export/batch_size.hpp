// C++ code asks tensors for their sizes as plain numbers, which a trace takes for constants. Those that follow the
// batch size are found by tracing twice, and computed from it.
#pragma once

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"

namespace trainstate::detail {

/// Makes the integers of a graph follow the batch size where they differ between two traces.
class BatchSize {
 public:
  /// `input` is the graph's input whose dimension `dim` is the batch's; it was `size` long in `graph`'s trace, and
  /// `other_size` in the other one.
  BatchSize(torch::jit::Graph& graph, std::size_t input, std::int64_t dim, std::int64_t size, std::int64_t other_size)
      : graph_(graph), input_(input), dim_(dim), size_(size), other_size_(other_size) {}

  /// Throws Error if the traces differ in more than integers. Integers are taken to be linear in the batch size.
  void generalize(torch::jit::Graph& other) {
    std::vector<std::pair<torch::jit::Value*, std::int64_t>> differing;
    auto theirs = other.nodes().begin();
    for (torch::jit::Node* const node : graph_.nodes()) {
      if (theirs == other.nodes().end()) throw_difference(*node);
      const torch::jit::Node* const their_node = *theirs;
      ++theirs;
      if (node->kind() != their_node->kind() || node->inputs().size() != their_node->inputs().size()) {
        throw_difference(*node);
      }
      if (node->kind() != c10::prim::Constant) continue;
      const auto ours = torch::jit::toIValue(node->output()), others = torch::jit::toIValue(their_node->output());
      if (!ours || !others || ours->isTensor()) continue;  // values are compared when the result is tried
      if (ours->isInt() && others->isInt()) {
        if (ours->toInt() != others->toInt()) differing.emplace_back(node->output(), others->toInt());
      } else if (ours->tagKind() != others->tagKind() || (ours->isDouble() && ours->toDouble() != others->toDouble())) {
        throw Error("a number in forward that is no integer follows the batch size; a trace cannot compute it");
      }
    }
    if (theirs != other.nodes().end()) throw_difference(**theirs);
    for (const auto& [value, their_value] : differing) follow(value, their_value);
  }

 private:
  [[noreturn]] void throw_difference(const torch::jit::Node& node) const {
    throw Error("what forward does depends on the batch size: it differs between " + std::to_string(size_) + " and " +
                std::to_string(other_size_) + ", at " + node.kind().toQualString());
  }

  void follow(torch::jit::Value* value, std::int64_t their_value) {
    const std::int64_t ours = *torch::jit::constant_as<std::int64_t>(value);
    const std::int64_t factor = (their_value - ours) / (other_size_ - size_);
    torch::jit::Value* computed = batch_size();
    if (factor != 1) computed = insert(c10::aten::mul, computed, factor);
    if (const std::int64_t rest = ours - factor * size_; rest != 0) computed = insert(c10::aten::add, computed, rest);
    value->replaceAllUsesWith(computed);
  }

  torch::jit::Value* batch_size() {
    if (!batch_size_) batch_size_ = insert(c10::aten::size, graph_.inputs().at(input_ + 1), dim_);
    return batch_size_;
  }

  // At the beginning of the graph, after what was inserted before.
  torch::jit::Value* insert(c10::Symbol symbol, torch::jit::Value* argument, std::int64_t number) {
    const torch::jit::WithInsertPoint point(last_ ? last_->next() : *graph_.nodes().begin());
    torch::jit::Value* const constant = graph_.insertConstant(number);
    torch::jit::Node* const node = graph_.insertNode(graph_.create(symbol, {argument, constant}));
    node->output()->setType(c10::IntType::get());
    last_ = node;
    return node->output();
  }

  torch::jit::Graph& graph_;
  std::size_t input_;
  std::int64_t dim_, size_, other_size_;
  torch::jit::Value* batch_size_ = nullptr;
  torch::jit::Node* last_ = nullptr;
};

}  // namespace trainstate::detail
