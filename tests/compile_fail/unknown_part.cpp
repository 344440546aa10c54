// A part that the checkpoint does not have.
// needs: libtorch
// expect: trainstate: this checkpoint has no part of that name
// names: optimiser
#include "trainstate/checkpoint_parts.hpp"

namespace ts = trainstate;
using namespace ts::literals;

int main() {
  int epoch = 1;
  auto checkpoint = ts::checkpoint("epoch"_key = epoch);
#ifdef TRAINSTATE_MISTAKE
  return checkpoint["optimiser"_key];
#else
  return checkpoint["epoch"_key];
#endif
}
