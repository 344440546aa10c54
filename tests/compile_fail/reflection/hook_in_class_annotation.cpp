// clang-format 14 does not know C++26.
// clang-format off
// A lambda in the annotation of a class would be another one in each translation unit.
// expect: trainstate: the hooks of an annotated class are static members of it: write [[=ts::migrate<K>]] static constexpr
#include "trainstate/component.hpp"

namespace ts = trainstate;

#ifdef TRAINSTATE_MISTAKE
struct [[=ts::component("sgd", ts::version<2>, ts::migrate<1>([](auto&) {}))]] Sgd {
  [[=ts::hyper]] double lr = 0.1;
};
#else
struct [[=ts::component("sgd", ts::version<2>)]] Sgd {
  [[=ts::hyper]] double lr = 0.1;
  [[=ts::migrate<1>]] static constexpr auto from_1 = [](auto&) {};
};
#endif

static_assert(ts::component_version<Sgd> == 2);
