// What a document looks like as a safetensors file: names, order, offsets and the header.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <forward_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/format/dense.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/format/json_tree.hpp"
#include "trainstate/format/json_writer.hpp"
#include "trainstate/format/safetensors_header.hpp"
#include "trainstate/format/text.hpp"
#include "trainstate/format/views.hpp"
#include "trainstate/io/checksum.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format::safetensors {

/// The number of the encoding of trees that this build writes, and the newest that it reads.
inline constexpr std::int64_t format_number = 1;

/// A tree's JSON is kept in a tensor of its own beyond this.
inline constexpr std::size_t longest_tree_in_header = std::size_t{1} << 20;

/// A tensor of the file to be.
struct Item {
  std::string name;
  Dtype dtype = Dtype::u8;             // as the file has it
  const TensorInfo* tensor = nullptr;  // as the tree has it
  std::uint64_t size = 0, begin = 0;
  std::size_t number = 0;  // in the order of the trees
};

/// Hands out names, each once: a taken one gets `#2`, `#3`, ….
class Names {
 public:
  [[nodiscard]] std::string claim(const std::string& wanted) {
    const auto [at, added] = taken_.emplace(wanted, 2);
    const bool reserved = wanted == metadata_name || wanted == tree_name || wanted == manifest_name;
    if (added && !reserved) return wanted;
    std::size_t& next = at->second;  // stays where it is when others are added
    for (;;) {
      std::string name = wanted + '#' + std::to_string(next++);
      if (taken_.emplace(name, 2).second) return name;
    }
  }

 private:
  // With the number to try next. Ordered, since names may come from a hostile file that was made to collide in a hash.
  std::map<std::string, std::size_t> taken_;
};

/// Finds the tensors of trees: names them, takes tied ones once, and makes tensors of long lists.
class Collector {
 public:
  /// `prefix` begins the names of this tree's tensors.
  void collect(const Tree& tree, std::string_view prefix, std::vector<std::size_t>& numbers) {
    name_ = prefix;
    numbers_ = &numbers;
    visit(tree);
  }

  std::vector<Item> items;
  std::forward_list<TensorInfo> made;  // what items point to that is not in a tree

  /// A tensor with memory of its own, of one dimension unless `bytes` are elements of more than one byte.
  const TensorInfo& make(Dtype dtype, std::vector<std::byte> bytes) {
    auto memory = std::make_shared<std::vector<std::byte>>(std::move(bytes));
    const auto count = static_cast<std::int64_t>(memory->size() * 8 / bits(dtype));
    auto storage = std::make_shared<const Storage>(Storage{memory, memory->data(), memory->size(), "cpu"});
    return made.emplace_front(TensorInfo{dtype, {count}, {1}, std::move(storage), 0});
  }

 private:
  struct Step {
    const Key* key;  // nullptr: the item `index` of a list
    std::size_t index;
  };

  [[nodiscard]] std::string path() const {
    std::string joined;
    for (const Step& step : steps_) {
      joined = detail::join(joined, step.key ? *step.key : Key(static_cast<std::int64_t>(step.index)));
    }
    return joined;
  }

  void visit(const Tree& dict) {
    for (const auto& [key, value] : dict) enter({&key, 0}, value);
  }

  void visit(const TreeList& list) {
    for (std::size_t i = 0; i < list.size(); ++i) enter({nullptr, i}, list[i]);
  }

  void enter(Step step, const TreeValue& value) {
    const auto* dict = value.get_if<Tree>();
    const auto* tensor = value.get_if<TensorInfo>();
    if (const auto* unsupported = value.get_if<UnsupportedTensor>()) tensor = &unsupported->info;
    const auto* list = value.get_if<TreeList>();
    if (!dict && !tensor && !list) return;
    if (steps_.size() + (tensor ? 0 : 1) >= max_depth) {
      throw FormatError(shown(path()) + ": nested deeper than " + std::to_string(max_depth) + " levels");
    }
    const std::size_t length = name_.size();
    if (!steps_.empty() || length != 0) name_ += '.';
    if (!step.key) {
      append_json_integer(name_, step.index);
    } else if (const auto* number = std::get_if<std::int64_t>(step.key)) {
      append_json_integer(name_, *number);
    } else if (const auto& text = std::get<std::string>(*step.key); is_utf8(text)) {
      name_ += text;
    } else {
      name_ += as_utf8(text);
    }
    steps_.push_back(step);
    if (dict) {
      visit(*dict);
    } else if (tensor) {
      add_tensor(*tensor);
    } else if (const auto kind = tensor_kind(*list)) {
      add(make(*kind, bytes_of(*list)), *kind);
    } else {
      visit(*list);
    }
    steps_.pop_back();
    name_.resize(length);
  }

  void add_tensor(const TensorInfo& tensor) {
    if (const auto defect = defect_of(tensor); !defect.empty()) {
      throw Error(path() + ": cannot be written: " + std::string(defect));
    }
    const auto [at, added] = views_.emplace(&tensor, items.size());
    if (!added) {
      numbers_->push_back(at->second);
      return;
    }
    if (tensor.dtype != Dtype::c32 && tensor.dtype != Dtype::c128) return add(tensor, tensor.dtype);
    const Dtype part = tensor.dtype == Dtype::c32 ? Dtype::f16 : Dtype::f64;
    std::vector<std::int64_t> pairs = tensor.shape;
    pairs.push_back(2);
    if (!dense_size(part, pairs)) throw Error(path() + ": cannot be written: its shape is impossible");
    add(tensor, part);
  }

  void add(const TensorInfo& tensor, Dtype dtype) {
    // Before long names of many tensors take memory that no header has room for.
    names_size_ += name_.size();
    if (names_size_ > longest_header) throw FormatError("the names of all tensors do not fit a header");
    numbers_->push_back(items.size());
    items.push_back({names_.claim(name_), dtype, &tensor, tensor.nbytes(), 0, items.size()});
  }

  static std::vector<std::byte> bytes_of(const TreeList& list) {
    const std::size_t item = list.front().is<bool>() ? 1 : 8;
    std::vector<std::byte> bytes(list.size() * item);
    for (std::size_t i = 0; i < list.size(); ++i) {
      std::visit(
          [&]<class T>(const T& x) {
            if constexpr (detail::one_of<T, bool, std::int64_t, double>) std::memcpy(&bytes[i * item], &x, sizeof x);
          },
          list[i].variant());
    }
    return bytes;
  }

  Names names_;
  ViewMap<std::size_t> views_;
  std::vector<std::size_t>* numbers_ = nullptr;
  std::vector<Step> steps_;
  std::string name_;
  std::uint64_t names_size_ = 0;
};

/// Everything that decides the bytes of a file.
class Layout {
 public:
  /// Throws Error for reserved or impossible metadata and tensors, FormatError for what is too deep or too large for
  /// the format; the texts begin with the path inside the document.
  explicit Layout(const Document& document) {
    check_metadata(document.metadata);
    std::vector<std::size_t> in_tree, in_manifest;
    collector_.collect(document.tree, "", in_tree);
    if (document.manifest) collector_.collect(*document.manifest, manifest_name, in_manifest);
    sort();
    std::vector<std::size_t> place(items().size());
    for (std::size_t i = 0; i < items().size(); ++i) place[items()[i].number] = i;
    for (auto* numbers : {&in_tree, &in_manifest}) {
      for (auto& number : *numbers) number = place[number];
    }

    std::string trees = "{\"format\":" + std::to_string(format_number) + ",\"tree\":";
    append_tree(trees, document.tree, in_tree, tree_name);
    if (document.manifest) {
      trees += ",\"manifest\":";
      append_tree(trees, *document.manifest, in_manifest, manifest_name);
    }
    trees += '}';
    sort();
    for (auto& item : collector_.items) {
      item.begin = data_size_;
      if (__builtin_add_overflow(data_size_, item.size, &data_size_)) throw FormatError("more than 2^64 bytes of data");
    }
    write_header(trees, document.metadata);
  }

  Layout(const Layout&) = delete;  // items point into it
  Layout& operator=(const Layout&) = delete;

  /// In the order of the file.
  [[nodiscard]] const std::vector<Item>& items() const noexcept { return collector_.items; }
  [[nodiscard]] std::uint64_t data_size() const noexcept { return data_size_; }
  [[nodiscard]] std::uint64_t file_size() const noexcept { return header_.size() + data_size_; }

  /// The first bytes of the file, up to the data: length and header, with the digests of the items and of itself.
  [[nodiscard]] std::string header(std::span<const std::uint64_t> digests) const {
    std::string text = header_;
    const auto put = [&](std::size_t i, std::uint64_t digest) {
      io::write_hex(digest, std::span<char, io::hex_digits>(&text[digests_at_ + i * io::hex_digits], io::hex_digits));
    };
    for (std::size_t i = 0; i < digests.size(); ++i) put(i + 1, digests[i]);
    put(0, io::checksum(std::as_bytes(std::span(text))));
    return text;
  }
  [[nodiscard]] std::size_t header_size() const noexcept { return header_.size(); }

 private:
  static void check_metadata(const std::map<std::string, std::string>& metadata) {
    for (const auto& [key, value] : metadata) {
      if (key == format_key || key == tree_key || key.starts_with("trainstate.")) {
        throw Error("the metadata key " + shown(key) + " is reserved");
      }
      if (!is_utf8(key) || !is_utf8(value)) throw Error("the metadata " + shown(key) + " is not UTF-8");
    }
  }

  // Dtypes descending, so that every tensor is aligned; names, which are unique, ascending.
  void sort() {
    std::sort(collector_.items.begin(), collector_.items.end(),
              [](const Item& a, const Item& b) { return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name; });
  }

  void append_tree(std::string& trees, const Tree& tree, std::span<const std::size_t> numbers, std::string_view name) {
    std::string json;
    TreeEncoder(json, numbers).write(tree);
    if (json.size() <= longest_tree_in_header) {
      trees += json;
      return;
    }
    const auto bytes = std::as_bytes(std::span(json));
    const TensorInfo& text = collector_.make(Dtype::u8, {bytes.begin(), bytes.end()});
    collector_.items.push_back({std::string(name), Dtype::u8, &text, text.nbytes(), 0, 0});
    append_json_string(trees, name);
  }

  void write_header(std::string_view trees, const std::map<std::string, std::string>& metadata) {
    std::string& json = header_;
    json.assign(length_size, '\0');
    json += "{\"__metadata__\":{\"format\":\"pt\",\"trainstate.xxh3\":\"";
    digests_at_ = json.size();
    json.append((items().size() + 1) * io::hex_digits, '0');
    json += "\",\"trainstate\":";
    append_json_string(json, trees);
    for (const auto& [key, value] : metadata) {
      json += ',';
      append_json_string(json, key);
      json += ':';
      append_json_string(json, value);
    }
    json += '}';
    for (const auto& item : items()) append_item(json, item);
    json += '}';
    json.append((8 - json.size() % 8) % 8, ' ');
    const std::uint64_t length = json.size() - length_size;
    if (length > longest_header) {
      throw FormatError("expected a header of at most " + std::to_string(longest_header) + " bytes, found " +
                        std::to_string(length));
    }
    std::memcpy(json.data(), &length, length_size);
  }

  static void append_item(std::string& json, const Item& item) {
    json += ',';
    append_json_string(json, item.name);
    (json += ":{\"dtype\":\"") += detail::facts(item.dtype).tag;
    json += "\",\"shape\":[";
    bool first = true;
    for (const std::int64_t d : item.tensor->shape) {
      if (!std::exchange(first, false)) json += ',';
      append_json_integer(json, d);
    }
    if (item.dtype != item.tensor->dtype) json += first ? "2" : ",2";
    json += "],\"data_offsets\":[";
    append_json_integer(json, item.begin);
    json += ',';
    append_json_integer(json, item.begin + item.size);
    json += "]}";
  }

  Collector collector_;
  std::uint64_t data_size_ = 0;
  std::string header_;  // with zeros for all digests
  std::size_t digests_at_ = 0;
};

}  // namespace trainstate::format::safetensors
