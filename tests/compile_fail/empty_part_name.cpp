// A part without a name.
// needs: libtorch
// expect: trainstate: the name of a part of this checkpoint is empty
#include "trainstate/checkpoint_parts.hpp"

namespace ts = trainstate;
using namespace ts::literals;

int main() {
  int epoch = 1;
#ifdef TRAINSTATE_MISTAKE
  const auto checkpoint = ts::checkpoint(""_key = epoch);
  return checkpoint[""_key];
#else
  const auto checkpoint = ts::checkpoint("epoch"_key = epoch);
  return checkpoint["epoch"_key];
#endif
}
