// Two descriptions could disagree.
// expect: Sgd has both a describe() and annotations: keep one of them
// Version 14 does not know C++26.
// clang-format off
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
#ifdef TRAINSTATE_MISTAKE
  [[=ts::hyper]]
#endif
  double lr = 0.1;

  static constexpr auto describe() { return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr)); }
};

static_assert(ts::component_version<Sgd> == 1);
