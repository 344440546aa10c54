#include "trainstate/error.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <typeinfo>

namespace ts = trainstate;

namespace {

/// Throws `e`, and again with a prefix; returns what arrives, which must be of the same type.
template <class E>
E prefixed(const E& e) {
  try {
    try {
      throw e;
    } catch (...) {
      ts::detail::rethrow_with_prefix("run.safetensors: ");
    }
  } catch (const E& again) {
    CHECK(typeid(again) == typeid(E));
    return again;
  }
}

}  // namespace

TEST_CASE_TEMPLATE("a prefix keeps the type", E, ts::Error, ts::FormatError, ts::IntegrityError, ts::VersionError) {
  static_assert(std::is_base_of_v<ts::Error, E> && std::is_base_of_v<std::runtime_error, E>);
  CHECK(std::string(prefixed(E("text")).what()) == "run.safetensors: text");
}

TEST_CASE("a prefix keeps the report of a mismatch") {
  const ts::MismatchError e("text", ts::Report{.missing_keys = {"a"}, .mismatched = {{"b", "int64", "None"}}});
  const auto again = prefixed(e);
  CHECK(std::string(again.what()) == "run.safetensors: text");
  CHECK(again.report().missing_keys == e.report().missing_keys);
  CHECK((again.report().mismatched == e.report().mismatched));
}

TEST_CASE("an IoError has errno and its meaning; it names the file itself, so no prefix is added") {
  const ts::IoError e("other.safetensors: open", ENOENT);
  CHECK(e.code() == ENOENT);
  CHECK(std::string(e.what()) == "other.safetensors: open: " + std::generic_category().message(ENOENT));
  const auto again = prefixed(e);
  CHECK(again.code() == ENOENT);
  CHECK(std::string(again.what()) == e.what());
}

TEST_CASE("what is not the library's passes through a prefix as it is") {
  struct Cancelled {};
  try {
    try {
      throw Cancelled();
    } catch (...) {
      ts::detail::rethrow_with_prefix("run.safetensors: ");
    }
  } catch (const Cancelled&) {
    return;
  } catch (...) {
  }
  FAIL("not Cancelled");
}
