// Edits of a state dict: what migration hooks use.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "trainstate/basic_state_dict.hpp"

namespace trainstate {
namespace detail {

/// Hands a value to a function that takes a bool or a number; an integer may become a floating parameter, nothing else.
template <class Tensor>
struct NumberArgument {
  BasicValue<Tensor>& value;
  std::string_view path;

  template <class T>
  requires std::is_arithmetic_v<T>
  operator T() const {
    if constexpr (std::same_as<T, bool>) {
      return value.template as<bool>();
    } else if constexpr (std::integral<T>) {
      const std::int64_t integer = value.template as<std::int64_t>();
      const auto narrowed = static_cast<T>(integer);
      if (!std::in_range<T>(integer)) {
        throw Error(std::string(path) + ": expected an integer of " + std::to_string(8 * sizeof(T)) + " bits, found " +
                    value.describe());
      }
      return narrowed;
    } else {
      const auto* integer = value.template get_if<std::int64_t>();
      return static_cast<T>(integer ? static_cast<double>(*integer) : value.template as<double>());
    }
  }
};

/// For its lifetime, and on its thread: is told which tensor `transform` put in the place of which.
template <class Tensor>
class TransformWatch {
 public:
  using Told = std::function<void(const Tensor& was, const Tensor& now)>;

  explicit TransformWatch(Told told) : told_(std::move(told)), outer_(std::exchange(current_, this)) {}
  TransformWatch(const TransformWatch&) = delete;
  TransformWatch& operator=(const TransformWatch&) = delete;
  ~TransformWatch() { current_ = outer_; }

  [[nodiscard]] static bool active() noexcept { return current_ != nullptr; }
  static void tell(const Tensor& was, const Tensor& now) { current_->told_(was, now); }

 private:
  static inline thread_local TransformWatch* current_ = nullptr;
  Told told_;
  TransformWatch* outer_;
};

}  // namespace detail

template <class Tensor>
void BasicStateDict<Tensor>::require_settable(std::string_view path, const Value* replaced) const {
  auto [head, rest] = detail::split_first(path);
  const Value* at = find_segment(Segment(head));
  while (at && at != replaced && rest) {
    std::tie(head, rest) = detail::split_first(*rest);
    const Value* next = step(*at, Segment(head));
    if (!next && !at->template is<BasicStateDict>()) {
      throw Error(std::string(path) + ": cannot be set, since " +
                  std::string(path.substr(0, static_cast<std::size_t>(head.data() - path.data()) - 1)) + " is " +
                  at->describe());
    }
    at = next;
  }
}

template <class Tensor>
auto BasicStateDict<Tensor>::set(std::string_view path, Value value) -> Value& {
  require_settable(path);
  auto [head, rest] = detail::split_first(path);
  Segment segment(head);
  Value* at = const_cast<Value*>(find_segment(segment));
  if (!at) at = &insert(segment.key(), rest ? Value(BasicStateDict()) : Value());
  while (rest) {
    std::tie(head, rest) = detail::split_first(*rest);
    segment = Segment(head);
    Value* next = const_cast<Value*>(step(*at, segment));
    if (!next) {
      next = &at->template as<BasicStateDict>().insert(segment.key(), rest ? Value(BasicStateDict()) : Value());
    }
    at = next;
  }
  return *at = std::move(value);
}

template <class Tensor>
bool BasicStateDict<Tensor>::set_default(std::string_view path, Value value) {
  if (contains(path)) return false;
  set(path, std::move(value));
  return true;
}

template <class Tensor>
bool BasicStateDict<Tensor>::erase(std::string_view path) {
  if (!contains(path)) return false;
  const auto [stem, last] = detail::split_last(path);
  const Segment segment(last);
  if (BasicStateDict* parent = parent_of(stem)) {
    parent->erase_key(segment.number && parent->find_key(*segment.number) ? Key(*segment.number) : Key(segment.text));
  } else {
    auto& list = find(*stem)->template as<List>();
    list.erase(list.begin() + *segment.number);
  }
  return true;
}

template <class Tensor>
bool BasicStateDict<Tensor>::rename(std::string_view from, std::string_view to) {
  Value* value = find(from);
  if (!value || from == to) return value != nullptr;
  if (contains(to)) throw Error(std::string(from) + ": cannot be renamed to " + std::string(to) + ", which exists");
  if (to.starts_with(from) && to.substr(from.size()).starts_with('/')) {
    throw Error(std::string(from) + ": cannot be moved into itself, to " + std::string(to));
  }
  const auto [from_stem, from_last] = detail::split_last(from);
  const auto [to_stem, to_last] = detail::split_last(to);
  BasicStateDict* parent = parent_of(from_stem);
  if (parent && from_stem == to_stem) {
    const Segment old(from_last);
    parent->replace_key(old.number && parent->find_key(*old.number) ? Key(*old.number) : Key(old.text),
                        Segment(to_last).key());
    return true;
  }
  set(to, None()) = std::move(*value);  // before the erasure, after which a path through a list may lead elsewhere
  erase(from);
  return true;
}

template <class Tensor>
std::size_t BasicStateDict<Tensor>::rename_prefix(std::string_view from, std::string_view to) {
  const auto [from_stem, from_text] = detail::split_last(from);
  const auto [to_stem, to_text] = detail::split_last(to);
  BasicStateDict* source = parent_of(from_stem);
  if (!source || from == to) return 0;
  const BasicStateDict* taken = parent_of(to_stem);
  const bool in_place = taken == source;

  std::vector<std::optional<Key>> renamed;  // by entry of the source
  BasicStateDict kept;                      // the keys that stay, with no values
  std::size_t moves = 0;
  for (const auto& [key, value] : *source) {
    std::string segment;
    detail::append_escaped(segment, detail::to_string(key));
    renamed.emplace_back();
    if (segment.starts_with(from_text)) {
      renamed.back() = Segment(std::string(to_text) + segment.substr(from_text.size())).key();
      ++moves;
    } else if (in_place) {
      kept.insert(key, Value());
    }
  }
  if (moves == 0) return 0;

  if (to_stem && !in_place) {
    for (auto end = to_stem->find('/');; end = to_stem->find('/', end + 1)) {
      const Value* passed = find(to_stem->substr(0, end));
      for (std::size_t i = 0; i < renamed.size(); ++i) {
        if (renamed[i] && &source->entries_[i]->second == passed) {
          throw Error(std::string(from) + ": cannot be moved into itself, to " + std::string(to));
        }
      }
      if (end == std::string_view::npos) break;
    }
  }
  for (std::size_t i = 0; i < renamed.size(); ++i) {
    if (!renamed[i]) continue;
    if (kept.find_key(*renamed[i]) || (taken && !in_place && taken->find_key(*renamed[i]))) {
      throw Error(detail::join(from_stem.value_or(""), source->entries_[i]->first) + ": cannot be renamed to " +
                  detail::join(to_stem.value_or(""), *renamed[i]) + ", which exists");
    }
    kept.insert(*renamed[i], Value());
  }

  if (in_place) {
    for (std::size_t i = 0; i < renamed.size(); ++i) {
      auto& entry = source->entries_[i];
      if (renamed[i]) entry = std::make_unique<value_type>(*std::move(renamed[i]), std::move(entry->second));
    }
  } else {
    if (to_stem && !contains(*to_stem)) set(*to_stem, BasicStateDict());
    BasicStateDict* target = parent_of(to_stem);
    if (!target) {
      throw Error(std::string(to) + ": cannot take renamed keys, since " + std::string(*to_stem) + " is " +
                  at(*to_stem).describe());
    }
    Entries rest;
    for (std::size_t i = 0; i < renamed.size(); ++i) {
      auto& entry = source->entries_[i];
      if (renamed[i]) {
        target->insert(*std::move(renamed[i]), std::move(entry->second));
      } else {
        rest.push_back(std::move(entry));
      }
    }
    source->entries_ = std::move(rest);
  }
  source->reindex();
  return moves;
}

template <class Tensor>
template <class F>
void BasicStateDict<Tensor>::transform(std::string_view path, F&& f) {
  Value& value = at(path);
  const Tensor* const tensor = value.template get_if<Tensor>();
  const auto was = tensor && detail::TransformWatch<Tensor>::active() ? std::optional(*tensor) : std::nullopt;
  const auto apply = [&](auto&& argument) {
    if constexpr (std::is_void_v<decltype(f(argument))>) {
      f(argument);
    } else {
      value = Value(f(argument));
    }
  };
  if constexpr (std::is_invocable_v<F&, Value&>) {
    apply(value);
  } else if constexpr (std::is_invocable_v<F&, Tensor&>) {
    apply(value.template as<Tensor>());
  } else if constexpr (std::is_invocable_v<F&, std::string&>) {
    apply(value.template as<std::string>());
  } else if constexpr (std::is_invocable_v<F&, List&>) {
    apply(value.template as<List>());
  } else if constexpr (std::is_invocable_v<F&, BasicStateDict&>) {
    apply(value.template as<BasicStateDict>());
  } else {
    static_assert(
        std::is_invocable_v<F&, detail::NumberArgument<Tensor>>,
        "trainstate: the function given to transform() takes a Value&, or a Tensor, string, List, StateDict, bool "
        "or number");
    apply(detail::NumberArgument<Tensor>{value, path});
  }
  if (was && value.template is<Tensor>()) detail::TransformWatch<Tensor>::tell(*was, value.template as<Tensor>());
}

template <class Tensor>
bool BasicStateDict<Tensor>::split(std::string_view from, const std::vector<std::string>& to, std::int64_t dim,
                                   const std::vector<std::int64_t>& sizes) requires detail::Divisible<Tensor> {
  if (!contains(from)) return false;
  const Tensor whole = at<Tensor>(from);
  const std::string inside = std::string(from) + '/';
  BasicStateDict targets;
  bool in_place = false, below = false;
  for (const auto& path : to) {
    if (targets.contains(path) || (path != from && contains(path))) {
      throw Error(std::string(from) + ": cannot be split to " + path + ", which exists");
    }
    targets.set(path, None());  // throws if one part would stand inside another
    require_settable(path, find(from));
    in_place = in_place || path == from;
    below = below || path.starts_with(inside);
  }
  auto parts = detail::TensorTraits<Tensor>::split(whole, std::string(from), to.size(), dim, sizes);
  if (below) {
    *find(from) = BasicStateDict();
  } else if (!in_place) {
    erase(from);
  }
  for (std::size_t i = 0; i < to.size(); ++i) set(to[i], std::move(parts[i]));
  return true;
}

template <class Tensor>
bool BasicStateDict<Tensor>::merge(const std::vector<std::string>& from, std::string_view to,
                                   std::int64_t dim) requires detail::Divisible<Tensor> {
  const auto here = [&](const std::string& path) { return contains(path); };
  if (std::none_of(from.begin(), from.end(), here)) return false;
  if (contains(to) && std::find(from.begin(), from.end(), to) == from.end()) {
    throw Error(std::string(to) + ": cannot take merged tensors, since it exists");
  }
  std::vector<Tensor> parts;
  for (const auto& path : from) parts.push_back(at<Tensor>(path));
  Tensor whole = detail::TensorTraits<Tensor>::merge(parts, std::string(to), dim);
  set(to, std::move(whole));  // first, since it may throw
  // The deepest first, and those of a list from its end, so that no path means another item by then.
  const auto order = [](const std::string& path) {
    return std::tuple(std::count(path.begin(), path.end(), '/'), detail::integer_of(detail::split_last(path).second),
                      std::string_view(path));
  };
  std::vector<std::string> merged = from;
  std::sort(merged.begin(), merged.end(), [&](const auto& a, const auto& b) { return order(a) > order(b); });
  merged.erase(std::unique(merged.begin(), merged.end()), merged.end());
  for (const auto& path : merged) {
    if (path != to) erase(path);
  }
  return true;
}

}  // namespace trainstate
