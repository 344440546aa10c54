// The umbrella header in two translation units of one program: a function that is not inline, or a second definition
// of anything, fails to link here; and what one unit writes, the other reads.
#include <cstdio>

#include "part.hpp"

int main() {
  const Part saved{.step = 41, .rate = 0.125};
  Part loaded;
  trainstate::from_bytes(loaded, bytes_from_second(saved));
  if (loaded.step == saved.step && loaded.rate == saved.rate &&
      trainstate::to_bytes(loaded) == trainstate::to_bytes(saved))
    return 0;
  std::puts("what the second translation unit wrote is not what the first one read");
  return 1;
}
