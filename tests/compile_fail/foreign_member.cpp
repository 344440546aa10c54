// A member of some other class.
// expect: trainstate: a pointer to a member of another class
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Progress {
  int step = 0;
};

struct Sgd {
  double lr = 0.1;
  int step = 0;

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::state("step", &Progress::step));
#else
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
