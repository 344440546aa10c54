// clang-format 14 does not know C++26.
// clang-format off
// Reflection sees private members, too.
// expect: trainstate: a member of this class is forgotten: list it with ts::hyper, ts::state or ts::transient: Sgd::step_
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

class Sgd {
 public:
  explicit Sgd(double lr) : lr_(lr) {}

  static constexpr auto describe() {
    return ts::component<Sgd>("sgd",
#ifndef TRAINSTATE_MISTAKE
                              ts::state("step", &Sgd::step_),
#endif
                              ts::hyper("lr", &Sgd::lr_));
  }

 private:
  double lr_;
  int step_ = 0;
};

static_assert(ts::component_version<Sgd> == 1);
