// The second release renames a hyperparameter and adds another. Its hook edits the record of version 1.
#pragma once

#include <trainstate/component.hpp>

#include <cstdint>

struct Decay {
  double base_lr = 0.1;
  std::int64_t warmup_steps = 100;
  std::int64_t step = 0;

  static constexpr auto describe() {
    namespace ts = trainstate;
    return ts::component<Decay>("decay", ts::version<2>,  //
                                ts::hyper("base_lr", &Decay::base_lr),
                                ts::hyper("warmup_steps", &Decay::warmup_steps),  //
                                ts::state("step", &Decay::step),                  //
                                ts::migrate<1>([](auto& record) {
                                  record.rename("params/lr", "params/base_lr");
                                  record.set_default("params/warmup_steps", 0);  // what release 1 did
                                }));
  }
};
