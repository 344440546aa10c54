// The engines and distributions of <random>, in the standard's own textual form.
#pragma once

#include <concepts>
#include <locale>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/random_text.hpp"

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

  /// Code of the user's that runs during a load may draw from it: see NamesContext.
  static void collect(const T& x, NamesContext& context) {
    if constexpr (std::is_nothrow_copy_assignable_v<T>) {
      if (!context.loads) return;
      auto& live = const_cast<T&>(x);  // what is loaded into is not const
      context.put_back.push_back([&live, before = x] { live = before; });
    }
  }

  static std::optional<T> build(const Value& value, LoadContext& context) {
    if (const auto* state = value.get_if<std::string>(); state && is_random_text<T>(*state)) {
      std::istringstream text(*state);
      text.imbue(std::locale::classic());
      T fresh;
      if (text >> fresh && (text >> std::ws).eof()) return fresh;
    }
    context.mismatch("the state of a random engine or distribution, as its operator<< writes it", value.describe());
    return std::nullopt;
  }

  static void plan(T& live, const Value& value, LoadContext& context) {
    auto built = build(value, context);
    if (!built) return;
    if constexpr (replaced_safely<T>) {
      context.plan->assign_last([&live, next = *std::move(built)]() mutable noexcept { live = std::move(next); });
    } else {  // a distribution that holds a table
      plan_replacement(live, *std::move(built), context);
    }
  }
};

}  // namespace trainstate::detail
