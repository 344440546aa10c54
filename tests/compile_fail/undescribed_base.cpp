// ts::base of a class that says nothing of itself.
// expect: trainstate: ts::base<B> takes a described base
// names: Momentum
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
#ifndef TRAINSTATE_MISTAKE
  static constexpr auto describe() { return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr)); }
#endif
};

struct Momentum : Sgd {
  double momentum = 0.9;

  static constexpr auto describe() {
    return ts::component<Momentum>("momentum", ts::base<Sgd>, ts::hyper("momentum", &Momentum::momentum));
  }
};

static_assert(ts::component_version<Momentum> == 1);
