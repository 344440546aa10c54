#include "support/torch_doctest.hpp"
// After LibTorch's and doctest's headers, which collide in any other order.
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "trainstate/trainstate.hpp"

namespace ts = trainstate;

namespace {

struct Numbers {
  bool on = true;
  std::int64_t step = 5;
  double rate = 0.125;
  std::int8_t tiny = -3;
  std::uint64_t large = 7;
  unsigned short port = 80;
  double best = -1e300;
  char letter = 'a';

  // Roles in no order, as they may be.
  static constexpr auto describe() {
    return ts::component<Numbers>(
        "num\"bers", ts::version<2>, ts::state("on", &Numbers::on), ts::hyper("rate", &Numbers::rate),
        ts::state("step", &Numbers::step), ts::hyper("tiny", &Numbers::tiny), ts::state("large, \"}", &Numbers::large),
        ts::state("port", &Numbers::port), ts::state("best", &Numbers::best), ts::hyper("letter", &Numbers::letter),
        ts::migrate<1>([](auto& d) { d.rename("state/was", "state/best"); }));
  }
};

struct NoState {
  double rate = 1;
  static constexpr auto describe() { return ts::component<NoState>("no_state", ts::hyper("rate", &NoState::rate)); }
};

struct WithText {
  double rate = 1;
  std::string text = "x";
  static constexpr auto describe() {
    return ts::component<WithText>("with_text", ts::state("rate", &WithText::rate), ts::state("text", &WithText::text));
  }
};

struct WithConst {
  const double rate = 1;
  int step = 0;
  static constexpr auto describe() {
    return ts::component<WithConst>("with_const", ts::hyper("rate", &WithConst::rate),
                                    ts::state("step", &WithConst::step));
  }
};

static_assert(ts::detail::NumberRecord<Numbers>);
static_assert(ts::detail::NumberRecord<NoState>);
static_assert(!ts::detail::NumberRecord<WithText>);
static_assert(!ts::detail::NumberRecord<WithConst>);
static_assert(!ts::detail::NumberRecord<double>);

// With a progress to tell, everything goes the general way.
const ts::SaveOptions general_save{.progress = [](std::uint64_t, std::uint64_t) {}};
const ts::LoadOptions general_load{.progress = [](std::uint64_t, std::uint64_t) {}};

bool same(const Numbers& a, const Numbers& b) {
  return a.on == b.on && a.step == b.step && std::memcmp(&a.rate, &b.rate, 8) == 0 && a.tiny == b.tiny &&
         a.large == b.large && a.port == b.port && std::memcmp(&a.best, &b.best, 8) == 0 && a.letter == b.letter;
}

std::vector<Numbers> samples() {
  using Double = std::numeric_limits<double>;
  using Int = std::numeric_limits<std::int64_t>;
  std::vector<Numbers> all(1);
  for (const double x : {0.0, -0.0, 1.0, -1.0, 1e15, 1e16, 1e17, 0.1, 1.0 / 3, Double::min(), Double::max(),
                         Double::lowest(), Double::denorm_min(), Double::epsilon(), 123456789.0}) {
    all.push_back({.rate = x, .best = -x});
  }
  for (const std::int64_t x : {Int::min(), Int::max(), std::int64_t{0}, std::int64_t{-1}}) {
    all.push_back({.step = x, .large = static_cast<std::uint64_t>(x < 0 ? 0 : x)});
  }
  all.push_back({.on = false, .tiny = 127, .port = 65535, .letter = '}'});
  // The text of a mark that the library cuts its own text at.
  all.push_back({.step = 7'600'000'000'000'000'001, .large = 7'600'000'000'000'000'000});
  return all;
}

// What a load does: the error's text, or the report and the object.
struct Outcome {
  std::string error;
  Numbers loaded;
  std::string report;
  bool operator==(const Outcome& other) const {
    return error == other.error && same(loaded, other.loaded) && report == other.report;
  }
};

Outcome outcome(const std::vector<std::byte>& bytes, const ts::LoadOptions& options, const Numbers& live = {}) {
  Outcome found;
  found.loaded = live;
  try {
    auto report = ts::from_bytes(found.loaded, bytes, options);
    report.seconds = 0;
    std::ostringstream text;
    text << report;
    found.report = text.str();
  } catch (const ts::Error& e) {
    found.error = e.what();
  }
  return found;
}

}  // namespace

TEST_CASE("number record: the bytes of the general way, and back") {
  for (const Numbers& numbers : samples()) {
    const auto bytes = ts::to_bytes(numbers);
    CHECK((bytes == ts::to_bytes(numbers, general_save)));
    Numbers loaded{.rate = numbers.rate, .tiny = numbers.tiny, .letter = numbers.letter};
    loaded.step = -77;
    CHECK(ts::detail::NumberRecordText<Numbers>::get().read(loaded, bytes));
    CHECK(same(loaded, numbers));
    CHECK((outcome(bytes, {}) == outcome(bytes, general_load)));
  }
}

TEST_CASE("number record: what is no plain number goes the general way") {
  using Double = std::numeric_limits<double>;
  for (const double x : {Double::infinity(), -Double::infinity(), Double::quiet_NaN()}) {
    const Numbers numbers{.best = x};
    CHECK_FALSE(ts::detail::NumberRecordText<Numbers>::get().write(numbers).has_value());
    Numbers loaded;
    ts::from_bytes(loaded, ts::to_bytes(numbers));
    CHECK(same(loaded, numbers));
  }
  CHECK_THROWS_AS(ts::to_bytes(Numbers{.large = std::numeric_limits<std::uint64_t>::max()}), ts::Error);
  NoState none{2};
  CHECK((ts::to_bytes(none) == ts::to_bytes(none, general_save)));
  CHECK(
      (ts::to_bytes(none, {.format = ts::Format::pt}) == ts::to_bytes(none, {.format = ts::Format::pt, .threads = 1})));
  CHECK((ts::to_bytes(none, {.metadata = {{"a", "b"}}}) != ts::to_bytes(none)));
}

TEST_CASE("number record: a hyperparameter that differs is decided and reported as ever") {
  const auto bytes = ts::to_bytes(Numbers{.rate = 0.5});
  for (const auto policy : {std::optional<ts::HyperPolicy>(), std::optional(ts::HyperPolicy::file),
                            std::optional(ts::HyperPolicy::code), std::optional(ts::HyperPolicy::match)}) {
    ts::LoadOptions options;
    options.hyper = policy;
    ts::LoadOptions general = general_load;
    general.hyper = policy;
    CHECK((outcome(bytes, options) == outcome(bytes, general)));
    const auto equal = ts::to_bytes(Numbers());
    CHECK((outcome(equal, options, {.step = 9}) == outcome(equal, general, {.step = 9})));
  }
  const auto report = outcome(bytes, {}).report;
  CHECK(report.find("params/rate") != std::string::npos);
}

TEST_CASE("number record: another version, a missing or a further field, and a lone type go the general way") {
  const ts::StateDict record = ts::state_dict(Numbers());
  const auto changed = [&](const auto& change) {
    auto tree = record.clone();
    change(tree);
    return ts::to_bytes(tree);
  };
  for (const auto& bytes :
       {changed([](auto& d) {
          d.set("version", 1);
          d.rename("state/best", "state/was");
        }),
        changed([](auto& d) { d.set("version", 3); }), changed([](auto& d) { d.erase("state/step"); }),
        changed([](auto& d) { d.set("state/more", 1); }), changed([](auto& d) { d.set("state/step", 1.5); }),
        changed([](auto& d) { d.set("state/port", 65536); }), changed([](auto& d) { d.set("state/best", 3); }),
        changed([](auto& d) { d.set("state/on", 1); })}) {
    CHECK((outcome(bytes, {}) == outcome(bytes, general_load)));
  }
}

TEST_CASE("number record: every changed byte has the same outcome either way") {
  const auto good = ts::to_bytes(Numbers());
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const unsigned flip : {1U, 2U, 0x10U, 0x80U}) {
      auto bytes = good;
      bytes[i] ^= static_cast<std::byte>(flip);
      const Outcome found = outcome(bytes, {});
      CHECK_FALSE(found.error.empty());
      CHECK((found == outcome(bytes, general_load)));
    }
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    const std::vector<std::byte> bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_FALSE(outcome(bytes, {}).error.empty());
  }
}

TEST_CASE("number record: other spellings of numbers, with a right checksum, have the same outcome either way") {
  const auto good = ts::to_bytes(Numbers());
  const std::string text(reinterpret_cast<const char*>(good.data()), good.size());
  const auto respelled = [&](const std::string& from, const std::string& to) {
    std::string changed = text;
    const auto at = changed.find(from);
    REQUIRE(at != std::string::npos);
    changed.replace(at, from.size(), to);
    while (changed.size() % 8 != 0) changed += ' ';
    const std::uint64_t length = changed.size() - 8;
    std::memcpy(changed.data(), &length, 8);
    const std::string key = "xxh3\":\"";
    const auto digest = changed.find(key) + key.size();
    changed.replace(digest, 16, 16, '0');
    changed.replace(digest, 16, ts::io::hex_text(ts::io::checksum(std::as_bytes(std::span(changed)))));
    const auto bytes = std::as_bytes(std::span(changed));
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  };
  const std::string step = "step\\\":5", rate = "rate\\\":0.125";
  for (const std::string number :
       {"5",    "05",   "-5", "-0",  "5.0", "5e0", "+5", "5 ",  " 5",        "1e3", "9223372036854775808",
        "true", "null", "",   "0x5", "nan", "inf", "5,", "[5]", "\\\"5\\\"", "5}"}) {
    CAPTURE(number);
    auto bytes = respelled(step, "step\\\":" + number);
    CHECK((outcome(bytes, {}) == outcome(bytes, general_load)));
    bytes = respelled(rate, "rate\\\":" + number);
    CHECK((outcome(bytes, {}) == outcome(bytes, general_load)));
  }
  for (const std::string number :
       {"0.1250", "1.25e-1", ".125", "0.125e0", "0.1250000000000000001", "1e-400", "1e400"}) {
    CAPTURE(number);
    const auto bytes = respelled(rate, "rate\\\":" + number);
    CHECK((outcome(bytes, {}) == outcome(bytes, general_load)));
  }
}
