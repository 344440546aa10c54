// clang-format 14 does not know C++26.
// clang-format off
// Where some members are annotated, all are.
// expect: trainstate: a member of this class is forgotten: annotate it with [[=ts::hyper]], [[=ts::state]] or [[=ts::transient]]: Sgd::step_
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

class Sgd {
 public:
  explicit Sgd(double lr) : lr_(lr) {}

 private:
  [[=ts::hyper]] double lr_;
#ifndef TRAINSTATE_MISTAKE
  [[=ts::state]]
#endif
  int step_ = 0;
};

static_assert(ts::component_version<Sgd> == 1);
