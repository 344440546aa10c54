// An old struct that has today's version.
// expect: trainstate: a migration hook of this component starts at or past its version
// names: Sgd
#include "trainstate/component.hpp"

namespace ts = trainstate;

namespace v1 {

struct Sgd {
  double rate = 0.1;

  static constexpr auto describe() {
    return ts::component<Sgd>("sgd",
#ifdef TRAINSTATE_MISTAKE
                              ts::version<2>,
#endif
                              ts::hyper("rate", &Sgd::rate));
  }
};

}  // namespace v1

struct Sgd {
  double lr = 0.1;

  static constexpr auto describe() {
    return ts::component<Sgd>("sgd", ts::version<2>, ts::hyper("lr", &Sgd::lr),
                              ts::migrate_from<v1::Sgd>([](const v1::Sgd& old) { return Sgd{old.rate}; }));
  }
};

static_assert(ts::component_version<Sgd> == 2);
