// A hook from today's version.
// expect: trainstate: a migration hook of this component starts at or past its version: raise ts::version<N>
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
  int step = 0;

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::version<2>, ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step),
                              ts::migrate<1>([](auto&) {}), ts::migrate<2>([](auto&) {}));
#else
    return ts::component<Sgd>("sgd", ts::version<3>, ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step),
                              ts::migrate<1>([](auto&) {}), ts::migrate<2>([](auto&) {}));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
