// The type of a field changed, and the version did not.
// expect: trainstate: the fields of this component changed, but its version did not
// expect: raise ts::version<N>
// names: fields_changed_but_not_the_version<Sgd
#include "trainstate/schema.hpp"

namespace ts = trainstate;

class Sgd {
 public:
  explicit Sgd(double lr) : lr_(lr) {}

  static constexpr auto describe() {
    return ts::component<Sgd>("sgd", ts::hyper("lr", &Sgd::lr_), ts::state("step", &Sgd::step_));
  }

 private:
  double lr_;
#ifdef TRAINSTATE_MISTAKE
  double step_ = 0;
#else
  long step_ = 0;
#endif
};

static_assert(ts::locked<Sgd, 0xe0584f579f531f01>);
