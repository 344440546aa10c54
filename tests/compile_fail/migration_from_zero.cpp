// A hook from a version that never was.
// expect: trainstate: versions start at 1: no record of version 0
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
  int step = 0;

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::version<2>, ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step),
                              ts::migrate<0>([](auto&) {}), ts::migrate<1>([](auto&) {}));
#else
    return ts::component<Sgd>("sgd", ts::version<2>, ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step),
                              ts::migrate<1>([](auto&) {}));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
