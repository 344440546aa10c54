// What an error of `as` says about where the value stands. The rest of Value is tested with the dict.
#include "trainstate/basic_value.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "format/samples.hpp"

using namespace trainstate::tests;

namespace {

/// What `value.as<double>()` throws.
std::string complaint(const Value& value) {
  try {
    static_cast<void>(value.as<double>());
  } catch (const trainstate::Error& e) {
    return e.what();
  }
  return "";
}

const std::string nameless = "expected double, found string \"x\"";

}  // namespace

TEST_CASE("as names the path of the value that `at` found last, and of no other") {
  Tree tree{{"a", Tree{{"b", "x"}}}, {"list", List{"x", "x"}}};
  const Value& first = tree.at("a/b");
  CHECK(complaint(first) == "a/b: " + nameless);
  CHECK(complaint(tree.at("list/1")) == "list/1: " + nameless);
  CHECK(complaint(first) == nameless);
  CHECK(complaint(Value(tree.at("a/b"))) == nameless);  // a copy stands nowhere
  const Value moved = std::move(tree.at("a/b"));
  CHECK(complaint(moved) == nameless);

  tree["a"].as<Tree>()["b"] = "x";  // another value in the same place
  CHECK(complaint(tree.at("a/b")) == "a/b: " + nameless);
}

TEST_CASE("a later value at the address of one that `at` found is another value") {
  Tree tree{{"list", List{"x"}}};
  Value& value = tree.at("list/0");
  Value* const address = &value;
  REQUIRE(complaint(*address) == "list/0: " + nameless);
  std::destroy_at(address);
  std::construct_at(address, "x");
  CHECK(complaint(*address) == nameless);

  REQUIRE(complaint(tree.at("list/0")) == "list/0: " + nameless);
  std::thread([&] {
    CHECK(complaint(*address) == nameless);  // what this thread looked up is another thread's
    std::destroy_at(address);
    std::construct_at(address, "x");
  }).join();
  CHECK(complaint(*address) == nameless);
}

TEST_CASE("values move without copying and without throwing") {
  static_assert(std::is_nothrow_move_constructible_v<Value>);
  static_assert(std::is_nothrow_move_assignable_v<Value>);
  Value text(std::string(100, 'x'));
  const char* const memory = text.as<std::string>().data();
  const Value taken = std::move(text);
  CHECK(taken.as<std::string>().data() == memory);
}
