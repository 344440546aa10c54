// State dicts as JSON and back, losing nothing that JSON has no word for.
//
//   None, bool, int64, string    null, true, -5, "text"
//   double                       1.0, -0.0, 1e+300; what is not finite {"$f": "7ff8000000000000"}, its 64 bits
//   string that is not UTF-8     {"$b": "base64"}
//   list                         [...]
//   dict                         {...} in its order; key 5 is "5", key "5" is "$s:5" (as every string key that looks
//   like
//                                an int or begins with $), and a key that is not UTF-8 is "$b:base64"
//   tensor                       {"$t": i}, the file's i-th tensor; then "dtype": "C128" or "C32" if it stands in the
//                                file as pairs of reals, then "device": "cuda:0" if it was not on the CPU
//   long list of one kind        {"$l": i}: 64 or more bool, int64 or double, kept as the file's i-th tensor
#pragma once

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

#include "trainstate/basic_state_dict.hpp"
#include "trainstate/error.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/format/json_reader.hpp"
#include "trainstate/format/json_writer.hpp"
#include "trainstate/format/nesting.hpp"
#include "trainstate/format/text.hpp"
#include "trainstate/io/checksum.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format {

using Tree = BasicStateDict<TensorInfo>;
using TreeValue = BasicValue<TensorInfo>;
using TreeList = BasicList<TensorInfo>;

/// Lists of numbers from this length on are kept as tensors.
inline constexpr std::size_t long_list = 64;

/// The type of the tensor that a list is kept as; nothing if it stays a list.
inline std::optional<Dtype> tensor_kind(const TreeList& list) {
  if (list.size() < long_list) return std::nullopt;
  const std::size_t kind = list.front().variant().index();
  const auto same = [&](const TreeValue& item) { return item.variant().index() == kind; };
  if (!std::all_of(list.begin() + 1, list.end(), same)) return std::nullopt;
  if (list.front().is<bool>()) return Dtype::boolean;
  if (list.front().is<std::int64_t>()) return Dtype::i64;
  if (list.front().is<double>()) return Dtype::f64;
  return std::nullopt;
}

/// Where the tensors of a tree come from when it is read.
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  /// The tensor number `i` as it was; `complex` if it is kept as pairs of reals. Throws FormatError if there is none.
  virtual TensorInfo tensor(std::uint64_t i, std::optional<Dtype> complex, std::string_view device) = 0;
  /// The list that is kept as tensor number `i`. Throws FormatError if there is none.
  virtual TreeList list(std::uint64_t i) = 0;
};

/// Writes one tree as JSON.
class TreeEncoder {
 public:
  /// `tensors` are the numbers of the tensors and long lists of the tree, in its order; none must be missing. Without
  /// them long lists stay lists.
  explicit TreeEncoder(std::string& json, std::optional<std::span<const std::size_t>> tensors = std::nullopt)
      : json_(json), tensors_(tensors) {}

  /// Appends the tree. Throws FormatError where it is nested deeper than `max_depth` or has tensors that are not given.
  void write(const Tree& dict) {
    const Nesting nesting = enter();
    json_ += '{';
    bool first = true;
    for (const auto& [key, value] : dict) {
      if (!std::exchange(first, false)) json_ += ',';
      write_key(key);
      json_ += ':';
      write(value);
    }
    json_ += '}';
  }

 private:
  [[nodiscard]] Nesting enter() {
    return {depth_, [] { throw FormatError("nested deeper than " + std::to_string(max_depth) + " levels"); }};
  }

  void write_key(const Key& key) {
    if (const auto* number = std::get_if<std::int64_t>(&key)) {
      json_ += '"';
      append_json_integer(json_, *number);
      json_ += '"';
      return;
    }
    const std::string& text = std::get<std::string>(key);
    if (!is_utf8(text)) {
      append_json_string(json_, "$b:" + to_base64(text));
    } else if (text.starts_with('$') || detail::integer_of(text)) {
      append_json_string(json_, "$s:" + text);
    } else {
      append_json_string(json_, text);
    }
  }

  void write(const TreeValue& value) {
    std::visit([this](const auto& x) { write_alternative(x); }, value.variant());
  }

  void write_alternative(const None&) { json_ += "null"; }
  void write_alternative(bool value) { json_ += value ? "true" : "false"; }
  void write_alternative(std::int64_t value) { append_json_integer(json_, value); }
  void write_alternative(double value) {
    if (std::isfinite(value)) {
      append_json_double(json_, value);
    } else {
      json_ += "{\"$f\":\"" + io::hex_text(std::bit_cast<std::uint64_t>(value)) + "\"}";
    }
  }
  void write_alternative(const std::string& text) {
    if (is_utf8(text)) {
      append_json_string(json_, text);
    } else {
      json_ += "{\"$b\":\"" + to_base64(text) + "\"}";
    }
  }
  void write_alternative(const TensorInfo& tensor) {
    json_ += "{\"$t\":";
    append_json_integer(json_, next_tensor());
    if (tensor.dtype == Dtype::c32 || tensor.dtype == Dtype::c128) {
      json_ += tensor.dtype == Dtype::c32 ? ",\"dtype\":\"C32\"" : ",\"dtype\":\"C128\"";
    }
    if (tensor.storage && tensor.storage->device != "cpu") {
      if (!is_utf8(tensor.storage->device)) throw FormatError("a device's name is not UTF-8");
      json_ += ",\"device\":";
      append_json_string(json_, tensor.storage->device);
    }
    json_ += '}';
  }
  void write_alternative(const UnsupportedTensor& tensor) { write_alternative(tensor.info); }
  void write_alternative(const TreeList& list) {
    if (tensors_ && tensor_kind(list)) {
      json_ += "{\"$l\":";
      append_json_integer(json_, next_tensor());
      json_ += '}';
      return;
    }
    const Nesting nesting = enter();
    json_ += '[';
    bool first = true;
    for (const auto& item : list) {
      if (!std::exchange(first, false)) json_ += ',';
      write(item);
    }
    json_ += ']';
  }
  void write_alternative(const Tree& dict) { write(dict); }

  std::size_t next_tensor() {
    if (!tensors_ || next_ == tensors_->size()) throw FormatError("there is no place for a tensor");
    return (*tensors_)[next_++];
  }

  std::string& json_;
  std::optional<std::span<const std::size_t>> tensors_;
  std::size_t next_ = 0, depth_ = 0;
};

/// Reads one tree from JSON.
class TreeDecoder {
 public:
  /// The reader that tree texts need: dicts as deep as `max_depth`, and what stands around and inside them.
  static constexpr std::size_t json_depth = max_depth + 2;

  /// Without `tensors`, a tree that has some is refused.
  explicit TreeDecoder(JsonReader& json, TensorSource* tensors = nullptr) : json_(json), tensors_(tensors) {}

  /// Reads an object as a dict. Throws FormatError where it is not what TreeEncoder writes.
  Tree read_dict() {
    json_.begin_object();
    return rest_of_dict(json_.next_key());
  }

 private:
  [[nodiscard]] Nesting enter() {
    return {depth_, [&] { json_.fail("at most " + std::to_string(max_depth) + " levels"); }};
  }

  Tree rest_of_dict(std::optional<std::string_view> key) {
    const Nesting nesting = enter();
    detail::DictBuilder<TensorInfo> dict;
    while (key) {
      Key decoded = read_key(*key);
      dict.append(std::move(decoded), read_value());
      key = json_.next_key();
    }
    return dict.take([&](const Key& twin) { json_.fail("no second key " + shown(detail::to_string(twin))); });
  }

  Key read_key(std::string_view text) const {
    if (text.starts_with("$s:")) return std::string(text.substr(3));
    if (text.starts_with("$b:")) {
      if (auto bytes = from_base64(text.substr(3))) return *std::move(bytes);
      json_.fail("base64 in a key");
    }
    if (text.starts_with('$')) json_.fail("no key like " + shown(text));
    if (const auto number = detail::integer_of(text)) return *number;
    return std::string(text);
  }

  TreeValue read_value() {
    switch (json_.peek()) {
      case JsonReader::Kind::object:
        return read_object();
      case JsonReader::Kind::array:
        return read_list();
      case JsonReader::Kind::string:
        return json_.string();
      case JsonReader::Kind::number:
        return read_number();
      case JsonReader::Kind::boolean:
        return json_.boolean();
      case JsonReader::Kind::null:
        break;
    }
    json_.null();
    return None();
  }

  TreeList read_list() {
    const Nesting nesting = enter();
    TreeList list;
    json_.begin_array();
    while (json_.next_item()) {
      // By half, since growing takes old and new memory at once.
      if (list.size() == list.capacity()) list.reserve(list.size() + list.size() / 2 + 1);
      list.push_back(read_value());
    }
    return list;
  }

  TreeValue read_number() {
    const std::string_view text = json_.number();
    const char *const begin = text.data(), *const end = begin + text.size();
    if (text.find_first_of(".eE") == std::string_view::npos) {
      std::int64_t value = 0;
      if (std::from_chars(begin, end, value).ec != std::errc{}) json_.fail("an integer of 64 bits before this byte");
      return value;
    }
    double value = 0;
    if (std::from_chars(begin, end, value).ec != std::errc{}) json_.fail("a number of 64 bits before this byte");
    return value;
  }

  TreeValue read_object() {
    json_.begin_object();
    const auto key = json_.next_key();
    if (!key) return rest_of_dict(key);
    if (*key == "$t") return read_tensor();
    if (*key == "$l" || *key == "$f" || *key == "$b") {
      const char tag = (*key)[1];
      TreeValue value = read_tagged(tag);
      if (json_.next_key()) json_.fail(std::string("nothing after $") + tag);
      return value;
    }
    return rest_of_dict(key);
  }

  TreeValue read_tagged(char tag) {
    if (tag == 'l') {
      const auto number = json_.integer<std::uint64_t>();
      if (!tensors_) json_.fail("no list kept as a tensor");
      const Nesting nesting = enter();
      return tensors_->list(number);
    }
    const std::string_view text = json_.string();
    if (tag == 'f') {
      const auto bits = io::parse_hex(text);
      if (!bits || std::isfinite(std::bit_cast<double>(*bits))) json_.fail("the bits of a double that is not finite");
      return std::bit_cast<double>(*bits);
    }
    auto bytes = from_base64(text);
    if (!bytes) json_.fail("base64");
    return *std::move(bytes);
  }

  TreeValue read_tensor() {
    const auto number = json_.integer<std::uint64_t>();
    std::optional<Dtype> complex;
    std::string device = "cpu";
    auto key = json_.next_key();
    if (key && *key == "dtype") {
      const std::string_view name = json_.string();
      if (name != "C32" && name != "C128") json_.fail("C32 or C128");
      complex = name == "C32" ? Dtype::c32 : Dtype::c128;
      key = json_.next_key();
    }
    if (key && *key == "device") {
      device = json_.string();
      key = json_.next_key();
    }
    if (key) json_.fail("no further member of a tensor");
    if (!tensors_) json_.fail("no tensor");
    return tensors_->tensor(number, complex, device);
  }

  JsonReader& json_;
  TensorSource* tensors_;
  std::size_t depth_ = 0;
};

}  // namespace trainstate::format
