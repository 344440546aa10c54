// A digest of state: FNV-1a (64 bit) over every tensor's path, dtype, shape and bytes, in order, and over every number.
// It shares no code with the library's own checksums, so that equal digests say something about the library.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <cstring>
#include <iomanip>
#include <ostream>
#include <string>
#include <string_view>
#include <trainstate/state_dict.hpp>
#include <variant>

namespace digits {

namespace ts = trainstate;

class Digest {
 public:
  /// Takes in everything below `value`. Each tensor's own digest is listed on `list`, if there is one.
  void add(const std::string& path, const ts::Value& value, std::ostream* list = nullptr) {
    if (const auto* dict = value.get_if<ts::StateDict>()) {
      for (const auto& [key, item] : *dict) {
        const std::string name = std::visit([](const auto& k) { return text(k); }, key);
        add(path.empty() ? name : path + "." + name, item, list);
      }
    } else if (const auto* items = value.get_if<ts::List>()) {
      for (std::size_t i = 0; i < items->size(); ++i) add(path + "." + text(i), (*items)[i], list);
    } else if (const auto* tensor = value.get_if<torch::Tensor>()) {
      add_tensor(path, *tensor, list);
    } else if (const auto* number = value.get_if<double>()) {
      add_bytes(path);
      add_object(*number);
    } else if (const auto* integer = value.get_if<std::int64_t>()) {
      add_bytes(path);
      add_object(*integer);
    }
  }

  [[nodiscard]] int tensors() const { return tensors_; }

  friend std::ostream& operator<<(std::ostream& os, const Digest& digest) {
    const auto flags = os.flags();
    os << std::hex << std::setw(16) << std::setfill('0') << digest.hash_ << std::setfill(' ');
    os.flags(flags);
    return os;
  }

 private:
  static std::string text(const std::string& key) { return key; }
  static std::string text(std::integral auto key) { return std::to_string(key); }

  void add_tensor(const std::string& path, const torch::Tensor& tensor, std::ostream* list) {
    ++tensors_;
    const torch::Tensor dense = tensor.detach().cpu().contiguous();
    const std::string_view bytes(static_cast<const char*>(dense.data_ptr()), dense.nbytes());
    add_bytes(path);
    add_bytes(torch::toString(dense.scalar_type()));
    for (const std::int64_t size : dense.sizes()) add_object(size);
    add_bytes(bytes);
    if (list) {
      Digest own;
      own.add_bytes(bytes);
      *list << "tensor " << path << ' ' << own << '\n';
    }
  }

  void add_bytes(std::string_view bytes) {
    for (const char c : bytes) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }

  template <class T>
  void add_object(const T& value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    add_bytes({bytes, sizeof value});
  }

  std::uint64_t hash_ = 0xcbf29ce484222325;
  int tensors_ = 0;
};

}  // namespace digits
