// The scheduler as it was first released.
#pragma once

#include <trainstate/component.hpp>

#include <cstdint>

struct Decay {
  double lr = 0.1;
  std::int64_t step = 0;

  static constexpr auto describe() {
    namespace ts = trainstate;
    return ts::component<Decay>("decay", ts::version<1>,  //
                                ts::hyper("lr", &Decay::lr), ts::state("step", &Decay::step));
  }
};
