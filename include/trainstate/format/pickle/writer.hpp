// State dicts as pickles that every PyTorch since 1.13 reads, also with weights_only=True: protocol 2, in the dialect
// of PyTorch's own files.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "trainstate/basic_state_dict.hpp"
#include "trainstate/error.hpp"
#include "trainstate/format/dense.hpp"
#include "trainstate/format/document.hpp"
#include "trainstate/format/nesting.hpp"
#include "trainstate/format/pickle/globals.hpp"
#include "trainstate/format/pickle/opcodes.hpp"
#include "trainstate/format/text.hpp"
#include "trainstate/format/views.hpp"
#include "trainstate/path.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::format::pickle {

/// Writes trees, and finds their tensors: each distinct one becomes a storage of its own, dense.
class TreePickler {
 public:
  using Tree = BasicStateDict<TensorInfo>;
  using TreeValue = BasicValue<TensorInfo>;
  using TreeList = BasicList<TensorInfo>;

  /// The bytes of one tree; trees share their storages. Throws Error, naming the path, for what a pickle of PyTorch's
  /// cannot hold: texts that are not UTF-8, tensors of dtypes that PyTorch lacks; FormatError for a tree nested deeper
  /// than `max_depth`. The tree must live as long as this.
  [[nodiscard]] std::string pickle(const Tree& tree) {
    bytes_.clear();
    memo_.clear();
    op(Op::proto);
    bytes_ += '\2';
    const TreeValue* only = tree.size() == 1 ? tree.find_key("") : nullptr;
    if (only && !only->is<Tree>()) {
      write(*only);  // a root that is no dict
    } else {
      write(tree);
    }
    op(Op::stop);
    return std::exchange(bytes_, {});
  }

  /// The storages, in the order of their keys 0, 1, …. They point into the tree.
  [[nodiscard]] const std::vector<const TensorInfo*>& storages() const noexcept { return storages_; }

 private:
  [[nodiscard]] std::string place() const {
    std::string path;
    for (const Key& key : path_) path = detail::join(path, key);
    return path.empty() ? path : path + ": ";
  }

  [[noreturn]] void fail(const std::string& what) const { throw Error(place() + "cannot be written as .pt: " + what); }

  void op(Op code) { bytes_ += static_cast<char>(code); }

  template <class T>
  void put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  // Writes something the first time, and recalls it later.
  template <class Write>
  void memoized(std::string_view what, const Write& write) {
    const auto [at, added] = memo_.try_emplace(std::string(what), static_cast<std::uint32_t>(memo_.size()));
    const std::uint32_t index = at->second;
    const bool small = index < 256;
    if (added) write();
    op(added ? (small ? Op::binput : Op::long_binput) : (small ? Op::binget : Op::long_binget));
    if (small) {
      put(static_cast<std::uint8_t>(index));
    } else {
      put(index);
    }
  }

  void write_global(std::string_view module, std::string_view name) {
    memoized("c" + std::string(module) + '.' + std::string(name), [&] {
      op(Op::global);
      ((bytes_ += module) += '\n') += name;
      bytes_ += '\n';
    });
  }

  void write_text(const std::string& text) {
    if (!is_utf8(text)) fail("a string that is not UTF-8");
    if (text.size() > std::numeric_limits<std::uint32_t>::max()) fail("a string of more than 4 GiB");
    const auto plain = [&] {
      op(Op::binunicode);
      put(static_cast<std::uint32_t>(text.size()));
      bytes_ += text;
    };
    constexpr std::size_t longest_kept = 64;  // names that come again and again
    if (text.size() > longest_kept) return plain();
    memoized("t" + text, plain);
  }

  void write_integer(std::int64_t value) {
    if (value >= 0 && value <= 0xFF) {
      op(Op::binint1);
      put(static_cast<std::uint8_t>(value));
    } else if (value >= 0 && value <= 0xFFFF) {
      op(Op::binint2);
      put(static_cast<std::uint16_t>(value));
    } else if (value == static_cast<std::int32_t>(value)) {
      op(Op::binint);
      put(static_cast<std::int32_t>(value));
    } else {
      op(Op::long1);
      bytes_ += '\b';
      put(value);
    }
  }

  void write_tuple(std::span<const std::int64_t> values) {
    if (values.empty()) return op(Op::empty_tuple);
    op(Op::mark);
    for (const std::int64_t value : values) write_integer(value);
    op(Op::tuple);
  }

  void write(const TreeValue& value) {
    std::visit([this](const auto& x) { write_alternative(x); }, value.variant());
  }

  void write_alternative(const None&) { op(Op::none); }
  void write_alternative(bool value) { op(value ? Op::newtrue : Op::newfalse); }
  void write_alternative(std::int64_t value) { write_integer(value); }
  void write_alternative(double value) {
    op(Op::binfloat);
    const auto bits = std::bit_cast<std::uint64_t>(value);
    for (int shift = 56; shift >= 0; shift -= 8) bytes_ += static_cast<char>(bits >> shift);
  }
  void write_alternative(const std::string& text) { write_text(text); }
  void write_alternative(const UnsupportedTensor& tensor) { write_tensor(tensor.info); }
  void write_alternative(const TensorInfo& tensor) { write_tensor(tensor); }
  void write_alternative(const TreeList& list) { write(list); }
  void write_alternative(const Tree& dict) { write(dict); }

  [[nodiscard]] Nesting enter() {
    return {depth_,
            [&] { throw FormatError(place() + "nested deeper than " + std::to_string(max_depth) + " levels"); }};
  }

  void write_key(const Key& key) {
    if (const auto* number = std::get_if<std::int64_t>(&key)) {
      write_integer(*number);
    } else {
      write_text(std::get<std::string>(key));
    }
  }

  void write(const Tree& dict) {
    const Nesting nesting = enter();
    op(Op::empty_dict);
    if (dict.empty()) return;
    op(Op::mark);
    for (const auto& [key, value] : dict) {
      path_.push_back(key);
      write_key(key);
      write(value);
      path_.pop_back();
    }
    op(Op::setitems);
  }

  void write(const TreeList& list) {
    const Nesting nesting = enter();
    // The optimizers' one tuple, which Python code may take apart as such.
    const bool tuple = !path_.empty() && path_.back() == Key("betas");
    if (!tuple) op(Op::empty_list);
    op(Op::mark);
    for (std::size_t i = 0; i < list.size(); ++i) {
      path_.emplace_back(static_cast<std::int64_t>(i));
      write(list[i]);
      path_.pop_back();
    }
    op(tuple ? Op::tuple : Op::appends);
  }

  // A call of _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks); version 3 has the dtype at its
  // end, for what has no class of storages.
  void write_tensor(const TensorInfo& tensor) {
    if (const auto defect = defect_of(tensor); !defect.empty()) fail(std::string(defect));
    if (bits(tensor.dtype) % 8 != 0) fail("a tensor of " + std::string(name(tensor.dtype)));
    const auto storage_class = storage_class_of(tensor.dtype);
    const auto [at, added] = views_.emplace(&tensor, storages_.size());
    if (added) storages_.push_back(&tensor);
    write_global("torch._utils", storage_class ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
    op(Op::mark);
    write_storage(at->second, tensor, storage_class);
    write_integer(0);
    write_tuple(tensor.shape);
    write_tuple(TensorInfo::contiguous_strides(tensor.shape));
    op(Op::newfalse);
    write_global("collections", "OrderedDict");
    op(Op::empty_tuple);
    op(Op::reduce);
    if (!storage_class) write_global("torch", name(tensor.dtype));
    op(Op::tuple);
    op(Op::reduce);
  }

  void write_storage(std::size_t number, const TensorInfo& tensor, std::optional<std::string_view> storage_class) {
    const std::string device = tensor.storage ? tensor.storage->device : "cpu";
    op(Op::mark);
    write_text("storage");
    if (storage_class) {
      write_global("torch", *storage_class);
    } else {
      write_global("torch.storage", "UntypedStorage");
    }
    write_text(std::to_string(number));
    write_text(device);
    write_integer(storage_class ? tensor.numel() : static_cast<std::int64_t>(tensor.nbytes()));
    op(Op::tuple);
    op(Op::binpersid);
  }

  static std::optional<std::string_view> storage_class_of(Dtype dtype) {
    for (const auto& [name, of] : globals_detail::storages) {
      if (of == dtype) return name;
    }
    return std::nullopt;
  }

  std::string bytes_;
  std::map<std::string, std::uint32_t> memo_;
  ViewMap<std::size_t> views_;
  std::vector<const TensorInfo*> storages_;
  std::vector<Key> path_;
  std::size_t depth_ = 0;
};

}  // namespace trainstate::format::pickle
