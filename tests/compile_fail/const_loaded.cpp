// A const object can be saved, but not loaded.
// needs: libtorch
// expect: trainstate: a const part can be saved but not loaded; pass a mutable object
#include "trainstate/checkpoint.hpp"

namespace ts = trainstate;
using namespace ts::literals;

int main() {
#ifdef TRAINSTATE_MISTAKE
  const
#endif
      int epoch = 1;
  auto checkpoint = ts::checkpoint("epoch"_key = epoch);
  ts::save(checkpoint, "run.safetensors");
  ts::load(checkpoint, "run.safetensors");
}
