// A class that adds members to those that its base annotated.
// expect: trainstate: this class inherits describe() from a base
// names: Momentum
// Version 14 does not know C++26.
// clang-format off
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  [[=ts::hyper]] double lr = 0.1;
};

#ifdef TRAINSTATE_MISTAKE
struct Momentum : Sgd {
  double momentum = 0.9;
};
#else
struct [[=ts::component("momentum", ts::base<Sgd>)]] Momentum : Sgd {
  [[=ts::hyper]] double momentum = 0.9;
};
#endif

static_assert(ts::component_version<Momentum> == 1);
