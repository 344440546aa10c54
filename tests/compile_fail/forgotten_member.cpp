// A member that nobody listed would start from nothing after a resume.
// expect: trainstate: a member of this aggregate is forgotten: list it with ts::hyper, ts::state or ts::transient
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
  int step = 0;

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr));
#else
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
