// Two parts of one name.
// needs: libtorch
// expect: trainstate: two parts of this checkpoint have the same name
#include "trainstate/checkpoint_parts.hpp"

namespace ts = trainstate;
using namespace ts::literals;

int main() {
  int epoch = 1, step = 2;
#ifdef TRAINSTATE_MISTAKE
  const auto checkpoint = ts::checkpoint("epoch"_key = epoch, "epoch"_key = step);
#else
  const auto checkpoint = ts::checkpoint("epoch"_key = epoch, "step"_key = step);
#endif
  return checkpoint["epoch"_key];
}
