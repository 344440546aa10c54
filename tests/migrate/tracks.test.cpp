// What hooks of a checkpoint see of modules, and how optimizers follow the parameters that hooks rename, move or drop.
#include "trainstate/codec/tensor_tracks.hpp"

#include "support/torch_doctest.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "support/printing.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/checkpoint.hpp"
#include "trainstate/torch/optimizer.hpp"
#include "trainstate/upgrade.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;
using ts::tests::TemporaryFolder;

/// Two layers under names that are given. `Described` adds a hyperparameter and a state that is no tensor.
template <bool Described>
struct TwoImpl : torch::nn::Module {
  explicit TwoImpl(const std::string& a = "a", const std::string& b = "b")
      : first(register_module(a, torch::nn::Linear(2, 2))), second(register_module(b, torch::nn::Linear(2, 2))) {}
  torch::nn::Linear first, second;
};
struct DescribedImpl : TwoImpl<true> {
  using TwoImpl::TwoImpl;
  std::int64_t width = 2, calls = 7;
  static constexpr auto describe() {
    return ts::component<DescribedImpl>("two", ts::hyper("width", &DescribedImpl::width),
                                        ts::state("calls", &DescribedImpl::calls));
  }
};
TORCH_MODULE(Described);
using PlainImpl = TwoImpl<false>;
TORCH_MODULE(Plain);

void train(torch::optim::Optimizer& optimizer) {
  for (auto& group : optimizer.param_groups()) {
    for (auto& parameter : group.params()) parameter.mutable_grad() = torch::randn_like(parameter);
  }
  optimizer.step();
}

torch::Tensor moment(const torch::optim::Optimizer& adam, const torch::Tensor& parameter) {
  const auto* state = ts::detail::live_state<torch::optim::AdamParamState>(adam, parameter);
  return state ? state->exp_avg() : torch::Tensor();
}

/// A trained model and its optimizer in a file.
template <class Net>
struct Old {
  explicit Old(const char* name = "old.safetensors") : path(folder / name) {
    train(adam);
    ts::save(ts::checkpoint("model"_key = net, "optimizer"_key = adam), path);
  }
  Net net;
  torch::optim::Adam adam{net->parameters()};
  TemporaryFolder folder;
  std::filesystem::path path;
};

TEST_CASE_TEMPLATE("hooks of a checkpoint rename parameters, and the optimizer's state follows", Net, Described,
                   Plain) {
  const std::string state = ts::Component<typename Net::ContainedType> ? "model/state/" : "model/";
  for (const char* name : {"old.safetensors", "old.pt"}) {
    const Old<Net> old(name);
    Net now("x", "b");
    torch::optim::Adam adam(now->parameters());
    auto ckpt = ts::checkpoint(
        ts::version<2>, ts::migrate<1>([&](auto& d) { CHECK(d.rename_prefix(state + "a.", state + "x.") == 2); }),
        "model"_key = now, "optimizer"_key = adam);
    ts::load(ckpt, old.path);
    CHECK(now->first->weight.equal(old.net->first->weight));
    CHECK(moment(adam, now->first->weight).equal(moment(old.adam, old.net->first->weight)));
    CHECK(moment(adam, now->second->bias).equal(moment(old.adam, old.net->second->bias)));

    ts::upgrade(ckpt, old.path, old.folder / "today.safetensors");
    CHECK(ts::read_manifest(old.folder / "today.safetensors").at("components/optimizer/param_names/0") ==
          ts::Value(ts::List{"x.weight", "x.bias", "b.weight", "b.bias"}));
  }
}

TEST_CASE("names that a hook of a checkpoint exchanges take their moments along") {
  const Old<Described> old;
  Described now;
  torch::optim::Adam adam(now->parameters());
  auto ckpt = ts::checkpoint(ts::version<2>, ts::migrate<1>([](auto& d) {
                               d.rename_prefix("model/state/a.", "model/state/c.");
                               d.rename_prefix("model/state/b.", "model/state/a.");
                               d.rename_prefix("model/state/c.", "model/state/b.");
                             }),
                             "model"_key = now, "optimizer"_key = adam);
  ts::load(ckpt, old.path);
  CHECK(now->first->weight.equal(old.net->second->weight));
  CHECK(moment(adam, now->first->weight).equal(moment(old.adam, old.net->second->weight)));
  CHECK(moment(adam, now->second->weight).equal(moment(old.adam, old.net->first->weight)));
}

TEST_CASE("a parameter that a hook renames and computes anew keeps its moments; one that moves to another part, too") {
  const Old<Described> old;
  Described now("x", "b");
  torch::optim::Adam adam(now->parameters());
  auto renewed = ts::checkpoint(ts::version<2>, ts::migrate<1>([](auto& d) {
                                  d.rename_prefix("model/state/a.", "model/state/x.");
                                  d.transform("model/state/x.weight", [](const at::Tensor& w) { return w * 2; });
                                }),
                                "model"_key = now, "optimizer"_key = adam);
  ts::load(renewed, old.path);
  CHECK(now->first->weight.equal(old.net->first->weight * 2));
  CHECK(moment(adam, now->first->weight).equal(moment(old.adam, old.net->first->weight)));

  torch::nn::Linear first(2, 2), second(2, 2);
  torch::optim::Adam both({second->weight, second->bias, first->weight, first->bias});
  auto moved = ts::checkpoint(ts::version<2>, ts::migrate<1>([](auto& d) {
                                for (const std::string key : {"weight", "bias"}) {
                                  d.rename("model/state/a." + key, "first/" + key);
                                  d.rename("model/state/b." + key, "second/" + key);
                                }
                                d.erase("model");
                              }),
                              "first"_key = first, "second"_key = second, "optimizer"_key = both);
  ts::load(moved, old.path);
  CHECK(first->weight.equal(old.net->first->weight));
  CHECK(moment(both, first->bias).equal(moment(old.adam, old.net->first->bias)));
  CHECK(moment(both, second->weight).equal(moment(old.adam, old.net->second->weight)));
}

TEST_CASE("a name that two modules have is renamed for the optimizer's own") {
  const TemporaryFolder folder;
  Described generator, critic;
  torch::optim::Adam adam(generator->parameters());
  train(adam);
  ts::save(ts::checkpoint("generator"_key = generator, "critic"_key = critic, "optimizer"_key = adam),
           folder / "old.pt");
  Described other("x", "b"), rest("y", "b");
  torch::optim::Adam now(other->parameters());
  auto ckpt = ts::checkpoint(ts::version<2>, ts::migrate<1>([](auto& d) {
                               d.rename_prefix("generator/state/a.", "generator/state/x.");
                               d.rename_prefix("critic/state/a.", "critic/state/y.");
                             }),
                             "generator"_key = other, "critic"_key = rest, "optimizer"_key = now);
  ts::load(ckpt, folder / "old.pt");
  CHECK(moment(now, other->first->weight).equal(moment(adam, generator->first->weight)));
}

struct FusedImpl : torch::nn::Module {
  FusedImpl()
      : qk(register_module("qk", torch::nn::Linear(2, 4))), head(register_module("head", torch::nn::Linear(2, 1))) {}
  static constexpr auto describe() { return ts::component<FusedImpl>("attention"); }
  torch::nn::Linear qk, head;
};
TORCH_MODULE(Fused);

struct CutImpl : torch::nn::Module {
  CutImpl()
      : q(register_module("q", torch::nn::Linear(2, 2))),
        k(register_module("k", torch::nn::Linear(2, 2))),
        head(register_module("head", torch::nn::Linear(2, 1))) {}
  static constexpr auto describe() {
    return ts::component<CutImpl>("attention", ts::version<2>, ts::migrate<1>([](auto& d) {
                                    for (const std::string key : {"weight", "bias"}) {
                                      d.split("state/qk." + key, {"state/q." + key, "state/k." + key});
                                    }
                                  }));
  }
  torch::nn::Linear q, k, head;
};
TORCH_MODULE(Cut);

TEST_CASE("what a hook splits starts without state, where missing keys are allowed; else the mismatch names it") {
  const Old<Fused> old;
  Cut now;
  torch::optim::Adam adam(now->parameters());
  auto ckpt = ts::checkpoint("model"_key = now, "optimizer"_key = adam);
  CHECK_THROWS_WITH_AS(ts::load(ckpt, old.path), doctest::Contains("q.weight"), ts::MismatchError);
  const auto report = ts::load(ckpt, old.path, {.allow_missing = true});
  CHECK(report.missing_keys.size() == 4);
  CHECK(report.unexpected_keys.empty());
  CHECK(now->k->weight.equal(old.net->qk->weight.slice(0, 2)));
  CHECK(moment(adam, now->head->weight).equal(moment(old.adam, old.net->head->weight)));
  CHECK_FALSE(moment(adam, now->q->weight).defined());

  // What no hook took out is unexpected as ever.
  torch::optim::Adam only_q(now->q->parameters());
  auto less = ts::checkpoint("model"_key = now, "optimizer"_key = only_q);
  CHECK_THROWS_WITH_AS(ts::load(less, old.path, {.allow_missing = true}), doctest::Contains("head.weight"),
                       ts::MismatchError);
}

/// What the reference writer of safetensors makes of a model as the part `model`.
void write_foreign(const torch::nn::Module& model, const std::filesystem::path& path) {
  std::string header = R"({"__metadata__":{"format":"pt"})", data;
  for (const auto& item : model.named_parameters()) {
    const std::size_t begin = data.size();
    data.append(static_cast<const char*>(item.value().data_ptr()), item.value().nbytes());
    std::string shape;
    for (const std::int64_t n : item.value().sizes()) shape += (shape.empty() ? "" : ",") + std::to_string(n);
    header += ",\"model." + item.key() + R"(":{"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[)" +
              std::to_string(begin) + ',' + std::to_string(data.size()) + "]}";
  }
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const std::uint64_t size = header.size();
  std::string bytes(reinterpret_cast<const char*>(&size), sizeof size);
  ts::tests::put(path, bytes + header + data);
}

TEST_CASE("hooks of a checkpoint see a described module of a foreign file as a record, any other as it is") {
  Plain foreign("old", "b");
  const TemporaryFolder folder;
  write_foreign(*foreign, folder / "foreign.safetensors");
  Described described("x", "b");
  auto record =
      ts::checkpoint(ts::version<2>,
                     ts::migrate<1>([](auto& d) { CHECK(d.rename_prefix("model/state/old.", "model/state/x.") == 2); }),
                     "model"_key = described);
  ts::load(record, folder / "foreign.safetensors");
  CHECK(described->first->weight.equal(foreign->first->weight));
  CHECK(described->calls == 7);
  Plain plain("x", "b");
  auto flat = ts::checkpoint(ts::version<2>,
                             ts::migrate<1>([](auto& d) { CHECK(d.rename_prefix("model/old.", "model/x.") == 2); }),
                             "model"_key = plain);
  ts::load(flat, folder / "foreign.safetensors");
  CHECK(plain->first->weight.equal(foreign->first->weight));
  for (const char* name : {"today.safetensors", "today.pt"}) {
    ts::upgrade(flat, folder / "foreign.safetensors", folder / name);
    Plain again("x", "b");
    ts::load(ts::checkpoint(ts::version<2>, ts::migrate<1>([](auto&) {}), "model"_key = again), folder / name);
    CHECK(ts::state_dict(again) == ts::state_dict(plain));
  }
}

TEST_CASE("a record that a hook builds may leave out version and hyperparameters") {
  const Old<Plain> old;
  Described now;
  auto ckpt = ts::checkpoint(ts::version<2>, ts::migrate<1>([](auto& d) {
                               for (const std::string key : {"a.weight", "a.bias", "b.weight", "b.bias"}) {
                                 d.rename("model/" + key, "new/state/" + key);
                               }
                               d.set("new/state/calls", 9);
                               d.erase("model");
                               d.erase("optimizer");
                             }),
                             "new"_key = now);
  ts::load(ckpt, old.path);
  CHECK(now->calls == 9);
  CHECK(now->second->weight.equal(old.net->second->weight));
}

TEST_CASE("a tree that was written as such loads into a described module") {
  const TemporaryFolder folder;
  Described net, other;
  ts::write(ts::state_dict(net), folder / "tree.pt");
  const auto report = ts::load(other, folder / "tree.pt");
  CHECK(ts::state_dict(other) == ts::state_dict(net));
  CHECK(report.warnings.size() >= 1);
}

struct OwnMembers {
  ts::StateDict got;
  [[nodiscard]] ts::StateDict state_dict() const { return got; }
  void load_state_dict(const ts::StateDict& d) { got = d.clone(); }
};

TEST_CASE("objects without a type of their own get what stands in the file") {
  for (const char* name : {"old.safetensors", "old.pt"}) {
    const Old<Described> old(name);
    const ts::StateDict file = ts::read(old.path);
    ts::StateDict whole, model, optimizer;
    ts::load(whole, old.path);
    CHECK(whole == file);
    auto parts = ts::checkpoint("model"_key = model, "optimizer"_key = optimizer);
    ts::load(parts, old.path);
    CHECK(model == file.at<ts::StateDict>("model"));
    CHECK(optimizer == file.at<ts::StateDict>("optimizer"));

    OwnMembers own;
    std::map<std::string, torch::Tensor> tensors;
    auto model_only = ts::checkpoint("model"_key = own, "optimizer"_key = ts::Value());
    ts::load(model_only, old.path);
    CHECK(own.got == file.at<ts::StateDict>("model"));
    ts::load(ts::checkpoint("model"_key = tensors), old.path, {.only = {"model"}});
    CHECK(tensors.size() == 4);
    CHECK(tensors.at("b.bias").equal(old.net->second->bias));

    // A key that looks like ours is the user's.
    ts::StateDict odd{{"__trainstate__", 1}, {"state", ts::StateDict{{"a", 2}}}}, got;
    ts::save(ts::checkpoint("odd"_key = odd), old.folder / "odd.pt");
    ts::load(ts::checkpoint("odd"_key = got), old.folder / "odd.pt");
    CHECK(got == odd);

    // A file that a program without the types upgraded is as good.
    ts::upgrade(parts, old.path, old.folder / "today.safetensors");
    Described net;
    torch::optim::Adam adam(net->parameters());
    ts::load(ts::checkpoint("model"_key = net, "optimizer"_key = adam), old.folder / "today.safetensors");
    CHECK(net->first->weight.equal(old.net->first->weight));
  }
}

}  // namespace
