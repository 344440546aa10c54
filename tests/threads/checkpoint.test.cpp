// Checkpoints saved and loaded on several threads at once: each thread has its own, or all save the same const one.
#include "support/torch_doctest.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "support/temporary_folder.hpp"
#include "trainstate/checkpoint.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;
using ts::tests::contents;
using ts::tests::TemporaryFolder;

constexpr std::size_t callers = 4;

// Some training, as large as several workers need.
struct Run {
  torch::nn::Linear net{1024, 1024};
  torch::optim::Adam optimizer{net->parameters(), torch::optim::AdamOptions(0.01)};
  std::int64_t steps = 0;

  explicit Run(std::int64_t count) {
    for (; steps < count; ++steps) {
      optimizer.zero_grad();
      net->forward(torch::ones({1, 1024})).sum().backward();
      optimizer.step();
    }
  }
  auto checkpoint() { return ts::checkpoint("net"_key = net, "optimizer"_key = optimizer, "steps"_key = steps); }
};

template <class Work>
void at_once(std::size_t count, const Work& work) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  for (auto& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("threads: distinct checkpoints are saved and loaded at once") {
  for (const std::string extension : {".safetensors", ".pt"}) {
    CAPTURE(extension);
    const TemporaryFolder folder;
    std::vector<char> good(callers);
    at_once(callers, [&](std::size_t i) {
      const auto path = folder / (std::to_string(i) + extension);
      Run from(static_cast<std::int64_t>(i) + 1), to(1);
      const auto saved = from.checkpoint();
      auto loaded = to.checkpoint();
      ts::save(saved, path, {.sync = false, .threads = 3});
      ts::load(loaded, path, {.threads = 3});
      good[i] = ts::state_dict(loaded) == ts::state_dict(saved) ? 1 : 0;
    });
    CHECK(good == std::vector<char>(callers, 1));
  }
}

TEST_CASE("threads: one const checkpoint is saved by two at once, to two paths and to one") {
  Run run(2);
  const auto checkpoint = run.checkpoint();
  for (const std::string extension : {".safetensors", ".pt"}) {
    CAPTURE(extension);
    const TemporaryFolder folder;
    at_once(2, [&](std::size_t i) {
      ts::save(checkpoint, folder / (std::to_string(i) + extension), {.sync = false, .threads = 3});
      ts::save(checkpoint, folder / ("both" + extension), {.sync = false, .threads = 3});
    });
    CHECK(folder.names().size() == 3);  // no debris
    CHECK(contents(folder / ("1" + extension)) == contents(folder / ("0" + extension)));
    CHECK(contents(folder / ("both" + extension)) == contents(folder / ("0" + extension)));
    Run other(0);
    auto loaded = other.checkpoint();
    ts::load(loaded, folder / ("both" + extension));
    CHECK(ts::state_dict(loaded) == ts::state_dict(checkpoint));
  }
}
