// A pointer without a key says neither hyper nor state.
// expect: trainstate: after its name, ts::component takes ts::version<N>, ts::hyper, ts::state
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
  int step = 0;

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), &Sgd::step);
#else
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
