// A chain that leads from 1 to 2 and from 3 to 4.
// expect: trainstate: the migration chain of this component has a gap
// expect: needs a ts::migrate<K> for every K up to the version before ts::version
// names: Sgd(, |; int MissingFrom = )2
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
  int step = 0;

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::version<4>, ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step),
                              ts::migrate<3>([](auto&) {}), ts::migrate<1>([](auto&) {}));
#else
    return ts::component<Sgd>("sgd", ts::version<4>, ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step),
                              ts::migrate<3>([](auto&) {}), ts::migrate<2>([](auto&) {}));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
