#include "trainstate/path.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

namespace detail = trainstate::detail;
using trainstate::Key;

TEST_CASE("path: slashes and tildes inside a key are written ~1 and ~0") {
  const auto escaped = [](std::string_view key) {
    std::string path;
    detail::append_escaped(path, key);
    CHECK(detail::unescaped(path) == key);
    return path;
  };
  CHECK(escaped("plain.key") == "plain.key");
  CHECK(escaped("a/b") == "a~1b");
  CHECK(escaped("a~b") == "a~0b");
  CHECK(escaped("~1") == "~01");
  CHECK(escaped("~0") == "~00");
  CHECK(escaped("//~~") == "~1~1~0~0");
  CHECK(escaped("") == "");
}

TEST_CASE("path: a tilde that escapes nothing stands for itself") {
  CHECK(detail::unescaped("~") == "~");
  CHECK(detail::unescaped("a~") == "a~");
  CHECK(detail::unescaped("~2") == "~2");
  CHECK(detail::unescaped("~~1") == "~/");
}

TEST_CASE("path: integers in their one canonical spelling") {
  for (const std::int64_t n : {std::int64_t{0}, std::int64_t{7}, std::int64_t{-7},
                               std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    CHECK(detail::integer_of(std::to_string(n)) == n);
  }
  for (const char* text : {"", "-", "-0", "00", "01", "-01", "+1", " 1", "1 ", "1.0", "1e2", "0x1", "a", "--1",
                           "9223372036854775808", "-9223372036854775809", "99999999999999999999"}) {
    INFO(text);
    CHECK_FALSE(detail::integer_of(text));
  }
}

TEST_CASE("path: first and last segments") {
  CHECK(detail::split_first("a/b/c").first == "a");
  CHECK(detail::split_first("a/b/c").second == "b/c");
  CHECK(detail::split_first("a").second == std::nullopt);
  CHECK(detail::split_first("").first == "");
  CHECK(detail::split_first("/a").first == "");
  CHECK(detail::split_first("/a").second == "a");
  CHECK(detail::split_last("a/b/c").first == "a/b");
  CHECK(detail::split_last("a/b/c").second == "c");
  CHECK(detail::split_last("a").first == std::nullopt);
  CHECK(detail::split_last("a/").second == "");
}

TEST_CASE("path: keys are joined, escaped, whatever their kind") {
  CHECK(detail::join("", "lr") == "lr");
  CHECK(detail::join("a", "b") == "a/b");
  CHECK(detail::join("a", std::int64_t{-3}) == "a/-3");
  CHECK(detail::join("a~1b", "c/d") == "a~1b/c~1d");
  CHECK(detail::to_string(Key("x")) == "x");
  CHECK(detail::to_string(Key(std::int64_t{5})) == "5");
}

TEST_CASE("path: keys are sorted as they compare, however alike they begin") {
  std::mt19937 random(1);
  using namespace std::string_literals;
  const std::string beginnings[] = {"", "a", "model.layers.", "model.layers.1\xff"};
  const std::string letters = "ab\0\x7f\x80\xff.0"s;
  for (int round = 0; round < 200; ++round) {
    std::vector<Key> keys;
    for (unsigned i = 0, n = round % 40; i < n; ++i) {
      if (round % 3 == 0 && random() % 3 == 0) {
        keys.emplace_back(static_cast<std::int64_t>(random() % 5) - 2);
        continue;
      }
      std::string text = beginnings[round % 5 == 4 ? random() % 4 : static_cast<unsigned>(round) % 4];
      for (auto left = random() % 12; left > 0; --left) text += letters[random() % letters.size()];
      keys.emplace_back(std::move(text));
    }
    std::vector<const Key*> sorted;
    for (const Key& key : keys) sorted.push_back(&key);
    detail::sort_by_key(sorted, [](const Key& key) -> const Key& { return key; });
    std::vector<Key> found;
    for (const Key* key : sorted) found.push_back(*key);
    std::sort(keys.begin(), keys.end());
    CHECK(found == keys);
  }
}
