// Prints the state dicts of plain LibTorch modules, one line per key: the module's name, the key, dtype and shape.
// module_keys.py compares them with those of the same modules in Python.
#include <torch/nn.h>

#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include "trainstate/objects.hpp"

namespace {

namespace nn = torch::nn;

/// What Python's TiedBlock in module_keys.py is: buffers, one of them undefined, a parameter in two places, a submodule
/// in two places, and one without parameters.
struct TiedBlockImpl : nn::Module {
  TiedBlockImpl() {
    embedding = register_module("embedding", nn::Embedding(5, 3));
    head = register_module("head", nn::Linear(nn::LinearOptions(3, 5).bias(false)));
    head->weight = head->register_parameter("weight_of_the_embedding", embedding->weight);
    inner = register_module("inner", nn::Sequential(nn::Linear(3, 3), nn::ReLU(), nn::BatchNorm1d(3)));
    register_module("again", inner.ptr());
    register_module("activation", nn::Tanh());
    register_buffer("mask", torch::ones({2, 2}, torch::kBool));
    register_buffer("nothing", torch::Tensor());
    register_parameter("no_bias", torch::Tensor());
    register_buffer("steps", torch::zeros({}, torch::kInt64));
    scale = register_parameter("scale", torch::ones({2, 1}, torch::kFloat64));
  }
  nn::Embedding embedding{nullptr};
  nn::Linear head{nullptr};
  nn::Sequential inner{nullptr};
  torch::Tensor scale;
};
TORCH_MODULE(TiedBlock);

template <class M>
void print(const std::string& name, const M& module) {
  std::cout << name << '\n';  // a module without tensors is listed, too
  for (const auto& [key, value] : trainstate::state_dict(module)) {
    std::cout << name << '\t' << std::get<std::string>(key) << '\t' << value.describe() << '\n';
  }
}

/// A Sequential that may stand in another one, which LibTorch's own may not.
struct BlockImpl : nn::SequentialImpl {
  using SequentialImpl::SequentialImpl;
  torch::Tensor forward(torch::Tensor x) { return SequentialImpl::forward(std::move(x)); }
};
TORCH_MODULE(Block);

nn::Sequential nested() {
  return nn::Sequential(nn::Linear(2, 3), nn::Dropout(0.1), Block(nn::Conv1d(1, 2, 3), Block(nn::Linear(3, 2))));
}

}  // namespace

int main() {
  print("linear", nn::Linear(3, 4));
  print("linear_without_bias", nn::Linear(nn::LinearOptions(3, 4).bias(false)));
  print("bilinear", nn::Bilinear(2, 3, 4));
  print("conv2d", nn::Conv2d(nn::Conv2dOptions(4, 8, {3, 5}).groups(2)));
  print("conv_transpose2d", nn::ConvTranspose2d(nn::ConvTranspose2dOptions(4, 8, 3).bias(false)));
  print("batch_norm", nn::BatchNorm2d(4));
  print("batch_norm_without_stats", nn::BatchNorm2d(nn::BatchNorm2dOptions(4).track_running_stats(false)));
  print("batch_norm_stats_only", nn::BatchNorm2d(nn::BatchNorm2dOptions(4).affine(false)));
  print("instance_norm", nn::InstanceNorm2d(nn::InstanceNorm2dOptions(4).affine(true).track_running_stats(true)));
  print("instance_norm_bare", nn::InstanceNorm2d(4));
  print("group_norm", nn::GroupNorm(2, 4));
  print("layer_norm", nn::LayerNorm(nn::LayerNormOptions({3, 4})));
  print("layer_norm_bare", nn::LayerNorm(nn::LayerNormOptions({3, 4}).elementwise_affine(false)));
  print("prelu", nn::PReLU());
  print("embedding", nn::Embedding(6, 3));
  print("embedding_bag", nn::EmbeddingBag(6, 3));
  print("rnn", nn::RNN(3, 4));
  print("lstm", nn::LSTM(nn::LSTMOptions(3, 4).num_layers(2).bidirectional(true)));
  print("lstm_projected", nn::LSTM(nn::LSTMOptions(3, 4).proj_size(2).bidirectional(true)));
  print("gru", nn::GRU(nn::GRUOptions(3, 4).num_layers(2).bias(false)));
  print("lstm_cell", nn::LSTMCell(3, 4));
  print("attention", nn::MultiheadAttention(8, 2));
  print("attention_apart",
        nn::MultiheadAttention(nn::MultiheadAttentionOptions(8, 2).kdim(3).vdim(5).add_bias_kv(true)));
  print("attention_without_bias", nn::MultiheadAttention(nn::MultiheadAttentionOptions(8, 2).bias(false)));
  print("encoder_layer", nn::TransformerEncoderLayer(nn::TransformerEncoderLayerOptions(8, 2).dim_feedforward(6)));
  print("decoder_layer", nn::TransformerDecoderLayer(nn::TransformerDecoderLayerOptions(8, 2).dim_feedforward(6)));
  print("transformer", nn::Transformer(nn::TransformerOptions(8, 2, 1, 2).dim_feedforward(6)));
  print("weighted_loss", nn::CrossEntropyLoss(nn::CrossEntropyLossOptions().weight(torch::ones({3}))));
  print("loss", nn::CrossEntropyLoss());
  print("adaptive_softmax", nn::AdaptiveLogSoftmaxWithLoss(nn::AdaptiveLogSoftmaxWithLossOptions(16, 10, {4, 7})));
  print("relu", nn::ReLU());
  print("sequential", nested());
  print("module_list", nn::ModuleList(nn::Linear(2, 3), nn::ReLU(), nested()));
  nn::ModuleDict dict;
  dict->update({{"b", nn::Linear(2, 3).ptr()}, {"a", nn::BatchNorm1d(3).ptr()}});
  print("module_dict", dict);
  print("parameter_list", nn::ParameterList(torch::ones({2}), torch::ones({1, 3})));
  const TiedBlock block;
  print("tied_block", block);
  // The same module by its class, its holder, a shared_ptr of it and of the base, and AnyModule.
  print("tied_block", *block);
  print("tied_block", block.ptr());
  print("tied_block", std::static_pointer_cast<nn::Module>(block.ptr()));
  print("linear", nn::AnyModule(nn::Linear(3, 4)));
}
