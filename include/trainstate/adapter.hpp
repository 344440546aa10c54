// How types become values, all in one place. There is one customization point, `adapter<T>` (declared in
// codec/codec.hpp); before reaching for it, see whether one of the others fits better. In order of precedence:
//
//   ts::adapter<T>                          a type that can only be taken as a whole
//   describe(), ts::describe_for<T>         a class with fields (component.hpp)
//   LibTorch's modules, optimizers, …       known to the library (torch/)
//   state_dict() and load_state_dict()      a class that already does it by hand
//   std types                               known to the library (codec/)
#pragma once

#include "trainstate/codec/alternative.hpp"
#include "trainstate/codec/associative.hpp"
#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/component.hpp"
#include "trainstate/codec/members.hpp"
#include "trainstate/codec/random.hpp"
#include "trainstate/codec/scalar.hpp"
#include "trainstate/codec/sequence.hpp"
#include "trainstate/torch/tensor.hpp"
