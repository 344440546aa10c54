// A trace calls forward with tensors.
// needs: libtorch
// expect: trainstate: forward of this module cannot be called with 1 to 8 tensors
// expect: export a module that wraps it and whose public forward takes tensors
#include <string>

#include "trainstate/export/torchscript.hpp"

namespace ts = trainstate;

struct Net : torch::nn::Module {
#ifdef TRAINSTATE_MISTAKE
  at::Tensor forward(const std::string& text) { return at::zeros({static_cast<std::int64_t>(text.size())}); }
#else
  at::Tensor forward(const at::Tensor& x) { return x; }
#endif
};

int main() {
  Net net;
  net.eval();
  ts::export_torchscript(net, {at::zeros({1})}, "net.pt");
}
