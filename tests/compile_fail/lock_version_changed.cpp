// The version was raised, and the lock is the old one.
// expect: trainstate: this component has another version than the one locked
// names: version_changed<Sgd
#include "trainstate/schema.hpp"

namespace ts = trainstate;

class Sgd {
 public:
  explicit Sgd(double lr) : lr_(lr) {}

  static constexpr auto describe() {
    return ts::component<Sgd>("sgd",
#ifdef TRAINSTATE_MISTAKE
                              ts::version<2>,
#endif
                              ts::hyper("lr", &Sgd::lr_), ts::state("step", &Sgd::step_));
  }

 private:
  double lr_;
  long step_ = 0;
};

static_assert(ts::locked<Sgd, 0xe0584f579f531f01>);
