// What a training run keeps beside model, optimizer and scheduler, ready to be a part of a checkpoint.
#pragma once

#include "trainstate/training/averaged_model.hpp"
#include "trainstate/training/early_stopping.hpp"
#include "trainstate/training/gradient_accumulation.hpp"
#include "trainstate/training/metric_history.hpp"
