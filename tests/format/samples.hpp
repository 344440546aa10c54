// Tensors, trees and raw files for the tests of formats.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "trainstate/basic_state_dict.hpp"
#include "trainstate/format/dense.hpp"
#include "trainstate/tensor_info.hpp"

namespace trainstate::tests {

using Tree = BasicStateDict<TensorInfo>;
using Value = BasicValue<TensorInfo>;
using List = BasicList<TensorInfo>;
using Shape = std::vector<std::int64_t>;

inline std::shared_ptr<const Storage> storage_of(std::vector<std::byte> bytes, std::string device = "cpu") {
  auto memory = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  return std::make_shared<const Storage>(Storage{memory, memory->data(), memory->size(), std::move(device)});
}

/// Keeps a file for other tests, if TRAINSTATE_KEEP_FILES names a folder for it.
inline void keep_file(std::string_view text) {
  const char* folder = std::getenv("TRAINSTATE_KEEP_FILES");
  constexpr std::size_t largest = std::size_t{1} << 20;
  if (!folder || text.size() > largest) return;
  const std::string path = std::string(folder) + '/' + std::to_string(std::hash<std::string_view>()(text));
  std::ofstream(path, std::ios::binary) << text;
}

inline std::shared_ptr<const Storage> storage_of(std::string_view text) {
  keep_file(text);
  const auto bytes = std::as_bytes(std::span(text));
  return storage_of(std::vector<std::byte>(bytes.begin(), bytes.end()));
}

/// A dense tensor whose bytes depend on `seed`.
inline TensorInfo tensor(Dtype dtype, const Shape& shape, unsigned seed = 1, const std::string& device = "cpu") {
  std::vector<std::byte> bytes(static_cast<std::size_t>(format::dense_size(dtype, shape).value()));
  std::uint32_t state = seed * 2654435761U + 12345;
  for (auto& b : bytes) {
    state = state * 1664525U + 1013904223U;
    b = dtype == Dtype::boolean ? static_cast<std::byte>(state >> 31) : static_cast<std::byte>(state >> 24);
  }
  return {dtype, shape, TensorInfo::contiguous_strides(shape), storage_of(std::move(bytes), device), 0};
}

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A safetensors file of any header text and data.
inline std::string raw_file(std::string_view header, std::string_view data = {}) {
  const std::uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file.append(header).append(data);
}

/// Every kind of value, key and nesting that is easy to get wrong.
inline Tree nasty_tree() {
  Tree tree;
  tree["none"] = None();
  tree["true"] = true;
  tree["false"] = false;
  List integers, doubles, strings;
  for (const std::int64_t i :
       {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}, std::int64_t{1} << 53, (std::int64_t{1} << 53) + 1,
        std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    integers.push_back(i);
  }
  using limits = std::numeric_limits<double>;
  for (const double d : {0.0,
                         -0.0,
                         1.0,
                         -1.0,
                         0.1,
                         1.0 / 3,
                         5e-324,
                         -5e-324,
                         2.2250738585072011e-308,
                         2.2250738585072014e-308,
                         limits::min(),
                         limits::max(),
                         limits::lowest(),
                         limits::epsilon(),
                         1e22,
                         1e23,
                         1e-7,
                         123456789012345680.0,
                         9007199254740993.0,
                         1e15,
                         1e16,
                         1e17,
                         1e300,
                         3.0e-300,
                         limits::infinity(),
                         -limits::infinity(),
                         limits::quiet_NaN(),
                         -limits::quiet_NaN()}) {
    doubles.push_back(d);
  }
  for (const std::uint64_t bits :
       {0x7ff0000000000001ULL, 0x7ff4000000000000ULL, 0xfff8dead0000beefULL, 0x7fffffffffffffffULL}) {
    doubles.push_back(std::bit_cast<double>(bits));
  }
  for (const char* s :
       {"", "plain", "\"quotes\" \\ / \b\f\n\r\t \x01\x1f\x7f", "Grüße 日本語 \xf0\x9f\x98\x80", "\xef\xbf\xbf",
        "\xef\xbb\xbf"
        "bom",
        "$t", "$b:eA==", "null", "{\"$t\":0}", "5",
        // not UTF-8
        "\xff", "\xc3", "\xed\xa0\x80", "\xc0\xaf", "\xf4\x90\x80\x80", "ok\x80ok"}) {
    strings.push_back(s);
  }
  strings.push_back(std::string("nul\0nul", 7));
  tree["integers"] = integers;
  tree["doubles"] = doubles;
  tree["strings"] = strings;
  tree["empty list"] = List();
  tree["empty dict"] = Tree();
  tree["nested"] = List{List{List(), Tree(), None()}, Tree{{"a", List{1, 2.0, "x", true}}}};

  Tree keys;
  for (const std::int64_t k : {std::int64_t{0}, std::int64_t{7}, std::int64_t{-7},
                               std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
    keys[k] = k;
  }
  for (const char* k : {"0",
                        "7",
                        "-7",
                        "9223372036854775807",
                        "9223372036854775808",
                        "-0",
                        "007",
                        "1.0",
                        "",
                        "a/b",
                        "~",
                        "a.b",
                        "$",
                        "$t",
                        "$l",
                        "$f",
                        "$b",
                        "$s:",
                        "$b:",
                        "$s:5",
                        "$b:!!",
                        "\"",
                        "\\",
                        "\n",
                        "ä",
                        "\xff\xfe",
                        "\xed\xb0\x80",
                        "__metadata__",
                        "trainstate"}) {
    keys[k] = k;
  }
  keys[std::string("\0", 1)] = "nul";
  tree["keys"] = keys;
  return tree;
}

/// Lists of 64 numbers and more, and lists that only look so.
inline Tree long_lists() {
  Tree tree;
  for (const std::size_t n : {63U, 64U, 65U, 1000U}) {
    List bools, integers, doubles, mixed, nones;
    for (std::size_t i = 0; i < n; ++i) {
      bools.push_back(i % 3 == 0);
      integers.push_back(static_cast<std::int64_t>(i * 0x9E3779B97F4A7C15ULL >> 1));
      doubles.push_back(i == 5   ? std::bit_cast<double>(0x7ff0000000000123ULL)
                        : i == 6 ? -0.0
                                 : static_cast<double>(i) / 7);
      mixed.push_back(i + 1 == n ? Value(1.0) : Value(1));
      nones.push_back(None());
    }
    const std::string name = std::to_string(n);
    tree.set("lists/bools" + name, bools);
    tree.set("lists/integers" + name, integers);
    tree.set("lists/doubles" + name, doubles);
    tree.set("lists/mixed" + name, mixed);
    tree.set("lists/nones" + name, nones);
    tree.set("lists/nested" + name, List{doubles, doubles});
  }
  return tree;
}

}  // namespace trainstate::tests
