// An array counts as one member.
// expect: trainstate: a member of this aggregate is forgotten: list it with ts::hyper, ts::state or ts::transient
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
  int window[3] = {};
  int step = 0;

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step));
#else
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step),
                              ts::transient(&Sgd::window));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
