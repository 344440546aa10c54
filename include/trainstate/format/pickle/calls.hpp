// What the few callables of a pickle give: containers, bytes, and tensors that are described but not yet built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/format/pickle/objects.hpp"
#include "trainstate/format/pickle/scanner.hpp"
#include "trainstate/format/text.hpp"

namespace trainstate::format::pickle {

/// The most dimensions that a tensor of PyTorch's may have.
inline constexpr std::size_t max_rank = 64;

/// The most arguments that a call may have: twice as many as any that is known.
inline constexpr std::size_t max_arguments = 16;

/// Evaluates calls. Nothing is executed: each callable is one of a fixed table, and a case below.
class Calls {
 public:
  /// `budget` bounds what calls may make out of a pickle, which could name one large text again and again.
  Calls(Objects& objects, const Scanner& scanner, std::uint64_t budget)
      : objects_(objects), scanner_(scanner), budget_(budget) {}

  /// The result of calling an object with a tuple of arguments. Throws FormatError for whatever is no known call.
  Id call(Id callable, Id tuple) {
    if (objects_.kind(callable) != Kind::global) fail("expected a callable, found " + what(callable));
    if (objects_.kind(tuple) != Kind::tuple) fail("expected a tuple of arguments, found " + what(tuple));
    const auto& [global, name] = objects_.global(callable);
    name_ = name;
    set_arguments(tuple);
    switch (global.action) {
      case Action::make_dict:
        return make_dict();
      case Action::make_set:
        return make_set();
      case Action::make_bytes:
        return make_bytes();
      case Action::encode:
        return encode(0);
      case Action::make_complex:
        return objects_.add(Kind::complex, bits_of(0), bits_of(1));
      case Action::make_size:
        return argument(0, Kind::tuple);
      case Action::make_device:
        return make_device();
      case Action::name_layout:
        return argument(0, Kind::text);
      case Action::rebuild_tensor:
        return rebuild_tensor();
      case Action::rebuild_same:
      case Action::tensor_class:
        return argument(0, Kind::tensor);
      case Action::rebuild_typed:
        return rebuild_typed();
      case Action::unsupported:
        fail(std::string(global.reason));
      case Action::storage_class:
      case Action::dtype:
        break;
    }
    fail("it cannot be called");
  }

  /// What `cls.__new__(cls, *arguments)` gives.
  Id make(Id type, Id tuple) {
    if (objects_.kind(type) == Kind::global) {
      const Action action = objects_.global(type).first.action;
      if (action == Action::make_dict || action == Action::make_set || action == Action::tensor_class) {
        return call(type, tuple);
      }
      fail("expected a class to make an object of, found " + what(type));
    }
    fail("expected a class, found " + what(type));
  }

  /// Sets an object's attributes, which no state dict has a place for. Only for classes that have some.
  void build(Id object, Id state) const {
    const Kind kind = objects_.kind(object);
    if (kind != Kind::dict && kind != Kind::tensor && kind != Kind::set) {
      fail("expected an object with attributes, found " + what(object));
    }
    // An old parameter or tensor would take its very data from here.
    if (kind == Kind::tensor && objects_.kind(state) != Kind::dict)
      fail("a tensor that is described by its attributes");
  }

  /// The storage that a persistent id names: ("storage", class, key, location, elements), in the older container also
  /// what part of it is viewed.
  Id storage(Id id) {
    if (objects_.kind(id) != Kind::tuple) fail("expected the id of a storage, found " + what(id));
    name_ = "the id of a storage";
    set_arguments(id);
    const bool is_storage =
        !arguments_.empty() && objects_.kind(arguments_[0]) == Kind::text && objects_.text(arguments_[0]) == "storage";
    if (!is_storage) fail("expected the id of a storage, found that of something else");
    if (arguments_.size() != 5 && arguments_.size() != 6) fail("expected 5 or 6 parts, found another number");
    const auto& [type, type_name] = objects_.global(argument(1, Kind::global));
    if (type.action == Action::unsupported) fail(std::string(type.reason));
    if (type.action != Action::storage_class) fail("expected a class of storages, found " + type_name);
    StorageRef storage;
    storage.untyped = !type.dtype;
    storage.dtype = type.dtype.value_or(Dtype::u8);
    storage.key = objects_.text(argument(2, Kind::text));
    storage.location = objects_.text(argument(3, Kind::text));
    const std::uint64_t item = bits(storage.dtype) / 8;
    storage.root = storage.size = bytes_of(4, item);
    if (arguments_.size() == 6 && objects_.kind(arguments_[5]) != Kind::none) {
      set_arguments(argument(5, Kind::tuple));
      if (arguments_.size() != 3) fail("expected a view's key, offset and size");
      storage.offset = bytes_of(1, item);
      storage.size = bytes_of(2, item);
      if (storage.offset > storage.root || storage.size > storage.root - storage.offset) {
        fail("a view reaches past the end of its storage");
      }
    }
    return objects_.add_storage(storage);
  }

  /// Counts what is made beyond the pickle's own objects.
  void spend(std::uint64_t amount) {
    if (amount > budget_) fail("makes more out of itself than a pickle of PyTorch's does");
    budget_ -= amount;
  }

 private:
  [[noreturn]] void fail(const std::string& text) const {
    scanner_.fail((name_.empty() ? std::string() : name_ + ": ") + text);
  }

  [[nodiscard]] std::string what(Id id) const {
    if (objects_.kind(id) == Kind::global) return objects_.global(id).second;
    return std::string(name_of(objects_.kind(id)));
  }

  // Few, so that a long tuple that many calls name is not copied for each.
  void set_arguments(Id tuple) {
    const std::vector<Id>& items = objects_.items(tuple);
    if (items.size() > max_arguments) {
      fail("expected at most " + std::to_string(max_arguments) + " arguments, found " + std::to_string(items.size()));
    }
    arguments_ = items;
  }

  Id argument(std::size_t i, Kind kind) const {
    if (i >= arguments_.size()) fail("expected more arguments than " + std::to_string(arguments_.size()));
    if (objects_.kind(arguments_[i]) != kind) {
      fail("expected " + std::string(name_of(kind)) + " as argument " + std::to_string(i) + ", found " +
           what(arguments_[i]));
    }
    return arguments_[i];
  }

  std::uint64_t bytes_of(std::size_t i, std::uint64_t item) const {
    const std::int64_t count = objects_.integer(argument(i, Kind::integer));
    std::uint64_t bytes = 0;
    if (count < 0 || __builtin_mul_overflow(static_cast<std::uint64_t>(count), item, &bytes)) {
      fail("expected a number of elements, found " + std::to_string(count));
    }
    return bytes;
  }

  std::uint64_t bits_of(std::size_t i) const {
    if (i < arguments_.size() && objects_.kind(arguments_[i]) == Kind::integer) {
      return std::bit_cast<std::uint64_t>(static_cast<double>(objects_.integer(arguments_[i])));
    }
    return std::bit_cast<std::uint64_t>(objects_.floating(argument(i, Kind::floating)));
  }

  static bool is_sequence(Kind kind) { return kind == Kind::list || kind == Kind::tuple || kind == Kind::set; }

  Id make_dict() {
    if (arguments_.empty()) return objects_.add_container(Kind::dict);
    const Id source = arguments_[0];
    if (objects_.kind(source) == Kind::dict) {
      spend(objects_.items(source).size());
      return objects_.add_container(Kind::dict, objects_.items(source));
    }
    if (!is_sequence(objects_.kind(source))) fail("expected a dict or pairs, found " + what(source));
    std::vector<Id> items;
    for (const Id pair : objects_.items(source)) {
      if (!is_sequence(objects_.kind(pair)) || objects_.items(pair).size() != 2) fail("expected pairs");
      items.insert(items.end(), objects_.items(pair).begin(), objects_.items(pair).end());
    }
    spend(items.size());
    return objects_.add_container(Kind::dict, std::move(items));
  }

  Id make_set() {
    if (arguments_.empty()) return objects_.add_container(Kind::set);
    if (!is_sequence(objects_.kind(arguments_[0]))) fail("expected a sequence, found " + what(arguments_[0]));
    std::vector<Id> items = objects_.items(arguments_[0]);
    spend(items.size());
    return objects_.add_container(Kind::set, std::move(items));
  }

  Id make_bytes() {
    if (arguments_.empty()) return objects_.add_owned(Kind::bytes, {});
    if (objects_.kind(arguments_[0]) == Kind::bytes) return arguments_[0];
    return encode(0);
  }

  // Python writes bytes as a text of Latin-1 where the protocol has no bytes.
  Id encode(std::size_t i) {
    std::string_view text = objects_.text(argument(i, Kind::text));
    const std::string_view encoding = objects_.text(argument(i + 1, Kind::text));
    if (encoding != "latin1" && encoding != "latin-1") fail("expected latin1, found " + shown(encoding));
    std::string bytes;
    for (; !text.empty(); text.remove_prefix(utf8_length(text))) {
      const auto first = static_cast<unsigned char>(text[0]);
      const std::size_t length = utf8_length(text);
      if (length == 0 || length > 2 || (length == 2 && first > 0xC3)) fail("expected a text of Latin-1");
      bytes += length == 1 ? text[0]
                           : static_cast<char>((first & 0x03U) << 6 | (static_cast<unsigned char>(text[1]) & 0x3FU));
    }
    spend(bytes.size());
    return objects_.add_owned(Kind::bytes, std::move(bytes));
  }

  Id make_device() {
    std::string device(objects_.text(argument(0, Kind::text)));
    if (arguments_.size() > 1 && objects_.kind(arguments_[1]) != Kind::none) {
      device += ':' + std::to_string(objects_.integer(argument(1, Kind::integer)));
    }
    spend(device.size());
    return objects_.add_owned(Kind::text, std::move(device));
  }

  // A tuple of sizes or strides.
  Id integers(std::size_t i) const {
    const Id tuple = argument(i, Kind::tuple);
    const auto& items = objects_.items(tuple);
    if (items.size() > max_rank) fail("expected at most 64 dimensions, found " + std::to_string(items.size()));
    for (const Id item : items) {
      if (objects_.kind(item) != Kind::integer) fail("expected sizes and strides of 64 bits, found " + what(item));
    }
    return tuple;
  }

  // (storage, offset, size, stride, requires_grad, hooks), in version 3 then the dtype; then perhaps lazy operations.
  Id rebuild_tensor() {
    TensorRef tensor;
    const Id storage = argument(0, Kind::storage);
    tensor.storage = static_cast<std::size_t>(objects_[storage].a);
    tensor.offset = bytes_of(1, 1);
    tensor.shape = integers(2);
    tensor.strides = integers(3);
    tensor.dtype = objects_.storage(storage).dtype;
    if (name_.ends_with("_v3")) {
      const auto& [type, type_name] = objects_.global(argument(6, Kind::global));
      if (type.action != Action::dtype || !type.dtype) fail("a tensor of " + type_name + ", which cannot be read");
      tensor.dtype = *type.dtype;
    } else if (objects_.storage(storage).untyped) {
      fail("expected a typed storage, found an untyped one");
    }
    read_lazy(name_.ends_with("_v3") ? 7 : 6, tensor);
    return objects_.add_tensor(std::move(tensor));
  }

  // {"conj": True}, {"neg": True}: what PyTorch computes only when the tensor is used.
  void read_lazy(std::size_t i, TensorRef& tensor) const {
    if (i >= arguments_.size() || objects_.kind(arguments_[i]) == Kind::none) return;
    const auto& items = objects_.items(argument(i, Kind::dict));
    if (items.size() > 4) fail("a tensor with more than two properties");
    for (std::size_t k = 0; k + 1 < items.size(); k += 2) {
      const std::string_view key = objects_.kind(items[k]) == Kind::text ? objects_.text(items[k]) : std::string_view();
      if (objects_.kind(items[k + 1]) != Kind::boolean || (key != "conj" && key != "neg")) {
        fail("a tensor with the unknown property " + shown(key));
      }
      (key == "conj" ? tensor.conjugated : tensor.negated) = items[k + 1] == Objects::boolean(true);
    }
  }

  // (function, class, its arguments, attributes): a tensor that was given attributes, which are dropped.
  Id rebuild_typed() {
    const Id function = argument(0, Kind::global), type = argument(1, Kind::global), inner = argument(2, Kind::tuple);
    if (objects_.global(type).first.action != Action::tensor_class) {
      fail("a tensor of the class " + objects_.global(type).second + ", which cannot be read");
    }
    const Action action = objects_.global(function).first.action;
    if (action != Action::rebuild_tensor && action != Action::rebuild_same && action != Action::unsupported) {
      fail("expected a function that rebuilds a tensor, found " + objects_.global(function).second);
    }
    return call(function, inner);
  }

  Objects& objects_;
  const Scanner& scanner_;
  std::uint64_t budget_;
  std::string name_;           // of what is being called, for error texts
  std::vector<Id> arguments_;  // of that call
};

}  // namespace trainstate::format::pickle
