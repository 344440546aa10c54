// A class that lets a base speak for it: what it adds would silently not be saved.
// expect: trainstate: this class inherits describe() from a base
// expect: lists ts::base<B>
// names: Momentum
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;

  static constexpr auto describe() { return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr)); }
};

struct Momentum : Sgd {
  double momentum = 0.9;
#ifndef TRAINSTATE_MISTAKE
  static constexpr auto describe() {
    return ts::component<Momentum>("momentum", ts::base<Sgd>, ts::hyper("momentum", &Momentum::momentum));
  }
#endif
};

static_assert(ts::component_version<Momentum> == 1);
