#include "tool/diff.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"
#include "tool/run_tool.hpp"
#include "trainstate/format/container.hpp"

using namespace trainstate::tests;
namespace fs = std::filesystem;
namespace format = trainstate::format;
using trainstate::Dtype;
using trainstate::TensorInfo;

namespace {

template <class T>
TensorInfo row(Dtype dtype, const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {
      dtype, {static_cast<std::int64_t>(values.size())}, {1}, storage_of(std::vector(bytes.begin(), bytes.end())), 0};
}

// What diff prints of two trees, the summary left out.
std::string diff_of(const Tree& a, const Tree& b) {
  const TemporaryFolder folder;
  format::Document left, right;
  left.tree = a;
  right.tree = b;
  format::write_document(left, folder / "a.safetensors", trainstate::Format::safetensors);
  format::write_document(right, folder / "b.pt", trainstate::Format::pt);
  const std::vector<std::string> files{(folder / "a.safetensors").string(), (folder / "b.pt").string()};
  const Ran ran = run_tool({"diff", files[0], files[1]}, {.unicode = false});
  CHECK(ran.err.empty());
  const Ran quiet = run_tool({"diff", "--quiet", files[0], files[1]});
  CHECK(quiet.code == ran.code);
  CHECK(quiet.out.empty());
  CHECK(ran.code == (a == b ? 0 : 1));
  return ran.code == 0 ? "" : ran.out.substr(0, ran.out.find("\n\n") + 1);
}

}  // namespace

TEST_CASE("diff: equal trees in different formats are equal") {
  const Tree tree{{"m", Tree{{"x", tensor(Dtype::f32, {2, 3})}, {"n", 1}}}, {"lr", 0.1}, {"e", List()}};
  CHECK(diff_of(tree, tree).empty());
  CHECK(diff_of({}, {}).empty());
}

TEST_CASE("diff: how far tensors are apart") {
  CHECK(diff_of({{"m", Tree{{"x", row<float>(Dtype::f32, {3, 4})}, {"y", row<float>(Dtype::f32, {1})}}}},
                {{"m", Tree{{"x", row<float>(Dtype::f32, {3, 4.5})}, {"y", row<float>(Dtype::f32, {1})}}}}) ==
        "m\n  ~ x  float32[2]  1 of 2 changed  max 0.5  relative 0.1\n    and 1 equal tensor\n");
  constexpr auto most = std::numeric_limits<std::int64_t>::max();
  CHECK(diff_of({{"x", row<std::int64_t>(Dtype::i64, {most})}}, {{"x", row<std::int64_t>(Dtype::i64, {most - 1})}}) ==
        "the whole\n  ~ x  int64[1]  all changed  max 1  relative 1.084e-19\n");
  CHECK(diff_of({{"x", row<float>(Dtype::f32, {0})}}, {{"x", row<float>(Dtype::f32, {-0.0F})}}) ==
        "the whole\n  ~ x  float32[1]  all changed  max 0\n");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(diff_of({{"x", row<float>(Dtype::f32, {1, nan, 2})}}, {{"x", row<float>(Dtype::f32, {nan, nan, 4})}}) ==
        "the whole\n  ~ x  float32[3]  2 of 3 changed  max 2  relative 0.8944  NaN or infinite\n");
  CHECK(diff_of({{"x", row<std::uint8_t>(Dtype::u8, {1})}}, {{"x", row<std::int8_t>(Dtype::i8, {1})}}) ==
        "the whole\n  ~ x  uint8[1] -> int8[1]\n");
}

TEST_CASE("diff: a transposed tensor is compared by what it shows, across chunks") {
  std::vector<float> values(2'000'000), turned(2'000'000);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>(i % 1000);
    turned[i % 2000 * 1000 + i / 2000] = values[i];
  }
  TensorInfo a = row(Dtype::f32, values), b = row(Dtype::f32, turned);
  a.shape = b.shape = {1000, 2000};
  a.strides = {2000, 1};
  b.strides = {1, 1000};
  const auto document_of = [](const TensorInfo& x) {
    format::Document document;
    document.tree["x"] = x;
    return document;
  };
  CHECK(tool::Difference(document_of(a), document_of(b), " -> ", {}).parts().empty());
  values[1'999'999] += 5;
  a = row(Dtype::f32, values);
  a.shape = {1000, 2000};
  a.strides = {2000, 1};
  const tool::Difference one(document_of(a), document_of(b), " -> ", {});
  REQUIRE(one.parts().size() == 1);
  CHECK(one.parts()[0].lines[0].cells[1] == "1 of 2000000 changed");
  CHECK(one.parts()[0].lines[0].cells[2] == "max 5");
}

TEST_CASE("diff: values, parts and items that come and go") {
  const Tree a{{"lr", 0.1},
               {"betas", List{0.9, 0.99}},
               {"groups", List{Tree{{"n", 1}}, Tree{{"n", 2}}}},
               {"old", Tree{{"x", tensor(Dtype::f32, {2})}}},
               {"same", Tree{{"k", 1}}}};
  const Tree b{{"lr", 1},
               {"betas", List{0.9, 0.999}},
               {"groups", List{Tree{{"n", 3}}}},
               {"new", Tree{{"y", 1}}},
               {"same", Tree{{"k", 1}}}};
  CHECK(diff_of(a, b) ==
        "the whole\n"
        "  ~ lr          0.1 -> 1\n"
        "  ~ betas       [0.9, 0.99] -> [0.9, 0.999]\n"
        "  ~ groups/0/n  1 -> 3\n"
        "  - groups/1    {1 entry}\n"
        "  - old         1 tensor, 8 B\n"
        "  + new         0 tensors, 0 B\n");
  List long_a, long_b;
  for (int i = 0; i < 20; ++i) long_a.emplace_back(i), long_b.emplace_back(i == 15 ? 0 : i);
  CHECK(diff_of({{"l", long_a}}, {{"l", long_b}}).find("20 in all] (what is not shown is different)") !=
        std::string::npos);
  // 5 and "5" are two keys.
  CHECK(diff_of({{5, 1}, {"5", 2}}, {{5, 2}, {"5", 2}}) == "the whole\n  ~ 5  1 -> 2\n");
}

TEST_CASE("diff: versions and what a manifest has beside the tree") {
  const auto document_of = [](int version, const char* name, double width) {
    format::Document document;
    document.tree["net"] = Tree{{"w", tensor(Dtype::f32, {1})}};
    document.manifest = Tree{
        {"components", Tree{{"net", Tree{{"name", name}, {"version", version}, {"params", Tree{{"width", width}}}}},
                            {"net/inner", Tree{{"name", "inner"}, {"version", version}}}}}};
    return document;
  };
  const auto lines = [](const tool::Difference& difference) {
    std::string text;
    for (const auto& part : difference.parts()) {
      text += part.title + "\n";
      for (const auto& line : part.lines) text += line.kind + (" " + line.label) + " " + line.cells.at(0) + "\n";
    }
    return text;
  };
  CHECK(lines({document_of(1, "net", 3), document_of(2, "net", 4), " -> ", {}}) ==
        "net  net v2\n~ version net v1 -> net v2\n~ params/width 3.0 -> 4.0\n~ inner/version inner v1 -> inner v2\n");
  CHECK(lines({document_of(1, "net", 3), document_of(1, "other", 3), " -> ", {}}) ==
        "net  other v1\n~ version net v1 -> other v1\n");
  format::Document bare = document_of(1, "net", 3);
  bare.manifest.reset();
  bare.metadata["format"] = "pt";
  CHECK(lines({document_of(1, "net", 3), bare, " -> ", {}}).empty());
  bare.metadata["note"] = "x";
  CHECK(lines({document_of(1, "net", 3), bare, " -> ", {}}) == "metadata\n+ note \"x\"\n");
}
