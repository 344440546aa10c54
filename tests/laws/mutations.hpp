// Every single thing that can be wrong with a tree: each value in turn replaced, taken away, or given a neighbour.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "support/torch_doctest.hpp"
#include "trainstate/state_dict.hpp"

namespace laws {

namespace ts = trainstate;

/// A place in a tree, and what is done there: `with` replaces the value, and nothing takes it away. With `beside`,
/// the value stays and gets a neighbour.
struct Mutation {
  std::vector<ts::Key> place;
  std::optional<ts::Value> with;
  bool beside = false;

  [[nodiscard]] std::string text() const {
    std::string path;
    for (const ts::Key& key : place) path = ts::detail::join(path, key);
    return path + (beside ? " with a neighbour" : with ? " as " + with->describe() : " erased");
  }
};

/// What a value may be replaced by: one of every kind, and what nearly is the same.
inline std::vector<ts::Value> other_values(const ts::Value& value) {
  std::vector<ts::Value> others{ts::None(),
                                true,
                                -7,
                                std::numeric_limits<std::int64_t>::max(),
                                0.5,
                                std::numeric_limits<double>::quiet_NaN(),
                                "no such thing",
                                ts::List(),
                                ts::List{1, "x"},
                                ts::StateDict(),
                                ts::StateDict{{"no", ts::StateDict{{"such", "thing"}}}},
                                torch::zeros({2, 1}, torch::kInt16)};
  if (const auto* tensor = value.get_if<at::Tensor>(); tensor && tensor->defined()) {
    const bool is_float = tensor->scalar_type() == at::kFloat;
    others.emplace_back(torch::zeros(tensor->sizes(), is_float ? at::kDouble : at::kFloat));
    others.emplace_back(torch::zeros({tensor->numel() + 1}, tensor->scalar_type()));
    others.emplace_back(torch::empty_like(*tensor, at::TensorOptions().device(at::kMeta)));
    others.emplace_back(torch::zeros({1}, tensor->scalar_type()).expand({tensor->numel() + 2}));
    if (is_float && tensor->dim() != 0) others.emplace_back(torch::zeros_like(*tensor).to_sparse());
  } else if (const auto* list = value.get_if<ts::List>()) {
    ts::List longer = *list;
    longer.push_back(list->empty() ? ts::Value(1) : list->back());
    others.emplace_back(std::move(longer));
  }
  return others;
}

inline void add_mutations(const ts::Value& value, std::vector<ts::Key>& place, std::vector<Mutation>& all) {
  if (!place.empty()) {
    all.push_back({place, std::nullopt});
    for (auto& other : other_values(value)) {
      if (other.is<at::Tensor>() || !(other == value)) all.push_back({place, std::move(other)});
    }
  }
  const auto below = [&](const ts::Key& key, const ts::Value& item) {
    place.push_back(key);
    add_mutations(item, place, all);
    place.pop_back();
  };
  if (const auto* list = value.get_if<ts::List>()) {
    for (std::size_t i = 0; i < list->size(); ++i) below(static_cast<std::int64_t>(i), (*list)[i]);
  } else if (const auto* dict = value.get_if<ts::StateDict>()) {
    all.push_back({place, std::nullopt, true});
    for (const auto& [key, item] : *dict) below(key, item);
  }
}

/// All mutations of a tree, or `most` of them, evenly spread.
inline std::vector<Mutation> mutations_of(const ts::StateDict& tree, std::size_t most) {
  std::vector<Mutation> all;
  std::vector<ts::Key> place;
  add_mutations(tree, place, all);
  if (all.size() <= most) return all;
  std::vector<Mutation> some;
  for (std::size_t i = 0; i < most; ++i) some.push_back(std::move(all[i * all.size() / most]));
  return some;
}

/// The tree with one thing wrong. Tensors that are not replaced are the tree's own.
inline ts::StateDict mutated(const ts::StateDict& tree, const Mutation& mutation) {
  ts::StateDict copy = tree;
  ts::Value root = std::move(copy);
  ts::Value* parent = nullptr;
  ts::Value* at = &root;
  for (const ts::Key& key : mutation.place) {
    parent = at;
    auto* list = at->get_if<ts::List>();
    at = list ? &(*list)[static_cast<std::size_t>(std::get<std::int64_t>(key))] : &at->as<ts::StateDict>().at_key(key);
  }
  if (mutation.beside) {
    at->as<ts::StateDict>()["a neighbour"] = 1;
  } else if (mutation.with) {
    *at = *mutation.with;
  } else if (auto* list = parent->get_if<ts::List>()) {
    list->erase(list->begin() + static_cast<std::ptrdiff_t>(std::get<std::int64_t>(mutation.place.back())));
  } else {
    parent->as<ts::StateDict>().erase_key(mutation.place.back());
  }
  return std::move(root.as<ts::StateDict>());
}

}  // namespace laws
