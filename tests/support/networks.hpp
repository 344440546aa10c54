// Networks as people train them: a small convolutional one, ResNet-18, an LSTM tagger, a transformer. Each is
// described, so it can be built again from its hyperparameters.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <tuple>
#include <utility>

#include "trainstate/component.hpp"

namespace trainstate::tests {

/// Handwritten digits: 64 pixels to 10 classes.
class DigitsNetImpl : public ::torch::nn::Module {
 public:
  explicit DigitsNetImpl(std::int64_t width = 8, double dropout = 0.25) : width_(width), dropout_(dropout) {
    namespace nn = ::torch::nn;
    conv_ = register_module("conv", nn::Conv2d(nn::Conv2dOptions(1, width, 3).padding(1).bias(false)));
    norm_ = register_module("norm", nn::BatchNorm2d(width));
    classifier_ = register_module("classifier", nn::Linear(width * 4 * 4, 10));
  }

  static constexpr auto describe() {
    return component<DigitsNetImpl>("digits_net", version<1>, hyper("width", &DigitsNetImpl::width_),
                                    hyper("dropout", &DigitsNetImpl::dropout_));
  }

  at::Tensor forward(const at::Tensor& pixels) {
    at::Tensor x = norm_->forward(conv_->forward(pixels.view({-1, 1, 8, 8})));
    x = at::max_pool2d(at::relu(x), 2).flatten(1);
    return classifier_->forward(at::dropout(x, dropout_, is_training()));
  }

  [[nodiscard]] std::int64_t width() const noexcept { return width_; }
  [[nodiscard]] double dropout() const noexcept { return dropout_; }

 private:
  std::int64_t width_;
  double dropout_;
  ::torch::nn::Conv2d conv_{nullptr};
  ::torch::nn::BatchNorm2d norm_{nullptr};
  ::torch::nn::Linear classifier_{nullptr};
};
TORCH_MODULE(DigitsNet);

inline ::torch::nn::Conv2d convolution(std::int64_t in, std::int64_t out, std::int64_t size, std::int64_t stride) {
  return ::torch::nn::Conv2d(::torch::nn::Conv2dOptions(in, out, size).stride(stride).padding(size / 2).bias(false));
}

/// Two convolutions and a way around them.
class BasicBlockImpl : public ::torch::nn::Module {
 public:
  BasicBlockImpl(std::int64_t in, std::int64_t out, std::int64_t stride)
      : conv1_(register_module("conv1", convolution(in, out, 3, stride))),
        bn1_(register_module("bn1", ::torch::nn::BatchNorm2d(out))),
        conv2_(register_module("conv2", convolution(out, out, 3, 1))),
        bn2_(register_module("bn2", ::torch::nn::BatchNorm2d(out))) {
    if (stride == 1 && in == out) return;
    downsample_ = register_module(
        "downsample", ::torch::nn::Sequential(convolution(in, out, 1, stride), ::torch::nn::BatchNorm2d(out)));
  }

  at::Tensor forward(const at::Tensor& x) {
    at::Tensor y = at::relu(bn1_->forward(conv1_->forward(x)));
    y = bn2_->forward(conv2_->forward(y));
    return at::relu(y + (downsample_ ? downsample_->forward(x) : x));
  }

 private:
  ::torch::nn::Conv2d conv1_;
  ::torch::nn::BatchNorm2d bn1_;
  ::torch::nn::Conv2d conv2_;
  ::torch::nn::BatchNorm2d bn2_;
  ::torch::nn::Sequential downsample_{nullptr};
};
TORCH_MODULE(BasicBlock);

/// ResNet-18 with torchvision's names: 11.7 million parameters for 1000 classes.
class ResNet18Impl : public ::torch::nn::Module {
 public:
  explicit ResNet18Impl(std::int64_t classes = 1000) : classes_(classes) {
    conv1_ = register_module("conv1", convolution(3, 64, 7, 2));
    bn1_ = register_module("bn1", ::torch::nn::BatchNorm2d(64));
    layer1_ = register_module("layer1", layer(64, 64, 1));
    layer2_ = register_module("layer2", layer(64, 128, 2));
    layer3_ = register_module("layer3", layer(128, 256, 2));
    layer4_ = register_module("layer4", layer(256, 512, 2));
    fc_ = register_module("fc", ::torch::nn::Linear(512, classes));
  }

  static constexpr auto describe() {
    return component<ResNet18Impl>("resnet18", version<1>, hyper("classes", &ResNet18Impl::classes_));
  }

  at::Tensor forward(const at::Tensor& images) {
    at::Tensor x = at::relu(bn1_->forward(conv1_->forward(images)));
    x = at::max_pool2d(x, 3, 2, 1);
    x = layer4_->forward(layer3_->forward(layer2_->forward(layer1_->forward(x))));
    return fc_->forward(at::adaptive_avg_pool2d(x, {1, 1}).flatten(1));
  }

  [[nodiscard]] std::int64_t classes() const noexcept { return classes_; }

 private:
  static ::torch::nn::Sequential layer(std::int64_t in, std::int64_t out, std::int64_t stride) {
    return ::torch::nn::Sequential(BasicBlock(in, out, stride), BasicBlock(out, out, 1));
  }

  std::int64_t classes_;
  ::torch::nn::Conv2d conv1_{nullptr};
  ::torch::nn::BatchNorm2d bn1_{nullptr};
  ::torch::nn::Sequential layer1_{nullptr}, layer2_{nullptr}, layer3_{nullptr}, layer4_{nullptr};
  ::torch::nn::Linear fc_{nullptr};
};
TORCH_MODULE(ResNet18);

/// A tag for every token of a text: int64 [texts, tokens] to logits, with the last state of the LSTM.
class LstmTaggerImpl : public ::torch::nn::Module {
 public:
  using State = std::tuple<at::Tensor, at::Tensor>;

  explicit LstmTaggerImpl(std::int64_t vocabulary = 50, std::int64_t hidden = 12, std::int64_t tags = 5)
      : vocabulary_(vocabulary), hidden_(hidden), tags_(tags) {
    namespace nn = ::torch::nn;
    embedding_ = register_module("embedding", nn::Embedding(vocabulary, hidden));
    const auto options = nn::LSTMOptions(hidden, hidden).num_layers(2).bidirectional(true).batch_first(true);
    lstm_ = register_module("lstm", nn::LSTM(options));
    classifier_ = register_module("classifier", nn::Linear(2 * hidden, tags));
  }

  static constexpr auto describe() {
    return component<LstmTaggerImpl>("lstm_tagger", version<1>, hyper("vocabulary", &LstmTaggerImpl::vocabulary_),
                                     hyper("hidden", &LstmTaggerImpl::hidden_), hyper("tags", &LstmTaggerImpl::tags_));
  }

  std::tuple<at::Tensor, State> forward(const at::Tensor& tokens) {
    auto [hidden, state] = lstm_->forward(embedding_->forward(tokens));
    return {classifier_->forward(hidden), std::move(state)};
  }

  [[nodiscard]] std::int64_t vocabulary() const noexcept { return vocabulary_; }
  [[nodiscard]] std::int64_t hidden() const noexcept { return hidden_; }
  [[nodiscard]] std::int64_t tags() const noexcept { return tags_; }

 private:
  std::int64_t vocabulary_, hidden_, tags_;
  ::torch::nn::Embedding embedding_{nullptr};
  ::torch::nn::LSTM lstm_{nullptr};
  ::torch::nn::Linear classifier_{nullptr};
};
TORCH_MODULE(LstmTagger);

/// How large a transformer is.
struct TransformerShape {
  std::int64_t dim = 16, heads = 4, layers = 2;
  double dropout = 0.1;

  static constexpr auto describe() {
    return component<TransformerShape>(
        "transformer_shape", version<1>, hyper("dim", &TransformerShape::dim), hyper("heads", &TransformerShape::heads),
        hyper("layers", &TransformerShape::layers), hyper("dropout", &TransformerShape::dropout));
  }
};

/// A class for every text of up to 32 tokens below 50: int64 [texts, tokens] to logits.
class TransformerClassifierImpl : public ::torch::nn::Module {
 public:
  explicit TransformerClassifierImpl(TransformerShape shape = {}, std::int64_t classes = 3)
      : shape_(shape), classes_(classes) {
    namespace nn = ::torch::nn;
    embedding_ = register_module("embedding", nn::Embedding(50, shape.dim));
    positions_ = register_parameter("positions", ::torch::randn({32, shape.dim}));
    const auto options = nn::TransformerEncoderLayerOptions(shape.dim, shape.heads)
                             .dim_feedforward(2 * shape.dim)
                             .dropout(shape.dropout);
    encoder_ = register_module("encoder", nn::TransformerEncoder(nn::TransformerEncoderLayer(options), shape.layers));
    classifier_ = register_module("classifier", nn::Linear(shape.dim, classes));
  }

  static constexpr auto describe() {
    return component<TransformerClassifierImpl>("transformer_classifier", version<1>,
                                                hyper("shape", &TransformerClassifierImpl::shape_),
                                                hyper("classes", &TransformerClassifierImpl::classes_));
  }

  at::Tensor forward(const at::Tensor& tokens) {
    const at::Tensor x = embedding_->forward(tokens) + positions_.narrow(0, 0, tokens.size(1));
    return classifier_->forward(encoder_->forward(x.transpose(0, 1)).mean(0));
  }

  [[nodiscard]] const TransformerShape& shape() const noexcept { return shape_; }
  [[nodiscard]] std::int64_t classes() const noexcept { return classes_; }

 private:
  TransformerShape shape_;
  std::int64_t classes_;
  ::torch::nn::Embedding embedding_{nullptr};
  at::Tensor positions_;
  ::torch::nn::TransformerEncoder encoder_{nullptr};
  ::torch::nn::Linear classifier_{nullptr};
};
TORCH_MODULE(TransformerClassifier);

}  // namespace trainstate::tests
