#include "release_1.hpp"

#include "program.hpp"

int main(int argc, char** argv) {
  return run(argc, argv, Decay{.lr = 0.25, .step = 1234},
             [](const Decay& scheduler) { std::cout << "lr " << scheduler.lr << ", step " << scheduler.step << '\n'; });
}
