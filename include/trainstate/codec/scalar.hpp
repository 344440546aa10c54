// Numbers, enums, strings, paths and durations.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <ratio>
#include <string>
#include <type_traits>
#include <utility>

#include "trainstate/codec/codec.hpp"

namespace trainstate::detail {

/// A number as it stands in a state dict: a Value, or the element of a zero-dim tensor (Python's optimizers keep their
/// `step` so), which may be an integer spelled as a float.
struct Number {
  enum class Kind { none, boolean, integer, floating } kind = Kind::none;
  std::int64_t integer = 0;
  double floating = 0;
  bool from_tensor = false;

  explicit Number(const Value& value) {
    if (const auto* b = value.get_if<bool>()) {
      kind = Kind::boolean;
      integer = *b;
    } else if (const auto* i = value.get_if<std::int64_t>()) {
      kind = Kind::integer;
      integer = *i;
    } else if (const auto* d = value.get_if<double>()) {
      kind = Kind::floating;
      floating = *d;
    } else if (const auto* t = value.get_if<at::Tensor>(); t && t->defined() && t->dim() == 0) {
      const auto item = t->item();
      from_tensor = true;
      if (item.isBoolean()) {
        kind = Kind::boolean;
        integer = item.toBool();
      } else if (item.isIntegral(false)) {
        kind = Kind::integer;
        integer = item.toLong();
      } else if (item.isFloatingPoint()) {
        kind = Kind::floating;
        floating = item.toDouble();
      }
    }
  }

  /// The integer, also where a tensor spells it as a float.
  [[nodiscard]] std::optional<std::int64_t> as_integer() const {
    if (kind == Kind::integer) return integer;
    const bool exact =
        kind == Kind::floating && from_tensor && std::trunc(floating) == floating && std::abs(floating) < 9.2e18;
    return exact ? std::optional(static_cast<std::int64_t>(floating)) : std::nullopt;
  }

  /// The number in the floating type `F`; an integer only if it is exact there, a double rounded to nearest.
  template <class F>
  [[nodiscard]] std::optional<F> as_floating() const {
    if (kind == Kind::floating) {
      const auto rounded = static_cast<F>(floating);
      return std::isinf(rounded) && !std::isinf(floating) ? std::nullopt : std::optional(rounded);
    }
    if (kind != Kind::integer) return std::nullopt;
    const auto converted = static_cast<F>(integer);
    constexpr auto limit = static_cast<F>(9223372036854775808.0);  // 2^63, where casting back would overflow
    const bool exact = converted < limit && static_cast<std::int64_t>(converted) == integer;
    return exact ? std::optional(converted) : std::nullopt;
  }
};

template <class T>
std::string integer_range() {
  return "an integer from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
         std::to_string(std::numeric_limits<T>::max());
}

template <class T>
requires std::is_arithmetic_v<T>
struct StandardCodec<T> {
  static constexpr bool is_value = true;

  static Value save(T x, SaveContext& context) {
    if constexpr (std::is_unsigned_v<T> && sizeof(T) == sizeof(std::int64_t)) {
      if (x > static_cast<T>(std::numeric_limits<std::int64_t>::max())) {
        throw context.error("the unsigned integer " + std::to_string(x) + " does not fit int64");
      }
    }
    if constexpr (std::is_same_v<T, long double>) {
      if (const auto rounded = static_cast<double>(x); static_cast<long double>(rounded) != x && x == x) {
        throw context.error("a long double that no double can hold");
      }
    }
    return x;
  }

  static std::optional<T> build(const Value& value, LoadContext& context) {
    const Number number(value);
    if constexpr (std::is_same_v<T, bool>) {
      if (number.kind == Number::Kind::boolean) return number.integer != 0;
      context.mismatch("bool", value.describe());
    } else if constexpr (std::is_integral_v<T>) {
      const auto integer = number.as_integer();
      if (integer && fits(*integer)) return static_cast<T>(*integer);
      context.mismatch(integer_range<T>(), value.describe());
    } else {
      if (const auto floating = number.as_floating<T>()) return floating;
      context.mismatch(sizeof(T) == 4 ? "float" : "double", value.describe());
    }
    return std::nullopt;
  }

  static void plan(T& live, const Value& value, LoadContext& context) { plan_by_building(live, value, context); }

 private:
  static bool fits(std::int64_t x) {
    if constexpr (std::is_unsigned_v<T>) {
      return x >= 0 && static_cast<std::uint64_t>(x) <= std::numeric_limits<T>::max();
    } else {
      return x >= std::numeric_limits<T>::min() && x <= std::numeric_limits<T>::max();
    }
  }
};

template <class T>
requires std::is_enum_v<T>
struct StandardCodec<T> {
  static constexpr bool is_value = true;
  using Underlying = std::underlying_type_t<T>;
  using Integer = std::conditional_t<std::is_same_v<Underlying, bool>, std::uint8_t, Underlying>;

  static Value save(T x, SaveContext& context) {
    return StandardCodec<Integer>::save(static_cast<Integer>(x), context);
  }
  static std::optional<T> build(const Value& value, LoadContext& context) {
    const auto integer = StandardCodec<Integer>::build(value, context);
    return integer ? std::optional(static_cast<T>(*integer)) : std::nullopt;
  }
  static void plan(T& live, const Value& value, LoadContext& context) { plan_by_building(live, value, context); }
};

template <class Traits, class Allocator>
struct StandardCodec<std::basic_string<char, Traits, Allocator>> {
  using T = std::basic_string<char, Traits, Allocator>;
  static constexpr bool is_value = true;

  static Value save(const T& x, SaveContext&) { return std::string(x.data(), x.size()); }
  static std::optional<T> build(const Value& value, LoadContext& context) {
    if (const auto* text = value.get_if<std::string>()) return T(text->data(), text->size());
    context.mismatch("string", value.describe());
    return std::nullopt;
  }
  static void plan(T& live, const Value& value, LoadContext& context) { plan_by_building(live, value, context); }
};

template <>
struct StandardCodec<std::filesystem::path> {
  using T = std::filesystem::path;
  static constexpr bool is_value = true;

  static Value save(const T& x, SaveContext&) { return x.string(); }
  static std::optional<T> build(const Value& value, LoadContext& context) {
    if (const auto* text = value.get_if<std::string>()) return T(*text);
    context.mismatch("string (a path)", value.describe());
    return std::nullopt;
  }
  static void plan(T& live, const Value& value, LoadContext& context) { plan_by_building(live, value, context); }
};

/// Integral durations are int64 nanoseconds, floating ones double seconds.
template <class Rep, class Period>
struct StandardCodec<std::chrono::duration<Rep, Period>> {
  using T = std::chrono::duration<Rep, Period>;
  static constexpr bool is_value = true;
  static constexpr bool floating = std::is_floating_point_v<Rep>;

  static Value save(const T& x, SaveContext& context) {
    if constexpr (floating) {
      return std::chrono::duration_cast<std::chrono::duration<double>>(x).count();
    } else {
      const auto count = scaled<std::int64_t>(x.count(), Nanoseconds::num, Nanoseconds::den);
      if (!count) throw context.error("a duration that is no whole number of int64 nanoseconds");
      return *count;
    }
  }

  static std::optional<T> build(const Value& value, LoadContext& context) {
    const Number number(value);
    if constexpr (floating) {
      if (const auto seconds = number.as_floating<double>()) {
        return std::chrono::duration_cast<T>(std::chrono::duration<double>(*seconds));
      }
      context.mismatch("a duration in seconds", value.describe());
    } else if (const auto count = number.as_integer()) {
      if (const auto own = scaled<Rep>(*count, Nanoseconds::den, Nanoseconds::num)) return T(*own);
      context.mismatch("nanoseconds that are a whole number of this duration's unit", value.describe());
    } else {
      context.mismatch("a duration in nanoseconds", value.describe());
    }
    return std::nullopt;
  }
  static void plan(T& live, const Value& value, LoadContext& context) { plan_by_building(live, value, context); }

 private:
  using Nanoseconds = std::ratio_divide<Period, std::nano>;

  /// count * num / den, if that is a whole number that `To` can hold.
  template <class To, class From>
  static std::optional<To> scaled(From count, std::intmax_t num, std::intmax_t den) {
    std::intmax_t product = 0;
    To result = 0;
    if (__builtin_mul_overflow(count, num, &product) || product % den != 0) return std::nullopt;
    if (__builtin_add_overflow(product / den, 0, &result)) return std::nullopt;
    return result;
  }
};

}  // namespace trainstate::detail
