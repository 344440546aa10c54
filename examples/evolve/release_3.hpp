// The third release has a rate for every parameter group, and counts epochs. The change is easier to say in types than
// as an edit of a record, so it keeps what it needs of release 2 as a described struct.
#pragma once

#include <trainstate/component.hpp>

#include <cstdint>
#include <vector>

namespace release_2 {

struct Decay {
  double base_lr = 0;
  std::int64_t warmup_steps = 0;
  std::int64_t step = 0;

  static constexpr auto describe() {
    namespace ts = trainstate;
    return ts::component<Decay>("decay", ts::version<2>,  //
                                ts::hyper("base_lr", &Decay::base_lr),
                                ts::hyper("warmup_steps", &Decay::warmup_steps),  //
                                ts::state("step", &Decay::step));
  }
};

}  // namespace release_2

struct Decay {
  static constexpr std::int64_t steps_per_epoch = 100;

  std::vector<double> base_lrs = {0.1};
  std::int64_t warmup_steps = 100;
  std::int64_t epoch = 0;
  std::int64_t batch = 0;

  static constexpr auto describe() {
    namespace ts = trainstate;
    return ts::component<Decay>(
        "decay", ts::version<3>,                                                                   //
        ts::hyper("base_lrs", &Decay::base_lrs), ts::hyper("warmup_steps", &Decay::warmup_steps),  //
        ts::state("epoch", &Decay::epoch), ts::state("batch", &Decay::batch), ts::migrate<1>([](auto& record) {
          record.rename("params/lr", "params/base_lr");
          record.set_default("params/warmup_steps", 0);
        }),
        ts::migrate_from<release_2::Decay>([](const release_2::Decay& old) {
          return Decay{{old.base_lr}, old.warmup_steps, old.step / steps_per_epoch, old.step % steps_per_epoch};
        }));
  }
};
