#include "trainstate/codec/random.hpp"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "laws/laws.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/objects.hpp"

namespace ts = trainstate;

namespace {

template <class Engine>
void check_engine() {
  Engine used(42);
  used.discard(1000);
  laws::hold_for(used, Engine(1));
  Engine resumed(1);
  ts::from_bytes(resumed, ts::to_bytes(used));
  for (int i = 0; i < 2000; ++i) CHECK(resumed() == used());
}

template <class Distribution>
void check_distribution(const Distribution& distribution, const Distribution& blank) {
  std::mt19937 engine(7);
  Distribution used = distribution;
  used(engine);
  std::mt19937 again = engine;
  laws::hold_for(used, blank);
  Distribution resumed = blank;
  ts::from_bytes(resumed, ts::to_bytes(used));
  for (int i = 0; i < 100; ++i) CHECK(resumed(engine) == used(again));
}

}  // namespace

TEST_CASE("engines go on where they were") {
  check_engine<std::mt19937>();
  check_engine<std::mt19937_64>();
  check_engine<std::minstd_rand>();
  check_engine<std::ranlux48>();
  check_engine<std::knuth_b>();
}

TEST_CASE("distributions keep their parameters and what they hold back") {
  check_distribution(std::normal_distribution<double>(0.1, 0.3), std::normal_distribution<double>());
  check_distribution(std::uniform_real_distribution<float>(0.1F, 0.7F), std::uniform_real_distribution<float>());
  check_distribution(std::uniform_int_distribution<int>(3, 9), std::uniform_int_distribution<int>());
  check_distribution(std::discrete_distribution<int>{0.1, 0.2, 0.7}, std::discrete_distribution<int>{0.5, 0.5});
  check_distribution(std::bernoulli_distribution(0.3), std::bernoulli_distribution());
}

TEST_CASE("a text that is no engine's state is refused") {
  std::mt19937 live(3);
  const auto before = ts::state_dict(live);
  const std::string good = before.at_key("").as<std::string>();
  for (const ts::Value& wrong : {ts::Value("1 2 3"), ts::Value(""), ts::Value(5), ts::Value(good + " 7"),
                                 ts::Value(good.substr(0, good.size() / 2)), ts::Value("x" + good)}) {
    CHECK_THROWS_AS(ts::load_state_dict(live, ts::StateDict{{"", wrong}}), ts::MismatchError);
    CHECK(ts::state_dict(live) == before);
  }
}

namespace {

std::string text_of(const auto& x) { return ts::state_dict(x).at_key("").template as<std::string>(); }

std::vector<std::string> numbers_of(const auto& x) {
  std::istringstream text(text_of(x));
  return {std::istream_iterator<std::string>(text), {}};
}

template <class T>
bool takes(const std::string& text, T live = T()) {
  const T before = live;
  try {
    ts::load_state_dict(live, ts::StateDict{{"", text}});
    return true;
  } catch (const ts::MismatchError&) {
    CHECK(live == before);
    return false;
  }
}

/// Whether the state of `x` is taken with the number at `at`, from the end if negative, replaced.
bool takes_with(const auto& x, std::ptrdiff_t at, const std::string& number) {
  auto numbers = numbers_of(x);
  numbers[static_cast<std::size_t>(at < 0 ? at + static_cast<std::ptrdiff_t>(numbers.size()) : at)] = number;
  std::string text;
  for (const auto& n : numbers) text += (text.empty() ? "" : " ") + n;
  return takes(text, x);
}

template <class Engine>
void check_refusals(Engine engine) {
  engine.discard(1000);
  CHECK(takes(text_of(engine), Engine()));
  const auto count = static_cast<std::ptrdiff_t>(numbers_of(engine).size());
  for (std::ptrdiff_t at = 0; at < count; at += 1 + at / 32) {
    for (const auto* wrong : {"-5", "-0", "18446744073709551616", "0x1", "1.5", "nan", ""}) {
      CHECK_FALSE(takes_with(engine, at, wrong));
    }
  }
}

template <class Distribution>
void check_texts(Distribution used, const std::vector<std::string>& refused) {
  std::mt19937 engine(7);
  for (int i = 0; i < 3; ++i) {
    CHECK(takes(text_of(used), used));
    used(engine);
  }
  for (const auto& text : refused) {
    CAPTURE(text);
    CHECK_FALSE(takes<Distribution>(text));
  }
}

}  // namespace

TEST_CASE("a state that an engine cannot have is refused before it draws") {
  check_refusals(std::minstd_rand(4));
  check_refusals(std::mt19937(4));
  check_refusals(std::mt19937_64(4));
  check_refusals(std::ranlux24_base(4));
  check_refusals(std::ranlux48(4));
  check_refusals(std::knuth_b(4));
  check_refusals(std::independent_bits_engine<std::ranlux24, 32, std::uint32_t>(4));
  CHECK_FALSE(takes_with(std::minstd_rand(4), 0, "0"));
  CHECK_FALSE(takes_with(std::minstd_rand(4), 0, "2147483647"));
  CHECK_FALSE(takes_with(std::mt19937(4), 7, "4294967296"));
  CHECK_FALSE(takes_with(std::ranlux24_base(4), 0, "16777216"));
  CHECK_FALSE(takes_with(std::ranlux48(4), -1, "12"));
  CHECK(takes_with(std::ranlux48(4), -1, "11"));
  CHECK_FALSE(takes_with(std::knuth_b(4), -1, "0"));
  CHECK_FALSE(takes_with(std::knuth_b(4), 3, "2147483647"));
#ifdef __GLIBCXX__
  CHECK_FALSE(takes_with(std::mt19937(4), -1, "625"));
  CHECK(takes_with(std::mt19937(4), -1, "624"));
  CHECK_FALSE(takes_with(std::ranlux24_base(4), -2, "2"));   // the carry
  CHECK_FALSE(takes_with(std::ranlux24_base(4), -1, "24"));  // the position
  CHECK(takes_with(std::ranlux24_base(4), -1, "23"));
#endif
}

#ifdef __GLIBCXX__
TEST_CASE("parameters that a distribution cannot have, and counts beyond the text, are refused") {
  check_texts(std::uniform_int_distribution<int>(-3, 3), {"5 3", "5", "1 2 3", "0 4294967296"});
  check_texts(std::uniform_real_distribution<double>(-1, 1), {"5 3", "nan 1", "0 1e999"});
  check_texts(std::bernoulli_distribution(0.3), {"-0.1", "1.1"});
  check_texts(std::binomial_distribution<int>(100, 0.3),
              {"-1 0.5 0 1 0", "4 2 0 1 0", "4 0.5 -1e9 1 0", "4 0.5 0 1 2"});
  check_texts(std::geometric_distribution<int>(0.3), {"0", "1.5"});
  check_texts(std::negative_binomial_distribution<int>(3, 0.4),
              {"3 0 3 1 0 1 0", "3 0.5 -3 1 0 1 0", "3 0.5 3 1 5 1 0"});
  check_texts(std::poisson_distribution<int>(30), {"-1 0 1 0", "1e300 0 1 0", "30 9 1 0"});
  check_texts(std::poisson_distribution<int>(0.5), {});
  check_texts(std::exponential_distribution<double>(2), {"-1"});
  check_texts(std::gamma_distribution<float>(2.5F, 3), {"-1 1 0 1 0", "1 -1 0 1 0", "1 1 -1e9 1 0"});
  check_texts(std::weibull_distribution<double>(2, 3), {"-1 1", "1 -1"});
  check_texts(std::extreme_value_distribution<double>(-2, 3), {"1 -1"});
  check_texts(std::cauchy_distribution<double>(-2, 3), {"1 -1"});
  check_texts(std::normal_distribution<double>(-2, 3), {"0 -1 0", "0 1 7", "0 1 1", "0 1 0 5"});
  check_texts(std::lognormal_distribution<double>(-2, 1), {"0 -1 0 1 0", "0 1 3 1 0"});
  check_texts(std::chi_squared_distribution<double>(3), {"-1 1 1 0 1 0", "3 1.5 1 0 2 0"});
  check_texts(std::fisher_f_distribution<double>(3, 4), {"-3 4 1 1 0 1 0 1 1 0 1 0", "3 4 1 1 0 1 0 1 1 7 1 0"});
  check_texts(std::student_t_distribution<double>(3), {"-3 0 1 0 1 1 0 1 0", "3 5 1 0 1 1 0 1 0"});
  check_texts(std::discrete_distribution<int>{1, 2, 3},
              {"900000000 0.5", "9223372036854775807 0.5", "-1 1", "0", "2 0 0", "2 1 -1", "2 1", "2 1e308 1e308"});
  check_texts(std::discrete_distribution<int>(), {});
  const std::vector<double> at{0, 1, 3}, weights{1, 0, 2};
  check_texts(std::piecewise_constant_distribution<double>(at.begin(), at.end(), weights.begin()),
              {"18446744073709551615", "4000000000 0 1 1", "0 0", "2 0 1 1 1 1", "2 0 2 1 1 1", "1 0 1 0", "1 0 1 -1"});
  check_texts(std::piecewise_constant_distribution<double>(), {});
  check_texts(std::piecewise_linear_distribution<double>(at.begin(), at.end(), weights.begin()),
              {"18446744073709551615 0", "4000000000 0 1 1", "1 1 0 1 1", "1 0 1 0 0", "1 0 1 1"});
  check_texts(std::piecewise_linear_distribution<double>(), {});
}

TEST_CASE("a deviation of zero is no noise") {
#ifndef _GLIBCXX_ASSERTIONS
  check_texts(std::normal_distribution<double>(1, 0), {});
  check_texts(std::poisson_distribution<int>(0), {});
#endif
}
#endif

TEST_CASE("the locale does not matter") {
  struct Grouping : std::numpunct<char> {
    char do_thousands_sep() const override { return '.'; }
    char do_decimal_point() const override { return ','; }
    std::string do_grouping() const override { return "\3"; }
  };
  const std::normal_distribution<double> distribution(1234.5, 6789.25);
  const auto image = laws::image_of(std::pair(distribution, std::mt19937(5)));
  const std::locale old = std::locale::global(std::locale(std::locale(), new Grouping));
  const auto other = laws::image_of(std::pair(distribution, std::mt19937(5)));
  std::pair<std::normal_distribution<double>, std::mt19937> loaded;
  ts::from_bytes(loaded, image.bytes);
  std::locale::global(old);
  CHECK(other == image);
  CHECK(laws::image_of(loaded) == image);
}
