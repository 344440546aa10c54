// Two hooks from one version.
// expect: trainstate: two migration hooks of this component start from the same version: keep one of them
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
  int step = 0;

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::version<3>, ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step),
                              ts::migrate<1>([](auto&) {}), ts::migrate<2>([](auto&) {}), ts::migrate<2>([](auto&) {}));
#else
    return ts::component<Sgd>("sgd", ts::version<3>, ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step),
                              ts::migrate<1>([](auto&) {}), ts::migrate<2>([](auto&) {}));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
