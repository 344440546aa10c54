// Models built from nothing but a file.
#include "support/torch_doctest.hpp"

#include <cmath>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/networks.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/checkpoint.hpp"
#include "trainstate/registry.hpp"
#include "trainstate/training/averaged_model.hpp"

namespace {

namespace nn = torch::nn;
namespace ts = trainstate;
using namespace ts::literals;
using namespace ts::tests;

/// The text of what `f` throws, which has to be an `E`.
template <class E, class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  FAIL("nothing was thrown");
  return "";
}

ts::ModelRegistry registry_of_networks() {
  ts::ModelRegistry registry;
  registry.add<DigitsNet>().add<ResNet18Impl>().add<LstmTagger>().add<TransformerClassifier>();
  return registry;
}

/// Saved among other parts, in the middle of a training, a network comes back by its name with the same outputs.
template <class Net, class F>
void comes_back(Net net, const torch::Tensor& input, const F& forward) {
  const torch::NoGradGuard no_grad;
  const TemporaryFolder folder;
  net->train();
  forward(net, input);  // batch norm has statistics now
  torch::optim::SGD optimizer(net->parameters(), torch::optim::SGDOptions(0.1));
  const auto ckpt = ts::checkpoint("optimizer"_key = optimizer, "model"_key = net);
  for (const char* name : {"run.safetensors", "run.pt"}) {
    INFO(name);
    ts::save(ckpt, folder / name);
    ts::Report report;
    nn::AnyModule any = registry_of_networks().load(folder / name, "model", {}, &report);
    Net typed = ts::load_model<Net>(folder / name, "model");
    std::shared_ptr<typename Net::ContainedType> plain =
        ts::load_model<typename Net::ContainedType>(folder / name, "model");
    net->eval();
    const torch::Tensor expected = forward(net, input);
    CHECK(forward(any, input).equal(expected));
    CHECK(forward(typed, input).equal(expected));
    CHECK(forward(plain, input).equal(expected));
    for (const nn::Module* built : std::vector<const nn::Module*>{any.ptr().get(), typed.ptr().get(), plain.get()}) {
      CHECK_FALSE(built->is_training());
      CHECK(ts::state_dict(*built) == ts::state_dict(net));
    }
    CHECK(report.missing_keys.empty());
    CHECK(report.unexpected_keys.empty());
    CHECK(report.bytes != 0);
    net->train();
  }
}

const auto plain_forward = [](auto& net, const torch::Tensor& input) -> torch::Tensor {
  if constexpr (requires { net.forward(input); }) {
    return net.forward(input);
  } else {
    return net->forward(input);
  }
};

TEST_CASE("registry: networks come back by their names") {
  torch::manual_seed(5);
  comes_back(DigitsNet(6, 0.5), torch::rand({4, 64}), plain_forward);
  comes_back(ResNet18(10), torch::rand({2, 3, 32, 32}), plain_forward);
  comes_back(TransformerClassifier(TransformerShape{.dim = 8, .heads = 2, .layers = 1, .dropout = 0.2}, 4),
             torch::randint(50, {3, 7}), plain_forward);
  using Output = std::tuple<torch::Tensor, LstmTaggerImpl::State>;
  comes_back(LstmTagger(20, 6, 3), torch::randint(20, {3, 7}), [](auto& net, const torch::Tensor& input) {
    if constexpr (requires { net.template forward<Output>(input); }) {
      return std::get<0>(net.template forward<Output>(input));
    } else {
      return std::get<0>(net->forward(input));
    }
  });
}

TEST_CASE("registry: a hyperparameter that is a component, and the file as a whole") {
  const TemporaryFolder folder;
  const TransformerClassifier net(TransformerShape{.dim = 8, .heads = 2, .layers = 3, .dropout = 0.2}, 4);
  ts::save(net, folder / "net.safetensors");
  const auto built = ts::load_model<TransformerClassifier>(folder / "net.safetensors");
  CHECK(built->shape().layers == 3);
  CHECK(built->shape().dropout == 0.2);
  CHECK(built->classes() == 4);
  CHECK(ts::state_dict(built) == ts::state_dict(net));
  CHECK(registry_of_networks().load(folder / "net.safetensors").ptr()->name() == net->name());
}

TEST_CASE("registry: a model that was built by name takes the average that the run saved beside it") {
  const TemporaryFolder folder;
  DigitsNet net(6);
  ts::AveragedModel average(*net, {.decay = 0.9});
  for (int i = 0; i < 2; ++i) {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : net->parameters()) parameter.add_(1);
    average.update_parameters(*net);
  }
  ts::save(ts::checkpoint("model"_key = net, "ema"_key = average), folder / "run.safetensors");
  const auto built = ts::load_model<DigitsNet>(folder / "run.safetensors", "model");
  ts::AveragedModel loaded(*built, {.decay = 0.9});
  ts::load(ts::checkpoint("ema"_key = loaded), folder / "run.safetensors", {.only = {"ema"}});
  loaded.copy_to(*built);
  CHECK(ts::state_dict(built) == ts::state_dict(average.module()));
  CHECK(ts::state_dict(built) != ts::state_dict(net));
}

// A model as it was and as it became ----------------------------------------------------------------------------------

struct ScaleV1 {
  double by = 1;
  static constexpr auto describe() {
    return ts::component<ScaleV1>("scale", ts::version<1>, ts::hyper("by", &ScaleV1::by));
  }
};

/// Has no default, and a field that is no hyperparameter.
class Scale {
 public:
  Scale(double factor, bool negative) : factor_(factor), negative_(negative) {}
  static constexpr auto describe() {
    return ts::component<Scale>("scale", ts::version<2>, ts::hyper("factor", &Scale::factor_),
                                ts::hyper("negative", &Scale::negative_), ts::state("uses", &Scale::uses),
                                ts::migrate<1>([](auto& d) {
                                  d.set("params/factor", std::abs(d.at("params/by").template as<double>()));
                                  d.set("params/negative", d.at("params/by").template as<double>() < 0);
                                  d.erase("params/by");
                                  d.set("state/uses", 7);
                                }));
  }
  [[nodiscard]] double value() const { return negative_ ? -factor_ : factor_; }
  std::int64_t uses = 0;

 private:
  double factor_;
  bool negative_;
};

struct HeadV1Impl : nn::Module {
  explicit HeadV1Impl(std::int64_t out) : out_(out) { linear = register_module("linear", nn::Linear(3, out)); }
  static constexpr auto describe() {
    return ts::component<HeadV1Impl>("head", ts::version<1>, ts::hyper("out", &HeadV1Impl::out_));
  }
  torch::Tensor forward(torch::Tensor x) { return linear(x); }
  std::int64_t out_;
  nn::Linear linear{nullptr};
};
TORCH_MODULE(HeadV1);

struct HeadImpl : nn::Module {
  explicit HeadImpl(std::int64_t classes) : classes_(classes) { fc = register_module("fc", nn::Linear(3, classes)); }
  static constexpr auto describe() {
    return ts::component<HeadImpl>("head", ts::version<2>, ts::hyper("classes", &HeadImpl::classes_),
                                   ts::migrate<1>([](auto& d) {
                                     d.rename("params/out", "params/classes");
                                     d.rename_prefix("state/linear", "state/fc");
                                   }));
  }
  torch::Tensor forward(torch::Tensor x) { return fc(x); }
  std::int64_t classes_;
  nn::Linear fc{nullptr};
};
TORCH_MODULE(Head);

struct NetV1Impl : nn::Module {
  NetV1Impl(std::int64_t out, ScaleV1 by) : outputs(out), scale(by) { head = register_module("head", HeadV1(out)); }
  static constexpr auto describe() {
    return ts::component<NetV1Impl>("net", ts::version<1>, ts::hyper("outputs", &NetV1Impl::outputs),
                                    ts::hyper("scale", &NetV1Impl::scale), ts::state("head", &NetV1Impl::head));
  }
  torch::Tensor forward(torch::Tensor x) { return head(x) * scale.by; }
  std::int64_t outputs;
  ScaleV1 scale;
  HeadV1 head{nullptr};
};

struct NetImpl : nn::Module {
  NetImpl(std::int64_t n, Scale s, std::string a) : classes(n), scale(s), activation(std::move(a)) {
    head = register_module("head", Head(n));
  }
  static constexpr auto describe() {
    return ts::component<NetImpl>("net", ts::version<3>, ts::hyper("classes", &NetImpl::classes),
                                  ts::hyper("scale", &NetImpl::scale), ts::hyper("activation", &NetImpl::activation),
                                  ts::state("head", &NetImpl::head),
                                  ts::migrate<1>([](auto& d) { d.rename("params/outputs", "params/classes"); }),
                                  ts::migrate<2>([](auto& d) { d.set_default("params/activation", "none"); }));
  }
  torch::Tensor forward(torch::Tensor x) {
    x = head(x) * scale.value();
    return activation == "tanh" ? torch::tanh(x) : x;
  }
  std::int64_t classes;
  Scale scale;
  std::string activation;
  Head head{nullptr};
};

/// The same name and version as NetImpl.
struct OtherNetImpl : nn::Module {
  static constexpr auto describe() { return ts::component<OtherNetImpl>("net", ts::version<3>); }
  torch::Tensor forward(torch::Tensor x) { return x; }
};

TEST_CASE("registry: an old file becomes today's model: its own hooks, its submodules', its hyperparameters'") {
  const TemporaryFolder folder;
  NetV1Impl old(4, ScaleV1{-2.5});
  const auto x = torch::rand({2, 3});
  for (const char* name : {"old.safetensors", "old.pt"}) {
    ts::save(ts::checkpoint("net"_key = old), folder / name);
    ts::ModelRegistry registry;
    registry.add<NetImpl>();
    ts::Report report;
    auto any = registry.load(folder / name, "net", {}, &report);
    CHECK(any.forward(x).equal(old.forward(x)));
    auto& net = any.get<NetImpl>();
    CHECK(net.classes == 4);
    CHECK(net.scale.value() == -2.5);
    CHECK(net.scale.uses == 7);
    CHECK(net.activation == "none");
    std::vector<std::string> steps;
    for (const auto& step : report.migrated) steps.push_back(step.path + ' ' + std::to_string(step.from));
    CHECK(steps == std::vector<std::string>{"net 1", "net 2", "net/params/scale 1", "net/head 1"});

    // The class of the file's own version is nearer than a later one.
    registry.add<NetV1Impl>();
    CHECK(registry.load(folder / name, "net").get<NetV1Impl>().scale.by == -2.5);
    CHECK(registry.models() == std::vector<std::pair<std::string, int>>{{"net", 1}, {"net", 3}});
  }
}

TEST_CASE("registry: a file that is newer than every class of its name") {
  const TemporaryFolder folder;
  ts::save(NetImpl(2, Scale(1, false), "tanh"), folder / "new.pt");
  ts::ModelRegistry registry;
  registry.add<NetV1Impl>();
  CHECK(error_of<ts::VersionError>([&] { (void)registry.load(folder / "new.pt"); }) ==
        (folder / "new.pt").string() +
            ": the whole: the file has version 3 of model 'net', newer than this registry's version 1");
}

TEST_CASE("registry: a builder instead of the constructor; one class for a name and version") {
  const TemporaryFolder folder;
  ts::save(NetImpl(2, Scale(1, false), "tanh"), folder / "net.pt");
  int built = 0;
  ts::ModelRegistry registry;
  registry.add<NetImpl>();
  registry.add<NetImpl>([&](std::int64_t classes, Scale scale, const std::string& activation) {
    ++built;
    return std::make_shared<NetImpl>(classes, scale, activation);
  });
  CHECK(registry.models().size() == 1);
  (void)registry.load(folder / "net.pt");
  CHECK(built == 1);
  CHECK(error_of<ts::Error>([&] { registry.add<OtherNetImpl>(); }) ==
        "ModelRegistry: another class is registered as 'net', version 3");

  // One that does not do as it is told is found out: the file's hyperparameters are compared with the model's.
  registry.add<NetImpl>([](std::int64_t classes, Scale scale, const std::string&) {
    return std::make_shared<NetImpl>(classes, scale, "relu");
  });
  CHECK_THROWS_AS((void)registry.load(folder / "net.pt"), ts::MismatchError);
  registry.add<NetImpl>([](std::int64_t, Scale, const std::string&) { return std::shared_ptr<NetImpl>(); });
  CHECK(error_of<ts::Error>([&] { (void)registry.load(folder / "net.pt"); }) ==
        (folder / "net.pt").string() + ": the whole: the builder of this model returned nothing");
}

struct RateV1 {
  double lr = 0;
  static constexpr auto describe() {
    return ts::component<RateV1>("rate", ts::version<1>, ts::flat, ts::hyper("lr", &RateV1::lr));
  }
};

struct Rate {
  double rate = 0;
  static constexpr auto describe() {
    return ts::component<Rate>("rate", ts::version<2>, ts::flat, ts::hyper("rate", &Rate::rate),
                               ts::migrate<1>([](auto& d) { d.rename("lr", "rate"); }));
  }
};

template <class R>
struct LayerImpl : nn::Module {
  explicit LayerImpl(R r) : rate(r) { register_buffer("buffer", torch::ones({2})); }
  static constexpr auto describe() {
    return ts::component<LayerImpl>("layer", ts::version<1>, ts::hyper("rate", &LayerImpl::rate));
  }
  R rate;
};

template <class R>
struct RatedImpl : nn::Module {
  explicit RatedImpl(R r) : rate(r), layer(register_module("layer", std::make_shared<LayerImpl<R>>(r))) {}
  static constexpr auto describe() {
    return ts::component<RatedImpl>("rated", ts::version<1>, ts::hyper("rate", &RatedImpl::rate),
                                    ts::state("layer", &RatedImpl::layer));
  }
  torch::Tensor forward(torch::Tensor x) { return x; }
  R rate;
  std::shared_ptr<LayerImpl<R>> layer;
};

TEST_CASE("registry: hyperparameters whose version stands in the manifest are migrated once") {
  const TemporaryFolder folder;
  ts::save(ts::checkpoint("model"_key = RatedImpl<RateV1>(RateV1{0.5})), folder / "old.pt");
  ts::save(ts::checkpoint("model"_key = RatedImpl<Rate>(Rate{0.5})), folder / "new.pt");
  for (const auto& [name, steps] : {std::pair("old.pt", 2), std::pair("new.pt", 0)}) {
    INFO(name);
    ts::Report report;
    const auto model = ts::load_model<RatedImpl<Rate>>(folder / name, "model", {}, &report);
    CHECK(model->rate.rate == 0.5);
    CHECK(model->layer->rate.rate == 0.5);
    CHECK(report.migrated.size() == static_cast<std::size_t>(steps));
  }
}

// What is no model ----------------------------------------------------------------------------------------------------

TEST_CASE("registry: names that are not there list those that are") {
  const TemporaryFolder folder;
  const auto path = folder / "run.safetensors";
  std::int64_t step = 3;
  ts::save(ts::checkpoint("model"_key = DigitsNet(6, 0.5), "linear"_key = nn::Linear(2, 2), "step"_key = step), path);
  ts::ModelRegistry registry;
  CHECK(error_of<ts::Error>([&] { (void)registry.load(path, "model"); }) ==
        path.string() + ": model: the registry has no model 'digits_net'; it has none");
  registry.add<ResNet18>().add<LstmTagger>();
  CHECK(error_of<ts::Error>([&] { (void)registry.load(path, "model"); }) ==
        path.string() +
            ": model: the registry has no model 'digits_net'; it has lstm_tagger (version 1), resnet18 "
            "(version 1)");
  const std::string models = "; the models that the file names are: model (digits_net), linear (torch::nn::LinearImpl)";
  CHECK(error_of<ts::Error>([&] { (void)registry.load(path, "modle"); }) ==
        path.string() + ": modle: expected a model, found nothing" + models);
  CHECK(error_of<ts::Error>([&] { (void)registry.load(path, "step"); }) ==
        path.string() + ": step: expected a model, found int64 3" + models);
  CHECK(error_of<ts::Error>([&] { (void)registry.load(path); }) ==
        path.string() + ": the whole: expected a model, found the component 'checkpoint'" + models);
  CHECK(error_of<ts::MismatchError>([&] { (void)ts::load_model<ResNet18>(path, "model"); }) ==
        path.string() +
            ": does not fit the live objects, in 1 place\n  model: expected the model 'resnet18', found 'digits_net'");
}

struct FixedImpl : nn::Module {
  nn::Linear linear = register_module("linear", nn::Linear(2, 2));
};
TORCH_MODULE(Fixed);

TEST_CASE("registry: a file without a manifest has no names and no hyperparameters") {
  const TemporaryFolder folder;
  const DigitsNet net;
  const NetImpl described(2, Scale(1, false), "tanh");
  const Fixed fixed;
  ts::write(
      ts::StateDict{
          {"model", ts::state_dict(net)}, {"net", ts::state_dict(described)}, {"fixed", ts::state_dict(fixed)}},
      folder / "python.pt");
  const auto path = folder / "python.pt";
  CHECK(ts::state_dict(ts::load_model<DigitsNet>(path, "model")) == ts::state_dict(net));  // built with its defaults
  CHECK(ts::state_dict(ts::load_model<Fixed>(path, "fixed")) == ts::state_dict(fixed));
  CHECK(
      error_of<ts::Error>([&] { (void)ts::load_model<NetImpl>(path, "net"); }).starts_with(path.string() + ": net: "));
  CHECK(error_of<ts::Error>([&] { (void)registry_of_networks().load(path, "model"); }) ==
        path.string() +
            ": model: the file does not name this model (it has no manifest); build the model and load the "
            "file into it, or load_model its class");
  CHECK_THROWS_AS((void)ts::load_model<Fixed>(path, "model"), ts::MismatchError);

  // Flat, as Hugging Face's files are.
  ts::StateDict flat;
  for (const auto& [key, value] : ts::state_dict(net)) flat["model." + std::get<std::string>(key)] = value;
  ts::write(flat, folder / "flat.safetensors");
  CHECK(ts::state_dict(ts::load_model<DigitsNet>(folder / "flat.safetensors", "model")) == ts::state_dict(net));
}

/// Refuses what a file may hold.
struct PickyImpl : nn::Module {
  explicit PickyImpl(std::int64_t size) : size_(size) {
    if (size == 13) throw std::invalid_argument("13 brings no luck");
    linear = register_module("linear", nn::Linear(size, 1));
  }
  static constexpr auto describe() {
    return ts::component<PickyImpl>("picky", ts::version<1>, ts::hyper("size", &PickyImpl::size_));
  }
  torch::Tensor forward(torch::Tensor x) { return linear(x); }
  std::int64_t size_;
  nn::Linear linear{nullptr};
};

struct LuckyImpl : nn::Module {
  explicit LuckyImpl(std::int64_t size) : size_(size) { linear = register_module("linear", nn::Linear(size, 1)); }
  static constexpr auto describe() {
    return ts::component<LuckyImpl>("picky", ts::version<1>, ts::hyper("size", &LuckyImpl::size_));
  }
  torch::Tensor forward(torch::Tensor x) { return linear(x); }
  std::int64_t size_;
  nn::Linear linear{nullptr};
};

struct WordyImpl : nn::Module {
  explicit WordyImpl(std::string size) : size_(std::move(size)) {}
  static constexpr auto describe() {
    return ts::component<WordyImpl>("picky", ts::version<1>, ts::hyper("sise", &WordyImpl::size_));
  }
  torch::Tensor forward(torch::Tensor x) { return x; }
  std::string size_;
};

TEST_CASE("registry: what goes wrong names the file and the model") {
  const TemporaryFolder folder;
  const auto path = folder / "run.pt";
  ts::save(ts::checkpoint("a"_key = LuckyImpl(13)), path);
  CHECK(error_of<ts::Error>([&] { (void)ts::load_model<PickyImpl>(path, "a"); }) ==
        path.string() + ": a: 13 brings no luck");
  CHECK(error_of<ts::MismatchError>([&] { (void)ts::load_model<WordyImpl>(path, "a"); }) ==
        path.string() + ": does not fit the live objects, in 1 place\n  missing a/params/sise");
  CHECK_THROWS_AS((void)ts::load_model<LuckyImpl>(folder / "none.pt", "a"), ts::IoError);
  CHECK(error_of<ts::Error>([&] {
          (void)ts::load_model<LuckyImpl>(path, "a", {.map_location = at::Device("cuda:99")});
        }).starts_with(path.string() + ": "));
  CHECK(ts::load_model<LuckyImpl>(path, "a", {.map_location = at::Device("cpu")})->size_ == 13);

  std::string bytes = contents(path);
  bytes[bytes.find("linear")] ^= 1;
  put(path, bytes);
  CHECK_THROWS_AS((void)ts::load_model<LuckyImpl>(path, "a"), ts::Error);
}

}  // namespace
