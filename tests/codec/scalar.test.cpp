#include "trainstate/codec/scalar.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <ratio>
#include <string>

#include "laws/laws.hpp"
#include "support/saved.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/objects.hpp"

namespace ts = trainstate;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

using ts::tests::saved;

enum class Phase : std::uint8_t { warmup = 1, decay = 200 };
enum class Signed : std::int16_t { low = -300, high = 300 };
enum class Flag : bool { off, on };
enum class Huge : std::uint64_t { fits = 5, beyond = 1ULL << 63 };
enum Plain { zero, one };

template <class T>
using Limits = std::numeric_limits<T>;

/// What `value` becomes as a `T`; nothing if that is a mismatch, and then the live object must be as it was.
template <class T>
std::optional<T> loaded(const ts::Value& value, T live = T()) {
  const T before = live;
  try {
    ts::load_state_dict(live, ts::StateDict{{"", value}});
    return live;
  } catch (const ts::MismatchError& e) {
    REQUIRE(e.report().mismatched.size() == 1);
    CHECK(saved(live) == saved(before));
    return std::nullopt;
  }
}

template <class T>
void check_integer() {
  const auto hold = [](T x, T blank) { laws::hold_for<T>(x, blank); };
  hold(Limits<T>::min(), T(1));
  const T high = sizeof(T) == 8 ? static_cast<T>(Limits<std::int64_t>::max()) : Limits<T>::max();
  hold(high, T(1));
  CHECK(saved(high).template is<std::int64_t>());
  CHECK(loaded<T>(std::int64_t{7}) == T(7));
  CHECK_FALSE(loaded<T>(7.0));
  CHECK_FALSE(loaded<T>(true));
  CHECK_FALSE(loaded<T>("7"));
  CHECK_FALSE(loaded<T>(ts::None()));
  CHECK_FALSE(loaded<T>(ts::List{7}));
  if constexpr (std::is_unsigned_v<T>) {
    CHECK_FALSE(loaded<T>(std::int64_t{-1}));
    CHECK_FALSE(loaded<T>(Limits<std::int64_t>::min()));
  }
  if constexpr (sizeof(T) < 8) {
    CHECK_FALSE(loaded<T>(std::int64_t{Limits<T>::max()} + 1));
    CHECK_FALSE(loaded<T>(std::int64_t{Limits<T>::min()} - 1));
    CHECK_FALSE(loaded<T>(Limits<std::int64_t>::max()));
  }
}

}  // namespace

TEST_CASE("integers of every width and sign are int64, and load only where they fit") {
  check_integer<std::int8_t>();
  check_integer<std::uint8_t>();
  check_integer<std::int16_t>();
  check_integer<std::uint16_t>();
  check_integer<std::int32_t>();
  check_integer<std::uint32_t>();
  check_integer<std::int64_t>();
  check_integer<std::uint64_t>();
  check_integer<char>();
  check_integer<long>();
  check_integer<unsigned long long>();
}

TEST_CASE("an unsigned integer above INT64_MAX is an error that names its path") {
  const std::map<std::string, std::vector<std::uint64_t>> sizes{{"big", {1, std::uint64_t{1} << 63}}};
  CHECK_THROWS_WITH_AS(ts::state_dict(sizes), doctest::Contains("big/1: "), ts::Error);
  CHECK_THROWS_WITH_AS(ts::state_dict(sizes), doctest::Contains("9223372036854775808"), ts::Error);
  const std::map<std::string, Huge> enums{{"e", Huge::beyond}};
  CHECK_THROWS_WITH_AS(ts::state_dict(enums), doctest::Contains("e: "), ts::Error);
  laws::hold_for(Huge::fits, Huge());
}

TEST_CASE("bool mixes with nothing") {
  laws::hold_for(true, false);
  CHECK(saved(true).is<bool>());
  CHECK(loaded<bool>(true) == true);
  CHECK(loaded<bool>(at::scalar_tensor(true, at::kBool)) == true);
  CHECK_FALSE(loaded<bool>(1));
  CHECK_FALSE(loaded<bool>(0));
  CHECK_FALSE(loaded<bool>(1.0));
  CHECK_FALSE(loaded<bool>("true"));
  CHECK_FALSE(loaded<bool>(at::scalar_tensor(1, at::kLong)));
  CHECK_FALSE(loaded<int>(at::scalar_tensor(true, at::kBool)));
  CHECK_FALSE(loaded<double>(at::scalar_tensor(true, at::kBool)));
  CHECK_FALSE(loaded<double>(false));
}

TEST_CASE("floats keep every bit, also those of NaN, infinities and minus zero") {
  for (const double x :
       {0.1, -0.0, 5e-324, Limits<double>::max(), Limits<double>::infinity(), -Limits<double>::infinity(),
        Limits<double>::quiet_NaN(), std::bit_cast<double>(0x7ff8dead'beef0001U | 0ULL)}) {
    CAPTURE(x);
    laws::hold_for(x, 1.5);
  }
  for (const float x : {0.1F, -0.0F, 1e-45F, Limits<float>::max(), Limits<float>::infinity(),
                        Limits<float>::quiet_NaN(), std::bit_cast<float>(0x7fc0beefU)}) {
    CAPTURE(x);
    laws::hold_for(x, 1.5F);
    const auto back = loaded<float>(saved(x));
    REQUIRE(back);
    CHECK(std::bit_cast<std::uint32_t>(*back) == std::bit_cast<std::uint32_t>(x));
  }
  laws::hold_for<long double>(0.1, 2);
  CHECK(saved(0.1F).is<double>());
}

TEST_CASE("a double loads into a float, rounded, unless it would become infinite") {
  CHECK(loaded<float>(0.1) == 0.1F);
  CHECK_FALSE(loaded<float>(1e300));
  CHECK_FALSE(loaded<float>(-1e39));
  CHECK(loaded<float>(Limits<double>::infinity()) == Limits<float>::infinity());
}

TEST_CASE("a long double that no double can hold is refused, not rounded") {
  if constexpr (Limits<long double>::digits > Limits<double>::digits) {
    const std::map<std::string, long double> x{{"x", 1.0L + Limits<long double>::epsilon()}};
    CHECK_THROWS_WITH_AS(ts::state_dict(x), doctest::Contains("x: "), ts::Error);
    CHECK_THROWS_AS(ts::state_dict(Limits<long double>::max()), ts::Error);
  }
  CHECK(loaded<long double>(saved(Limits<long double>::infinity())) == Limits<long double>::infinity());
}

TEST_CASE("integers load into floating fields when exact") {
  CHECK(loaded<double>(3) == 3.0);
  CHECK(loaded<double>((std::int64_t{1} << 53)) == 9007199254740992.0);
  CHECK_FALSE(loaded<double>((std::int64_t{1} << 53) + 1));
  CHECK(loaded<float>((std::int64_t{1} << 24)) == 16777216.0F);
  CHECK_FALSE(loaded<float>((std::int64_t{1} << 24) + 1));
  CHECK(loaded<double>(Limits<std::int64_t>::min()) == -0x1p63);
  CHECK_FALSE(loaded<double>(Limits<std::int64_t>::max()));
  CHECK_FALSE(loaded<double>("3"));
}

TEST_CASE("zero-dim tensors and numbers interchange") {
  CHECK(loaded<int>(at::scalar_tensor(7, at::kLong)) == 7);
  CHECK(loaded<int>(at::scalar_tensor(7, at::kByte)) == 7);
  CHECK(loaded<int>(at::scalar_tensor(7.0, at::kFloat)) == 7);  // Python's step
  CHECK(loaded<double>(at::scalar_tensor(0.5, at::kHalf)) == 0.5);
  CHECK(loaded<double>(at::scalar_tensor(3, at::kInt)) == 3.0);
  CHECK_FALSE(loaded<int>(at::scalar_tensor(7.5, at::kFloat)));
  CHECK_FALSE(loaded<int>(at::scalar_tensor(1e30, at::kDouble)));
  CHECK_FALSE(loaded<int>(at::scalar_tensor(Limits<double>::quiet_NaN(), at::kDouble)));
  CHECK_FALSE(loaded<std::int8_t>(at::scalar_tensor(128, at::kLong)));
  CHECK_FALSE(loaded<int>(at::full({1}, 7)));
  CHECK_FALSE(loaded<double>(at::scalar_tensor(c10::complex<double>(1, 0), at::kComplexDouble)));
  CHECK_FALSE(loaded<int>(at::Tensor()));
}

TEST_CASE("a mismatch says what was expected and what was found") {
  std::map<std::string, std::uint8_t> live{{"a", 1}};
  try {
    ts::load_state_dict(live, ts::StateDict{{"a", 256}});
    FAIL("256 went into eight bits");
  } catch (const ts::MismatchError& e) {
    REQUIRE(e.report().mismatched.size() == 1);
    CHECK(e.report().mismatched[0] == ts::Report::Mismatch{"a", "an integer from 0 to 255", "int64 256"});
  }
}

TEST_CASE("enums are their integer, in range of the underlying type") {
  laws::hold_for(Phase::decay, Phase::warmup);
  laws::hold_for(Signed::low, Signed::high);
  laws::hold_for(Flag::on, Flag::off);
  laws::hold_for(one, zero);
  laws::hold_for(std::byte{255}, std::byte{0});
  CHECK(saved(Phase::decay) == ts::Value(200));
  CHECK(saved(Signed::low) == ts::Value(-300));
  CHECK_FALSE(loaded<Phase>(256));
  CHECK_FALSE(loaded<Phase>(-1));
  CHECK_FALSE(loaded<Signed>(40000));
  CHECK_FALSE(loaded<Phase>(1.0));
  CHECK_FALSE(loaded<Phase>(true));
}

TEST_CASE("strings keep every byte") {
  laws::hold_for(""s, "x"s);
  laws::hold_for("a\0b\n\"\\/~\x7f"s, "x"s);
  laws::hold_for("Straße, 研究, 🚀"s, "x"s);
  laws::hold_for("not UTF-8: \xff\xfe\xc3"s, "x"s);
  CHECK_FALSE(loaded<std::string>(1));
  CHECK_FALSE(loaded<std::string>(ts::None()));
}

TEST_CASE("paths are strings, also those that are no UTF-8") {
  laws::hold_for(std::filesystem::path("run/../a b.txt"));
  laws::hold_for(std::filesystem::path("\xff"));
  CHECK(saved(std::filesystem::path("a/b")) == ts::Value("a/b"));
  CHECK_FALSE(loaded<std::filesystem::path>(1));
}

TEST_CASE("durations are int64 nanoseconds, floating ones double seconds") {
  laws::hold_for(90min, 1min);
  laws::hold_for(-3s, 0s);
  laws::hold_for(7ns, 0ns);
  laws::hold_for(std::chrono::duration<double>(0.1));
  laws::hold_for(std::chrono::duration<float, std::milli>(0.1F));
  laws::hold_for(std::chrono::nanoseconds::max(), 0ns);
  laws::hold_for(std::chrono::nanoseconds::min(), 0ns);
  CHECK(saved(2s) == ts::Value(2'000'000'000));
  CHECK(saved(std::chrono::duration<double, std::milli>(1500)) == ts::Value(1.5));
  CHECK(loaded<std::chrono::milliseconds>(1'000'000) == 1ms);
  CHECK_FALSE(loaded<std::chrono::milliseconds>(1'000'001));
  CHECK_FALSE(loaded<std::chrono::seconds>(1.0));
  CHECK_FALSE(loaded<std::chrono::seconds>("1s"));
  CHECK(loaded<std::chrono::duration<double>>(2) == 2s);
  using Narrow = std::chrono::duration<std::int8_t>;
  CHECK(loaded<Narrow>(5'000'000'000) == Narrow(5));
  CHECK_FALSE(loaded<Narrow>(300'000'000'000));
  const std::map<std::string, std::chrono::hours> far{{"far", std::chrono::hours::max()}};
  CHECK_THROWS_WITH_AS(ts::state_dict(far), doctest::Contains("far: "), ts::Error);
  using Picoseconds = std::chrono::duration<std::int64_t, std::pico>;
  CHECK(saved(Picoseconds(3000)) == ts::Value(3));
  CHECK_THROWS_AS(ts::state_dict(Picoseconds(1)), ts::Error);
  CHECK(loaded<Picoseconds>(3) == Picoseconds(3000));
  CHECK_FALSE(loaded<Picoseconds>(Limits<std::int64_t>::max()));
}
