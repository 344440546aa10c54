// Everything.
#pragma once

#include "trainstate/adapter.hpp"
#include "trainstate/checkpoint.hpp"
#include "trainstate/component.hpp"
#include "trainstate/error.hpp"
#include "trainstate/files.hpp"
#include "trainstate/objects.hpp"
#include "trainstate/options.hpp"
#include "trainstate/report.hpp"
#include "trainstate/state_dict.hpp"
#include "trainstate/torch/module.hpp"
#include "trainstate/torch/optimizer.hpp"
#include "trainstate/torch/rng.hpp"
#include "trainstate/torch/sampler.hpp"
#include "trainstate/torch/scheduler.hpp"
#include "trainstate/version.hpp"
