#include "trainstate/torch/content_version.hpp"

#include "support/torch_doctest.hpp"
// After LibTorch's and doctest's headers, which collide in any other order.
#include <vector>

using trainstate::detail::ContentVersion;
using trainstate::detail::GradientTrace;
using trainstate::detail::GradientTraces;

namespace {

bool unchanged(const ContentVersion& before, const at::Tensor& tensor) {
  const auto now = ContentVersion::of(tensor).value();
  return now.key() == before.key() && now.is_unchanged_since(before);
}

}  // namespace

TEST_CASE("content version: writes that autograd counts, through the tensor, its views and its detached self") {
  const torch::NoGradGuard no_grad;
  torch::Tensor tensor = torch::zeros({4, 5}, torch::requires_grad());
  auto version = ContentVersion::of(tensor).value();
  CHECK(unchanged(version, tensor));
  CHECK(unchanged(version, tensor.detach()));
  CHECK_FALSE(unchanged(version, tensor[0]));
  CHECK_FALSE(unchanged(version, tensor.t()));
  CHECK_FALSE(unchanged(version, tensor.clone()));
  tensor[2].add_(1);
  CHECK_FALSE(unchanged(version, tensor));
  version = ContentVersion::of(tensor).value();
  tensor.detach().mul_(2);
  CHECK_FALSE(unchanged(version, tensor));
  version = ContentVersion::of(tensor).value();
  CHECK(unchanged(version, tensor));
  tensor.set_data(tensor.clone());
  CHECK_FALSE(unchanged(version, tensor));
}

TEST_CASE("content version: another tensor at the same address is another") {
  torch::Tensor tensor = torch::zeros({1000});
  const auto version = ContentVersion::of(tensor).value();
  for (int i = 0; i < 100; ++i) {
    tensor = torch::Tensor();
    tensor = torch::zeros({1000});
    CHECK_FALSE(unchanged(version, tensor));
  }
}

TEST_CASE("content version: nothing for tensors whose writes nobody counts") {
  torch::Tensor inference;
  {
    const c10::InferenceMode mode;
    inference = torch::zeros({3});
  }
  CHECK_FALSE(ContentVersion::of(inference).has_value());
  CHECK_FALSE(ContentVersion::of(torch::conj(torch::zeros({2}, torch::kComplexFloat))).has_value());
}

TEST_CASE("gradient traces: a graph, a gradient, and what they leave behind") {
  torch::Tensor leaf = torch::ones({4}, torch::requires_grad());
  const auto trace = [&] { return GradientTrace(*leaf.unsafeGetTensorImpl()); };
  const GradientTrace never = trace();
  CHECK(never.is_untouched_since(never));
  CHECK(never.is_untouched_since(GradientTrace()));
  {
    const torch::NoGradGuard no_grad;
    static_cast<void>((leaf * leaf).sum());
  }
  CHECK(trace().is_untouched_since(never));
  torch::Tensor graph = (leaf * leaf).sum();
  const GradientTrace in_graph = trace();
  CHECK_FALSE(in_graph.is_untouched_since(never));
  CHECK_FALSE(in_graph.is_untouched_since(in_graph));  // it may bring a gradient at any time
  graph = torch::Tensor();
  const GradientTrace after_graph = trace();
  CHECK_FALSE(after_graph.is_untouched_since(never));
  CHECK_FALSE(after_graph.is_untouched_since(in_graph));
  CHECK(trace().is_untouched_since(after_graph));
  (leaf * leaf).sum().backward();
  const GradientTrace with_gradient = trace();
  CHECK_FALSE(with_gradient.is_untouched_since(with_gradient));
  leaf.mutable_grad() = torch::Tensor();
  leaf.requires_grad_(false);
  const GradientTrace frozen = trace();
  CHECK_FALSE(frozen.is_untouched_since(with_gradient));
  CHECK_FALSE(frozen.is_untouched_since(after_graph));
  CHECK(trace().is_untouched_since(frozen));
  leaf.mutable_grad() = torch::ones({4});  // by hand, without a graph
  CHECK_FALSE(trace().is_untouched_since(frozen));
}

TEST_CASE("gradient traces: a detached tensor has that of the live one, and tensors that share memory have one") {
  const torch::Tensor leaf = torch::ones({4, 5}, torch::requires_grad());
  const auto version_of = [&](const at::Tensor& tensor, const std::vector<at::Tensor>& live) {
    GradientTraces traces;
    for (const at::Tensor& t : live) traces.add(*t.unsafeGetTensorImpl());
    return ContentVersion::of(tensor, traces).value();
  };
  const auto unchanged_twice = [&](const at::Tensor& tensor, const std::vector<at::Tensor>& live) {
    return version_of(tensor, live).is_unchanged_since(version_of(tensor, live));
  };
  CHECK(unchanged_twice(leaf.detach(), {leaf}));
  leaf.sum().backward();
  CHECK(unchanged_twice(leaf.detach(), {}));
  CHECK_FALSE(unchanged_twice(leaf.detach(), {leaf}));
  CHECK_FALSE(unchanged_twice(leaf, {}));
  CHECK(unchanged_twice(torch::ones({2}), {leaf}));
  leaf.mutable_grad() = torch::Tensor();
  CHECK(unchanged_twice(leaf.detach(), {leaf}));
  torch::Tensor other = leaf.detach().requires_grad_();
  CHECK(unchanged_twice(leaf.detach(), {leaf, other}));
  other.sum().backward();
  CHECK_FALSE(unchanged_twice(leaf.detach(), {leaf, other}));
  CHECK_FALSE(unchanged_twice(leaf.detach(), {other, leaf}));
}
