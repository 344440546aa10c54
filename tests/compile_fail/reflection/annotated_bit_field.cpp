// clang-format 14 does not know C++26.
// clang-format off
// A bit-field can be passed over, but not saved.
// expect: trainstate: step of Sgd cannot be annotated so: a data member takes one of ts::hyper, ts::state and ts::transient
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  [[=ts::hyper]] double lr = 0.1;
#ifdef TRAINSTATE_MISTAKE
  [[=ts::state]]
#else
  [[=ts::transient]]
#endif
  int step : 3 = 0;
};

static_assert(ts::component_version<Sgd> == 1);
