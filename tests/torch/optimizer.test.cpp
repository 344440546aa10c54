#include "trainstate/torch/optimizer.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "torch/training.hpp"

namespace ts = trainstate;
namespace optim = torch::optim;
using namespace ts::literals;
using training::Net;
using training::refused;
using training::restore;
using training::store;
using training::Stored;
using training::train;

#define ALL_SIX optim::SGD, optim::Adam, optim::AdamW, optim::RMSprop, optim::Adagrad, optim::LBFGS
#define ALL_BUT_LBFGS optim::SGD, optim::Adam, optim::AdamW, optim::RMSprop, optim::Adagrad

TEST_CASE_TEMPLATE("training goes on from a checkpoint as if it had never stopped", O, ALL_SIX) {
  Net net;
  auto optimizer = training::make<O>(net, /*tuned=*/true);
  train(net, *optimizer, 0, 4);
  const auto bytes = ts::to_bytes(ts::checkpoint("model"_key = net, "optimizer"_key = *optimizer));
  train(net, *optimizer, 4, 9);

  Net again(2);
  auto resumed = training::make<O>(again, /*tuned=*/false);
  SUBCASE("into a new optimizer") {}
  SUBCASE("into one that has been used") { train(again, *resumed, 20, 22); }
  const auto report = ts::from_bytes(ts::checkpoint("model"_key = again, "optimizer"_key = *resumed), bytes);
  CHECK(report.hyper_changes.size() >= 4);
  CHECK(report.warnings.empty());
  train(again, *resumed, 4, 9);
  CHECK(ts::state_dict(again) == ts::state_dict(net));
  CHECK(ts::state_dict(*resumed) == ts::state_dict(*optimizer));
}

TEST_CASE_TEMPLATE("what is loaded is saved again as it was", O, ALL_SIX) {
  Net net;
  auto optimizer = training::make<O>(net, true);
  train(net, *optimizer, 0, 3);
  const auto saved = store(*optimizer);
  auto other = training::make<O>(net, false);
  restore(*other, saved);
  CHECK(ts::state_dict(*other) == saved.tree);
}

TEST_CASE_TEMPLATE("an optimizer that never stepped is saved and loaded", O, ALL_SIX) {
  Net net, again(2);
  auto fresh = training::make<O>(net, true), used = training::make<O>(again, false);
  const auto saved = store(*fresh);
  train(again, *used, 0, 2);
  restore(*used, saved);
  CHECK(ts::state_dict(*used) == saved.tree);
}

namespace {

/// Where the memory of the tensors in a parameter's state is. (A step is a tensor only in the tree.)
std::vector<const void*> addresses(const ts::Value& state) {
  std::vector<const void*> all;
  for (const auto& [key, value] : state.as<ts::StateDict>()) {
    const auto* tensor = value.get_if<torch::Tensor>();
    if (tensor && tensor->dim() > 0) all.push_back(tensor->data_ptr());
  }
  return all;
}

}  // namespace

TEST_CASE_TEMPLATE("tensors and state objects stay where they are", O, ALL_SIX) {
  Net net;
  auto optimizer = training::make<O>(net, true);
  train(net, *optimizer, 0, 3);
  const auto saved = store(*optimizer);
  train(net, *optimizer, 3, 6);

  const ts::StateDict before = ts::state_dict(*optimizer);
  const auto* object = optimizer->state().begin()->second.get();
  const auto* options = &optimizer->param_groups()[0].options();
  restore(*optimizer, saved);
  const ts::StateDict after = ts::state_dict(*optimizer);
  for (const auto& [id, state] : before.at<ts::StateDict>("state")) {
    const ts::Value& loaded = after.at<ts::StateDict>("state").at_key(id);
    CHECK(!addresses(state).empty());
    CHECK(addresses(loaded) == addresses(state));
  }
  CHECK(optimizer->state().begin()->second.get() == object);
  CHECK(&optimizer->param_groups()[0].options() == options);
  CHECK(after == saved.tree);
}

TEST_CASE_TEMPLATE("the base class serves as well, by reference and by pointer", O, ALL_SIX) {
  Net net, again(2);
  std::unique_ptr<optim::Optimizer> unique = training::make<O>(net, true);
  train(net, *unique, 0, 3);
  const auto bytes = ts::to_bytes(ts::checkpoint("model"_key = net, "optimizer"_key = unique));

  std::shared_ptr<optim::Optimizer> shared = training::make<O>(again, false);
  optim::Optimizer& reference = *shared;
  SUBCASE("reference") { ts::from_bytes(ts::checkpoint("model"_key = again, "optimizer"_key = reference), bytes); }
  SUBCASE("shared_ptr") { ts::from_bytes(ts::checkpoint("model"_key = again, "optimizer"_key = shared), bytes); }
  CHECK(ts::state_dict(reference) == ts::state_dict(dynamic_cast<O&>(*unique)));
}

namespace {

std::vector<std::string> keys(const ts::Value& dict) {
  std::vector<std::string> names;
  for (const auto& entry : dict.as<ts::StateDict>()) names.push_back(ts::detail::to_string(entry.first));
  return names;
}

using Keys = std::vector<std::string>;

// What PyTorch 2.14.1's optimizer.state_dict() has after a step, read off a Python session.
template <class O>
struct Python;
template <>
struct Python<optim::SGD> {
  static Keys group() {
    return {"lr",       "momentum", "dampening",      "weight_decay", "nesterov",
            "maximize", "foreach",  "differentiable", "fused",        "params"};
  }
  static Keys state() { return {"momentum_buffer"}; }
};
template <>
struct Python<optim::Adam> {
  static Keys group() {
    return {"lr",         "betas",          "eps",   "weight_decay",           "amsgrad", "maximize", "foreach",
            "capturable", "differentiable", "fused", "decoupled_weight_decay", "params"};
  }
  static Keys state() { return {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}; }
};
template <>
struct Python<optim::AdamW> : Python<optim::Adam> {};
template <>
struct Python<optim::RMSprop> {
  static Keys group() {
    return {"lr",      "momentum", "alpha",          "eps",   "centered", "weight_decay", "capturable",
            "foreach", "maximize", "differentiable", "params"};
  }
  static Keys state() { return {"step", "square_avg", "momentum_buffer", "grad_avg"}; }
};
template <>
struct Python<optim::Adagrad> {
  static Keys group() {
    return {"lr",       "lr_decay",       "eps",   "weight_decay", "initial_accumulator_value", "foreach",
            "maximize", "differentiable", "fused", "params"};
  }
  static Keys state() { return {"step", "sum"}; }
};
template <>
struct Python<optim::LBFGS> {
  static Keys group() {
    return {"lr",           "max_iter",       "max_eval", "tolerance_grad", "tolerance_change",
            "history_size", "line_search_fn", "maximize", "params"};
  }
  static Keys state() {
    return {"func_evals", "n_iter",         "al",       "d", "t", "old_dirs", "old_stps", "ro",
            "H_diag",     "prev_flat_grad", "prev_loss"};
  }
};

}  // namespace

TEST_CASE_TEMPLATE("the tree is PyTorch 2.14's, key for key", O, ALL_SIX) {
  Net net;
  auto optimizer = training::make<O>(net, true);
  train(net, *optimizer, 0, 2);
  const ts::StateDict dict = ts::state_dict(*optimizer);
  CHECK(keys(dict) == Keys{"state", "param_groups"});
  for (const auto& group : dict.at("param_groups").as<ts::List>()) CHECK(keys(group) == Python<O>::group());
  CHECK(keys(dict.at("state/0")) == Python<O>::state());
  if (std::is_same_v<O, optim::LBFGS>) {
    CHECK(keys(dict.at("state")) == Keys{"0"});
    CHECK(dict.at("param_groups/0/params") == ts::Value(ts::List{0, 1, 2, 3}));
    CHECK(dict.at("param_groups/0/line_search_fn") == ts::Value("strong_wolfe"));
  } else {
    CHECK(keys(dict.at("state")) == Keys{"0", "1", "2", "3"});
    CHECK(dict.at("param_groups/0/params") == ts::Value(ts::List{0, 1}));
    CHECK(dict.at("param_groups/1/params") == ts::Value(ts::List{2, 3}));
    CHECK(dict.at("param_groups/1/lr") == ts::Value(0.02));
  }
}

TEST_CASE("values have Python's types") {
  Net net;
  auto adam = training::make<optim::Adam>(net, true);
  train(net, *adam, 0, 2);
  const ts::StateDict dict = ts::state_dict(*adam);
  CHECK(dict.at("param_groups/0/betas") == ts::Value(ts::List{0.8, 0.95}));
  CHECK(dict.at("param_groups/0/amsgrad") == ts::Value(true));
  CHECK(dict.at("param_groups/0/maximize") == ts::Value(false));
  CHECK(dict.at("param_groups/0/foreach").is<ts::None>());
  CHECK(dict.at("param_groups/0/decoupled_weight_decay") == ts::Value(false));
  CHECK(dict.at("state/0/step") == ts::Value(torch::tensor(2.0F)));
  CHECK(dict.at("state/0/exp_avg").as<torch::Tensor>().sizes() == net->first->weight.sizes());
  CHECK(ts::state_dict(*training::make<optim::AdamW>(net, true)).at("param_groups/0/decoupled_weight_decay") ==
        ts::Value(true));

  auto& state = static_cast<optim::AdamParamState&>(*adam->state().begin()->second);
  state.step((1LL << 24) + 1);  // the first integer that float32 cannot hold
  std::vector<torch::ScalarType> dtypes;
  const ts::StateDict later = ts::state_dict(*adam);
  for (const auto& entry : later.at("state").as<ts::StateDict>()) {
    dtypes.push_back(entry.second.as<ts::StateDict>().at("step").as<torch::Tensor>().scalar_type());
  }
  CHECK(std::count(dtypes.begin(), dtypes.end(), torch::kDouble) == 1);
  restore(*adam, store(*adam));
  CHECK(static_cast<optim::AdamParamState&>(*adam->state().begin()->second).step() == (1LL << 24) + 1);
}

TEST_CASE("SGD without momentum has no state, and parameters without gradient have none") {
  Net net;
  optim::SGD plain(net->parameters(), 0.1);
  train(net, plain, 0, 2);
  CHECK(ts::state_dict(plain).at("state").as<ts::StateDict>().empty());

  optim::Adam adam(net->parameters());
  net->first->weight.mutable_grad() = torch::Tensor();
  net->second->parameters()[0].sum().backward();
  for (auto& p : net->parameters()) {
    if (!p.is_same(net->second->weight)) p.mutable_grad() = torch::Tensor();
  }
  adam.step();
  CHECK(keys(ts::state_dict(adam).at("state")) == Keys{"2"});
}

TEST_CASE_TEMPLATE("a file of another class is refused by name", Live, ALL_SIX) {
  const auto refuse = [&]<class File>(std::type_identity<File>, const std::string& name, const std::string& live) {
    if (std::is_same_v<File, Live>) return;
    Net net;
    auto file = training::make<File>(net, true);
    auto optimizer = training::make<Live>(net, true);
    train(net, *file, 0, 1);
    train(net, *optimizer, 0, 1);
    auto ckpt = ts::checkpoint("model"_key = net, "optimizer"_key = *optimizer);
    const auto stored = store(ts::checkpoint("model"_key = net, "optimizer"_key = *file));
    const auto before = ts::state_dict(*optimizer).clone();
    for (const bool manifest : {true, false}) {
      const auto report = refused(ckpt, manifest ? stored : Stored{stored.tree, {}});
      REQUIRE(report.mismatched.size() == 1);
      CHECK(report.mismatched[0] == ts::Report::Mismatch{"optimizer", live, name});
    }
    CHECK(ts::state_dict(*optimizer) == before);
  };
  const std::string live(ts::detail::OptimizerKind<Live>::name);
  refuse(std::type_identity<optim::SGD>(), "torch.optim.SGD", live);
  refuse(std::type_identity<optim::Adam>(), "torch.optim.Adam", live);
  refuse(std::type_identity<optim::AdamW>(), "torch.optim.AdamW", live);
  refuse(std::type_identity<optim::RMSprop>(), "torch.optim.RMSprop", live);
  refuse(std::type_identity<optim::Adagrad>(), "torch.optim.Adagrad", live);
  refuse(std::type_identity<optim::LBFGS>(), "torch.optim.LBFGS", live);
}

TEST_CASE_TEMPLATE("everything wrong is reported at once, by path, and nothing has changed", O, ALL_BUT_LBFGS) {
  Net net;
  auto optimizer = training::make<O>(net, true);
  train(net, *optimizer, 0, 2);
  auto ckpt = ts::checkpoint("model"_key = net, "optimizer"_key = *optimizer);
  auto stored = store(ckpt);
  const std::string moment = Python<O>::state().back();
  stored.tree.set("optimizer/state/0/" + moment, torch::zeros({4, 5}));
  stored.tree.set("optimizer/state/1/" + moment, torch::zeros({5}, torch::kDouble));
  stored.tree.set("optimizer/state/2/" + moment, "text");
  stored.tree.set("optimizer/state/3/mystery", 1);
  stored.tree.set("optimizer/param_groups/0/lr", "fast");
  stored.tree.set("optimizer/param_groups/1/weight_decay", 0.5);
  stored.tree.erase("optimizer/param_groups/1/lr");
  stored.tree.set("optimizer/param_groups/1/mystery", 1);
  stored.tree.set("optimizer/state/77", ts::StateDict());
  stored.tree.set("optimizer/mystery", 1);

  const auto before = ts::state_dict(ckpt).clone();
  const auto report = refused(ckpt, stored);
  CHECK(ts::state_dict(ckpt) == before);
  std::vector<std::string> paths;
  for (const auto& m : report.mismatched) paths.push_back(m.path);
  std::sort(paths.begin(), paths.end());
  CHECK(paths == std::vector<std::string>{"optimizer/param_groups/0/lr", "optimizer/state/0/" + moment,
                                          "optimizer/state/1/" + moment, "optimizer/state/2/" + moment});
  for (const auto& m : report.mismatched) {
    if (m.path != "optimizer/state/0/" + moment) continue;
    CHECK(m.expected == "float32[5, 4], for parameter first.weight");
    CHECK(m.found == "float32[4, 5]");
  }
  CHECK(report.missing_keys == std::vector<std::string>{"optimizer/param_groups/1/lr"});
  auto unexpected = report.unexpected_keys;
  std::sort(unexpected.begin(), unexpected.end());
  CHECK(unexpected == std::vector<std::string>{"optimizer/mystery", "optimizer/param_groups/1/mystery",
                                               "optimizer/state/3/mystery", "optimizer/state/77"});
}

TEST_CASE("hyperparameters follow the policy") {
  Net net;
  auto file = training::make<optim::AdamW>(net, true), live = training::make<optim::AdamW>(net, true);
  static_cast<optim::AdamWOptions&>(file->param_groups()[1].options()).lr(0.7).betas({0.5, 0.6});
  const auto stored = store(*file);
  const auto lr = [&] { return static_cast<optim::AdamWOptions&>(live->param_groups()[1].options()).lr(); };
  SUBCASE("file") {
    const auto report = restore(*live, stored);
    CHECK(lr() == 0.7);
    REQUIRE(report.hyper_changes.size() == 2);
    CHECK(report.hyper_changes[0].path == "param_groups/1/lr");
    CHECK(report.hyper_changes[1].path == "param_groups/1/betas");
  }
  SUBCASE("code") {
    const auto report = restore(*live, stored, {.hyper = ts::HyperPolicy::code});
    CHECK(lr() == 0.02);
    CHECK(report.hyper_changes.size() == 2);
  }
  SUBCASE("match") {
    const auto report = refused(*live, stored, {.hyper = ts::HyperPolicy::match});
    CHECK(lr() == 0.02);
    CHECK(report.mismatched.size() == 2);
  }
}

TEST_CASE("a live option that needs more state than the file has") {
  Net net;
  auto file = training::make<optim::Adam>(net, false), live = training::make<optim::Adam>(net, true);
  train(net, *file, 0, 1);
  const auto stored = store(*file);
  const auto report = refused(*live, stored, {.hyper = ts::HyperPolicy::code});
  CHECK(report.missing_keys.size() == 4);
  CHECK(report.missing_keys[0] == "state/0/max_exp_avg_sq");
  restore(*live, stored, {.allow_missing = true, .hyper = ts::HyperPolicy::code});
  train(net, *live, 1, 2);  // would fail on an undefined tensor
}

TEST_CASE("what Python's files have that C++ does not") {
  Net net;
  auto adam = training::make<optim::Adam>(net, true);
  train(net, *adam, 0, 2);
  Stored python{store(*adam).tree, {}};
  auto other = training::make<optim::Adam>(net, false);
  SUBCASE("harmless options, schedulers' notes and the names of other versions' options") {
    python.tree.set("param_groups/0/initial_lr", 0.1);
    python.tree.set("param_groups/0/foreach", true);
    python.tree.set("param_groups/0/capturable", true);
    python.tree.set("param_groups/0/fused", true);
    python.tree.erase("param_groups/1/decoupled_weight_decay");
    python.tree.erase("param_groups/1/differentiable");
    const auto report = restore(*other, python);
    CHECK(report.unexpected_keys.empty());
    CHECK(ts::state_dict(*other) == ts::state_dict(*adam));
  }
  SUBCASE("steps as integers and floats, numbers as integers") {
    python.tree.set("state/0/step", 2);
    python.tree.set("state/1/step", 2.0);
    python.tree.set("state/2/step", torch::tensor(2));
    python.tree.set("param_groups/0/weight_decay", 0);
    restore(*other, python);
    CHECK(ts::state_dict(*other).at("state") == ts::state_dict(*adam).at("state"));
    CHECK(ts::state_dict(*other).at("param_groups/0/weight_decay") == ts::Value(0.0));
  }
  SUBCASE("a step that is no count") {
    python.tree.set("state/0/step", 2.5);
    python.tree.set("state/1/step", -1);
    python.tree.set("state/2/step", true);
    CHECK(refused(*other, python).mismatched.size() == 3);
  }
  SUBCASE("an option that changes what is computed") {
    python.tree.set("param_groups/1/maximize", true);
    const auto report = refused(*other, python);
    REQUIRE(report.mismatched.size() == 1);
    CHECK(report.mismatched[0].path == "param_groups/1/maximize");
  }
  SUBCASE("states that hold nothing, as 1.13 writes them for SGD") {
    optim::SGD sgd(net->parameters(), 0.1);
    Stored file{store(sgd).tree, {}};
    file.tree.set("state/0", ts::StateDict{{"momentum_buffer", ts::None()}});
    restore(sgd, file);
    CHECK(sgd.state().empty());
  }
}

namespace {

/// An optimizer that only its author knows.
struct Own : optim::Optimizer {
  explicit Own(std::vector<torch::Tensor> parameters)
      : Optimizer(std::move(parameters), std::make_unique<optim::SGDOptions>(0.1)) {}
  torch::Tensor step(LossClosure = nullptr) override { return {}; }
};

struct Derived : optim::Adam {
  using Adam::Adam;
};

struct WithMembers : Own {
  using Own::Own;
  ts::StateDict state_dict() const { return {{"n", ts::Value(n)}}; }
  void load_state_dict(const ts::StateDict& d) { n = static_cast<int>(d.at<std::int64_t>("n")); }
  int n = 0;
};

}  // namespace

TEST_CASE("classes that LibTorch does not have") {
  Net net;
  Own own(net->parameters());
  Derived derived(net->parameters());
  CHECK_THROWS_WITH_AS(ts::state_dict(own), doctest::Contains("adapter"), ts::Error);
  CHECK_THROWS_WITH_AS(ts::state_dict(ts::checkpoint("optimizer"_key = derived)), doctest::Contains("optimizer: an "),
                       ts::Error);
  CHECK_THROWS_WITH_AS(restore(derived, {}), doctest::Contains("Derived"), ts::Error);

  WithMembers mine(net->parameters());
  mine.n = 7;
  const auto stored = store(mine);
  mine.n = 0;
  restore(mine, stored);
  CHECK(mine.n == 7);
}

TEST_CASE("a newer version of the record is refused") {
  Net net;
  auto adam = training::make<optim::Adam>(net, true);
  auto ckpt = ts::checkpoint("optimizer"_key = *adam);
  auto stored = store(ckpt);
  stored.components.set("optimizer/version", 2);
  CHECK_THROWS_AS(restore(ckpt, stored), ts::VersionError);
}
