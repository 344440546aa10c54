// A pointer to a function is no field.
// expect: trainstate: a field is declared by its key and a pointer to a data member
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;
  int step = 0;

  int step_num() const { return step; }

  static constexpr auto describe() {
#ifdef TRAINSTATE_MISTAKE
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step_num));
#else
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr), ts::state("step", &Sgd::step));
#endif
  }
};

static_assert(!ts::component_name<Sgd>.empty());
