// What is in an undescribed base is forgotten, unless its members are listed.
// expect: trainstate: a member of this aggregate is forgotten: list it with ts::hyper, ts::state or ts::transient
// names: Momentum
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
};

struct Momentum : Sgd {
  double momentum = 0.9;

  static constexpr auto describe() {
    return ts::component<Momentum>("momentum",
#ifndef TRAINSTATE_MISTAKE
                                   ts::hyper("lr", &Momentum::lr),
#endif
                                   ts::hyper("momentum", &Momentum::momentum));
  }
};

static_assert(ts::component_version<Momentum> == 1);
