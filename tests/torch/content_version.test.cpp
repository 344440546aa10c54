#include "trainstate/torch/content_version.hpp"

#include "support/torch_doctest.hpp"

using trainstate::detail::ContentVersion;

namespace {

bool unchanged(const ContentVersion& before, const at::Tensor& tensor) {
  const auto now = ContentVersion::of(tensor).value();
  return now.key() == before.key() && now.same_as(before);
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
