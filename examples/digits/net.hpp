// The network: two convolutions with batch norm, dropout, two linear layers.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <trainstate/component.hpp>

namespace digits {

namespace ts = trainstate;

class NetImpl : public torch::nn::Module {
 public:
  explicit NetImpl(std::int64_t width = 16, double dropout = 0.25) : width_(width), dropout_(dropout) {
    namespace nn = torch::nn;
    conv1_ = register_module("conv1", nn::Conv2d(nn::Conv2dOptions(1, width, 3).padding(1).bias(false)));
    norm1_ = register_module("norm1", nn::BatchNorm2d(width));
    conv2_ = register_module("conv2", nn::Conv2d(nn::Conv2dOptions(width, 2 * width, 3).padding(1).bias(false)));
    norm2_ = register_module("norm2", nn::BatchNorm2d(2 * width));
    hidden_ = register_module("hidden", nn::Linear(2 * width * 4 * 4, 4 * width));
    classifier_ = register_module("classifier", nn::Linear(4 * width, 10));
  }

  /// Parameters and buffers save themselves, as in PyTorch; these two say how to build the network again.
  static constexpr auto describe() {
    return ts::component<NetImpl>("digits_net", ts::version<1>,  //
                                  ts::hyper("width", &NetImpl::width_), ts::hyper("dropout", &NetImpl::dropout_));
  }

  torch::Tensor forward(torch::Tensor x) {
    x = torch::relu(norm1_->forward(conv1_->forward(x)));
    x = torch::max_pool2d(torch::relu(norm2_->forward(conv2_->forward(x))), 2);
    x = torch::dropout(x.flatten(1), dropout_, is_training());
    x = torch::dropout(torch::relu(hidden_->forward(x)), dropout_, is_training());
    return classifier_->forward(x);
  }

 private:
  std::int64_t width_;
  double dropout_;
  torch::nn::Conv2d conv1_{nullptr}, conv2_{nullptr};
  torch::nn::BatchNorm2d norm1_{nullptr}, norm2_{nullptr};
  torch::nn::Linear hidden_{nullptr}, classifier_{nullptr};
};
TORCH_MODULE(Net);

}  // namespace digits
