// The values of a state dict. Parametrised by the tensor type, so that the formats do without LibTorch.
#pragma once

#include <atomic>
#include <bit>
#include <concepts>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/path.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate {

/// The absent value, Python's `None`.
struct None {
  bool operator==(const None&) const = default;
};

/// A tensor of a file that this build's tensor type cannot hold (a dtype that this LibTorch lacks, say). It can be
/// carried along and written again; `as<Tensor>()` throws.
struct UnsupportedTensor {
  TensorInfo info;
  bool operator==(const UnsupportedTensor& other) const {
    return detail::TensorTraits<TensorInfo>::equal(info, other.info);
  }
};

template <class Tensor>
class BasicStateDict;

template <class Tensor>
class BasicValue;

/// A list of values, Python's list or tuple.
template <class Tensor>
using BasicList = std::vector<BasicValue<Tensor>>;

namespace detail {

template <class T, class... Ts>
concept one_of = (std::same_as<T, Ts> || ...);

/// Tells a value from every other one that this process ever made, also from a later one at the same address.
class Identity {
 public:
  Identity() noexcept : number_(next()) {}
  Identity(const Identity&) noexcept : Identity() {}
  Identity& operator=(const Identity&) noexcept { return *this; }
  ~Identity() = default;
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }

 private:
  /// From 1 on. Each thread takes its numbers from a block of its own.
  static std::uint64_t next() noexcept {
    constexpr std::uint64_t block = std::uint64_t{1} << 20;
    static constinit std::atomic<std::uint64_t> blocks = 0;
    static constinit thread_local std::uint64_t last = 0;
    if (last % block == 0) last = blocks.fetch_add(1, std::memory_order_relaxed) * block;
    return ++last;
  }

  std::uint64_t number_;
};

/// Which value `BasicStateDict::at` last found on this thread, so that an error of `BasicValue::as` can name its path.
struct LastLookup {
  std::uint64_t value = 0;
  std::string path;
};
inline thread_local LastLookup last_lookup;

}  // namespace detail

/// One value of a state dict: None, bool, int64, double, string, tensor, list or dict. Copies alias the same tensors,
/// as in Python; `clone` does not.
template <class Tensor>
class BasicValue {
 public:
  using List = BasicList<Tensor>;
  using StateDict = BasicStateDict<Tensor>;
  using Variant =
      std::variant<None, bool, std::int64_t, double, std::string, Tensor, List, StateDict, UnsupportedTensor>;

  BasicValue() = default;  ///< None
  BasicValue(None) {}
  BasicValue(Tensor tensor) : data_(std::in_place_type<Tensor>, std::move(tensor)) {}
  BasicValue(UnsupportedTensor tensor) : data_(std::in_place_type<UnsupportedTensor>, std::move(tensor)) {}
  BasicValue(List list);
  BasicValue(StateDict dict);
  BasicValue(std::string text) : data_(std::in_place_type<std::string>, std::move(text)) {}
  BasicValue(std::string_view text) : data_(std::in_place_type<std::string>, text) {}
  BasicValue(const char* text) : data_(std::in_place_type<std::string>, text) {}
  BasicValue(std::same_as<bool> auto value) : data_(std::in_place_type<bool>, value) {}
  /// Throws Error if an unsigned value does not fit int64.
  template <std::integral I>
  requires(!std::same_as<I, bool>) BasicValue(I value)
      : data_(std::in_place_type<std::int64_t>, static_cast<std::int64_t>(value)) {
    if constexpr (std::is_unsigned_v<I>) {
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        throw Error("the unsigned integer " + std::to_string(value) + " does not fit a state dict's int64");
      }
    }
  }
  BasicValue(std::floating_point auto value) : data_(std::in_place_type<double>, static_cast<double>(value)) {}

  /// True when the value is of the alternative `T`.
  template <class T>
  [[nodiscard]] bool is() const noexcept {
    static_assert(alternative<T>,
                  "trainstate: a Value is None, bool, int64, double, string, Tensor, List or StateDict");
    return std::holds_alternative<T>(data_);
  }

  /// The value as the alternative `T`. Throws Error naming what it is instead (and its path, where `at` found it).
  template <class T>
  [[nodiscard]] const T& as() const& {
    static_assert(alternative<T>,
                  "trainstate: a Value is None, bool, int64, double, string, Tensor, List or StateDict");
    if (const T* value = std::get_if<T>(&data_)) return *value;
    throw_wrong_type(Variant(std::in_place_type<T>).index());
  }
  template <class T>
  [[nodiscard]] T& as() & {
    return const_cast<T&>(std::as_const(*this).template as<T>());
  }
  template <class T>
  [[nodiscard]] T as() && {
    return std::move(as<T>());
  }

  /// The value if it is a `T`, else nullptr.
  template <class T>
  [[nodiscard]] const T* get_if() const noexcept {
    return std::get_if<T>(&data_);
  }
  template <class T>
  [[nodiscard]] T* get_if() noexcept {
    return std::get_if<T>(&data_);
  }

  [[nodiscard]] const Variant& variant() const noexcept { return data_; }

  /// A deep copy with tensors of its own. O(bytes).
  [[nodiscard]] BasicValue clone() const;

  /// What it is and, if that is short, which value: `int64 3`, `list of 2`, `float32[16, 3]`. For error texts.
  [[nodiscard]] std::string describe() const;

  /// Bitwise on tensors and doubles (so NaN equals itself and -0.0 is not 0.0), whatever the order of dicts.
  bool operator==(const BasicValue& other) const;

 private:
  template <class T>
  static constexpr bool alternative =
      detail::one_of<T, None, bool, std::int64_t, double, std::string, Tensor, List, StateDict, UnsupportedTensor>;

  [[noreturn]] void throw_wrong_type(std::size_t expected) const {
    static constexpr std::string_view names[] = {
        "None", "bool", "int64", "double", "string", "tensor", "list", "dict", "tensor that this build cannot hold"};
    std::string what;
    if (detail::last_lookup.value == identity_.number()) what = detail::last_lookup.path + ": ";
    throw Error(what + "expected " + std::string(names[expected]) + ", found " + describe());
  }

  friend StateDict;
  Variant data_;
  detail::Identity identity_;
};

}  // namespace trainstate

#include "trainstate/basic_state_dict.hpp"  // the other half of a recursive type
