// A class without describe(), or with one that trainstate may not call.
// expect: trainstate: this type is no component: give it a public static constexpr describe()
// expect: ts::describe_for<T>
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

class Sgd {
#ifndef TRAINSTATE_MISTAKE
 public:
#endif
  static constexpr auto describe() { return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr_)); }

 private:
  double lr_ = 0.1;
};

static_assert(ts::component_version<Sgd> == 1);
