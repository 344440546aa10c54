// Fine-tuning: of a training's checkpoint, take the model but not the optimizer, and give the network a new head.
#include <torch/torch.h>

#include <trainstate/trainstate.hpp>

#include "../support.hpp"

namespace ts = trainstate;
using namespace ts::literals;

struct PretrainedImpl : torch::nn::Module {
  torch::nn::Linear body{nullptr}, classifier{nullptr};

  PretrainedImpl() {
    body = register_module("body", torch::nn::Linear(8, 16));
    classifier = register_module("classifier", torch::nn::Linear(16, 10));
  }
  torch::Tensor forward(const torch::Tensor& x) { return classifier->forward(torch::relu(body->forward(x))); }
};
TORCH_MODULE(Pretrained);

struct FineTunedImpl : torch::nn::Module {
  torch::nn::Linear body{nullptr}, head{nullptr};

  FineTunedImpl() {
    body = register_module("body", torch::nn::Linear(8, 16));
    head = register_module("head", torch::nn::Linear(16, 3));
  }
};
TORCH_MODULE(FineTuned);

int main() {
  torch::manual_seed(7);
  const TemporaryFolder folder;
  const auto path = folder / "pretrained.safetensors";

  Pretrained pretrained;
  torch::optim::AdamW optimizer(pretrained->parameters(), torch::optim::AdamWOptions(1e-3));
  pretrained->forward(torch::randn({4, 8})).sum().backward();
  optimizer.step();
  ts::save(ts::checkpoint("model"_key = pretrained, "optimizer"_key = optimizer), path);

  FineTuned net;
  torch::optim::SGD sgd(net->parameters(), torch::optim::SGDOptions(1e-2).momentum(0.9));
  auto checkpoint = ts::checkpoint("model"_key = net, "optimizer"_key = sgd);
  const torch::Tensor body_before = net->body->weight.clone(), head_before = net->head->weight.clone();

  try {
    ts::load(checkpoint, path);
    claim(false, "a checkpoint of another network and another optimizer is refused");
  } catch (const ts::MismatchError& error) {
    std::cout << error.what() << '\n';
    const ts::Report& report = error.report();
    claim(report.missing_keys.size() == 2 && report.unexpected_keys.size() == 2,
          "the error names all that differs: two keys missing, two unexpected,");
    claim(!report.mismatched.empty(), "and the optimizer");
    claim(net->body->weight.equal(body_before), "and nothing has been loaded");
  }

  const ts::Report report =
      ts::load(checkpoint, path, {.allow_missing = true, .allow_unexpected = true, .only = {"model"}});
  std::cout << report;
  claim(net->body->weight.equal(pretrained->body->weight), "the body has the pretrained weights");
  claim(net->head->weight.equal(head_before), "the new head keeps its own");
  claim(report.missing_keys == std::vector<std::string>{"model/head.weight", "model/head.bias"},
        "the report says that the head was not in the file");
  claim(sgd.state().empty(), "the optimizer starts afresh");
}
