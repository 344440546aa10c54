// The least of a user's program that needs LibTorch, for where only the way to the library differs.
#include <ATen/ops/ones.h>

#include <trainstate/state_dict.hpp>

int main() {
  const trainstate::StateDict tree{{"weight", at::ones({2, 3})}};
  return tree.clone() == tree ? 0 : 1;
}
