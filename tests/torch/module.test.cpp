// Modules in checkpoints. That their keys are Python's is judged by Python itself, see python/module_keys.py.
#include "support/torch_doctest.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "laws/laws.hpp"
#include "support/printing.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/checkpoint.hpp"
#include "trainstate/upgrade.hpp"

namespace {

namespace nn = torch::nn;
namespace ts = trainstate;
using namespace ts::literals;
using ts::tests::TemporaryFolder;
using AnyPtr = std::shared_ptr<nn::Module>;

std::vector<std::string> keys_of(const ts::StateDict& dict) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : dict) keys.push_back(std::get<std::string>(key));
  return keys;
}

/// Gives every tensor values that depend on the seed and on its place.
template <class M>
M filled(M module, std::int64_t seed) {
  const torch::NoGradGuard no_grad;
  std::int64_t i = seed;
  for (auto& [key, value] : ts::state_dict(module)) {
    auto tensor = value.template as<torch::Tensor>();
    tensor.copy_(torch::arange(tensor.numel()).add(17 * ++i).remainder(101).view(tensor.sizes()));
  }
  return module;
}

/// An output layer whose weight is another module's.
struct HeadImpl : nn::Module {
  explicit HeadImpl(torch::Tensor shared) : weight(register_parameter("weight", std::move(shared))) {}
  torch::Tensor weight;
  torch::Tensor bias = register_parameter("bias", torch::zeros({5}));
};
TORCH_MODULE(Head);

enum class Tie { same_tensor, same_memory, none };

/// A language model as there are many: its output layer has the weight of its embedding.
struct TiedImpl : nn::Module {
  explicit TiedImpl(Tie tie = Tie::same_tensor, bool has_cache = false)
      : head(register_module("head", Head(tie == Tie::same_tensor ? embedding->weight : torch::zeros({5, 3})))) {
    if (tie == Tie::same_memory) head->weight.set_data(embedding->weight.data());
    register_buffer("cache", has_cache ? torch::ones({4}) : torch::Tensor());
  }
  nn::Embedding embedding = register_module("embedding", nn::Embedding(5, 3));
  Head head;
  torch::Tensor mask = register_buffer("mask", torch::ones({2}));
};
TORCH_MODULE(Tied);

TEST_CASE("modules of every kind obey the laws") {
  const auto hold = [](const char* name, const auto& make) {
    INFO(name);
    laws::hold([&] { return filled<AnyPtr>(make().ptr(), 1); }, [&] { return filled<AnyPtr>(make().ptr(), 40); });
  };
  hold("batch norm", [] { return nn::BatchNorm2d(4); });
  hold("lstm", [] { return nn::LSTM(nn::LSTMOptions(3, 4).num_layers(2).bidirectional(true)); });
  hold("transformer",
       [] { return nn::TransformerEncoder(nn::TransformerEncoderLayer(nn::TransformerEncoderLayerOptions(8, 2)), 2); });
  hold("sequential", [] { return nn::Sequential(nn::Conv2d(1, 2, 3), nn::ReLU(), nn::Linear(2, 2)); });
}

TEST_CASE("every way to hold a module is the same file") {
  const nn::Linear holder = filled(nn::Linear(3, 2), 1);
  const auto image = laws::image_of(holder);
  CHECK(laws::image_of(*holder) == image);
  CHECK(laws::image_of(holder.ptr()) == image);
  CHECK(laws::image_of(AnyPtr(holder.ptr())) == image);
  CHECK(laws::image_of(nn::AnyModule(holder)) == image);

  nn::Linear live(3, 2);
  const auto loads = [&](auto& form) {
    filled(live, 40);
    ts::from_bytes(form, image.bytes);
    return ts::state_dict(live) == ts::state_dict(holder);
  };
  AnyPtr base = live.ptr();
  nn::AnyModule any(live);
  CHECK(loads(live));
  CHECK(loads(*live));
  CHECK(loads(base));
  CHECK(loads(*base));
  CHECK(loads(any));
}

TEST_CASE("loading is in place: memory, strides, requires_grad and gradients stay, autograd sees it") {
  const TemporaryFolder folder;
  nn::Conv2d saved = filled(nn::Conv2d(4, 8, 3), 1), live = filled(nn::Conv2d(4, 8, 3), 40);
  {
    const torch::NoGradGuard no_grad;
    live->weight.set_data(live->weight.contiguous(torch::MemoryFormat::ChannelsLast));
  }
  live->bias.set_requires_grad(false);
  live->weight.mutable_grad() = torch::ones_like(live->weight);
  ts::save(saved, folder / "conv.safetensors");

  const torch::Tensor weight = live->weight;
  const void* memory = weight.data_ptr();
  const auto strides = weight.strides().vec();
  const auto version = weight._version();
  const auto report = ts::load(live, folder / "conv.safetensors");
  CHECK(laws::is_clean(report));
  CHECK(report.bytes == saved->weight.nbytes() + saved->bias.nbytes());
  CHECK(live->weight.is_same(weight));
  CHECK(weight.data_ptr() == memory);
  CHECK(weight.strides().vec() == strides);
  CHECK_FALSE(strides == saved->weight.strides().vec());
  CHECK(weight.requires_grad());
  CHECK(weight.is_leaf());
  CHECK(weight.grad().equal(torch::ones_like(weight)));
  CHECK_FALSE(live->bias.requires_grad());
  CHECK(weight._version() > version);
  CHECK(weight.equal(saved->weight));
  CHECK(live->bias.equal(saved->bias));
}

TEST_CASE("all that does not fit is reported at once, and nothing has changed") {
  nn::Sequential saved = filled(nn::Sequential(nn::Linear(3, 2), nn::BatchNorm1d(2)), 1);
  nn::Sequential live = filled(nn::Sequential(nn::Linear(3, 2), nn::BatchNorm1d(2)), 40);
  auto tree = ts::state_dict(saved);
  tree["0.weight"] = torch::zeros({2, 4});
  tree["1.num_batches_tracked"] = torch::zeros({}, torch::kFloat32);
  tree["1.running_mean"] = "mean";
  tree.erase("0.bias");
  tree["2.weight"] = torch::zeros({1});
  tree[7] = torch::zeros({1});
  const auto before = laws::image_of(live);
  const auto memory = laws::memory_of(live);
  try {
    ts::load_state_dict(live, tree);
    FAIL_CHECK("should have thrown");
  } catch (const ts::MismatchError& e) {
    CHECK(e.report().missing_keys == std::vector<std::string>{"0.bias"});
    CHECK(e.report().unexpected_keys == std::vector<std::string>{"2.weight", "7"});
    CHECK(e.report().mismatched ==
          std::vector<ts::Report::Mismatch>{{"0.weight", "float32[2, 3]", "float32[2, 4]"},
                                            {"1.running_mean", "float32[2]", "string \"mean\""},
                                            {"1.num_batches_tracked", "int64[]", "float32[]"}});
  }
  CHECK(laws::image_of(live) == before);
  CHECK(laws::memory_of(live) == memory);

  nn::Linear linear(3, 2);
  CHECK_THROWS_WITH_AS(ts::from_bytes(linear, ts::to_bytes(5)), doctest::Contains("unexpected the whole"),
                       ts::MismatchError);
}

TEST_CASE("tied parameters: under both names, stored once, and tied they stay") {
  for (const Tie tie : {Tie::same_tensor, Tie::same_memory}) {
    CAPTURE(static_cast<int>(tie));
    Tied saved = filled(Tied(tie), 1), live = filled(Tied(tie), 40);
    const auto image = laws::image_of(saved);
    const auto* const weight = live->head->weight.unsafeGetTensorImpl();
    CHECK(keys_of(ts::state_dict(saved)) ==
          std::vector<std::string>{"mask", "embedding.weight", "head.weight", "head.bias"});
    CHECK(laws::is_clean(ts::from_bytes(live, image.bytes)));
    CHECK(laws::image_of(live) == image);
    CHECK(live->head->weight.unsafeGetTensorImpl() == weight);
    CHECK(live->head->weight.data_ptr() == live->embedding->weight.data_ptr());

    // One of the names will do, as in a file that was written without the other; two different values will not.
    for (const char* name : {"embedding.weight", "head.weight"}) {
      filled(live, 40);
      auto tree = ts::state_dict(saved);
      tree.erase(name);
      CHECK(laws::is_clean(ts::load_state_dict(live, tree)));
      CHECK(laws::image_of(live) == image);
    }
    auto tree = ts::state_dict(saved);
    tree["head.weight"] = tree.at<torch::Tensor>("head.weight") + 1;
    CHECK_THROWS_WITH_AS(ts::load_state_dict(live, tree), doctest::Contains("shares memory"), ts::MismatchError);
    tree.erase("head.weight");
    tree.erase("embedding.weight");
    try {
      ts::load_state_dict(live, tree);
      FAIL_CHECK("should have thrown");
    } catch (const ts::MismatchError& e) {
      CHECK(e.report().missing_keys == std::vector<std::string>{"embedding.weight", "head.weight"});
    }
    CHECK(laws::image_of(live) == image);
  }
}

TEST_CASE("the file knows the tie; a module without it loads it all the same, and stays without") {
  const TemporaryFolder folder;
  Tied saved = filled(Tied(), 1), live(Tie::none);
  ts::save(saved, folder / "tied.safetensors");
  CHECK(ts::read_manifest(folder / "tied.safetensors").at("ties") ==
        ts::Value(ts::List{ts::List{"embedding.weight", "head.weight"}}));
  CHECK(laws::is_clean(ts::load(live, folder / "tied.safetensors")));
  CHECK(live->head->weight.equal(saved->embedding->weight));
  CHECK_FALSE(live->head->weight.is_alias_of(live->embedding->weight));
}

TEST_CASE("a submodule that is registered twice is listed twice and loaded consistently") {
  const auto make = [] {
    nn::Linear shared(2, 2);
    auto parent = std::make_shared<nn::Module>();
    parent->register_module("a", shared);
    parent->register_module("b", shared);
    return parent;
  };
  const auto saved = filled(make(), 1), live = filled(make(), 40);
  CHECK(keys_of(ts::state_dict(saved)) == std::vector<std::string>{"a.weight", "a.bias", "b.weight", "b.bias"});
  CHECK(laws::is_clean(ts::from_bytes(*live, ts::to_bytes(saved))));
  CHECK(ts::state_dict(live) == ts::state_dict(saved));
}

TEST_CASE("an undefined buffer is in neither file nor report, unless one side has it") {
  Tied without, with(Tie::same_tensor, true);
  REQUIRE(ts::state_dict(with).contains("cache"));
  Tied live;
  CHECK(laws::is_clean(ts::from_bytes(live, ts::to_bytes(without))));
  CHECK_THROWS_WITH_AS(ts::from_bytes(live, ts::to_bytes(with)), doctest::Contains("unexpected cache"),
                       ts::MismatchError);
  CHECK_THROWS_WITH_AS(ts::from_bytes(with, ts::to_bytes(without)), doctest::Contains("missing cache"),
                       ts::MismatchError);
}

TEST_CASE("modules without tensors, and places for a module without one") {
  const TemporaryFolder folder;
  nn::Sequential bare(nn::ReLU(), nn::Dropout(0.5));
  nn::Linear empty(nullptr), linear(2, 2);
  AnyPtr null;
  auto checkpoint = ts::checkpoint("bare"_key = bare, "empty"_key = empty, "null"_key = null, "linear"_key = linear);
  ts::save(checkpoint, folder / "bare.safetensors");
  const auto tree = ts::read(folder / "bare.safetensors");
  CHECK(tree.at<ts::StateDict>("bare").empty());
  CHECK(tree.at("empty").is<ts::None>());
  CHECK(laws::is_clean(ts::load(checkpoint, folder / "bare.safetensors")));

  AnyPtr there = linear.ptr();
  CHECK_THROWS_WITH_AS(
      ts::load_state_dict(ts::checkpoint("m"_key = empty), ts::StateDict{{"m", ts::state_dict(linear)}}),
      doctest::Contains("the module holder is empty"), ts::MismatchError);
  CHECK_THROWS_AS(ts::load_state_dict(ts::checkpoint("m"_key = linear), ts::StateDict{{"m", ts::None()}}),
                  ts::MismatchError);
  CHECK_FALSE(linear.is_empty());
}

/// A described module with everything that Python has no place for.
struct RichImpl : nn::Module {
  explicit RichImpl(std::int64_t width = 2) : hidden(width) {}
  std::int64_t hidden;
  nn::Linear in = register_module("in", nn::Linear(2, 2));
  nn::Linear free{2, 1};                                            // listed, not registered
  torch::Tensor mean = register_buffer("mean", torch::zeros({2}));  // listed and registered
  torch::Tensor seen = torch::zeros({3});                           // listed, not registered
  torch::Tensor later;                                              // listed, not there yet
  std::vector<torch::Tensor> history = {torch::zeros({1})};
  std::string note;
  static constexpr auto describe() {
    return ts::component<RichImpl>("rich", ts::version<2>, ts::hyper("hidden", &RichImpl::hidden),
                                   ts::state("in", &RichImpl::in), ts::state("free", &RichImpl::free),
                                   ts::state("mean", &RichImpl::mean), ts::state("seen", &RichImpl::seen),
                                   ts::state("later", &RichImpl::later), ts::state("history", &RichImpl::history),
                                   ts::state("note", &RichImpl::note), ts::migrate<1>([](auto&) {}));
  }
};
TORCH_MODULE(Rich);

TEST_CASE("a described module: its tensors once, under Python's names; the rest in the manifest") {
  const TemporaryFolder folder;
  const auto make = [](std::int64_t seed) {
    Rich rich = filled(Rich(), seed);
    rich->history = {torch::full({1}, seed), torch::full({2}, seed + 1)};
    rich->note = std::to_string(seed);
    return rich;
  };
  Rich saved = make(1), live = make(40);
  CHECK(keys_of(ts::state_dict(saved)) ==
        std::vector<std::string>{"mean", "in.weight", "in.bias", "free.weight", "free.bias", "seen"});
  laws::hold([&] { return make(1); }, [&] { return make(40); });

  ts::save(saved, folder / "rich.safetensors");
  const auto manifest = ts::read_manifest(folder / "rich.safetensors");
  const auto& record = manifest.at<ts::StateDict>("components").at_key("").as<ts::StateDict>();
  CHECK(record.at<std::string>("name") == "rich");
  CHECK(record.at<std::int64_t>("version") == 2);
  CHECK(record.at<std::int64_t>("params/hidden") == 2);
  CHECK(record.at<std::string>("state/note") == "1");
  CHECK(record.at<ts::List>("state/history").size() == 2);
  const void* memory = live->seen.data_ptr();
  CHECK(laws::is_clean(ts::load(live, folder / "rich.safetensors")));
  CHECK(laws::image_of(live) == laws::image_of(saved));
  CHECK(live->seen.data_ptr() == memory);
  CHECK(live->note == "1");

  // A tensor that is not there yet is made, one that is missing in the file is named.
  saved->later = torch::ones({2});
  CHECK(laws::is_clean(ts::from_bytes(live, ts::to_bytes(saved))));
  CHECK(live->later.equal(torch::ones({2})));
  saved->later.reset();
  CHECK_THROWS_WITH_AS(ts::from_bytes(live, ts::to_bytes(saved)), doctest::Contains("missing later"),
                       ts::MismatchError);

  // Python's file of it has the tensors alone: the rest is kept, with warnings.
  Rich other = make(40);
  const auto report = ts::load_state_dict(other, ts::state_dict(saved));
  CHECK(report.warnings.size() == 3);  // hidden, history, note
  CHECK(other->seen.equal(saved->seen));
  CHECK(other->note == "40");
}

// Components among the fields of modules: each with versions of its own
// ------------------------------------------------

struct OptionsV1 {
  double lr = 0;
  static constexpr auto describe() {
    return ts::component<OptionsV1>("options", ts::version<1>, ts::flat, ts::hyper("lr", &OptionsV1::lr));
  }
};

struct Options {
  double rate = 0;
  static constexpr auto describe() {
    return ts::component<Options>("options", ts::version<2>, ts::flat, ts::hyper("rate", &Options::rate),
                                  ts::migrate<1>([](auto& d) {
                                    d.set("rate", 10 * d.at("lr").template as<double>());
                                    d.erase("lr");
                                  }));
  }
};

struct CountV1 {
  std::int64_t n = 0;
  static constexpr auto describe() {
    return ts::component<CountV1>("count", ts::version<1>, ts::state("n", &CountV1::n));
  }
};

struct Count {
  std::int64_t steps = 0;
  static constexpr auto describe() {
    return ts::component<Count>("count", ts::version<2>, ts::state("steps", &Count::steps),
                                ts::migrate<1>([](auto& d) { d.rename("state/n", "state/steps"); }));
  }
};

template <class O, class C>
struct LayerImpl : nn::Module {
  O options;
  std::vector<C> counts{C{1}, C{2}};
  static constexpr auto describe() {
    return ts::component<LayerImpl>("layer", ts::version<1>, ts::hyper("options", &LayerImpl::options),
                                    ts::state("counts", &LayerImpl::counts));
  }
};

template <class O, class C>
struct StackImpl : nn::Module {
  O options;
  C count;
  std::shared_ptr<LayerImpl<O, C>> layer = register_module("layer", std::make_shared<LayerImpl<O, C>>());
  static constexpr auto describe() {
    return ts::component<StackImpl>("stack", ts::version<1>, ts::hyper("options", &StackImpl::options),
                                    ts::state("count", &StackImpl::count), ts::state("layer", &StackImpl::layer));
  }
};

TEST_CASE("components among a module's fields, and its submodules', have versions of their own") {
  StackImpl<OptionsV1, CountV1> old;
  old.options.lr = 0.5;
  old.count.n = 3;
  old.layer->options.lr = 0.25;
  old.layer->counts = {{5}, {7}};
  StackImpl<Options, Count> live;
  const auto report = ts::from_bytes(live, ts::to_bytes(old), {.hyper = ts::HyperPolicy::file});
  CHECK(report.migrated.size() == 5);
  CHECK(report.warnings.empty());
  const auto is_todays = [](const StackImpl<Options, Count>& stack) {
    return stack.options.rate == 5 && stack.count.steps == 3 && stack.layer->options.rate == 2.5 &&
           stack.layer->counts.at(0).steps == 5 && stack.layer->counts.at(1).steps == 7;
  };
  CHECK(is_todays(live));

  // Today's file has today's versions, and so has one that was upgraded.
  StackImpl<Options, Count> again;
  CHECK(ts::from_bytes(again, ts::to_bytes(live), {.hyper = ts::HyperPolicy::file}).migrated.empty());
  CHECK(is_todays(again));
  const TemporaryFolder folder;
  ts::save(ts::checkpoint("model"_key = old), folder / "old.pt");
  StackImpl<Options, Count> upgraded;
  auto ckpt = ts::checkpoint("model"_key = upgraded);
  CHECK(ts::upgrade(ckpt, folder / "old.pt", folder / "new.pt").migrated.size() == 5);
  CHECK(ts::load(ckpt, folder / "new.pt", {.hyper = ts::HyperPolicy::file}).migrated.empty());
  CHECK(is_todays(upgraded));
}

}  // namespace
