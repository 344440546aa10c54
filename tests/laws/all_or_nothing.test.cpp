#include "laws/all_or_nothing.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "laws/subject.hpp"
#include "support/temporary_folder.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/trainstate.hpp"

namespace ts = trainstate;
using namespace ts::literals;

namespace {

/// Throws at the step that was asked for, and from `for_ever` on at all later ones.
struct Faults {
  enum class Kind { runtime_error, no_exception, out_of_memory, mismatch };
  int at = 0;  ///< 0: never
  bool for_ever = false;
  Kind kind = Kind::runtime_error;
  int step = 0;

  void pass() {
    ++step;
    if (at == 0 || (for_ever ? step < at : step != at)) return;
    switch (kind) {
      case Kind::runtime_error:
        throw std::runtime_error("step " + std::to_string(step));
      case Kind::no_exception:
        throw step;
      case Kind::out_of_memory:
        throw std::bad_alloc();
      case Kind::mismatch:
        throw ts::MismatchError("step", {});
    }
  }
};
Faults faults;

/// Loads itself step by step, each of which may throw: one tensor in place, one as another tensor.
class Stepwise {
 public:
  explicit Stepwise(int x = 0)
      : number_(x), text_(std::to_string(x)), tensor_(torch::full({3}, x)), other_(torch::full({2}, x)) {}

  [[nodiscard]] ts::StateDict state_dict() const {
    return {{"number", number_}, {"tensors", ts::List{tensor_, other_}}, {"text", text_}};
  }
  void load_state_dict(const ts::StateDict& d) {
    faults.pass();
    number_ = d.at<std::int64_t>("number");
    faults.pass();
    tensor_.copy_(d.at<at::Tensor>("tensors/0"));
    faults.pass();
    other_ = d.at<at::Tensor>("tensors/1");
    faults.pass();
    text_ = d.at<std::string>("text");
    faults.pass();
  }

 private:
  std::int64_t number_;
  std::string text_;
  at::Tensor tensor_, other_;
};

/// As `Stepwise`, of which it has one among other fields.
struct Holder {
  double before = 0;
  Stepwise steps;
  at::Tensor after = torch::zeros({2});
  static constexpr auto describe() {
    return ts::component<Holder>("holder", ts::hyper("before", &Holder::before), ts::state("steps", &Holder::steps),
                                 ts::state("after", &Holder::after));
  }
};

/// Parts that load themselves: as they are, and within everything that holds them in place.
struct Many {
  explicit Many(int x)
      : first(x), weights(torch::full({4}, x)), number(x), pointer(std::make_unique<Stepwise>(x)), engine(x), last(x) {
    holder.before = x;
    holder.steps = Stepwise(x);
    holder.after.fill_(x);
    list.emplace_back(x);
    list.emplace_back(x);
    named.emplace("a", x);
    maybe.emplace(x);
  }

  Stepwise first;
  at::Tensor weights;
  int number;
  Holder holder;
  std::vector<Stepwise> list;
  std::map<std::string, Stepwise> named;
  std::optional<Stepwise> maybe;
  std::unique_ptr<Stepwise> pointer;
  std::mt19937 engine;
  Stepwise last;

  auto parts() {
    return ts::checkpoint("first"_key = first, "weights"_key = weights, "number"_key = number, "holder"_key = holder,
                          "list"_key = list, "named"_key = named, "maybe"_key = maybe, "pointer"_key = pointer,
                          "engine"_key = engine, "rng"_key = ts::Rng{}, "last"_key = last);
  }
};

laws::Memory memory_of(const at::Tensor& tensor) {
  laws::Memory memory;
  laws::add_memory(tensor, memory);
  return memory;
}

}  // namespace

TEST_CASE("classes that load themselves are undone, at whichever step one throws and whatever it throws") {
  using Kind = Faults::Kind;
  Many saved(1);
  const auto file = ts::to_bytes(saved.parts());
  for (const Kind kind : {Kind::runtime_error, Kind::no_exception, Kind::out_of_memory, Kind::mismatch}) {
    CAPTURE(static_cast<int>(kind));
    Many live(2);
    auto parts = live.parts();
    torch::manual_seed(7);
    const auto before = laws::image_of(parts);
    const auto memory = memory_of(live.weights);
    int step = 1;
    for (;; ++step) {
      CAPTURE(step);
      faults = {.at = step, .kind = kind};
      try {
        ts::from_bytes(parts, file);
        break;
      } catch (const ts::Error& e) {
        const std::string text = e.what();
        CHECK((text.find("no std::exception") != std::string::npos) == (kind == Kind::no_exception));
        CHECK(text.find("restored") == std::string::npos);
      }
      CHECK(laws::image_of(parts) == before);
      CHECK(memory_of(live.weights) == memory);
    }
    CHECK(step == 8 * 5 + 1);
    CHECK((ts::to_bytes(parts) == file));
  }
  faults = {};
}

TEST_CASE("where the rollback throws, too, the error says so and everything else is restored") {
  Many saved(1), live(2);
  const auto file = ts::to_bytes(saved.parts());
  faults = {.at = 4 * 5 + 2, .for_ever = true};  // in the middle: second of `list`, and all rollbacks from there on
  auto parts = live.parts();
  const auto tree = ts::state_dict(parts).clone();
  try {
    ts::from_bytes(parts, file);
    FAIL_CHECK("nothing was thrown");
  } catch (const ts::Error& e) {
    const std::string text = e.what();
    CAPTURE(text);
    CHECK(text.starts_with("bytes: named/a: step 22; named/a: what it was before could not be restored: step 23; "));
    CHECK(text.find("; first: what it was before could not be restored: step 27") != std::string::npos);
  }
  const auto after = ts::state_dict(parts);
  for (const char* path : {"weights", "number", "holder/params", "holder/state/after", "engine", "rng", "last"}) {
    CAPTURE(path);
    CHECK(after.at(path) == tree.at(path));
  }
  CHECK_FALSE(after.at("first") == tree.at("first"));

  faults = {};
  ts::from_bytes(parts, file);
  CHECK((ts::to_bytes(parts) == file));
}

namespace {

/// Draws numbers while it is loaded, then throws if it is told to.
struct Draws {
  std::mt19937* engine;
  bool fails = false;

  [[nodiscard]] ts::StateDict state_dict() const { return {{"x", 1}}; }
  void load_state_dict(const ts::StateDict&) {
    torch::rand({5});
    (*engine)();
    if (fails) throw std::runtime_error("after drawing");
  }
};

struct Net : torch::nn::Module {
  Net() : layer(register_module("layer", torch::nn::Linear(2, 2))) {}
  torch::nn::Linear layer;
};

}  // namespace

TEST_CASE("random number generators stay where they were, whoever draws from them during a load") {
  std::mt19937 engine(1), used(2);
  at::Generator own = at::detail::createCPUGenerator(5);
  Draws draws{&engine};
  auto built = std::make_unique<Net>();
  std::unique_ptr<Net> null;
  int number = 1;
  auto saved = ts::checkpoint("rng"_key = ts::Rng{}, "engine"_key = used, "own"_key = own, "net"_key = built,
                              "draws"_key = draws, "number"_key = number);
  torch::manual_seed(1);
  const auto file = ts::to_bytes(saved);
  auto live = ts::checkpoint("rng"_key = ts::Rng{}, "engine"_key = engine, "own"_key = own, "net"_key = null,
                             "draws"_key = draws, "number"_key = number);
  torch::manual_seed(2);
  const auto before = laws::image_of(live);

  draws.fails = true;
  CHECK_THROWS_WITH_AS(ts::from_bytes(live, file), doctest::Contains("after drawing"), ts::Error);
  CHECK(laws::image_of(live) == before);
  draws.fails = false;

  auto tree = ts::state_dict(saved);
  tree.set("number", "no number");
  CHECK_THROWS_AS(ts::load_state_dict(live, tree), ts::MismatchError);
  CHECK(laws::image_of(live) == before);

  ts::tests::TemporaryFolder folder;
  ts::save(saved, folder / "a.safetensors");
  torch::manual_seed(2);
  ts::check(live, folder / "a.safetensors");
  CHECK(laws::image_of(live) == before);

  // Left out of a load that succeeds, they do not change either; taken along, they are the file's.
  const auto random = [&] { return laws::image_of(ts::checkpoint("rng"_key = ts::Rng{}, "engine"_key = engine)); };
  const auto untouched = random();
  ts::from_bytes(live, file, {.except = {"rng", "engine"}});
  CHECK(random() == untouched);
  null.reset();
  ts::from_bytes(live, file);
  CHECK((ts::to_bytes(live) == file));
}

TEST_CASE("parts that are left out never fail a load, and do not change when another one does") {
  at::Tensor a = torch::zeros({2}), b = torch::zeros({2});
  Stepwise steps(1);
  std::mt19937 engine(1);
  auto live = ts::checkpoint("a"_key = a, "steps"_key = steps, "b"_key = b, "engine"_key = engine);
  const ts::StateDict tree{
      {"a", torch::ones({2})}, {"steps", ts::state_dict(Stepwise(2))}, {"b", torch::ones({3})}, {"engine", "nonsense"}};
  const auto before = laws::image_of(live);
  const std::vector<ts::LoadOptions> refused{
      {.only = {"a", "b"}},
      {.except = {"engine"}},
      {.allow_missing = true, .allow_unexpected = true, .except = {"b"}},
      {.only = {"a", "nobody"}},
      {.allow_missing = true, .only = {"steps", "engine"}},
  };
  for (const auto& options : refused) {
    CHECK_THROWS_AS(ts::load_state_dict(live, tree, options), ts::Error);
    CHECK(laws::image_of(live) == before);
  }
  faults = {.at = 3};
  CHECK_THROWS_AS(ts::load_state_dict(live, tree, {.only = {"a", "steps"}}), ts::Error);
  CHECK(laws::image_of(live) == before);
  faults = {};
  ts::load_state_dict(live, tree, {.only = {"a"}});
  CHECK(a.equal(torch::ones({2})));
  CHECK(ts::state_dict(steps) == ts::state_dict(Stepwise(1)));
  a.zero_();
  CHECK(laws::image_of(live) == before);
  ts::load_state_dict(live, tree, {.except = {"b", "engine"}});
  CHECK(ts::state_dict(steps) == ts::state_dict(Stepwise(2)));
  CHECK(b.equal(torch::zeros({2})));
}

namespace {

/// Hooks that write in place what they find, and throw if it is their turn.
struct Migrated {
  at::Tensor x = torch::zeros({2});
  static constexpr auto hook = [](ts::StateDict& d) {
    d.at<at::Tensor>("state/x").add_(1);
    faults.pass();
    d.set_default("state/steps", 0);
    d.at<std::int64_t>("state/steps") += 1;
    faults.pass();
  };
  std::int64_t steps = 0;
  static constexpr auto describe() {
    return ts::component<Migrated>("migrated", ts::version<4>, ts::state("x", &Migrated::x),
                                   ts::state("steps", &Migrated::steps), ts::migrate<1>(hook), ts::migrate<2>(hook),
                                   ts::migrate<3>(hook));
  }
};

struct MigratedNet : torch::nn::Module {
  MigratedNet() { weight = register_parameter("weight", torch::zeros({2}), /*requires_grad=*/false); }
  at::Tensor weight;
  static constexpr auto describe() {
    return ts::component<MigratedNet>("migrated_net", ts::version<2>, ts::state("weight", &MigratedNet::weight),
                                      ts::migrate<1>([](ts::StateDict& d) {
                                        d.at<at::Tensor>("state/weight").add_(1);
                                        faults.pass();
                                      }));
  }
};

}  // namespace

TEST_CASE("hooks that throw change nothing: neither what is live nor the tree that they migrate") {
  at::Tensor first = torch::zeros({2});
  Migrated component;
  MigratedNet net;
  const auto whole_hook = [](ts::StateDict& d) {
    d.at<at::Tensor>("first").add_(1);
    faults.pass();
  };
  auto live = ts::checkpoint(ts::version<2>, ts::migrate<1>(whole_hook), "first"_key = first,
                             "component"_key = component, "net"_key = net);
  const auto before = laws::image_of(live);
  const auto memory = laws::memory_of(live);
  // Aliasing the live tensors, as a tree made from them does.
  const ts::StateDict tree{
      {"first", first},
      {"component",
       ts::StateDict{{"version", 1}, {"params", ts::StateDict()}, {"state", ts::StateDict{{"x", component.x}}}}},
      {"net",
       ts::StateDict{{"version", 1}, {"params", ts::StateDict()}, {"state", ts::StateDict{{"weight", net.weight}}}}},
      {ts::detail::manifest_key, ts::StateDict{{"version", 1}}}};
  const auto kept = tree.clone();
  int step = 1;
  for (;; ++step) {
    CAPTURE(step);
    faults = {.at = step};
    try {
      ts::load_state_dict(live, tree);
      break;
    } catch (const ts::VersionError&) {
      CHECK(laws::image_of(live) == before);
      CHECK(laws::memory_of(live) == memory);
      CHECK(tree == kept);
    }
  }
  faults = {};
  CHECK(step == 1 + 3 * 2 + 1 + 1);
  CHECK(first.equal(torch::ones({2})));
  CHECK(component.x.equal(torch::full({2}, 3)));
  CHECK(net.weight.equal(torch::ones({2})));
}

namespace {

/// A class of the time before moves: its assignment copies and may fail, having changed it by half.
struct Copied {
  int a = 0, b = 0;
  Copied() = default;
  explicit Copied(int x) : a(x), b(x) {}
  Copied(const Copied&) = default;
  Copied& operator=(const Copied& other) {  // NOLINT: throws on purpose
    a = other.a;
    faults.pass();
    b = other.b;
    return *this;
  }
};

/// Committed by a function that may fail, having changed it by half.
struct Committed {
  int a = 0, b = 0;
};

}  // namespace

template <>
struct ts::adapter<Copied> {
  static constexpr std::string_view type_name = "copied";
  static ts::Value save(const Copied& x) { return ts::List{x.a, x.b}; }
  static Copied decode(const ts::Value& v) {
    return Copied(static_cast<int>(v.as<ts::List>().at(0).as<std::int64_t>()));
  }
};

template <>
struct ts::adapter<Committed> {
  static constexpr std::string_view type_name = "committed";
  static ts::Value save(const Committed& x) { return ts::List{x.a, x.b}; }
  static Committed decode(const ts::Value& v) {
    const auto& list = v.as<ts::List>();
    return {static_cast<int>(list.at(0).as<std::int64_t>()), static_cast<int>(list.at(1).as<std::int64_t>())};
  }
  static void commit(Committed& live, Committed&& fresh) {
    live.a = fresh.a;
    faults.pass();
    live.b = fresh.b;
  }
};

TEST_CASE("assignments that throw half-way are undone") {
  struct State {
    explicit State(int x)
        : early(x), tensor(torch::full({2}, x)), one{x, x}, maybe(x), other(std::string("x")), late(x) {}
    Copied early;
    at::Tensor tensor;
    Committed one;
    std::optional<Copied> maybe;
    std::variant<Copied, std::string> other;
    std::discrete_distribution<int> table{1, 2, 3};
    Copied late;
    auto parts() {
      return ts::checkpoint("early"_key = early, "tensor"_key = tensor, "one"_key = one, "maybe"_key = maybe,
                            "other"_key = other, "table"_key = table, "late"_key = late);
    }
  };
  State saved(1), live(2);
  saved.table = std::discrete_distribution<int>{5, 5};
  saved.other = Copied(3);
  const auto file = ts::to_bytes(saved.parts());
  auto parts = live.parts();
  const auto before = laws::image_of(parts);
  const auto memory = laws::memory_of(parts);
  int step = 1;
  for (;; ++step) {
    CAPTURE(step);
    faults = {.at = step};
    try {
      ts::from_bytes(parts, file);
      break;
    } catch (const std::runtime_error&) {
      CHECK(laws::image_of(parts) == before);
      CHECK(laws::memory_of(parts) == memory);
    }
  }
  faults = {};
  CHECK(step >= 5);
  CHECK((ts::to_bytes(parts) == file));
}

TEST_CASE("live tensors that cannot be written to, and sources that hold no values, are found out before") {
  const auto whole = torch::zeros({4});
  struct Case {
    const char* what;
    at::Tensor live, from;
  };
  const auto inference = [] {
    const c10::InferenceMode guard;
    return torch::zeros({2});
  };
  const std::vector<Case> cases{
      {"expanded", torch::zeros({1}).expand({2}), torch::ones({2})},
      {"meta", torch::empty({2}, torch::kMeta), torch::ones({2})},
      {"inference", inference(), torch::ones({2})},
      {"from meta", torch::zeros({2}), torch::empty({2}, torch::kMeta)},
      {"from sparse", torch::zeros({2}), torch::ones({2}).to_sparse()},
      {"from quantized", torch::zeros({2}), at::quantize_per_tensor(torch::ones({2}), 1, 0, torch::kQUInt8)},
      {"shared memory", whole.slice(0, 0, 2), torch::ones({2})},
  };
  for (const auto& [what, live, from] : cases) {
    CAPTURE(what);
    at::Tensor before = torch::zeros({2}), subject = live, overlapping = whole.slice(0, 1, 3),
               after = torch::zeros({2});
    auto parts = ts::checkpoint("before"_key = before, "subject"_key = subject, "overlapping"_key = overlapping,
                                "after"_key = after);
    const ts::StateDict tree{{"before", torch::ones({2})},
                             {"subject", from},
                             {"overlapping", torch::full({2}, 2)},
                             {"after", torch::ones({2})}};
    const auto memory = std::vector{memory_of(before), memory_of(overlapping), memory_of(after)};
    CHECK_THROWS_AS(ts::load_state_dict(parts, tree), ts::Error);
    CHECK(before.equal(torch::zeros({2})));
    CHECK(whole.equal(torch::zeros({4})));
    CHECK(after.equal(torch::zeros({2})));
    CHECK((std::vector{memory_of(before), memory_of(overlapping), memory_of(after)} == memory));
  }
}

namespace {

/// A scheduler of one's own with a tensor and a pointer, which its copies share.
class Smoothed : public ts::LRScheduler {
 public:
  explicit Smoothed(torch::optim::Optimizer& optimizer, double x = 0)
      : LRScheduler(optimizer, -1), mean_(torch::full({2}, x)), holder_(std::make_shared<Holder>()) {
    holder_->before = x;
    initial_step();
  }
  static constexpr auto describe() {
    return ts::component<Smoothed>("smoothed", ts::flat, ts::base<ts::LRScheduler>, ts::state("mean", &Smoothed::mean_),
                                   ts::state("holder", &Smoothed::holder_));
  }

 protected:
  std::vector<double> get_lr() override { return current_rates(); }
  std::optional<ts::detail::SchedulerFault> find_fault() override {
    if (last_epoch_ == 77) return ts::detail::SchedulerFault{"last_epoch", "anything else", "77"};
    return LRScheduler::find_fault();
  }

 private:
  at::Tensor mean_;
  std::shared_ptr<Holder> holder_;
};

}  // namespace

TEST_CASE("a scheduler whose copies share memory with it is not written to before all is known to fit") {
  torch::optim::SGD optimizer({torch::zeros({1}, torch::requires_grad())}, 0.1);
  Smoothed saved(optimizer, 1), live(optimizer, 2);
  saved.step();
  const auto tree = ts::state_dict(saved).clone();
  const auto before = laws::image_of(live);
  const auto memory = laws::memory_of(live);
  for (const auto& [path, value] : std::vector<std::pair<const char*, ts::Value>>{
           {"last_epoch", 77}, {"last_epoch", "x"}, {"base_lrs", ts::List()}, {"holder/state/steps", 1}}) {
    CAPTURE(path);
    auto wrong = tree.clone();
    wrong.set(path, value);
    CHECK_THROWS_AS(ts::load_state_dict(live, wrong), ts::MismatchError);
    CHECK(laws::image_of(live) == before);
    CHECK(laws::memory_of(live) == memory);
  }
  ts::load_state_dict(live, tree);
  CHECK(ts::state_dict(live) == tree);
  CHECK(live.last_epoch() == saved.last_epoch());
}

TEST_CASE("schedulers, optimizers, samplers and generators obey the law, too") {
  const auto parameters = [] { return std::vector<at::Tensor>{torch::ones({2}, torch::requires_grad())}; };
  const auto train = [](torch::optim::Optimizer& optimizer, int steps) {
    for (int i = 0; i < steps; ++i) {
      for (auto& p : optimizer.param_groups()[0].params()) p.mutable_grad() = torch::full({2}, 0.5);
      optimizer.step([] { return torch::tensor(0.5); });
    }
  };
  const auto obeys = [&]<class O>(std::type_identity<O>, auto options) {
    const auto make = [&](int steps) {
      auto optimizer = std::make_unique<O>(parameters(), options);
      train(*optimizer, steps);
      return optimizer;
    };
    laws::all_or_nothing_for_each_value([&] { return make(2); }, [&] { return make(1); });
    laws::all_or_nothing_for_each_value([&] { return make(2); }, [&] { return make(0); });
    laws::all_or_nothing_for_each_value([&] { return make(0); }, [&] { return make(2); });
  };
  obeys(std::type_identity<torch::optim::SGD>(), torch::optim::SGDOptions(0.1).momentum(0.9));
  obeys(std::type_identity<torch::optim::Adam>(), torch::optim::AdamOptions(0.1).amsgrad(true));
  obeys(std::type_identity<torch::optim::AdamW>(), torch::optim::AdamWOptions(0.1));
  obeys(std::type_identity<torch::optim::RMSprop>(), torch::optim::RMSpropOptions(0.1).momentum(0.9));
  obeys(std::type_identity<torch::optim::Adagrad>(), torch::optim::AdagradOptions(0.1));
  obeys(std::type_identity<torch::optim::LBFGS>(), torch::optim::LBFGSOptions(0.1).max_iter(2));

  torch::optim::SGD optimizer(parameters(), torch::optim::SGDOptions(0.1).momentum(0.9));
  const auto schedules = [&](const auto& make) {
    laws::all_or_nothing_for_each_value(
        [&] {
          auto scheduler = make();
          scheduler->step();
          return scheduler;
        },
        make);
  };
  schedules([&] { return std::make_unique<ts::StepLR>(optimizer, 2); });
  schedules([&] { return std::make_unique<ts::OneCycleLR>(optimizer, 0.5, ts::OneCycleLROptions{.total_steps = 10}); });
  schedules([&] { return std::make_unique<ts::LambdaLR>(optimizer, [](std::int64_t) { return 0.5; }); });
  schedules([&] {
    return std::make_unique<ts::SequentialLR>(
        optimizer, std::vector<ts::SequentialLR::Part>{ts::LinearLR(optimizer), ts::StepLR(optimizer, 3)},
        std::vector<std::int64_t>{2});
  });
  laws::all_or_nothing_for_each_value([&] { return std::make_unique<Smoothed>(optimizer, 1); },
                                      [&] { return std::make_unique<Smoothed>(optimizer, 2); });
  laws::all_or_nothing_for_each_value([] { return ts::ResumableSampler(10, 1); },
                                      [] { return ts::ResumableSampler(10, 2); });
  laws::all_or_nothing_for_each_value([] { return torch::data::samplers::RandomSampler(4); },
                                      [] { return torch::data::samplers::RandomSampler(4); });
  laws::all_or_nothing_for_each_value([] { return ts::Rng{}; }, [] { return ts::Rng{}; });
  laws::all_or_nothing_for_each_value([] { return at::detail::createCPUGenerator(1); },
                                      [] { return at::detail::createCPUGenerator(2); });
}

TEST_CASE("a progress callback that throws, at each of its calls, cancels the load") {
  ts::tests::TemporaryFolder folder;
  at::Tensor large = torch::rand({2'000'000}), strided = torch::rand({300, 2000}).t();
  std::vector<Stepwise> steps{Stepwise(1), Stepwise(2)};
  auto saved = ts::checkpoint("large"_key = large, "steps"_key = steps, "strided"_key = strided);
  at::Tensor live_large = torch::zeros({2'000'000}), live_strided = torch::zeros({300, 2000}).t();
  std::vector<Stepwise> live_steps{Stepwise(3), Stepwise(4)};
  auto live = ts::checkpoint("large"_key = live_large, "steps"_key = live_steps, "strided"_key = live_strided);
  for (const char* name : {"a.safetensors", "a.pt"}) {
    ts::save(saved, folder / name);
    live_large.zero_();
    const auto before = laws::image_of(live);
    const auto memory = laws::memory_of(live);
    int call = 1;
    for (;; ++call) {
      CAPTURE(call);
      int calls = 0;
      try {
        const auto stop = [&](std::uint64_t, std::uint64_t) {
          if (++calls == call) throw call;
        };
        ts::load(live, folder / name, {.threads = 1, .progress = stop});
        break;
      } catch (const int at) {
        CHECK(at == call);
        CHECK(laws::memory_of(live) == memory);
        CHECK(live_large.equal(torch::zeros({2'000'000})));
      }
    }
    CHECK(call > 5);
    CHECK_FALSE(laws::image_of(live) == before);
    CHECK(live_strided.equal(strided));
  }
}
