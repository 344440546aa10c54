#include "trainstate/format/tensors.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "format/samples.hpp"

using namespace trainstate::tests;
using trainstate::Dtype;
using trainstate::TensorInfo;

TEST_CASE("tensors: each that has elements, in the tree's order, with its path") {
  Tree tree;
  tree["b"] = tensor(Dtype::f32, {2});
  tree["empty"] = tensor(Dtype::f32, {0});
  tree["a/b"] =
      Tree{{"list", List{Value(1), Value(tensor(Dtype::u8, {3})), Value(List{Value(tensor(Dtype::i64, {1}))})}}};
  tree[7] = tensor(Dtype::boolean, {4});
  tree["text"] = "none";
  std::vector<std::pair<std::string, Dtype>> found;
  const auto note = [&](const TensorInfo& each, const std::string& path) { found.emplace_back(path, each.dtype); };
  trainstate::format::for_each_tensor(tree, note);
  const std::vector<std::pair<std::string, Dtype>> expected{
      {"b", Dtype::f32}, {"a~1b/list/1", Dtype::u8}, {"a~1b/list/2/0", Dtype::i64}, {"7", Dtype::boolean}};
  CHECK((found == expected));

  std::string path = "root";
  found.clear();
  trainstate::format::for_each_tensor(tree, path, note);
  CHECK(found.front().first == "root/b");
  CHECK(path == "root");
}
