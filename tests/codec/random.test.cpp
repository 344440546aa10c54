#include "trainstate/codec/random.hpp"

#include <random>
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
