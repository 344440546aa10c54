// How types become values, all in one place. There is one customization point, `adapter<T>` (declared in
// codec/codec.hpp); before reaching for it, see whether one of the others fits better. In order of precedence:
//
//   ts::adapter<T>                          a type that can only be taken as a whole
//   describe(), ts::describe_for<T>         a class with fields (component.hpp)
//   LibTorch's modules, optimizers, …       known to the library (torch/)
//   state_dict() and load_state_dict()      a class that already does it by hand
//   std types                               known to the library (codec/)
//
// A load that fails changes nothing, whatever the types:
//   - A class with state_dict() and load_state_dict() is loaded when everything else is known to fit, and before
//     anything else changes. If its load_state_dict() throws, or another one does after it, it is given back, as a
//     clone, what its state_dict() said just before. So what load_state_dict() changes has to be in state_dict(), and
//     to put back what was there must not throw. If it does throw, the error says that this object could not be
//     restored; all others are.
//   - An object that is replaced as a whole is moved into place, which must not throw. Where its class does not promise
//     that (`noexcept`), it is replaced early, and moved back if anything fails.
//   - Random number generators among the parts are put back where code that runs during the load draws from them.
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
