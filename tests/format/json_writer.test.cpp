#include "trainstate/format/json_writer.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <clocale>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "format/samples.hpp"

namespace format = trainstate::format;
using namespace std::string_literals;

namespace {

std::string string_text(std::string_view text) {
  std::string json;
  format::append_json_string(json, text);
  return json;
}

std::string double_text(double value) {
  std::string json;
  format::append_json_double(json, value);
  return json;
}

}  // namespace

TEST_CASE("json writer: strings") {
  CHECK(string_text("") == R"("")");
  CHECK(string_text("plain") == R"("plain")");
  CHECK(string_text("\"\\/") == R"("\"\\/")");
  CHECK(string_text("\b\f\n\r\t") == R"("\b\f\n\r\t")");
  CHECK(string_text("\0\x01\x1f\x7f"s) == "\"\\u0000\\u0001\\u001f\x7f\"");
  CHECK(string_text("ä€😀") == "\"ä€😀\"");
  for (unsigned c = 0; c < 128; ++c) {
    const std::string text = "<" + std::string(1, static_cast<char>(c)) + ">";
    CHECK(nlohmann::json::parse(string_text(text)).get<std::string>() == text);
  }
}

TEST_CASE("json writer: integers") {
  const auto text = [](auto value) {
    std::string json;
    format::append_json_integer(json, value);
    return json;
  };
  CHECK(text(0) == "0");
  CHECK(text(std::numeric_limits<std::int64_t>::min()) == "-9223372036854775808");
  CHECK(text(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
}

TEST_CASE("json writer: doubles look like doubles and read back as the same bits") {
  CHECK(double_text(1) == "1.0");
  CHECK(double_text(-0.0) == "-0.0");
  CHECK(double_text(0.1) == "0.1");
  CHECK(double_text(1e22) == "1e+22");
  CHECK(double_text(5e-324) == "5e-324");
  CHECK(double_text(123456789012345680.0).find_first_of(".e") != std::string::npos);
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const auto value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    const auto parsed = nlohmann::json::parse(double_text(value));
    CHECK(parsed.is_number_float());
    CHECK(std::bit_cast<std::uint64_t>(parsed.get<double>()) == std::bit_cast<std::uint64_t>(value));
  }
}
