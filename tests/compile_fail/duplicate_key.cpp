// Two fields under one key.
// expect: trainstate: two fields of this component have the same key: give each field a key of its own
// names: Sgd
// names: 'l', 'r'
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
  int step = 0;

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::state("lr", &Sgd::step));
#else
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
