#include "tool/elements.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>
#include <vector>

using trainstate::Dtype;

namespace {

// The number that bits mean, as a double; of complex ones the magnitude.
template <class Bits>
double value_of(Dtype dtype, Bits bits) {
  // One byte further than aligned memory would be.
  std::vector<std::byte> memory(sizeof bits + 1);
  std::memcpy(memory.data() + 1, &bits, sizeof bits);
  std::optional<double> found;
  CHECK(tool::with_elements(dtype, [&](const auto element) {
    CHECK(element.size == sizeof bits);
    CHECK(element.size * 8 == trainstate::bits(dtype));
    found = tool::as_double(element(memory.data() + 1));
  }));
  return found.value();
}

}  // namespace

TEST_CASE("elements: floats of 16 bits") {
  const auto half = [](std::uint16_t bits) { return value_of(Dtype::f16, bits); };
  CHECK(half(0x3C00) == 1);
  CHECK(half(0xC000) == -2);
  CHECK(half(0x7BFF) == 65504);
  CHECK(half(0x0400) == 0x1p-14);
  CHECK(half(0x0001) == 0x1p-24);
  CHECK(half(0x83FF) == -1023 * 0x1p-24);
  CHECK(half(0x7C00) == std::numeric_limits<double>::infinity());
  CHECK(half(0xFC00) == -std::numeric_limits<double>::infinity());
  CHECK(std::isnan(half(0x7E00)));
  CHECK(std::signbit(half(0x8000)));
  // Every finite one, by the definition.
  for (unsigned bits = 0; bits < 0x7C00; ++bits) {
    const int exponent = static_cast<int>(bits >> 10);
    const double mantissa = bits & 0x3FF;
    const double expected = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1 + mantissa / 1024, exponent - 15);
    REQUIRE(half(static_cast<std::uint16_t>(bits)) == expected);
  }
  CHECK(value_of(Dtype::bf16, std::uint16_t{0x3F80}) == 1);
  CHECK(value_of(Dtype::bf16, std::uint16_t{0xC049}) == -3.140625);
  CHECK(std::isnan(value_of(Dtype::bf16, std::uint16_t{0x7FC0})));
}

TEST_CASE("elements: floats of 8 bits") {
  const auto value = [](Dtype dtype, int bits) { return value_of(dtype, static_cast<std::uint8_t>(bits)); };
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(value(Dtype::f8_e5m2, 0x3C) == 1);
  CHECK(value(Dtype::f8_e5m2, 0x7B) == 57344);
  CHECK(value(Dtype::f8_e5m2, 0x01) == 0x1p-16);
  CHECK(value(Dtype::f8_e5m2, 0xFC) == -infinity);
  CHECK(std::isnan(value(Dtype::f8_e5m2, 0x7D)));
  CHECK(value(Dtype::f8_e4m3, 0x38) == 1);
  CHECK(value(Dtype::f8_e4m3, 0x7E) == 448);
  CHECK(value(Dtype::f8_e4m3, 0xFE) == -448);
  CHECK(value(Dtype::f8_e4m3, 0x01) == 0x1p-9);
  CHECK(std::isnan(value(Dtype::f8_e4m3, 0x7F)));
  CHECK(std::isnan(value(Dtype::f8_e4m3, 0xFF)));
  CHECK(value(Dtype::f8_e4m3fnuz, 0x40) == 1);
  CHECK(value(Dtype::f8_e4m3fnuz, 0x7F) == 240);
  CHECK(std::isnan(value(Dtype::f8_e4m3fnuz, 0x80)));
  CHECK(value(Dtype::f8_e5m2fnuz, 0x40) == 1);
  CHECK(value(Dtype::f8_e5m2fnuz, 0x7F) == 57344);
  CHECK(std::isnan(value(Dtype::f8_e5m2fnuz, 0x80)));
  CHECK(value(Dtype::f8_e8m0, 127) == 1);
  CHECK(value(Dtype::f8_e8m0, 0) == 0x1p-127);
  CHECK(value(Dtype::f8_e8m0, 254) == 0x1p127);
  CHECK(std::isnan(value(Dtype::f8_e8m0, 255)));
}

TEST_CASE("elements: integers, bools, floats and complex numbers") {
  CHECK(value_of(Dtype::boolean, std::uint8_t{1}) == 1);
  CHECK(value_of(Dtype::u8, std::uint8_t{200}) == 200);
  CHECK(value_of(Dtype::i8, std::int8_t{-100}) == -100);
  CHECK(value_of(Dtype::u16, std::uint16_t{60000}) == 60000);
  CHECK(value_of(Dtype::i16, std::int16_t{-30000}) == -30000);
  CHECK(value_of(Dtype::u32, std::uint32_t{4000000000U}) == 4e9);
  CHECK(value_of(Dtype::i32, std::int32_t{-7}) == -7);
  CHECK(value_of(Dtype::u64, std::numeric_limits<std::uint64_t>::max()) == 0x1p64);
  CHECK(value_of(Dtype::i64, std::numeric_limits<std::int64_t>::min()) == -0x1p63);
  CHECK(value_of(Dtype::f32, 0.25F) == 0.25);
  CHECK(value_of(Dtype::f64, 1e300) == 1e300);
  CHECK(value_of(Dtype::c64, std::complex<float>(3, -4)) == 5);
  CHECK(value_of(Dtype::c128, std::complex<double>(-3, 4)) == 5);
  CHECK(value_of(Dtype::c32, std::uint32_t{0x44004200}) == 5);  // 3 + 4i
  for (const Dtype packed : {Dtype::f4, Dtype::f6_e2m3, Dtype::f6_e3m2}) {
    CHECK_FALSE(tool::with_elements(packed, [](const auto&) { FAIL("called"); }));
  }
}

TEST_CASE("elements: distances lose nothing that a double can hold") {
  constexpr auto most = std::numeric_limits<std::int64_t>::max(), least = std::numeric_limits<std::int64_t>::min();
  CHECK(tool::distance(most, most - 1) == 1);
  CHECK(tool::distance(most, least) == 0x1p64);
  CHECK(tool::distance(std::int8_t{-128}, std::int8_t{127}) == 255);
  CHECK(tool::distance(std::uint64_t{1}, std::uint64_t{3}) == 2);
  CHECK(tool::distance(1.5F, -1.5F) == 3);
  CHECK(tool::distance(0.0F, -0.0F) == 0);
  const float infinity = std::numeric_limits<float>::infinity();
  CHECK(tool::distance(infinity, infinity) == 0);
  CHECK(std::isnan(tool::distance(std::numeric_limits<float>::quiet_NaN(), 1.0F)));
  CHECK(tool::distance(std::complex<double>(0, 1), std::complex<double>(3, 5)) == 5);
}
