// What one object alone is saved as.
#pragma once

#include "trainstate/objects.hpp"

namespace trainstate::tests {

template <class T>
Value saved(const T& x) {
  return state_dict(x).at_key("");
}

}  // namespace trainstate::tests
