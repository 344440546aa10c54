// What costs by the tensor: 50,000 small ones to a file and back, and trees of a thousand, read, made and loaded.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <trainstate/trainstate.hpp>

#include "measure.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;
using bench::file, bench::Net;

constexpr std::int64_t a_thousand = 1000;

std::shared_ptr<Net>& many() {
  static auto net = bench::make_many();
  return net;
}

// LibTorch's load gives a model new memory.
std::shared_ptr<Net>& many_of_libtorch() {
  static auto net = bench::make_many();
  return net;
}

// A file that saves have left, or a new one.
std::filesystem::path saved(const std::string& extension) {
  const auto at = file("many" + extension);
  if (!std::filesystem::exists(at)) {
    if (extension == ".archive") {
      torch::save(many(), at.string());
    } else {
      ts::save(many(), at, {.sync = false});
    }
    bench::settle();
  }
  return at;
}

// A file of a thousand tensors with `bytes` in all.
std::filesystem::path thousand(std::int64_t bytes) {
  const auto at = file("thousand_" + std::to_string(bytes) + ".safetensors");
  if (!std::filesystem::exists(at)) {
    const auto all = torch::zeros({a_thousand, bytes / a_thousand / 4});
    ts::StateDict tree;
    for (std::int64_t i = 0; i < a_thousand; ++i) tree[std::to_string(i)] = all[i];
    ts::write(tree, at, {.sync = false});
  }
  return at;
}

// A model of a thousand parameters and its optimizer after a step.
struct Training {
  Training() {
    for (auto& parameter : net->parameters()) parameter.mutable_grad() = torch::ones_like(parameter);
    optimizer.step();
  }
  std::shared_ptr<Net> net = std::make_shared<Net>(a_thousand, a_thousand * 1024);
  torch::optim::AdamW optimizer{net->parameters(), torch::optim::AdamWOptions(1e-3)};
};

Training& training() {
  static Training all;
  return all;
}

[[maybe_unused]] const bool registered = [] {
  const std::int64_t bytes = bench::many_tensors() * 1024;
  const auto add_save = [&](const std::string& name, const auto& f) { bench::once(name, bytes, f, bench::settle); };
  add_save("save/many/trainstate", [] { ts::save(many(), file("many.safetensors"), {.sync = false}); });
  add_save("save/many/libtorch", [] { torch::save(many(), file("many.archive").string()); });
  add_save("pt_save/many/trainstate", [] { ts::save(many(), file("many.pt"), {.sync = false}); });
  bench::once("load/many/trainstate", bytes, [] { ts::load(many(), saved(".safetensors")); });
  bench::once("load/many/libtorch", bytes, [] { torch::load(many_of_libtorch(), saved(".archive").string()); });
  bench::once("pt_load/many/trainstate", bytes, [] { ts::load(many(), saved(".pt")); });

  bench::often("read/thousand_small/trainstate", 0, [] { ts::read(thousand(a_thousand * 1024)); });
  bench::often("read/thousand_large/trainstate", 0, [] { ts::read(thousand(bench::large_bytes())); });

  const auto checkpoint = [] {
    return ts::checkpoint("model"_key = training().net, "optimizer"_key = training().optimizer);
  };
  bench::often("state_dict/thousand/trainstate", 0,
               [checkpoint] { benchmark::DoNotOptimize(ts::state_dict(checkpoint())); });
  bench::often("load_state_dict/thousand/trainstate", 0, [checkpoint] {
    static const auto tree = ts::state_dict(checkpoint()).clone();
    ts::load_state_dict(checkpoint(), tree);
  });
  return true;
}();

}  // namespace
