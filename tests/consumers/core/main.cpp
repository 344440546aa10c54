// A component's author: declares, and needs no LibTorch for it.
#include <cstdint>
#include <trainstate/component.hpp>

namespace ts = trainstate;

struct Progress {
  std::int64_t step = 0;

  static constexpr auto describe() {
    return ts::component<Progress>("progress", ts::version<1>, ts::state("step", &Progress::step));
  }
};

static_assert(ts::Component<Progress>);

#ifdef TORCH_API
#error "component.hpp includes LibTorch"
#endif

int main() { return 0; }
