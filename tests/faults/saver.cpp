// saver PATH NUMBER COUNT: saves checkpoints NUMBER, NUMBER + 1, … to PATH, COUNT of them or for ever. Writes NUMBER -
// 1 to its output when it is about to begin, then the number of each checkpoint once it is saved.
#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>

#include "faults/sequence.hpp"
#include "trainstate/checkpoint.hpp"

int main(int argc, char** argv) try {
  namespace ts = trainstate;
  using namespace ts::literals;
  if (argc != 4) return 2;
  std::int64_t number = std::atoll(argv[2]), left = std::atoll(argv[3]);
  torch::nn::Linear net(torch::nn::LinearOptions(512, 512).bias(false));
  const torch::Tensor ramp = torch::arange(faults::elements, torch::kFloat32);
  ts::StateDict extra{{"moments", torch::zeros({faults::elements})}, {"average", torch::zeros({faults::elements})}};
  const auto checkpoint = ts::checkpoint("model"_key = net, "number"_key = number, "extra"_key = extra);
  const torch::NoGradGuard no_grad;
  faults::tell(STDOUT_FILENO, number - 1);
  for (const bool endless = left == 0; endless || left > 0; ++number, --left) {
    net->weight.copy_((ramp + number).view({512, 512}));
    for (auto& [key, value] : extra) value.as<torch::Tensor>().copy_(ramp + number);
    ts::save(checkpoint, argv[1], {.sync = faults::waits_for_disk(number)});
    faults::tell(STDOUT_FILENO, number);
  }
  return 0;
} catch (const std::exception& e) {
  std::cerr << "saver: " << e.what() << '\n';
  return 1;
}
