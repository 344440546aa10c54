// A model is rebuilt by calling its constructor with its hyperparameters.
// needs: libtorch
// expect: trainstate: ModelRegistry calls the constructor of a model with its hyperparameters (ts::hyper) in declared
// expect: give it such a constructor, or add(...) a builder
#include <cstdint>

#include "trainstate/registry.hpp"

namespace ts = trainstate;

struct NetImpl : torch::nn::Module {
#ifdef TRAINSTATE_MISTAKE
  NetImpl() = default;
#else
  explicit NetImpl(std::int64_t n) : width(n) {}
#endif
  std::int64_t width = 1;

  static constexpr auto describe() {
    return ts::component<NetImpl>("net", ts::version<1>, ts::hyper("width", &NetImpl::width));
  }
  at::Tensor forward(at::Tensor x) { return x; }
};

int main() {
  ts::ModelRegistry registry;
  registry.add<NetImpl>();
}
