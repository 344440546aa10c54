// A description is needed at compile time.
// expect: trainstate: describe() has to be static constexpr
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;

#ifndef TRAINSTATE_MISTAKE
  constexpr
#endif
      static auto
      describe() {
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr));
  }
};

static_assert(ts::component_version<Sgd> == 1);
