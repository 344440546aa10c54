#include "support/torch_doctest.hpp"
// After LibTorch's and doctest's headers, which collide in any other order.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/temporary_folder.hpp"
#include "trainstate/trainstate.hpp"

namespace ts = trainstate;
namespace io = trainstate::io;
namespace fs = std::filesystem;
using namespace ts::literals;
using ts::tests::contents;
using ts::tests::put;
using ts::tests::TemporaryFolder;

namespace {

// Holds every write of a file back until it is opened.
class Gate final : public io::Posix {
 public:
  ssize_t pwrite(int fd, const void* from, std::size_t size, off_t at) override {
    {
      std::unique_lock lock(mutex_);
      ++waiting;
      opened_.wait(lock, [&] { return open_; });
    }
    if (fail) return errno = EIO, -1;
    return Posix::pwrite(fd, from, size, at);
  }
  void open_gate() {
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
    }
    opened_.notify_all();
  }

  std::atomic<int> waiting{0};
  std::atomic<bool> fail{false};

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
};

// Of every kind that a snapshot copies in its own way: large, small, strided, tied, a view, empty, and no tensor.
struct State {
  torch::Tensor large = torch::randn({600, 500});
  torch::Tensor small = torch::randn({7});
  torch::Tensor strided = torch::randn({300, 400}).t();
  torch::Tensor tied = large;
  torch::Tensor view = large[5];
  torch::Tensor empty = torch::zeros({0, 3});
  std::vector<double> numbers{1, 2, 3};
  std::int64_t step = 4;

  static constexpr auto describe() {
    return ts::component<State>(
        "state", ts::version<1>, ts::state("large", &State::large), ts::state("small", &State::small),
        ts::state("strided", &State::strided), ts::state("tied", &State::tied), ts::state("view", &State::view),
        ts::state("empty", &State::empty), ts::state("numbers", &State::numbers), ts::state("step", &State::step));
  }
};

std::string saved_bytes(const State& state, const TemporaryFolder& folder, const std::string& name) {
  ts::save(state, folder / name, {.sync = false});
  return contents(folder / name);
}

}  // namespace

TEST_CASE("save_async: the same bytes as save, in either format") {
  const TemporaryFolder folder;
  const State state;
  for (const std::string extension : {".safetensors", ".pt"}) {
    CAPTURE(extension);
    for (int i = 0; i < 3; ++i) {
      auto pending = ts::save_async(state, folder / ("async" + extension));
      pending.wait();
      CHECK(pending.done());
      CHECK(pending.bytes_done() == pending.bytes_total());
      CHECK(pending.bytes_total() >= 600 * 500 * 4);
      CHECK(contents(folder / ("async" + extension)) == saved_bytes(state, folder, "sync" + extension));
    }
  }
}

TEST_CASE("save_async: what happens to the state after the call is not in the file") {
  const TemporaryFolder folder;
  State state;
  const std::string before = saved_bytes(state, folder, "before.safetensors");
  Gate gate;
  const io::PosixOverride replaced(gate);
  auto pending = ts::save_async(state, folder / "file.safetensors", {.metadata = {}});
  CHECK_FALSE(pending.done());
  {
    const torch::NoGradGuard no_grad;
    state.large.add_(1);
    state.small.zero_();
    state.strided.fill_(3);
    state.numbers.assign(100, 9);
    state.step = 77;
  }
  CHECK_FALSE(fs::exists(folder / "file.safetensors"));
  gate.open_gate();
  pending.wait();
  CHECK(contents(folder / "file.safetensors") == before);
}

TEST_CASE("save_async: two are outstanding at most, and files appear in the order of the calls") {
  const TemporaryFolder folder;
  State state;
  Gate gate;
  const io::PosixOverride replaced(gate);
  std::vector<ts::PendingSave> pending;
  for (state.step = 0; state.step < 2; ++state.step) pending.push_back(ts::save_async(state, folder / "file.pt"));
  std::atomic<bool> entered{false};
  std::optional<ts::PendingSave> third;
  std::thread caller([&] {
    third.emplace(ts::save_async(state, folder / "file.pt"));
    entered = true;
  });
  while (gate.waiting == 0) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK_FALSE(entered);
  CHECK_FALSE(pending[0].done());
  CHECK_FALSE(pending[1].done());
  gate.open_gate();
  caller.join();
  third->wait();
  CHECK(pending[0].done());  // all before it are in place
  CHECK(pending[1].done());
  State loaded;
  ts::load(loaded, folder / "file.pt");
  CHECK(loaded.step == 2);
}

TEST_CASE("save_async: what goes wrong comes from wait, and the next save goes well") {
  const TemporaryFolder folder;
  const State state;
  put(folder / "file.safetensors", "old");
  {
    Gate gate;
    gate.fail = true;
    gate.open_gate();
    const io::PosixOverride replaced(gate);
    auto pending = ts::save_async(state, folder / "file.safetensors");
    for (int i = 0; i < 2; ++i) {
      try {
        pending.wait();
        FAIL_CHECK("a write that failed was not reported");
      } catch (const ts::IoError& e) {
        CHECK(e.code() == EIO);
        CHECK(std::string(e.what()).starts_with((folder / "file.safetensors").string() + ": "));
      }
    }
    CHECK(pending.done());
    const auto unheard = ts::save_async(state, folder / "file.safetensors");  // destroying it waits, and is no crash
  }
  CHECK(contents(folder / "file.safetensors") == "old");
  auto pending = ts::save_async(state, folder / "absent/file.safetensors");
  CHECK_THROWS_AS(pending.wait(), ts::IoError);
  pending = ts::save_async(state, folder / "file.safetensors");
  pending.wait();
  State loaded;
  ts::load(loaded, folder / "file.safetensors");
  CHECK(torch::equal(loaded.large, state.large));
  CHECK(folder.names() == std::set<std::string>{"file.safetensors"});
}

TEST_CASE("save_async: what cannot be stored is thrown at once, and leaves the queue open") {
  const TemporaryFolder folder;
  const torch::Tensor sparse = torch::eye(3).to_sparse();
  for (int i = 0; i < 5; ++i) CHECK_THROWS_AS(static_cast<void>(ts::save_async(sparse, folder / "file.pt")), ts::Error);
  ts::save_async(torch::eye(3), folder / "file.pt").wait();
}

TEST_CASE("save_async: progress is told on the writing thread and may cancel") {
  const TemporaryFolder folder;
  const State state;
  std::uint64_t last = 0, all = 0;
  std::thread::id teller;
  ts::save_async(state, folder / "file.pt",
                 {.progress =
                      [&](std::uint64_t done, std::uint64_t total) {
                        last = done;
                        all = total;
                        teller = std::this_thread::get_id();
                      }})
      .wait();
  CHECK(last == all);
  CHECK(all > 0);
  CHECK(teller != std::this_thread::get_id());
  auto cancelled =
      ts::save_async(state, folder / "other.pt",
                     {.progress = [](std::uint64_t, std::uint64_t) { throw std::runtime_error("enough"); }});
  CHECK_THROWS_WITH_AS(cancelled.wait(), "enough", std::runtime_error);
  CHECK_FALSE(fs::exists(folder / "other.pt"));
}

TEST_CASE("save_async: a PendingSave without a save is done; one that is assigned to waits") {
  const TemporaryFolder folder;
  ts::PendingSave pending;
  CHECK(pending.done());
  pending.wait();
  CHECK(pending.bytes_total() == 0);
  const State state;
  pending = ts::save_async(state, folder / "one.pt");
  pending = ts::save_async(state, folder / "two.pt");
  CHECK(fs::exists(folder / "one.pt"));
  ts::PendingSave moved = std::move(pending);
  moved.wait();
  CHECK(fs::exists(folder / "two.pt"));
}

TEST_CASE("reuse_unchanged: every write that autograd counts is seen") {
  const TemporaryFolder folder;
  const ts::SaveOptions options{.sync = false, .reuse_unchanged = true};
  torch::nn::Sequential net(torch::nn::Linear(300, 300), torch::nn::BatchNorm1d(300), torch::nn::Linear(300, 100));
  torch::optim::Adam optimizer(net->parameters(), torch::optim::AdamOptions(1e-2));
  torch::Tensor free = torch::randn({100, 300});
  auto ckpt = ts::checkpoint("model"_key = net, "optimizer"_key = optimizer, "free"_key = free);
  const auto agrees = [&] {
    ts::save_async(ckpt, folder / "async.safetensors", options).wait();
    ts::save(ckpt, folder / "sync.safetensors", {.sync = false});
    return contents(folder / "async.safetensors") == contents(folder / "sync.safetensors");
  };
  CHECK(agrees());
  CHECK(agrees());
  for (int i = 0; i < 3; ++i) {
    optimizer.zero_grad();
    net->forward(torch::randn({8, 300})).pow(2).mean().backward();
    optimizer.step();
    CHECK(agrees());
  }
  const torch::NoGradGuard no_grad;
  auto parameters = net->parameters();
  parameters[0].add_(1);
  CHECK(agrees());
  parameters[0][3].fill_(9);  // through a view
  CHECK(agrees());
  parameters[0].index_put_({5, 6}, 42.0);
  CHECK(agrees());
  torch::randn_out(free, {100, 300});
  CHECK(agrees());
  parameters[0].set_data(torch::randn({300, 300}));  // other memory
  CHECK(agrees());
  free = torch::randn({100, 300});  // another tensor altogether, perhaps at the same address
  CHECK(agrees());
  for (int i = 0; i < 20; ++i) {
    free = torch::Tensor();
    free = torch::full({100, 300}, i);
    CHECK(agrees());
  }
  ts::load(ckpt, folder / "sync.safetensors");  // a load is a write, too
  CHECK(agrees());
  torch::nn::Sequential other(torch::nn::Linear(300, 300), torch::nn::BatchNorm1d(300), torch::nn::Linear(300, 100));
  ts::save(other, folder / "other.safetensors", {.sync = false});
  ts::load(net, folder / "other.safetensors");
  CHECK(agrees());
}

TEST_CASE("reuse_unchanged: what was not written to is not copied again, and a raw write shows it") {
  const TemporaryFolder folder;
  torch::Tensor frozen = torch::zeros({200, 200});
  const ts::SaveOptions options{.sync = false, .reuse_unchanged = true};
  ts::save_async(frozen, folder / "file.safetensors", options).wait();
  frozen.data_ptr<float>()[0] = 1;  // documented: invisible
  ts::save_async(frozen, folder / "file.safetensors", options).wait();
  torch::Tensor loaded = torch::ones({200, 200});
  ts::load(loaded, folder / "file.safetensors");
  CHECK(loaded[0][0].item<float>() == 0);
  ts::save_async(frozen, folder / "file.safetensors", {.sync = false}).wait();  // without it, everything is copied
  ts::load(loaded, folder / "file.safetensors");
  CHECK(loaded[0][0].item<float>() == 1);
  ts::release_snapshot_memory();
  frozen.data_ptr<float>()[0] = 2;
  ts::save_async(frozen, folder / "file.safetensors", options).wait();  // nothing is remembered any more
  ts::load(loaded, folder / "file.safetensors");
  CHECK(loaded[0][0].item<float>() == 2);
}
