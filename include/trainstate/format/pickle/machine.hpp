// A pickle machine for data: it knows every instruction of protocols 0 to 5, and runs none that could do anything but
// make containers, texts, numbers and descriptions of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/format/pickle/calls.hpp"
#include "trainstate/format/pickle/objects.hpp"
#include "trainstate/format/pickle/opcodes.hpp"
#include "trainstate/format/pickle/scanner.hpp"
#include "trainstate/format/pickle/text_literals.hpp"

namespace trainstate::format::pickle {

/// Runs one pickle.
class Machine {
 public:
  /// `where` begins every error text; it, `bytes` and `objects` must live as long as what is made of them.
  Machine(std::span<const std::byte> bytes, std::string_view where, Objects& objects, std::size_t at = 0)
      : scanner_(bytes, where, at), objects_(objects), calls_(objects, scanner_, bytes.size() - at) {}

  /// The object that the pickle makes. Throws FormatError for whatever PyTorch's weights-only loader would refuse, too,
  /// naming it and its position.
  Id run() {
    if (scanner_.left() > std::numeric_limits<Id>::max() - 16) scanner_.fail("a pickle of more than 4 GiB");
    for (;;) {
      const auto op = static_cast<Op>(scanner_.instruction());
      if (op == Op::stop) break;
      execute(op);
    }
    const Id root = pop();
    if (!stack_.empty() || !marks_.empty()) scanner_.fail("the pickle ends with more than one object");
    return root;
  }

  /// Where the pickle ended.
  [[nodiscard]] std::size_t position() const { return scanner_.position(); }

 private:
  void push(Id id) { stack_.push_back(id); }

  Id pop() {
    const Id id = top();
    stack_.pop_back();
    return id;
  }

  [[nodiscard]] Id top() const {
    const std::size_t bottom = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() <= bottom) scanner_.fail("takes an object that is not there");
    return stack_.back();
  }

  /// The objects since the last mark.
  std::vector<Id> pop_mark() {
    if (marks_.empty()) scanner_.fail("takes a mark that is not there");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<Id> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }

  void tuple_of(std::size_t count) {
    std::vector<Id> items(count);
    for (std::size_t i = count; i-- > 0;) items[i] = pop();
    push(objects_.add_container(Kind::tuple, std::move(items)));
  }

  std::vector<Id>& container(Kind kind) {
    const Id id = top();
    if (objects_.kind(id) != kind) {
      scanner_.fail("expected " + std::string(name_of(kind)) + " to fill, found " +
                    std::string(name_of(objects_.kind(id))));
    }
    return objects_.items(id);
  }

  void extend(Kind kind, const std::vector<Id>& items) {
    if (kind == Kind::dict && items.size() % 2 != 0)
      scanner_.fail("expected keys with values, found a key without one");
    auto& to = container(kind);
    to.insert(to.end(), items.begin(), items.end());
  }

  void put(std::uint64_t at) {
    if (at < memo_.size()) {
      memo_[static_cast<std::size_t>(at)] = top();
    } else if (at == memo_.size()) {
      memo_.push_back(top());
    } else {
      far_memo_[at] = top();
    }
    ++puts_;
  }

  void get(std::uint64_t at) {
    if (at < memo_.size()) return push(memo_[static_cast<std::size_t>(at)]);
    const auto far = far_memo_.find(at);
    if (far == far_memo_.end()) scanner_.fail("recalls object " + std::to_string(at) + ", which was never put there");
    push(far->second);
  }

  std::uint64_t memo_index(std::string_view line) const {
    const auto index = scanner_.decimal(line);
    if (!index || *index < 0) scanner_.fail("expected an index of the memo, found " + shown(line));
    return static_cast<std::uint64_t>(*index);
  }

  void push_global(std::string_view module, std::string_view name) {
    std::string full = full_name(module, name);
    const auto global = find_global(full);
    if (!global) scanner_.fail("refers to " + shown(full) + ", which is not allowed in a checkpoint, and was not run");
    push(objects_.add_global(*global, std::move(full)));
  }

  void push_integer(std::optional<std::int64_t> value) {
    push(value ? objects_.add_integer(*value) : objects_.add(Kind::big_integer));
  }

  void push_text(std::string_view text) { push(objects_.add_text(Kind::text, text)); }
  void push_bytes(std::string_view bytes) { push(objects_.add_text(Kind::bytes, bytes)); }

  void execute(Op op) {
    switch (op) {
      // Plain values
      case Op::none:
        return push(Objects::none);
      case Op::newtrue:
        return push(Objects::boolean(true));
      case Op::newfalse:
        return push(Objects::boolean(false));
      case Op::binint:
        return push_integer(scanner_.integer<std::int32_t>());
      case Op::binint1:
        return push_integer(scanner_.integer<std::uint8_t>());
      case Op::binint2:
        return push_integer(scanner_.integer<std::uint16_t>());
      case Op::long1:
        return push_integer(Scanner::little_endian(scanner_.take(scanner_.integer<std::uint8_t>())));
      case Op::long4:
        return push_long4();
      case Op::binfloat:
        return push(objects_.add_float(scanner_.big_endian_double()));
      case Op::int_text:
        return push_int_text(scanner_.line());
      case Op::long_text: {
        std::string_view digits = scanner_.line();
        if (digits.ends_with('L')) digits.remove_suffix(1);
        return push_integer(scanner_.decimal(digits));
      }
      case Op::float_text:
        return push(objects_.add_float(scanner_.decimal_float(scanner_.line())));

      // Texts and bytes. Python 2's strings were texts to whoever wrote them.
      case Op::binunicode:
        return push_text(scanner_.take(scanner_.integer<std::uint32_t>()));
      case Op::short_binunicode:
        return push_text(scanner_.take(scanner_.integer<std::uint8_t>()));
      case Op::binunicode8:
        return push_text(scanner_.take(scanner_.integer<std::uint64_t>()));
      case Op::short_binstring:
        return push_text(scanner_.take(scanner_.integer<std::uint8_t>()));
      case Op::binstring:
        return push_text(scanner_.take(scanner_.integer<std::uint32_t>()));
      case Op::short_binbytes:
        return push_bytes(scanner_.take(scanner_.integer<std::uint8_t>()));
      case Op::binbytes:
        return push_bytes(scanner_.take(scanner_.integer<std::uint32_t>()));
      case Op::binbytes8:
      case Op::bytearray8:
        return push_bytes(scanner_.take(scanner_.integer<std::uint64_t>()));
      case Op::unicode_text:
        return push(objects_.add_owned(Kind::text, text_of_unicode_line(scanner_.line(), scanner_)));
      case Op::string_text:
        return push(objects_.add_owned(Kind::text, text_of_string_line(scanner_.line(), scanner_)));

      // Containers
      case Op::empty_tuple:
        return tuple_of(0);
      case Op::tuple1:
        return tuple_of(1);
      case Op::tuple2:
        return tuple_of(2);
      case Op::tuple3:
        return tuple_of(3);
      case Op::tuple:
        return push(objects_.add_container(Kind::tuple, pop_mark()));
      case Op::empty_list:
        return push(objects_.add_container(Kind::list));
      case Op::list:
        return push(objects_.add_container(Kind::list, pop_mark()));
      case Op::empty_set:
        return push(objects_.add_container(Kind::set));
      case Op::frozenset:
        return push(objects_.add_container(Kind::set, pop_mark()));
      case Op::empty_dict:
        return push(objects_.add_container(Kind::dict));
      case Op::dict: {
        const auto items = pop_mark();
        push(objects_.add_container(Kind::dict));
        return extend(Kind::dict, items);
      }
      case Op::append: {
        const Id item = pop();
        return container(Kind::list).push_back(item);
      }
      case Op::appends:
        return extend(Kind::list, pop_mark());
      case Op::additems:
        return extend(Kind::set, pop_mark());
      case Op::setitem: {
        const Id value = pop(), key = pop();
        return extend(Kind::dict, {key, value});
      }
      case Op::setitems:
        return extend(Kind::dict, pop_mark());

      // The stack and the memo
      case Op::mark:
        return marks_.push_back(stack_.size());
      case Op::pop:
        // Python's own machine drops the mark if nothing stands above it.
        if (!marks_.empty() && stack_.size() == marks_.back()) return marks_.pop_back();
        pop();
        return;
      case Op::pop_mark:
        pop_mark();
        return;
      case Op::dup:
        return push(top());
      case Op::put:
        return put(memo_index(scanner_.line()));
      case Op::binput:
        return put(scanner_.integer<std::uint8_t>());
      case Op::long_binput:
        return put(scanner_.integer<std::uint32_t>());
      case Op::memoize:
        return put(puts_);
      case Op::get:
        return get(memo_index(scanner_.line()));
      case Op::binget:
        return get(scanner_.integer<std::uint8_t>());
      case Op::long_binget:
        return get(scanner_.integer<std::uint32_t>());

      // Framing
      case Op::proto:
        if (const unsigned protocol = scanner_.integer<std::uint8_t>(); protocol > newest_protocol) {
          scanner_.fail("expected a protocol up to 5, found " + std::to_string(protocol));
        }
        return;
      case Op::frame:
        if (const auto size = scanner_.integer<std::uint64_t>(); size > scanner_.left()) {
          scanner_.fail("a frame of " + std::to_string(size) + " bytes reaches past the end");
        }
        return;

      // Objects
      case Op::global: {
        const std::string_view module = scanner_.line();
        return push_global(module, scanner_.line());
      }
      case Op::stack_global: {
        const Id name = pop(), module = pop();
        if (objects_.kind(name) != Kind::text || objects_.kind(module) != Kind::text) {
          scanner_.fail("expected a module's and a global's name, found something else");
        }
        return push_global(objects_.text(module), objects_.text(name));
      }
      case Op::reduce: {
        const Id arguments = pop(), callable = pop();
        return push(calls_.call(callable, arguments));
      }
      case Op::newobj: {
        const Id arguments = pop(), type = pop();
        return push(calls_.make(type, arguments));
      }
      case Op::build: {
        const Id state = pop();
        return calls_.build(top(), state);
      }
      case Op::binpersid:
        return push(calls_.storage(pop()));
      case Op::inst: {
        const std::string_view module = scanner_.line();
        const std::string full = full_name(module, scanner_.line());
        scanner_.fail("makes an object of " + shown(full) + ", which is not allowed in a checkpoint, and was not run");
      }
      case Op::obj:
      case Op::newobj_ex:
        scanner_.fail("makes an object of a class, which is not allowed in a checkpoint, and was not run");
      case Op::ext1:
      case Op::ext2:
      case Op::ext4:
        scanner_.fail("refers to Python's registry of extensions, which is not allowed in a checkpoint");
      case Op::persid:
        scanner_.fail("refers to a tensor by a text, as protocol 0 does, which even Python cannot read");
      case Op::next_buffer:
      case Op::readonly_buffer:
        scanner_.fail("refers to a buffer outside the file");
      case Op::stop:
        break;
    }
    scanner_.fail("expected an instruction of pickle, found byte " + std::to_string(static_cast<unsigned>(op)));
  }

  // Integers of up to 2 GiB of digits, all but eight of which are sign.
  void push_long4() {
    const auto size = scanner_.integer<std::int32_t>();
    if (size < 0) scanner_.fail("expected a length, found " + std::to_string(size));
    push_integer(Scanner::little_endian(scanner_.take(static_cast<std::uint64_t>(size))));
  }

  // Protocols 0 and 1 have no other bool.
  void push_int_text(std::string_view digits) {
    if (digits == "00" || digits == "01") return push(Objects::boolean(digits == "01"));
    push_integer(scanner_.decimal(digits));
  }

  Scanner scanner_;
  Objects& objects_;
  Calls calls_;
  std::vector<Id> stack_;
  std::vector<std::size_t> marks_;  // heights of the stack
  std::vector<Id> memo_;            // Python counts up from 0
  std::map<std::uint64_t, Id> far_memo_;
  std::uint64_t puts_ = 0;
};

}  // namespace trainstate::format::pickle
