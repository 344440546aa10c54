#include "release_3.hpp"

#include "program.hpp"

int main(int argc, char** argv) {
  const Decay today{.base_lrs = {0.75, 0.125}, .warmup_steps = 30, .epoch = 8, .batch = 9};
  return run(argc, argv, today, [](const Decay& scheduler) {
    std::cout << "base_lrs";
    for (const double lr : scheduler.base_lrs) std::cout << ' ' << lr;
    std::cout << ", warmup_steps " << scheduler.warmup_steps << ", epoch " << scheduler.epoch << ", batch "
              << scheduler.batch << '\n';
  });
}
