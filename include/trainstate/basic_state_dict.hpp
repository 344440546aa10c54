// An insertion-ordered map from keys to values, with paths into it. Parametrised by the tensor type.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "trainstate/basic_value.hpp"
#include "trainstate/path.hpp"

namespace trainstate {
namespace detail {

template <class Tensor>
class DictBuilder;

/// A tensor type that can be cut and joined.
template <class Tensor>
concept Divisible = requires {
  &TensorTraits<Tensor>::split;
};

}  // namespace detail

/// An insertion-ordered map from Key to value. Keys are int64 or string; a path joins them with `/` (`~1` and `~0`
/// stand for `/` and `~` inside a key). A segment of digits means an index of a list or an int key, then the string
/// key. References to values stay valid until their entry is erased or renamed. Copies alias tensors; `clone` does not.
template <class Tensor>
class BasicStateDict {
 public:
  using Value = BasicValue<Tensor>;
  using List = BasicList<Tensor>;
  using value_type = std::pair<const Key, Value>;

 private:
  using Entries = std::vector<std::unique_ptr<value_type>>;

  template <bool Const>
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = BasicStateDict::value_type;
    using difference_type = std::ptrdiff_t;
    using reference = std::conditional_t<Const, const value_type&, value_type&>;
    using pointer = std::conditional_t<Const, const value_type*, value_type*>;

    Iterator() = default;
    explicit Iterator(typename Entries::const_iterator at) : at_(at) {}
    reference operator*() const { return **at_; }
    pointer operator->() const { return at_->get(); }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) { return Iterator(at_++); }
    bool operator==(const Iterator&) const = default;

   private:
    typename Entries::const_iterator at_;
  };

 public:
  using iterator = Iterator<false>;
  using const_iterator = Iterator<true>;

  BasicStateDict() = default;
  BasicStateDict(std::initializer_list<std::pair<Key, Value>> entries);
  BasicStateDict(const BasicStateDict& other);
  BasicStateDict(BasicStateDict&& other) noexcept = default;
  BasicStateDict& operator=(const BasicStateDict& other) { return *this = BasicStateDict(other); }
  BasicStateDict& operator=(BasicStateDict&& other) noexcept = default;
  ~BasicStateDict() = default;

  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] iterator begin() noexcept { return iterator(entries_.cbegin()); }
  [[nodiscard]] iterator end() noexcept { return iterator(entries_.cend()); }
  [[nodiscard]] const_iterator begin() const noexcept { return const_iterator(entries_.begin()); }
  [[nodiscard]] const_iterator end() const noexcept { return const_iterator(entries_.end()); }
  void reserve(std::size_t n) { entries_.reserve(n); }

  /// The value of one key, exactly; nullptr if there is none. O(log n).
  [[nodiscard]] const Value* find_key(const Key& key) const;
  [[nodiscard]] Value* find_key(const Key& key) { return const_cast<Value*>(std::as_const(*this).find_key(key)); }
  /// The value of one key, exactly. Throws Error if there is none.
  [[nodiscard]] const Value& at_key(const Key& key) const;
  [[nodiscard]] Value& at_key(const Key& key) { return const_cast<Value&>(std::as_const(*this).at_key(key)); }
  /// The value of one key; None is inserted where there is none, as in std::map.
  Value& operator[](const Key& key);
  [[nodiscard]] const Value& operator[](const Key& key) const { return at_key(key); }

  /// Removes one key, exactly; false if there is none. O(n).
  bool erase_key(const Key& key);

  /// The value at a path; nullptr if there is none.
  [[nodiscard]] const Value* find(std::string_view path) const;
  [[nodiscard]] Value* find(std::string_view path) { return const_cast<Value*>(std::as_const(*this).find(path)); }
  [[nodiscard]] bool contains(std::string_view path) const { return find(path) != nullptr; }
  /// The value at a path. Throws Error naming the path and the first part of it that is not there.
  [[nodiscard]] const Value& at(std::string_view path) const;
  [[nodiscard]] Value& at(std::string_view path) { return const_cast<Value&>(std::as_const(*this).at(path)); }
  /// The value at a path as a `T`. Throws Error naming the path and what was found.
  template <class T>
  [[nodiscard]] const T& at(std::string_view path) const {
    return at(path).template as<T>();
  }
  template <class T>
  [[nodiscard]] T& at(std::string_view path) {
    return at(path).template as<T>();
  }

  /// Writes the value at a path, making the dicts on the way. A segment of digits makes an int key. Throws Error where
  /// the way is blocked by something that is no dict, or an index is past the end of a list.
  Value& set(std::string_view path, Value value);
  /// As `set`, but only if nothing stands there; true if it was written.
  bool set_default(std::string_view path, Value value);
  /// Removes what stands at a path; false if nothing does.
  bool erase(std::string_view path);
  /// Moves a value to another path (keeping its place in the order if the dict is the same); false if there is nothing
  /// at `from`. Throws Error, changing nothing, if `to` is taken or lies inside `from`.
  bool rename(std::string_view from, std::string_view to);
  /// Renames every key whose path begins with `from` so that it begins with `to`; what is compared is the text within
  /// one dict: `rename_prefix("state/conv1.", "state/stem.")`. Returns how many keys were renamed. Throws Error,
  /// changing nothing, if a new key is taken.
  std::size_t rename_prefix(std::string_view from, std::string_view to);
  /// Applies `f` to the value at a path. `f` takes a Value& to change in place, or takes a Value or one of its
  /// alternatives (`double`, `const Tensor&`, …) and returns the new value. Throws Error if there is no value, or if it
  /// is not of the alternative that `f` takes.
  template <class F>
  void transform(std::string_view path, F&& f);
  /// Cuts the tensor at `from` along dimension `dim` and puts the parts at the paths `to`; `sizes` are the lengths of
  /// the parts, equal ones by default. False if nothing stands at `from`. Throws Error, changing nothing, if it is no
  /// tensor, cannot be cut so, or a path is taken. For trees of LibTorch tensors.
  bool split(std::string_view from, const std::vector<std::string>& to, std::int64_t dim = 0,
             const std::vector<std::int64_t>& sizes = {}) requires detail::Divisible<Tensor>;
  /// Joins the tensors at the paths `from` along dimension `dim` and puts the result at `to`; the reverse of `split`.
  /// False if nothing stands at any of them. Throws Error, changing nothing, if only some are there, they do not fit
  /// together, or `to` is taken. For trees of LibTorch tensors.
  bool merge(const std::vector<std::string>& from, std::string_view to,
             std::int64_t dim = 0) requires detail::Divisible<Tensor>;

  /// A deep copy with tensors of its own. O(bytes).
  [[nodiscard]] BasicStateDict clone() const;
  /// Equal keys with equal values (see BasicValue), in any order.
  bool operator==(const BasicStateDict& other) const;

 private:
  static constexpr std::size_t index_from = 12;  // below this a linear search is faster

  struct Segment {
    std::optional<std::int64_t> number;
    std::string text;
    explicit Segment(std::string_view segment)
        : number(detail::integer_of(segment)), text(detail::unescaped(segment)) {}
    [[nodiscard]] Key key() const { return number && *number >= 0 ? Key(*number) : Key(text); }
  };

  const Value* find_segment(const Segment& segment) const;
  static const Value* step(const Value& value, const Segment& segment);
  BasicStateDict* parent_of(const std::optional<std::string_view>& path);
  /// Throws Error where `set` would be blocked, if `replaced` makes way.
  void require_settable(std::string_view path, const Value* replaced = nullptr) const;
  Value& insert(Key key, Value value);
  void replace_key(const Key& from, Key to);
  void reindex();
  [[nodiscard]] std::vector<value_type*> sorted() const;
  void index(const std::vector<value_type*>& sorted);

  friend class detail::DictBuilder<Tensor>;

  Entries entries_;
  // Empty, or of all entries; filled only from `index_from` entries on. Ordered, since no choice of keys in a hostile
  // file can make that slow; with keys of its own, since a lookup would wait for each entry otherwise.
  std::map<Key, Value*> index_;
};

namespace detail {

/// Makes a dict of many entries at once, which takes a fraction of the time of inserting them one by one.
template <class Tensor>
class DictBuilder {
 public:
  explicit DictBuilder(std::size_t expected = 0) { dict_.reserve(expected); }

  void append(Key key, BasicValue<Tensor> value) {
    dict_.entries_.push_back(
        std::make_unique<typename BasicStateDict<Tensor>::value_type>(std::move(key), std::move(value)));
  }

  /// For keys that differ, as those of another dict do, when hardly any of them will be looked up: a lookup is O(n).
  [[nodiscard]] BasicStateDict<Tensor> take_unindexed() { return std::move(dict_); }

  /// For keys that differ.
  [[nodiscard]] BasicStateDict<Tensor> take() {
    dict_.reindex();
    return std::move(dict_);
  }

  /// For any keys: calls `refuse(key)`, which throws, with one that was appended twice. O(n log n).
  template <class Refuse>
  [[nodiscard]] BasicStateDict<Tensor> take(const Refuse& refuse) {
    const auto sorted = dict_.sorted();
    const auto twin = std::adjacent_find(sorted.begin(), sorted.end(),
                                         [](const auto* a, const auto* b) { return a->first == b->first; });
    if (twin != sorted.end()) refuse((*twin)->first);
    dict_.index(sorted);
    return std::move(dict_);
  }

 private:
  BasicStateDict<Tensor> dict_;
};

}  // namespace detail

template <class Tensor>
BasicValue<Tensor>::BasicValue(List list) : data_(std::in_place_type<List>, std::move(list)) {}

template <class Tensor>
BasicValue<Tensor>::BasicValue(StateDict dict) : data_(std::in_place_type<StateDict>, std::move(dict)) {}

template <class Tensor>
BasicStateDict<Tensor>::BasicStateDict(std::initializer_list<std::pair<Key, Value>> entries) {
  entries_.reserve(entries.size());
  for (const auto& [key, value] : entries) (*this)[key] = value;
}

template <class Tensor>
BasicStateDict<Tensor>::BasicStateDict(const BasicStateDict& other) {
  entries_.reserve(other.size());
  for (const auto& entry : other.entries_) entries_.push_back(std::make_unique<value_type>(*entry));
  reindex();
}

template <class Tensor>
auto BasicStateDict<Tensor>::find_key(const Key& key) const -> const Value* {
  if (index_.empty()) {
    for (const auto& entry : entries_) {
      if (entry->first == key) return &entry->second;
    }
    return nullptr;
  }
  const auto at = index_.find(key);
  return at == index_.end() ? nullptr : at->second;
}

template <class Tensor>
auto BasicStateDict<Tensor>::at_key(const Key& key) const -> const Value& {
  if (const Value* value = find_key(key)) return *value;
  throw Error(detail::join("", key) + ": no such key");
}

template <class Tensor>
auto BasicStateDict<Tensor>::operator[](const Key& key) -> Value& {
  if (Value* value = find_key(key)) return *value;
  return insert(key, Value());
}

template <class Tensor>
auto BasicStateDict<Tensor>::find_segment(const Segment& segment) const -> const Value* {
  if (segment.number) {
    if (const Value* value = find_key(*segment.number)) return value;
  }
  return find_key(segment.text);
}

template <class Tensor>
auto BasicStateDict<Tensor>::step(const Value& value, const Segment& segment) -> const Value* {
  if (const auto* dict = value.template get_if<BasicStateDict>()) return dict->find_segment(segment);
  const auto* list = value.template get_if<List>();
  if (!list || !segment.number || *segment.number < 0) return nullptr;
  const auto i = static_cast<std::size_t>(*segment.number);
  return i < list->size() ? &(*list)[i] : nullptr;
}

template <class Tensor>
auto BasicStateDict<Tensor>::find(std::string_view path) const -> const Value* {
  auto [head, rest] = detail::split_first(path);
  const Value* value = find_segment(Segment(head));
  while (value && rest) {
    std::tie(head, rest) = detail::split_first(*rest);
    value = step(*value, Segment(head));
  }
  return value;
}

template <class Tensor>
auto BasicStateDict<Tensor>::at(std::string_view path) const -> const Value& {
  if (const Value* value = find(path)) {
    detail::last_lookup.value = value->identity_.number();
    detail::last_lookup.path = path;
    return *value;
  }
  // The longest part of the path that exists says where the way ends.
  std::optional<std::string_view> stem = detail::split_last(path).first;
  while (stem && !find(*stem)) stem = detail::split_last(*stem).first;
  std::string what(path);
  what += ": no such path";
  if (stem) what += "; " + std::string(*stem) + " is " + find(*stem)->describe();
  throw Error(what);
}

template <class Tensor>
auto BasicStateDict<Tensor>::insert(Key key, Value value) -> Value& {
  entries_.push_back(std::make_unique<value_type>(std::move(key), std::move(value)));
  if (index_.empty()) {
    reindex();
  } else {
    index_.emplace(entries_.back()->first, &entries_.back()->second);
  }
  return entries_.back()->second;
}

template <class Tensor>
void BasicStateDict<Tensor>::reindex() {
  index_.clear();
  if (entries_.size() >= index_from) index(sorted());
}

template <class Tensor>
auto BasicStateDict<Tensor>::sorted() const -> std::vector<value_type*> {
  std::vector<value_type*> entries;
  entries.reserve(entries_.size());
  for (const auto& entry : entries_) entries.push_back(entry.get());
  detail::sort_by_key(entries, [](const value_type& entry) -> const Key& { return entry.first; });
  return entries;
}

template <class Tensor>
void BasicStateDict<Tensor>::index(const std::vector<value_type*>& sorted) {
  if (sorted.size() < index_from) return;
  for (value_type* const entry : sorted) index_.emplace_hint(index_.end(), entry->first, &entry->second);
}

template <class Tensor>
bool BasicStateDict<Tensor>::erase_key(const Key& key) {
  const auto at =
      std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry->first == key; });
  if (at == entries_.end()) return false;
  index_.erase(key);
  entries_.erase(at);
  if (entries_.size() < index_from) index_.clear();
  return true;
}

template <class Tensor>
void BasicStateDict<Tensor>::replace_key(const Key& from, Key to) {
  const auto at =
      std::find_if(entries_.begin(), entries_.end(), [&](const auto& entry) { return entry->first == from; });
  auto renamed = std::make_unique<value_type>(std::move(to), std::move((*at)->second));
  index_.erase(from);
  *at = std::move(renamed);
  if (!index_.empty()) index_.emplace((*at)->first, &(*at)->second);
}

template <class Tensor>
auto BasicStateDict<Tensor>::parent_of(const std::optional<std::string_view>& path) -> BasicStateDict* {
  if (!path) return this;
  Value* value = find(*path);
  return value ? value->template get_if<BasicStateDict>() : nullptr;
}

template <class Tensor>
bool BasicStateDict<Tensor>::operator==(const BasicStateDict& other) const {
  return size() == other.size() && std::all_of(begin(), end(), [&](const auto& entry) {
           const Value* match = other.find_key(entry.first);
           return match && *match == entry.second;
         });
}

}  // namespace trainstate

#include "trainstate/state_dict_edit.hpp"  // set, rename, transform, … which migration hooks use
#include "trainstate/state_dict_text.hpp"  // clone, equality and text, which visit both halves
