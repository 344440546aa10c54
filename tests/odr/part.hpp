// What both translation units know: one described component, and the bytes that the other one writes of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "trainstate/trainstate.hpp"

struct Part {
  std::int64_t step = 0;
  double rate = 0;

  static constexpr auto describe() {
    return trainstate::component<Part>("part", trainstate::version<1>, trainstate::hyper("rate", &Part::rate),
                                       trainstate::state("step", &Part::step));
  }
};

std::vector<std::byte> bytes_from_second(const Part& part);
