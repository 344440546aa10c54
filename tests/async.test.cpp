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

// A save of `x` that goes on behind and writes nothing after its first bytes, until it is let go.
class HeldSave {
 public:
  template <class T>
  HeldSave(const T& x, const fs::path& path)
      : save_(ts::save_async(x, path, {.sync = false, .progress = [this](std::uint64_t, std::uint64_t) { hold(); }})) {}
  void let_go() { released_ = true; }
  void wait() { save_.wait(); }

 private:
  void hold() const {
    while (!released_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  std::atomic<bool> released_{false};
  ts::PendingSave save_;
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

TEST_CASE("a save or write waits for those to its path that go on behind, and for no others") {
  const TemporaryFolder folder;
  const auto path = folder / "file.safetensors";
  fs::create_symlink("file.safetensors", folder / "link.safetensors");  // leads nowhere yet
  fs::create_directory(folder / "below");
  fs::create_directory_symlink("..", folder / "below/up");
  std::int64_t value = 0;
  const auto value_in = [](const fs::path& file) {
    std::int64_t found = -1;
    ts::load(found, file);
    return found;
  };
  const auto save = [&](const fs::path& to) { ts::save(value, to, {.sync = false}); };
  const auto write = [&](const fs::path& to) { ts::write({{"", value}}, to, {.sync = false}); };
  const auto ends_last = [&](const fs::path& first, const auto& last) {
    value = 1;
    HeldSave held(value, first);
    value = 2;
    std::atomic<bool> ended{false};
    std::thread caller([&] {
      last();
      ended = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK_FALSE(ended);
    held.let_go();
    caller.join();
    held.wait();
    return value_in(path) == 2;
  };
  CHECK(ends_last(path, [&] { save(path); }));
  CHECK(ends_last(path, [&] { write(path); }));
  CHECK(ends_last(path, [&] { save(folder / "link.safetensors"); }));
  CHECK(ends_last(folder / "link.safetensors", [&] { write(path); }));
  CHECK(ends_last(path, [&] { save(folder / "below/up/file.safetensors"); }));
  CHECK(ends_last(fs::relative(path), [&] { save(folder / "below/../file.safetensors"); }));

  HeldSave held(value, path);
  save(folder / "other.safetensors");
  CHECK(value_in(folder / "other.safetensors") == 2);
  held.let_go();
  held.wait();
}

TEST_CASE("a save waits for one behind that fails, and then goes well") {
  const TemporaryFolder folder;
  const auto path = folder / "file.safetensors";
  std::int64_t value = 1;
  auto failing = ts::save_async(value, path, {.progress = [](std::uint64_t, std::uint64_t) { throw 5; }});
  ts::save(value, path, {.sync = false});
  CHECK(failing.done());
  CHECK_THROWS_AS(failing.wait(), int);
  CHECK(fs::exists(path));
}

TEST_CASE("the thread that writes behind never waits for what it would have to do itself") {
  const TemporaryFolder folder;
  std::int64_t value = 1;
  std::atomic<bool> begun{false}, saved{false};
  auto first = ts::save_async(value, folder / "a.safetensors", {.progress = [&](std::uint64_t, std::uint64_t) {
                                while (!begun) std::this_thread::yield();
                                ts::save(value, folder / "a.safetensors", {.sync = false});
                                ts::save(value, folder / "b.safetensors", {.sync = false});
                                saved = true;
                              }});
  auto second = ts::save_async(value, folder / "b.safetensors");
  begun = true;
  first.wait();
  second.wait();
  CHECK(saved);
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

TEST_CASE("reuse_unchanged: what autograd does not count and LibTorch does of itself is seen") {
  const TemporaryFolder folder;
  torch::nn::Sequential net(torch::nn::Linear(300, 300), torch::nn::ReLU(), torch::nn::Linear(300, 300));
  torch::nn::BatchNorm1d statistics(20'000);  // of 80 KB each
  std::optional<torch::optim::SGD> optimizer;
  const auto agrees = [&] {
    auto ckpt = ts::checkpoint("model"_key = net, "statistics"_key = statistics, "optimizer"_key = *optimizer);
    ts::save_async(ckpt, folder / "async.safetensors", {.sync = false, .reuse_unchanged = true}).wait();
    ts::save(ckpt, folder / "sync.safetensors", {.sync = false});
    return contents(folder / "async.safetensors") == contents(folder / "sync.safetensors");
  };
  for (const double momentum : {0.0, 0.9}) {
    CAPTURE(momentum);
    optimizer.emplace(net->parameters(), torch::optim::SGDOptions(0.1).momentum(momentum).weight_decay(1e-3));
    CHECK(agrees());
    for (int i = 0; i < 6; ++i) {
      CAPTURE(i);
      net->forward(torch::randn({8, 300})).pow(2).mean().backward();
      if (i % 3 == 1) CHECK(agrees());  // between the gradient and the step
      optimizer->step();
      // Where no gradient is left when the state is saved, too.
      for (auto& parameter : net->parameters()) {
        if (i % 2 == 1) parameter.mutable_grad() = torch::Tensor();
      }
      CHECK(agrees());
      statistics->forward(torch::randn({4, 20'000}));
      CHECK(agrees());
    }
  }
}

TEST_CASE("reuse_unchanged: parameters that take part in no training are not copied again, those that do are") {
  const TemporaryFolder folder;
  torch::nn::Linear frozen(300, 300), trained(300, 300);
  frozen->weight.set_requires_grad(false);
  frozen->bias.set_requires_grad(false);
  const auto ckpt = ts::checkpoint("frozen"_key = frozen, "trained"_key = trained);
  const auto saved = [&] {
    ts::save_async(ckpt, folder / "file.safetensors", {.sync = false, .reuse_unchanged = true}).wait();
    return ts::read(folder / "file.safetensors");
  };
  const auto train = [&] { trained->forward(frozen->forward(torch::randn({8, 300}))).pow(2).mean().backward(); };
  const auto first = [](const ts::StateDict& tree, const char* path) {
    return tree.at(path).as<torch::Tensor>()[0][0].item<float>();
  };
  train();
  saved();
  train();
  for (auto& weight : {frozen->weight, trained->weight}) weight.data_ptr<float>()[0] = 42;  // what shows the copy
  auto tree = saved();
  CHECK(first(tree, "frozen/weight") != 42);
  CHECK(first(tree, "trained/weight") == 42);

  trained->weight.set_requires_grad(false);  // frozen from here on
  trained->weight.mutable_grad() = torch::Tensor();
  saved();
  trained->weight.data_ptr<float>()[0] = 43;
  CHECK(first(saved(), "trained/weight") == 42);
}

TEST_CASE("reuse_unchanged: memory that a tensor left and came back to is copied again") {
  const TemporaryFolder folder;
  const auto path = folder / "file.safetensors";
  torch::Tensor live = torch::zeros({300, 300});
  torch::Tensor first = live.variable_data(), second = torch::ones({300, 300});  // with write counters of their own
  const auto saved = [&] {
    ts::save_async(live, path, {.sync = false, .reuse_unchanged = true}).wait();
    torch::Tensor loaded;
    ts::load(loaded, path);
    return loaded;
  };
  CHECK(torch::equal(saved(), live));
  live.set_data(second);
  CHECK(torch::equal(saved(), live));
  first.add_(5);
  live.set_data(first);
  CHECK(torch::equal(saved(), live));
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
