// The objects of a pickle as a state dict.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "trainstate/basic_state_dict.hpp"
#include "trainstate/error.hpp"
#include "trainstate/format/dense.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/format/nesting.hpp"
#include "trainstate/format/pickle/objects.hpp"
#include "trainstate/format/text.hpp"
#include "trainstate/path.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format::pt {

using Tree = BasicStateDict<TensorInfo>;
using TreeValue = BasicValue<TensorInfo>;
using TreeList = BasicList<TensorInfo>;

/// Where the bytes of storages are: in both containers under the key that a pickle gives.
class StorageSource {
 public:
  virtual ~StorageSource() = default;
  /// The bytes of a storage, which must be as many as `storage.root` says. Throws FormatError.
  virtual std::span<const std::byte> bytes_of(const pickle::StorageRef& storage) = 0;
};

/// Turns objects into values. What pickles share, trees repeat (tensors apart, which stay tied), so the size of the
/// result is bounded by that of the pickle: a small one cannot unfold into a large tree.
class TreeBuilder {
 public:
  /// `image` holds all storages. `where` begins every error text. `size` is that of the pickle in bytes. `align`: see
  /// ReadOptions.
  TreeBuilder(const pickle::Objects& objects, StorageSource& source, std::shared_ptr<const trainstate::Storage> image,
              std::string_view where, std::uint64_t size, bool align = true)
      : objects_(objects),
        source_(source),
        image_(std::move(image)),
        where_(where),
        values_left_(size + shared_values),
        characters_left_(size * 64 + shared_bytes),
        copies_left_(image_->size * 4 + shared_bytes),
        align_(align) {}

  /// The dict that the pickle's root is; a root of another kind is one entry with the key "". Throws FormatError for
  /// what a state dict has no place for, naming its path.
  Tree build(pickle::Id root) {
    if (objects_.kind(root) == Kind::dict) return dict_of(root);
    const Nesting nesting = enter();
    Tree tree;
    tree[""] = value_of(root);
    return tree;
  }

 private:
  using Id = pickle::Id;
  using Kind = pickle::Kind;

  // What a pickle may repeat beyond its own size, for rows that Python shares: about 1 MiB of values.
  static constexpr std::uint64_t shared_values = 10'000, shared_bytes = std::uint64_t{1} << 20;

  [[noreturn]] void fail(const std::string& what) const {
    throw FormatError(where_ + (path_.empty() ? std::string() : shown_path() + ": ") + what);
  }

  [[nodiscard]] std::string shown_path() const {
    std::string path;
    for (const Key& key : path_) path = detail::join(path, key);
    return path.size() > 300 ? path.substr(0, 300) + "..." : path;
  }

  void spend(std::uint64_t& left, std::uint64_t amount) const {
    if (amount > left) fail("unfolds into more than a checkpoint of this size may hold");
    left -= amount;
  }

  TreeValue value_of(Id id) {
    spend(values_left_, 1);
    switch (objects_.kind(id)) {
      case Kind::none:
        return None();
      case Kind::boolean:
        return objects_.integer(id) != 0;
      case Kind::integer:
        return objects_.integer(id);
      case Kind::big_integer:
        fail("expected integers of 64 bits, found a larger one");
      case Kind::floating:
        return objects_.floating(id);
      case Kind::complex:
        return complex_of(id);
      case Kind::text:
        return text_of(id);
      case Kind::bytes:
        return bytes_of(id);
      case Kind::list:
      case Kind::tuple:
      case Kind::set:
        return list_of(id);
      case Kind::dict:
        return dict_of(id);
      case Kind::global:
        if (objects_.global(id).first.action == pickle::Action::dtype) return objects_.global(id).second;
        fail("expected a value, found " + objects_.global(id).second + ", which is code");
      case Kind::storage:
        fail("expected a tensor, found a bare storage");
      case Kind::tensor:
        break;
    }
    return tensor_of(id);
  }

  [[nodiscard]] Nesting enter() {
    return {depth_, [&] { fail("nested deeper than " + std::to_string(max_depth) + " levels, or inside itself"); }};
  }

  TreeList list_of(Id id) {
    const Nesting nesting = enter();
    const auto& items = objects_.items(id);
    if (items.size() > values_left_) spend(values_left_, items.size());
    TreeList list;
    list.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      path_.emplace_back(static_cast<std::int64_t>(i));
      list.push_back(value_of(items[i]));
      path_.pop_back();
    }
    return list;
  }

  Tree dict_of(Id id) {
    const Nesting nesting = enter();
    const auto& items = objects_.items(id);
    if (items.size() > values_left_) spend(values_left_, items.size());
    Tree dict;
    dict.reserve(items.size() / 2);
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      Key key = key_of(items[i]);
      path_.push_back(key);
      dict[key] = value_of(items[i + 1]);
      path_.pop_back();
    }
    return dict;
  }

  Key key_of(Id id) {
    if (objects_.kind(id) == Kind::integer) return objects_.integer(id);
    if (objects_.kind(id) != Kind::text) {
      fail("expected keys that are int or str, found " + std::string(name_of(objects_.kind(id))));
    }
    spend(characters_left_, objects_.text(id).size());
    return std::string(objects_.text(id));
  }

  static std::shared_ptr<const trainstate::Storage> own_storage(std::vector<std::byte> bytes) {
    auto memory = std::make_shared<std::vector<std::byte>>(std::move(bytes));
    return std::make_shared<const trainstate::Storage>(trainstate::Storage{memory, memory->data(), memory->size()});
  }

  static TensorInfo dense_tensor(Dtype dtype, std::vector<std::int64_t> shape,
                                 std::shared_ptr<const trainstate::Storage> storage) {
    auto strides = TensorInfo::contiguous_strides(shape);
    return {dtype, std::move(shape), std::move(strides), std::move(storage), 0};
  }

  std::string_view text_of(Id id) {
    constexpr std::size_t in_place = 15;  // characters; a longer text takes memory of its own
    const std::string_view text = objects_.text(id);
    spend(characters_left_, text.size());
    if (text.size() > in_place) spend(values_left_, 1);
    return text;
  }

  TensorInfo complex_of(Id id) {
    auto& storage = made_[id];
    if (!storage) {
      const std::uint64_t parts[] = {objects_[id].a, objects_[id].b};
      const auto bytes = std::as_bytes(std::span(parts));
      storage = own_storage({bytes.begin(), bytes.end()});
    }
    return dense_tensor(Dtype::c128, {}, storage);
  }

  TensorInfo bytes_of(Id id) {
    const auto bytes = std::as_bytes(std::span(objects_.text(id)));
    spend(values_left_, 1);
    std::vector<std::int64_t> shape{static_cast<std::int64_t>(bytes.size())};
    const std::byte* const end = image_->data + image_->size;
    if (std::less_equal<>()(image_->data, bytes.data()) && std::less_equal<>()(bytes.data() + bytes.size(), end)) {
      TensorInfo tensor = dense_tensor(Dtype::u8, std::move(shape), image_);
      tensor.offset = static_cast<std::size_t>(bytes.data() - image_->data);
      return tensor;
    }
    auto& storage = made_[id];
    if (!storage) storage = own_storage({bytes.begin(), bytes.end()});
    return dense_tensor(Dtype::u8, std::move(shape), storage);
  }

  std::vector<std::int64_t> integers_of(Id tuple) const {
    std::vector<std::int64_t> values;
    values.reserve(objects_.items(tuple).size());
    for (const Id item : objects_.items(tuple)) values.push_back(objects_.integer(item));
    return values;
  }

  TensorInfo tensor_of(Id id) {
    const pickle::TensorRef& ref = objects_.tensor(id);
    spend(values_left_, (objects_.items(ref.shape).size() + objects_.items(ref.strides).size() + 7) / 8);
    const pickle::StorageRef& from = objects_.storages()[ref.storage];
    const auto bytes =
        source_.bytes_of(from).subspan(static_cast<std::size_t>(from.offset), static_cast<std::size_t>(from.size));
    const unsigned item = bits(ref.dtype) / 8;
    if (bits(ref.dtype) % 8 != 0 || ref.dtype == Dtype::f4)
      fail("a tensor of torch." + std::string(name(ref.dtype)) + ", which packs its elements, and cannot be read");
    if (ref.offset > bytes.size() / item) fail("begins past the end of its storage");
    TensorInfo tensor{ref.dtype, integers_of(ref.shape), integers_of(ref.strides), nullptr,
                      static_cast<std::size_t>(ref.offset) * item};
    if (tensor.strides.size() != tensor.shape.size() || !dense_size(ref.dtype, tensor.shape)) {
      fail("expected a shape and strides, found an impossible shape or other strides");
    }
    tensor.storage = storage_of(from, bytes);
    if (const auto defect = defect_of(tensor); !defect.empty()) fail("cannot be read: " + std::string(defect));
    if (!ref.conjugated && !ref.negated) return tensor;
    auto& storage = made_[id];
    if (!storage) storage = own_storage(computed(tensor, ref));
    return dense_tensor(tensor.dtype, std::move(tensor.shape), storage);
  }

  // The dense bytes, with signs turned.
  std::vector<std::byte> computed(const TensorInfo& tensor, const pickle::TensorRef& ref) {
    const bool complex = tensor.dtype == Dtype::c32 || tensor.dtype == Dtype::c64 || tensor.dtype == Dtype::c128;
    const bool real = tensor.dtype == Dtype::f16 || tensor.dtype == Dtype::bf16 || tensor.dtype == Dtype::f32 ||
                      tensor.dtype == Dtype::f64;
    if (!complex && (!real || ref.conjugated)) fail("a lazily conjugated or negated tensor of another dtype");
    if (tensor.nbytes() > tensor.storage->size) fail("a lazily conjugated or negated tensor larger than its storage");
    spend(copies_left_, tensor.nbytes());
    std::vector<std::byte> bytes(tensor.nbytes());
    copy_dense(tensor, 0, bytes);
    const std::size_t part = bits(tensor.dtype) / (complex ? 16 : 8);
    for (std::size_t i = 0; i * part < bytes.size(); ++i) {
      const bool imaginary = complex && i % 2 == 1;
      if ((imaginary && ref.conjugated) != ref.negated) bytes[(i + 1) * part - 1] ^= std::byte{0x80};
    }
    return bytes;
  }

  // One for each range of bytes, so that what was tied is tied again. What the processor could not read in place is
  // copied.
  std::shared_ptr<const trainstate::Storage> storage_of(const pickle::StorageRef& from,
                                                        std::span<const std::byte> bytes) {
    auto& storage = storages_[{from.key, from.offset, from.size, from.location}];
    if (storage) return storage;
    if (!is_utf8(from.location)) fail("expected a device, found " + shown(from.location));
    constexpr std::uintptr_t largest_part = 8;  // of an element: complex ones have two
    trainstate::Storage made{image_, nullptr, bytes.size(), std::string(from.location)};
    if (!align_ || reinterpret_cast<std::uintptr_t>(bytes.data()) % largest_part == 0) {
      if (!bytes.empty()) made.data = image_->data + (bytes.data() - image_->data);
    } else {
      spend(copies_left_, bytes.size());
      auto memory = std::make_shared<std::vector<std::byte>>(bytes.begin(), bytes.end());
      made.data = memory->data();
      made.owner = std::move(memory);
    }
    return storage = std::make_shared<const trainstate::Storage>(std::move(made));
  }

  const pickle::Objects& objects_;
  StorageSource& source_;
  std::shared_ptr<const trainstate::Storage> image_;
  std::string where_;
  std::uint64_t values_left_, characters_left_;
  std::uint64_t copies_left_;  // bytes, for tensors that cannot stay where they are
  bool align_;
  std::size_t depth_ = 0;
  std::vector<Key> path_;
  std::map<std::tuple<std::string_view, std::uint64_t, std::uint64_t, std::string_view>,
           std::shared_ptr<const trainstate::Storage>>
      storages_;
  std::map<Id, std::shared_ptr<const trainstate::Storage>> made_;  // of objects whose bytes stand nowhere in the file
};

}  // namespace trainstate::format::pt
