#include "release_2.hpp"

#include "program.hpp"

int main(int argc, char** argv) {
  return run(argc, argv, Decay{.base_lr = 0.5, .warmup_steps = 20, .step = 567}, [](const Decay& scheduler) {
    std::cout << "base_lr " << scheduler.base_lr << ", warmup_steps " << scheduler.warmup_steps << ", step "
              << scheduler.step << '\n';
  });
}
