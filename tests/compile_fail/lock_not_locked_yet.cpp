// A first lock: 0 asks for the fingerprint.
// expect: trainstate: this component is not locked yet: lock its fingerprint
// names: not_locked_yet<Sgd
#include "trainstate/schema.hpp"

namespace ts = trainstate;

struct Sgd {
  double lr = 0.1;

  static constexpr auto describe() { return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr)); }
};

#ifdef TRAINSTATE_MISTAKE
static_assert(ts::locked<Sgd, 0>);
#else
static_assert(ts::locked<Sgd, ts::fingerprint<Sgd>()>);
#endif
