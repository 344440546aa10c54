// Typed checkpoints, end to end: what goes into a file comes out, and what does not fit changes nothing.
#include "support/torch_doctest.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

#include "support/printing.hpp"
#include "support/resident_memory.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/checkpoint.hpp"
#include "trainstate/verify.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;
using ts::tests::TemporaryFolder;

struct NetImpl : torch::nn::Module {
  explicit NetImpl(std::int64_t hidden_features = 4)
      : hidden(hidden_features),
        in(register_module("in", torch::nn::Linear(3, hidden_features))),
        norm(register_module("norm", torch::nn::BatchNorm1d(hidden_features))),
        out(register_module("out", torch::nn::Linear(hidden_features, 1))) {}
  torch::Tensor forward(const torch::Tensor& x) { return out(torch::tanh(norm(in(x)))); }
  static constexpr auto describe() {
    return ts::component<NetImpl>("net", ts::hyper("hidden", &NetImpl::hidden), ts::state("seen", &NetImpl::seen));
  }
  std::int64_t hidden, seen = 0;
  torch::nn::Linear in;
  torch::nn::BatchNorm1d norm;
  torch::nn::Linear out;
};
TORCH_MODULE(Net);

struct Progress {
  std::int64_t epoch = 0;
  double best = 0.5;
  static constexpr auto describe() {
    return ts::component<Progress>("progress", ts::state("epoch", &Progress::epoch),
                                   ts::state("best", &Progress::best));
  }
};

struct Schedule {
  double base_lr = 0.1;
  std::int64_t step = 0;
  static constexpr auto describe() {
    return ts::component<Schedule>("schedule", ts::version<2>, ts::hyper("base_lr", &Schedule::base_lr),
                                   ts::state("step", &Schedule::step), ts::migrate<1>([](auto&) {}));
  }
};

/// A whole training run, in some state.
struct Run {
  Net net;
  torch::optim::AdamW optimizer{{torch::optim::OptimizerParamGroup(net->in->parameters()),
                                 torch::optim::OptimizerParamGroup(net->out->parameters())},
                                torch::optim::AdamWOptions(0.01)};
  Schedule schedule;
  Progress progress;
  ts::StateDict extra{{"history", ts::List{1.0, 2.0}}};

  explicit Run(int steps) {
    for (int i = 0; i < steps; ++i) {
      optimizer.zero_grad();
      torch::mse_loss(net->forward(torch::rand({8, 3})), torch::rand({8, 1})).backward();
      optimizer.step();
      ++net->seen;
      ++schedule.step;
    }
    progress = {steps, 0.25 * steps};
  }
  auto checkpoint() {
    return ts::checkpoint("model"_key = net, "optimizer"_key = optimizer, "schedule"_key = schedule,
                          "progress"_key = progress, "extra"_key = extra, "rng"_key = ts::Rng{});
  }
};

TEST_CASE("parts keep their types, and every one of them comes back, in place") {
  const TemporaryFolder folder;
  Run saved(3), loaded(0);
  auto from = saved.checkpoint();
  ts::save(from, folder / "run.safetensors");
  const auto expected = torch::rand({4});

  auto checkpoint = loaded.checkpoint();
  const void* memory = loaded.net->in->weight.data_ptr();
  const auto version = loaded.net->in->weight._version();
  const auto report = ts::load(checkpoint, folder / "run.safetensors");
  CHECK(torch::rand({4}).equal(expected));  // the generator, too
  CHECK(ts::state_dict(loaded.net) == ts::state_dict(saved.net));
  CHECK(ts::state_dict(loaded.optimizer) == ts::state_dict(saved.optimizer));
  CHECK(checkpoint["progress"_key].epoch == 3);
  CHECK(checkpoint["schedule"_key].step == 3);
  CHECK(&checkpoint["extra"_key] == &loaded.extra);
  CHECK(loaded.extra == saved.extra);
  CHECK(loaded.net->seen == 3);
  CHECK(loaded.net->in->weight.data_ptr() == memory);
  CHECK(loaded.net->in->weight.requires_grad());
  CHECK(loaded.net->in->weight._version() > version);
  CHECK(report.bytes > 0);
  CHECK(report.seconds > 0);
}

TEST_CASE("everything that does not fit is reported at once, by path, and nothing has changed") {
  const TemporaryFolder folder;
  Run saved(2);
  auto tree = ts::state_dict(saved.checkpoint());
  tree.set("model/in.weight", torch::zeros({5, 3}));
  tree.set("model/in.bias", torch::zeros({4}, torch::kFloat64));
  tree.erase("model/out.bias");
  tree.set("model/stranger", torch::zeros({1}));
  tree.erase("progress/state/epoch");
  tree.set("progress/state/best", "high");
  tree.set("schedule/params/stranger", 1);

  Run live(1);
  const auto before = ts::state_dict(live.checkpoint()).clone();
  auto checkpoint = live.checkpoint();
  try {
    ts::load_state_dict(checkpoint, tree);
    FAIL("should have thrown");
  } catch (const ts::MismatchError& e) {
    const auto& report = e.report();
    using Mismatch = ts::Report::Mismatch;
    CHECK(report.missing_keys == std::vector<std::string>{"model/out.bias", "progress/state/epoch"});
    CHECK(report.unexpected_keys == std::vector<std::string>{"model/stranger", "schedule/params/stranger"});
    CHECK(report.mismatched == std::vector<Mismatch>{{"model/in.weight", "float32[4, 3]", "float32[5, 3]"},
                                                     {"model/in.bias", "float32[4]", "float64[4]"},
                                                     {"progress/state/best", "double", "string \"high\""}});
    const std::string text = e.what();
    for (const auto& key : report.missing_keys) CHECK(text.find(key) != std::string::npos);
    for (const auto& key : report.unexpected_keys) CHECK(text.find(key) != std::string::npos);
    CHECK(text.find("expected float32[4, 3], found float32[5, 3]") != std::string::npos);
  }
  CHECK(ts::state_dict(live.checkpoint()) == before);

  ts::write(tree, folder / "bad.safetensors");
  const auto report = ts::check(checkpoint, folder / "bad.safetensors");
  CHECK(report.mismatched.size() == 3);
  CHECK(ts::state_dict(live.checkpoint()) == before);
  CHECK_THROWS_WITH_AS(ts::load(checkpoint, folder / "bad.safetensors"),
                       doctest::Contains(((folder / "bad.safetensors").string() + ": ").c_str()), ts::MismatchError);
  CHECK(ts::state_dict(live.checkpoint()) == before);
}

TEST_CASE("allow_missing and allow_unexpected keep what fits and report the rest") {
  Run saved(2), live(0);
  auto tree = ts::state_dict(saved.checkpoint());
  tree.erase("model/out.bias");
  tree.set("stranger", 1);
  const auto bias = live.net->out->bias.detach().clone();
  auto checkpoint = live.checkpoint();
  CHECK_THROWS_AS(ts::load_state_dict(checkpoint, tree, {.allow_missing = true}), ts::MismatchError);
  const auto report = ts::load_state_dict(checkpoint, tree, {.allow_missing = true, .allow_unexpected = true});
  CHECK(report.missing_keys == std::vector<std::string>{"model/out.bias"});
  CHECK(report.unexpected_keys == std::vector<std::string>{"stranger"});
  CHECK(live.net->out->bias.equal(bias));
  CHECK(live.net->out->weight.equal(saved.net->out->weight));
}

TEST_CASE("only and except choose parts; a name that no part has is an error") {
  const TemporaryFolder folder;
  Run saved(2), live(0);
  ts::save(saved.checkpoint(), folder / "run.safetensors");
  auto checkpoint = live.checkpoint();
  ts::load(checkpoint, folder / "run.safetensors", {.only = {"model"}});
  CHECK(ts::state_dict(live.net) == ts::state_dict(saved.net));
  CHECK(live.progress.epoch == 0);
  ts::load(checkpoint, folder / "run.safetensors", {.except = {"model", "rng", "progress"}});
  CHECK(live.progress.epoch == 0);
  CHECK(live.schedule.step == 2);
  CHECK_THROWS_WITH_AS(ts::load(checkpoint, folder / "run.safetensors", {.only = {"modle"}}),
                       doctest::Contains("modle"), ts::Error);

  // Any subset of parts makes a checkpoint; what else the file has must be passed over on purpose.
  Net net;
  auto subset = ts::checkpoint("model"_key = net);
  CHECK_THROWS_AS(ts::load(subset, folder / "run.safetensors"), ts::MismatchError);
  ts::load(subset, folder / "run.safetensors", {.only = {"model"}});
  CHECK(ts::state_dict(net) == ts::state_dict(saved.net));
}

TEST_CASE("hyperparameters: modules match, the rest takes the file's, unless told otherwise") {
  const TemporaryFolder folder;
  Net net;
  Schedule schedule{.base_lr = 0.3, .step = 5};
  ts::save(ts::checkpoint("model"_key = net, "schedule"_key = schedule), folder / "x.safetensors");

  Schedule other{.base_lr = 0.1, .step = 0};
  auto checkpoint = ts::checkpoint("model"_key = net, "schedule"_key = other);
  auto report = ts::load(checkpoint, folder / "x.safetensors");
  CHECK(other.base_lr == 0.3);
  CHECK(report.hyper_changes ==
        std::vector<ts::Report::HyperChange>{{"schedule/params/base_lr", "double 0.1", "double 0.3"}});

  other = {.base_lr = 0.1, .step = 0};
  report = ts::load(checkpoint, folder / "x.safetensors", {.hyper = ts::HyperPolicy::code});
  CHECK(other.base_lr == 0.1);
  CHECK(other.step == 5);
  CHECK(report.hyper_changes.size() == 1);

  other = {.base_lr = 0.1, .step = 0};
  CHECK_THROWS_AS(ts::load(checkpoint, folder / "x.safetensors", {.hyper = ts::HyperPolicy::match}), ts::MismatchError);
  CHECK(other.step == 0);

  net->hidden = 99;  // the shapes fit, but the file says otherwise
  CHECK_THROWS_WITH_AS(ts::load(checkpoint, folder / "x.safetensors"), doctest::Contains("model/params/hidden"),
                       ts::MismatchError);
  CHECK(other.step == 0);
}

TEST_CASE("checkpoints nest, own temporaries, and are Hana structs; a described struct of parts is laid out like one") {
  struct Both {
    Net net;
    Progress progress;
    static constexpr auto describe() {
      return ts::component<Both>("both", ts::state("net", &Both::net), ts::state("progress", &Both::progress));
    }
  };
  Both both;
  both.progress.epoch = 7;
  int x = 1;
  auto outer =
      ts::checkpoint("both"_key = both, "inner"_key = ts::checkpoint("x"_key = x), "owned"_key = std::string("s"));
  const auto tree = ts::state_dict(outer);
  CHECK(tree.contains("both/net/in.weight"));
  CHECK(tree.at<std::int64_t>("both/progress/state/epoch") == 7);
  CHECK(tree.at<std::int64_t>("inner/x") == 1);
  CHECK(outer["owned"_key] == "s");
  static_assert(ts::Component<decltype(outer)>);

  Both other;
  int y = 0;
  auto target =
      ts::checkpoint("both"_key = other, "inner"_key = ts::checkpoint("x"_key = y), "owned"_key = std::string());
  ts::from_bytes(target, ts::to_bytes(outer));
  CHECK(other.progress.epoch == 7);
  CHECK(ts::state_dict(other.net) == ts::state_dict(both.net));
  CHECK(y == 1);
  CHECK(target["owned"_key] == "s");
}

TEST_CASE("single objects: as Python's files are") {
  const TemporaryFolder folder;
  Net net, other;
  ts::save(net, folder / "net.safetensors");
  CHECK(ts::read(folder / "net.safetensors").contains("in.weight"));
  ts::load(other, folder / "net.safetensors");
  CHECK(ts::state_dict(other) == ts::state_dict(net));

  int number = 0;
  ts::from_bytes(number, ts::to_bytes(5));
  CHECK(number == 5);
  std::vector<double> list;
  ts::from_bytes(list, ts::to_bytes(std::vector<double>(100, 0.5)));
  CHECK(list == std::vector<double>(100, 0.5));
}

TEST_CASE("a foreign file is flat: it is split on the names of the parts, the longest first") {
  const TemporaryFolder folder;
  Net saved, net, ema;
  ts::StateDict flat;
  for (const auto& [key, value] : ts::state_dict(saved)) {
    const auto& name = std::get<std::string>(key);
    flat["model." + name] = value;
    flat["model.ema." + name] = value.as<torch::Tensor>() + 1;
  }
  auto checkpoint = ts::checkpoint("model"_key = net, "model.ema"_key = ema);
  const auto report = ts::load_state_dict(checkpoint, flat);
  CHECK(net->in->weight.equal(saved->in->weight));
  CHECK(ema->in->weight.equal(saved->in->weight + 1));
  CHECK(!report.warnings.empty());  // it has no hyperparameters
}

TEST_CASE("a tree of live tensors may be loaded crosswise") {
  torch::Tensor a = torch::zeros({3}), b = torch::ones({3});
  ts::load_state_dict(ts::checkpoint("a"_key = a, "b"_key = b), ts::StateDict{{"a", b}, {"b", a}});
  CHECK(a.equal(torch::ones({3})));
  CHECK(b.equal(torch::zeros({3})));
}

TEST_CASE("live tensors that share memory take values that agree, and refuse others") {
  torch::Tensor flat = torch::zeros({4});
  torch::Tensor first = flat.slice(0, 0, 2), second = flat.slice(0, 1, 4);
  auto checkpoint = ts::checkpoint("flat"_key = flat, "first"_key = first, "second"_key = second);
  const auto values = torch::arange(4, torch::kFloat32);
  ts::load_state_dict(checkpoint, ts::StateDict{{"flat", values.clone()},
                                                {"first", values.slice(0, 0, 2).clone()},
                                                {"second", values.slice(0, 1, 4).clone()}});
  CHECK(flat.equal(values));
  CHECK_THROWS_WITH_AS(ts::load_state_dict(checkpoint, ts::StateDict{{"flat", torch::ones({4})},
                                                                     {"first", torch::ones({2})},
                                                                     {"second", torch::zeros({3})}}),
                       doctest::Contains("shares memory"), ts::MismatchError);
  CHECK(flat.equal(values));
}

TEST_CASE("tied tensors are stored once and stay tied; views store only what they show") {
  const TemporaryFolder folder;
  const torch::Tensor big = torch::rand({1000, 100});
  ts::write(ts::StateDict{{"row", big[0]}, {"again", big[0]}}, folder / "x.safetensors");
  CHECK(std::filesystem::file_size(folder / "x.safetensors") < 2000);
  const auto tree = ts::read(folder / "x.safetensors");
  CHECK(tree.at<torch::Tensor>("row").data_ptr() == tree.at<torch::Tensor>("again").data_ptr());
  CHECK(tree.at<torch::Tensor>("row").equal(big[0]));
  CHECK(ts::read_manifest(folder / "x.safetensors").at<std::string>("ties/0/1") == "again");
}

// Run by the next test in processes of its own, since LibTorch's threads do not survive a fork.
TEST_CASE("saves for another process" * doctest::skip()) {
  const char* const path = std::getenv("TRAINSTATE_SAVE_TO");
  REQUIRE(path);
  // Memory laid out otherwise, so that an address in the file would show.
  const std::vector<torch::Tensor> ballast(std::string_view(path).ends_with('1') ? 1 : 17, torch::rand({100}));
  torch::manual_seed(5);
  Run run(2);
  for (const ts::Format format : {ts::Format::safetensors, ts::Format::pt}) {
    ts::save(run.checkpoint(), path + std::to_string(static_cast<int>(format)), {.format = format});
  }
}

TEST_CASE("the same state gives the same bytes, in any process") {
  const TemporaryFolder folder;
  for (const char* name : {"1", "2"}) {
    const std::string path = folder / name;
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      setenv("TRAINSTATE_SAVE_TO", path.c_str(), 1);
      execl("/proc/self/exe", "tests", "--test-case=saves for another process", "--no-skip", "--quiet", nullptr);
      _exit(3);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(status == 0);
  }
  for (const char* format : {"0", "1"}) {
    const auto first = ts::tests::contents((folder / "1").string() + format);
    CHECK(first.size() > 1000);
    CHECK(first == ts::tests::contents((folder / "2").string() + format));
  }
}

TEST_CASE("a flipped bit anywhere is found before anything live is touched") {
  Run saved(1), live(0);
  const auto bytes = ts::to_bytes(saved.checkpoint());
  const auto before = ts::state_dict(live.checkpoint()).clone();
  auto checkpoint = live.checkpoint();
  for (std::size_t at = 0; at < bytes.size(); at += 1 + at / 50) {
    auto flipped = bytes;
    flipped[at] ^= std::byte{1} << (at % 8);
    CHECK_THROWS_AS(ts::from_bytes(checkpoint, flipped), ts::Error);
  }
  CHECK(ts::state_dict(live.checkpoint()) == before);
}

struct Doubled {
  torch::Tensor values = torch::arange(100'000, torch::kFloat32), others = torch::zeros({100'000});
  static constexpr auto describe() {
    return ts::component<Doubled>("doubled", ts::version<2>, ts::state("values", &Doubled::values),
                                  ts::state("others", &Doubled::others), ts::migrate<1>([](ts::StateDict& d) {
                                    auto values = d.find("state/values")->as<torch::Tensor>();
                                    values.mul_(2);
                                    values.data_ptr<float>()[0] = 7;
                                  }));
  }
};

TEST_CASE("what a migration writes to a tensor where it is mapped arrives, verified or not") {
  const TemporaryFolder folder;
  ts::StateDict tree = ts::state_dict(Doubled());
  tree["version"] = 1;
  ts::write(tree, folder / "old.safetensors");
  auto expected = torch::arange(100'000, torch::kFloat32) * 2;
  expected[0] = 7;
  for (const bool verify : {true, false}) {
    CAPTURE(verify);
    Doubled live;
    live.values.zero_();
    live.others.fill_(3);
    CHECK(ts::load(live, folder / "old.safetensors", {.verify = verify}).migrated.size() == 1);
    CHECK(live.values.equal(expected));
    CHECK(live.others.equal(torch::zeros({100'000})));
  }
}

TEST_CASE("a progress callback sees all bytes; what it throws cancels the call and passes through") {
  const TemporaryFolder folder;
  Run saved(1), live(0);
  std::uint64_t last = 0, total = 0;
  const auto follow = [&](std::uint64_t done, std::uint64_t all) {
    CHECK(done >= last);
    last = done;
    total = all;
  };
  ts::save(saved.checkpoint(), folder / "x.safetensors", {.progress = follow});
  CHECK(last == total);
  CHECK(total > 0);
  const auto before = ts::tests::contents(folder / "x.safetensors");
  struct Cancelled {};
  const auto cancel = [](std::uint64_t, std::uint64_t) { throw Cancelled(); };
  CHECK_THROWS_AS(ts::save(live.checkpoint(), folder / "x.safetensors", {.progress = cancel}), Cancelled);
  CHECK(ts::tests::contents(folder / "x.safetensors") == before);
  CHECK(folder.names().size() == 1);
  auto checkpoint = live.checkpoint();
  CHECK_THROWS_AS(ts::load(checkpoint, folder / "x.safetensors", {.progress = cancel}), Cancelled);
  CHECK(live.progress.epoch == 0);
}

TEST_CASE("a progress callback is called, and can cancel, also where nothing is verified") {
  const TemporaryFolder folder;
  Run saved(1), live(0);
  auto checkpoint = live.checkpoint();
  struct Cancelled {};
  for (const char* name : {"x.safetensors", "x.pt"}) {
    ts::save(saved.checkpoint(), folder / name);
    int calls = 0;
    std::uint64_t last = 0, total = 0;
    const ts::LoadOptions follow{.verify = false, .progress = [&](std::uint64_t done, std::uint64_t all) {
                                   ++calls;
                                   last = done;
                                   total = all;
                                 }};
    const ts::LoadOptions cancel{.verify = false, .progress = [](auto, auto) { throw Cancelled(); }};
    const auto bytes = ts::to_bytes(saved.checkpoint());
    const auto before = ts::state_dict(checkpoint).clone();
    CHECK_THROWS_AS(ts::load(checkpoint, folder / name, cancel), Cancelled);
    CHECK_THROWS_AS(ts::check(checkpoint, folder / name, cancel), Cancelled);
    CHECK_THROWS_AS(ts::from_bytes(checkpoint, bytes, cancel), Cancelled);
    CHECK(ts::state_dict(checkpoint) == before);
    ts::check(checkpoint, folder / name, follow);
    CHECK(calls == 1);
    ts::from_bytes(checkpoint, bytes, follow);
    CHECK(calls == 2);
    ts::load(checkpoint, folder / name, follow);
    CHECK(calls == 3);
    CHECK(last > 0);
    CHECK(last == total);
    ts::load_state_dict(checkpoint, before, {.allow_missing = true, .progress = follow.progress});
    CHECK(calls == 4);
  }
}

/// A component whose file is one version old, with large tensors: a hook renames all of them and changes one.
template <int Version>
struct Weights {
  std::vector<torch::Tensor> weights;
  static constexpr auto describe() {
    if constexpr (Version == 1) {
      return ts::component<Weights>("weights", ts::version<1>, ts::state("old", &Weights::weights));
    } else {
      return ts::component<Weights>("weights", ts::version<2>, ts::state("weights", &Weights::weights),
                                    ts::migrate<1>([](auto& d) {
                                      d.rename("state/old", "state/weights");
                                      d.template at<torch::Tensor>("state/weights/3").mul_(2);
                                    }));
    }
  }
};

/// Skipped, with a message, where it cannot be said how much memory is resident.
template <class Work>
void takes_little(const std::string& what, const Work& work) {
  const auto most = ts::tests::most_resident(work);
  INFO(what);
  if (most) {
    CHECK(*most <= std::size_t{32} << 20);
  } else {
    MESSAGE("skipped: how much memory is resident cannot be said here");
  }
}

TEST_CASE("saving, verifying and loading take 32 MiB beside tensors, at most") {
  const ts::tests::TemporaryFolder folder;
  std::vector<torch::Tensor> live;
  for (int i = 0; i < 8; ++i) live.push_back(torch::full({512, 512, 4, 4}, i, torch::kFloat));
  for (int i = 0; i < 4096; ++i) live.push_back(torch::full({4 << 10}, i, torch::kFloat));
  auto transposed = live, channels_last = live;  // elements in other orders
  for (int i = 0; i < 8; ++i) {
    transposed[i] = live[i].view({2048, 2048}).t();
    channels_last[i] = live[i].contiguous(at::MemoryFormat::ChannelsLast);
  }
  for (const std::string name : {"x.safetensors", "x.pt"}) {
    const auto path = folder / name;
    CAPTURE(name);
    takes_little("save, transposed", [&] { ts::save(transposed, path); });
    takes_little("load, transposed", [&] { ts::load(transposed, path); });
    takes_little("save", [&] { ts::save(live, path); });
    takes_little("load", [&] { ts::load(live, path); });
    takes_little("load, not verified", [&] { ts::load(live, path, {.verify = false}); });
    takes_little("load, channels last", [&] { ts::load(channels_last, path); });
    takes_little("check", [&] { ts::check(live, path); });
    ts::StateDict extra;
    takes_little("check of what has to be built", [&] { ts::check(extra, path); });
    takes_little("verify", [&] { ts::verify(path); });
    takes_little("read", [&] { ts::read(path, {.verify = true}); });

    ts::save(Weights<1>{live}, path);
    Weights<2> today{live};
    takes_little("load after a migration", [&] { ts::load(today, path); });
    CHECK(today.weights[3].eq(6).all().item<bool>());
    today.weights[3].fill_(3);
  }
}

TEST_CASE("tensors that share memory, and conjugates, take 32 MiB beside them, at most") {
  const ts::tests::TemporaryFolder folder;
  const torch::Tensor flat = torch::rand({16 << 20});
  std::vector<torch::Tensor> shared{flat};
  for (int i = 0; i < 64; ++i) shared.push_back(flat.narrow(0, i << 18, 1 << 18));
  std::vector<torch::Tensor> untied{flat, flat.clone()}, tied{flat, flat};
  const torch::Tensor complex = torch::rand({4096, 2048}, torch::kComplexFloat);
  for (const std::string name : {"x.safetensors", "x.pt"}) {
    const auto path = folder / name;
    CAPTURE(name);
    takes_little("save, with views", [&] { ts::save(shared, path); });
    takes_little("load, with views", [&] { ts::load(shared, path); });
    takes_little("load, with views, not verified", [&] { ts::load(shared, path, {.verify = false}); });
    ts::save(untied, path);
    takes_little("load, tied, of a file where they are not", [&] { ts::load(tied, path); });
    for (const auto& conjugate : {complex.conj(), complex.t().conj()}) {
      const torch::Tensor before = conjugate.resolve_conj().clone();
      takes_little("save, conjugate", [&] { ts::save(conjugate, path); });
      complex.zero_();
      auto live = conjugate;
      takes_little("load, conjugate", [&] { ts::load(live, path); });
      CHECK(conjugate.equal(before));
    }
  }
}

TEST_CASE("loading what has to be built takes the memory of that, and 32 MiB") {
  const ts::tests::TemporaryFolder folder;
  const ts::StateDict saved{{"replay", torch::rand({100, 200'000})}, {"buffer", torch::rand({1'000'000})}};
  for (const std::string name : {"x.safetensors", "x.pt"}) {
    const auto path = folder / name;
    ts::save(saved, path);
    ts::StateDict extra;
    const auto most = ts::tests::most_resident([&] { ts::load(extra, path); });
    if (most) CHECK(*most <= std::size_t{84'000'000} + (std::size_t{32} << 20));
    CHECK(extra == saved);
  }
}

TEST_CASE("the manifest names components by path, with versions, hyperparameters and parameter names") {
  const TemporaryFolder folder;
  Run saved(1);
  ts::save(saved.checkpoint(), folder / "x.safetensors", {.metadata = {{"author", "test"}}});
  const auto manifest = ts::read_manifest(folder / "x.safetensors");
  CHECK(manifest.at<std::string>("components/model/name") == "net");
  CHECK(manifest.at<std::int64_t>("components/model/params/hidden") == 4);
  CHECK(manifest.at<std::int64_t>("components/schedule/version") == 2);
  CHECK(manifest.at("components/optimizer/param_names") ==
        ts::Value(ts::List{ts::List{"in.weight", "in.bias"}, ts::List{"out.weight", "out.bias"}}));
  CHECK(manifest.at<std::int64_t>("format") == 1);
  CHECK(manifest.at<ts::StateDict>("checksums").size() > 5);
  CHECK(manifest.contains("trainstate"));
  CHECK(manifest.contains("libtorch"));
  CHECK(manifest.contains("compiler"));
}

TEST_CASE("the extension says how to write, the bytes how to read") {
  const TemporaryFolder folder;
  ts::save(5, folder / "x.pt");
  ts::save(5, folder / "x.pth");
  ts::save(5, folder / "x");
  ts::save(6, folder / "y.pt", {.format = ts::Format::safetensors});
  const auto begins = [&](const char* name, std::string_view with) {
    return ts::tests::contents(folder / name).starts_with(with);
  };
  CHECK(begins("x.pt", "PK"));
  CHECK(begins("x.pth", "PK"));
  CHECK_FALSE(begins("x", "PK"));
  CHECK_FALSE(begins("y.pt", "PK"));
  int x = 0;
  ts::load(x, folder / "x.pt");
  CHECK(x == 5);
  ts::load(x, folder / "y.pt");
  CHECK(x == 6);
  ts::tests::put(folder / "z.pt", "PK\3\4 and so on");
  CHECK_THROWS_WITH_AS(ts::load(x, folder / "z.pt"), doctest::Contains("zip"), ts::FormatError);
  CHECK_THROWS_AS(ts::load(x, folder / "absent.safetensors"), ts::IoError);
  CHECK(x == 6);
}

TEST_CASE("a report reads like one") {
  std::ostringstream text;
  text << ts::Report{
      .missing_keys = {"a/b"}, .mismatched = {{"c", "int", "string"}}, .migrated = {{"d", 1, 2}}, .bytes = 8};
  CHECK(text.str().find("missing     a/b\n") != std::string::npos);
  CHECK(text.str().find("c: expected int, found string") != std::string::npos);
  CHECK(text.str().find("d: version 1 -> 2") != std::string::npos);
}

}  // namespace
