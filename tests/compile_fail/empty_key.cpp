// A field without a key.
// expect: trainstate: a field's key is empty
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
  int step = 0;

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::hyper("", &Sgd::lr), ts::state("step", &Sgd::step));
#else
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
