// Nor is it transient.
// expect: trainstate: ts::transient takes pointers to data members
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
  int step = 0;

  int step_num() const { return step; }

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::transient(&Sgd::step_num));
#else
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::transient(&Sgd::step));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
