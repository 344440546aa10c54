// PyTorch's learning rate schedulers for LibTorch's optimizers: the same rates as Python's, step for step, and the same
// `state_dict()`, so that either language goes on where the other one stopped.
#pragma once

#include "trainstate/schedulers/base.hpp"
#include "trainstate/schedulers/codec.hpp"
#include "trainstate/schedulers/cosine.hpp"
#include "trainstate/schedulers/lambda.hpp"
#include "trainstate/schedulers/one_cycle.hpp"
#include "trainstate/schedulers/one_cycle_phase.hpp"
#include "trainstate/schedulers/part.hpp"
#include "trainstate/schedulers/per_group.hpp"
#include "trainstate/schedulers/plateau.hpp"
#include "trainstate/schedulers/ramps.hpp"
#include "trainstate/schedulers/sequential.hpp"
#include "trainstate/schedulers/step.hpp"
