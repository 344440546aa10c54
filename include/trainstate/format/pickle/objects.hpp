// The objects that a pickle makes. They refer to each other by number, so that cycles cost nothing and leak nothing.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/format/pickle/globals.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format::pickle {

/// The number of an object.
using Id = std::uint32_t;

enum class Kind : std::uint8_t {
  none,
  boolean,
  integer,
  big_integer,  // beyond 64 bits
  floating,
  complex,
  text,
  bytes,
  list,
  tuple,
  set,
  dict,
  global,
  storage,
  tensor
};

/// What an error text calls a kind.
constexpr std::string_view name_of(Kind kind) {
  constexpr std::string_view names[] = {"None",     "a bool",    "an int",  "an int beyond 64 bits",
                                        "a float",  "a complex", "a str",   "bytes",
                                        "a list",   "a tuple",   "a set",   "a dict",
                                        "a global", "a storage", "a tensor"};
  return names[static_cast<std::size_t>(kind)];
}

/// A storage as a pickle refers to it: which bytes, and how many elements of which type.
struct StorageRef {
  std::string_view key, location;
  Dtype dtype = Dtype::u8;  // u8 also if untyped
  bool untyped = false;
  std::uint64_t size = 0;    // bytes
  std::uint64_t offset = 0;  // bytes, from the beginning of what `key` names: views in the older container
  std::uint64_t root = 0;    // bytes of what `key` names
};

/// A tensor as a pickle describes it.
struct TensorRef {
  std::size_t storage = 0;  // of Objects::storages
  Dtype dtype = Dtype::f32;
  std::uint64_t offset = 0;                  // elements
  Id shape = 0, strides = 0;                 // tuples of integers: many tensors may name the same
  bool conjugated = false, negated = false;  // lazily: the storage holds what they were taken of
};

/// One object: what `a` and `b` are depends on its kind.
struct Object {
  Kind kind = Kind::none;
  std::uint64_t a = 0, b = 0;
};

/// All objects of one pickle. Texts point into it, or into `owned`.
class Objects {
 public:
  Objects() : objects_{{Kind::none}, {Kind::boolean, 0}, {Kind::boolean, 1}} {}

  static constexpr Id none = 0;
  static constexpr Id boolean(bool value) { return value ? 2 : 1; }

  [[nodiscard]] Id add(Kind kind, std::uint64_t a = 0, std::uint64_t b = 0) {
    objects_.push_back({kind, a, b});
    return static_cast<Id>(objects_.size() - 1);
  }
  [[nodiscard]] Id add_text(Kind kind, std::string_view text) {
    return add(kind, reinterpret_cast<std::uintptr_t>(text.data()), text.size());
  }
  [[nodiscard]] Id add_owned(Kind kind, std::string text) {
    return add_text(kind, owned_.emplace_back(std::move(text)));
  }
  [[nodiscard]] Id add_integer(std::int64_t value) { return add(Kind::integer, static_cast<std::uint64_t>(value)); }
  [[nodiscard]] Id add_float(double value) { return add(Kind::floating, std::bit_cast<std::uint64_t>(value)); }
  /// A list, tuple or set of items; a dict of keys and values in turn.
  [[nodiscard]] Id add_container(Kind kind, std::vector<Id> items = {}) {
    if (items.empty()) return add(kind, no_items);
    containers_.push_back(std::move(items));
    return add(kind, containers_.size() - 1);
  }
  [[nodiscard]] Id add_storage(StorageRef storage) {
    storages_.push_back(std::move(storage));
    return add(Kind::storage, storages_.size() - 1);
  }
  [[nodiscard]] Id add_tensor(TensorRef tensor) {
    tensors_.push_back(std::move(tensor));
    return add(Kind::tensor, tensors_.size() - 1);
  }
  [[nodiscard]] Id add_global(Global global, std::string name) {
    globals_.emplace_back(global, std::move(name));
    return add(Kind::global, globals_.size() - 1);
  }

  [[nodiscard]] const Object& operator[](Id id) const { return objects_[id]; }
  [[nodiscard]] Kind kind(Id id) const { return objects_[id].kind; }
  [[nodiscard]] std::size_t size() const { return objects_.size(); }

  [[nodiscard]] std::string_view text(Id id) const {
    return {reinterpret_cast<const char*>(objects_[id].a), static_cast<std::size_t>(objects_[id].b)};
  }
  [[nodiscard]] std::int64_t integer(Id id) const { return static_cast<std::int64_t>(objects_[id].a); }
  [[nodiscard]] double floating(Id id) const { return std::bit_cast<double>(objects_[id].a); }
  /// References stay valid when other objects are added.
  [[nodiscard]] std::vector<Id>& items(Id id) {
    if (objects_[id].a == no_items) {
      objects_[id].a = containers_.size();
      containers_.emplace_back();
    }
    return containers_[static_cast<std::size_t>(objects_[id].a)];
  }
  [[nodiscard]] const std::vector<Id>& items(Id id) const {
    static const std::vector<Id> none_of_them;
    return objects_[id].a == no_items ? none_of_them : containers_[static_cast<std::size_t>(objects_[id].a)];
  }
  [[nodiscard]] const TensorRef& tensor(Id id) const { return tensors_[static_cast<std::size_t>(objects_[id].a)]; }
  [[nodiscard]] const StorageRef& storage(Id id) const { return storages_[static_cast<std::size_t>(objects_[id].a)]; }
  [[nodiscard]] const std::deque<StorageRef>& storages() const { return storages_; }
  [[nodiscard]] const std::pair<Global, std::string>& global(Id id) const {
    return globals_[static_cast<std::size_t>(objects_[id].a)];
  }

 private:
  // Of a container that was never filled: one byte of a pickle makes one.
  static constexpr std::uint64_t no_items = std::numeric_limits<std::uint64_t>::max();

  // Deques, since a vector takes three times its size while it grows.
  std::deque<Object> objects_;
  std::deque<std::string> owned_;
  std::deque<std::vector<Id>> containers_;
  std::deque<StorageRef> storages_;
  std::deque<TensorRef> tensors_;
  std::deque<std::pair<Global, std::string>> globals_;
};

}  // namespace trainstate::format::pickle
