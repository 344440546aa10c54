// A user's program: saves a module and reads it back into another one.
#include <torch/nn/modules/linear.h>

#include <filesystem>
#include <trainstate/checkpoint.hpp>

int main() {
  namespace ts = trainstate;
  torch::nn::Linear saved(2, 3), loaded(2, 3);
  const auto path = std::filesystem::current_path() / "consumer.safetensors";
  ts::save(saved, path);
  ts::load(loaded, path);
  return loaded->weight.equal(saved->weight) && loaded->bias.equal(saved->bias) ? 0 : 1;
}
