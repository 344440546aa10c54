// The same with a Hana struct as the base.
// expect: trainstate: this class inherits describe() from a base
// names: Momentum
#include <boost/hana/define_struct.hpp>
#include "trainstate/component.hpp"

namespace ts = trainstate;

struct Sgd {
  BOOST_HANA_DEFINE_STRUCT(Sgd, (double, lr));
};

struct Momentum : Sgd {
  double momentum = 0.9;
#ifndef TRAINSTATE_MISTAKE
  static constexpr auto describe() {
    return ts::component<Momentum>("momentum", ts::base<Sgd>, ts::hyper("momentum", &Momentum::momentum));
  }
#endif
};

static_assert(ts::component_version<Momentum> == 1);
