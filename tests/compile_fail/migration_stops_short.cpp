// A chain that does not reach today's version.
// expect: trainstate: the migration chain of this component has a gap
// names: Sgd(, |; int MissingFrom = )3
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
  int step = 0;

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::version<4>, ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step),
                              ts::migrate<1>([](auto&) {}), ts::migrate<2>([](auto&) {}));
#else
    return ts::component<Sgd>("sgd", ts::version<4>, ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step),
                              ts::migrate<1>([](auto&) {}), ts::migrate<2>([](auto&) {}), ts::migrate<3>([](auto&) {}));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
