// Whether a text is a state that an engine or a distribution of <random> can have. The standard library's operator>>
// takes every number that its type holds, and what comes of it is undefined: an index past the end, a loop without one.
//
// Engines have the form that the standard gives them, to which libstdc++ adds where in its table an engine is. For
// distributions the standard leaves the form open; libstdc++'s is known here.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <locale>
#include <random>
#include <sstream>
#include <string>

namespace trainstate::detail {

/// Reads a text number by number. Each member gives whether the next number is there and as it has to be.
class NumberText {
 public:
  explicit NumberText(const std::string& text) : size_(text.size()), in_(text) { in_.imbue(std::locale::classic()); }

  /// An integer without a sign: operator>> would take -1 for the largest one.
  bool unsigned_in(std::uint64_t least, std::uint64_t most) {
    std::uint64_t number = 0;
    return (in_ >> std::ws).peek() != '-' && in_ >> number && number >= least && number <= most;
  }
  bool unsigned_below(std::uint64_t end) { return end != 0 && unsigned_in(0, end - 1); }

  /// How many numbers follow: no more than there is text for. Each has a space before it.
  bool count(std::size_t& number) { return (in_ >> std::ws).peek() != '-' && in_ >> number && number <= size_ / 2; }

  template <class T>
  bool number(T& value) {
    return static_cast<bool>(in_ >> value);
  }
  /// A parameter that the standard wants above zero, but that does no harm at zero, unless libstdc++ asserts: no noise
  /// is a normal distribution of deviation 0.
  template <class T>
  bool scale(T most = std::numeric_limits<T>::max()) {
    T value = 0;
#ifdef _GLIBCXX_ASSERTIONS
    return number(value) && value > 0 && value <= most;
#else
    return number(value) && value >= 0 && value <= most;
#endif
  }
  template <class T>
  bool exactly(T wanted) {
    T value = 0;
    return number(value) && value == wanted;
  }
  template <class T>
  bool ordered_pair() {
    T a = 0, b = 0;
    return number(a) && number(b) && a <= b;
  }
  bool probability(bool may_be_zero) {
    double p = -1;
    return number(p) && (p > 0 || (may_be_zero && p == 0)) && p <= 1;
  }

  /// `count` weights, not all of them zero, whose sum is finite.
  bool weights(std::size_t count) {
    double sum = 0;
    for (std::size_t i = 0; i != count; ++i) {
      double weight = -1;
      if (!number(weight) || weight < 0) return false;
      sum += weight;
    }
    return sum > 0 && std::isfinite(sum);
  }
  /// `count` numbers, each of them above the one before.
  template <class T>
  bool ascending(std::size_t count) {
    T last = 0;
    for (std::size_t i = 0; i != count; ++i) {
      T next = 0;
      if (!number(next) || (i != 0 && next <= last)) return false;
      last = next;
    }
    return true;
  }

  bool at_end() { return (in_ >> std::ws).eof(); }

 private:
  std::size_t size_;
  std::istringstream in_;
};

/// What is checked of a type's text; of types that are not the standard's own nothing is.
template <class T>
struct RandomText {
  static constexpr bool is_known = false;
};

struct KnownText {
  static constexpr bool is_known = true;
};

// Engines

template <class U, U a, U c, U m>
struct RandomText<std::linear_congruential_engine<U, a, c, m>> : KnownText {
  using Engine = std::linear_congruential_engine<U, a, c, m>;
  static bool check(NumberText& text) { return text.unsigned_in(Engine::min(), Engine::max()); }
};

template <class U, std::size_t w, std::size_t n, std::size_t m, std::size_t r, U a, std::size_t u, U d, std::size_t s,
          U b, std::size_t t, U c, std::size_t l, U f>
struct RandomText<std::mersenne_twister_engine<U, w, n, m, r, a, u, d, s, b, t, c, l, f>> : KnownText {
  using Engine = std::mersenne_twister_engine<U, w, n, m, r, a, u, d, s, b, t, c, l, f>;
  static bool check(NumberText& text) {
    for (std::size_t i = 0; i != n; ++i) {
      if (!text.unsigned_in(0, Engine::max())) return false;
    }
#ifdef __GLIBCXX__
    return text.unsigned_in(0, n);  // the position
#else
    return true;
#endif
  }
};

template <class U, std::size_t w, std::size_t s, std::size_t r>
struct RandomText<std::subtract_with_carry_engine<U, w, s, r>> : KnownText {
  using Engine = std::subtract_with_carry_engine<U, w, s, r>;
  static bool check(NumberText& text) {
    for (std::size_t i = 0; i != r; ++i) {
      if (!text.unsigned_in(0, Engine::max())) return false;
    }
    if (!text.unsigned_in(0, 1)) return false;  // the carry
#ifdef __GLIBCXX__
    return text.unsigned_below(r);  // the position
#else
    return true;
#endif
  }
};

template <class Base, std::size_t p, std::size_t r>
struct RandomText<std::discard_block_engine<Base, p, r>> : RandomText<Base> {
  static bool check(NumberText& text) { return RandomText<Base>::check(text) && text.unsigned_in(0, r); }
};

template <class Base, std::size_t w, class U>
struct RandomText<std::independent_bits_engine<Base, w, U>> : RandomText<Base> {};

template <class Base, std::size_t k>
struct RandomText<std::shuffle_order_engine<Base, k>> : RandomText<Base> {
  static bool check(NumberText& text) {
    if (!RandomText<Base>::check(text)) return false;
    for (std::size_t i = 0; i != k + 1; ++i) {  // the table, then the last number
      if (!text.unsigned_in(Base::min(), Base::max())) return false;
    }
    return true;
  }
};

// Distributions

#ifdef __GLIBCXX__

/// The number that a normal distribution holds back: a flag, and the number if there is one.
inline bool check_held_back(NumberText& text) {
  bool is_there = false;
  double number = 0;
  return text.number(is_there) && (!is_there || text.number(number));
}

/// The distributions inside others are always these; their parameters follow from the outer ones' where they have any.
inline bool check_inner_normal(NumberText& text) {
  return text.exactly(0.0) && text.exactly(1.0) && check_held_back(text);
}
inline bool check_inner_gamma(NumberText& text) {
  return text.scale<double>() && text.scale<double>() && check_inner_normal(text);
}

template <class I>
struct RandomText<std::uniform_int_distribution<I>> : KnownText {
  static bool check(NumberText& text) { return text.ordered_pair<I>(); }
};
template <class R>
struct RandomText<std::uniform_real_distribution<R>> : KnownText {
  static bool check(NumberText& text) { return text.ordered_pair<R>(); }
};
template <>
struct RandomText<std::bernoulli_distribution> : KnownText {
  static bool check(NumberText& text) { return text.probability(/*may_be_zero=*/true); }
};
template <class I>
struct RandomText<std::binomial_distribution<I>> : KnownText {
  static bool check(NumberText& text) {
    I t = -1;
    return text.number(t) && t >= 0 && text.probability(/*may_be_zero=*/true) && check_inner_normal(text);
  }
};
template <class I>
struct RandomText<std::geometric_distribution<I>> : KnownText {
  static bool check(NumberText& text) { return text.probability(/*may_be_zero=*/false); }
};
template <class I>
struct RandomText<std::negative_binomial_distribution<I>> : KnownText {
  static bool check(NumberText& text) {
    return text.scale<I>() && text.probability(/*may_be_zero=*/false) && check_inner_gamma(text);
  }
};
template <class I>
struct RandomText<std::poisson_distribution<I>> : KnownText {
  static bool check(NumberText& text) {
    // A mean that I cannot hold would be drawn again and again.
    return text.scale(static_cast<double>(std::numeric_limits<I>::max())) && check_inner_normal(text);
  }
};
template <class R>
struct RandomText<std::exponential_distribution<R>> : KnownText {
  static bool check(NumberText& text) { return text.scale<R>(); }
};
template <class R>
struct RandomText<std::gamma_distribution<R>> : KnownText {
  static bool check(NumberText& text) { return text.scale<R>() && text.scale<R>() && check_inner_normal(text); }
};
template <class R>
struct RandomText<std::weibull_distribution<R>> : KnownText {
  static bool check(NumberText& text) { return text.scale<R>() && text.scale<R>(); }
};
template <class R>
struct RandomText<std::extreme_value_distribution<R>> : KnownText {
  static bool check(NumberText& text) {
    R a = 0;
    return text.number(a) && text.scale<R>();
  }
};
template <class R>
struct RandomText<std::cauchy_distribution<R>> : RandomText<std::extreme_value_distribution<R>> {};
template <class R>
struct RandomText<std::normal_distribution<R>> : KnownText {
  static bool check(NumberText& text) {
    R mean = 0;
    return text.number(mean) && text.scale<R>() && check_held_back(text);
  }
};
template <class R>
struct RandomText<std::lognormal_distribution<R>> : KnownText {
  static bool check(NumberText& text) {
    R m = 0;
    return text.number(m) && text.scale<R>() && check_inner_normal(text);
  }
};
template <class R>
struct RandomText<std::chi_squared_distribution<R>> : KnownText {
  static bool check(NumberText& text) { return text.scale<R>() && check_inner_gamma(text); }
};
template <class R>
struct RandomText<std::fisher_f_distribution<R>> : KnownText {
  static bool check(NumberText& text) {
    return text.scale<R>() && text.scale<R>() && check_inner_gamma(text) && check_inner_gamma(text);
  }
};
template <class R>
struct RandomText<std::student_t_distribution<R>> : KnownText {
  static bool check(NumberText& text) { return text.scale<R>() && check_inner_normal(text) && check_inner_gamma(text); }
};
template <class I>
struct RandomText<std::discrete_distribution<I>> : KnownText {
  static bool check(NumberText& text) {
    std::size_t n = 0;
    return text.count(n) && n != 0 && text.weights(n);
  }
};
template <class R>
struct RandomText<std::piecewise_constant_distribution<R>> : KnownText {
  static bool check(NumberText& text) {
    std::size_t n = 0;
    return text.count(n) && n != 0 && text.ascending<R>(n + 1) && text.weights(n);
  }
};
template <class R>
struct RandomText<std::piecewise_linear_distribution<R>> : KnownText {
  static bool check(NumberText& text) {
    std::size_t n = 0;
    return text.count(n) && n != 0 && text.ascending<R>(n + 1) && text.weights(n + 1);
  }
};
#endif  // __GLIBCXX__

/// Whether T's operator>> may be given the text.
template <class T>
bool is_random_text(const std::string& state) {
  if constexpr (RandomText<T>::is_known) {
    NumberText text(state);
    return RandomText<T>::check(text) && text.at_end();
  } else {
    return true;
  }
}

}  // namespace trainstate::detail
