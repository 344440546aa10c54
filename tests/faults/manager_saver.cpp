// manager_saver FOLDER FIRST COUNT: restores the latest checkpoint and goes on with saves behind, COUNT of them or for
// ever, through ts::CheckpointManager. Writes to its output the number that it restored (FIRST - 1 if there was none),
// then the number of each checkpoint that `wait` says is there.
#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>

#include "faults/sequence.hpp"
#include "trainstate/manager.hpp"

int main(int argc, char** argv) try {
  namespace ts = trainstate;
  using namespace ts::literals;
  if (argc != 4) return 2;
  std::int64_t number = std::atoll(argv[2]) - 1, left = std::atoll(argv[3]);
  torch::nn::Linear net(torch::nn::LinearOptions(512, 512).bias(false));
  const torch::Tensor ramp = torch::arange(faults::elements, torch::kFloat32);
  ts::StateDict extra{{"moments", torch::zeros({faults::elements})}, {"average", torch::zeros({faults::elements})}};
  auto checkpoint = ts::checkpoint("model"_key = net, "number"_key = number, "extra"_key = extra);
  const torch::NoGradGuard no_grad;
  ts::CheckpointManager manager(argv[1], {.keep_latest = 2, .async = true});
  manager.restore_latest(checkpoint);
  faults::tell(STDOUT_FILENO, number);
  for (const bool endless = left == 0; endless || left > 0; --left) {
    ++number;
    net->weight.copy_((ramp + number).view({512, 512}));
    for (auto& [key, value] : extra) value.as<torch::Tensor>().copy_(ramp + number);
    manager.save(number, checkpoint);
    if (number % 3 != 0 && left != 1) continue;  // two are outstanding now and then
    manager.wait();
    faults::tell(STDOUT_FILENO, number);
  }
  return 0;
} catch (const std::exception& e) {
  std::cerr << "manager_saver: " << e.what() << '\n';
  return 1;
}
