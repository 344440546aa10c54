// The engines and distributions of <random>, in the standard's own textual form.
#pragma once

#include <concepts>
#include <locale>
#include <optional>
#include <random>
#include <sstream>
#include <string>

#include "trainstate/codec/codec.hpp"

namespace trainstate::detail {

/// An engine or a distribution of <random>: what the standard lets one write to a stream and read back exactly.
template <class T>
concept Streamed = requires(const T& x, T& y, std::ostream& out, std::istream& in) {
  out << x;
  in >> y;
  { x == x } -> std::convertible_to<bool>;
};

template <class T>
concept RandomEngine = Streamed<T> && std::uniform_random_bit_generator<T> && requires(T& engine) {
  engine.discard(1ULL);
};

template <class T>
concept RandomDistribution = Streamed<T> && requires(T& distribution) {
  typename T::param_type;
  typename T::result_type;
  distribution.reset();
  distribution.param();
};

template <class T>
requires RandomEngine<T> || RandomDistribution<T>
struct StandardCodec<T> {
  static constexpr bool is_value = true;

  static Value save(const T& x, SaveContext&) {
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text << x;
    return text.str();
  }

  static std::optional<T> build(const Value& value, LoadContext& context) {
    if (const auto* state = value.get_if<std::string>()) {
      std::istringstream text(*state);
      text.imbue(std::locale::classic());
      T fresh;
      if (text >> fresh && (text >> std::ws).eof()) return fresh;
    }
    context.mismatch("the state of a random engine or distribution, as its operator<< writes it", value.describe());
    return std::nullopt;
  }

  static void plan(T& live, const Value& value, LoadContext& context) {
    if (auto built = build(value, context)) {
      context.plan->assign_last([&live, fresh = *std::move(built)]() mutable { live = std::move(fresh); });
    }
  }
};

}  // namespace trainstate::detail
