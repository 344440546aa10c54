#include "trainstate/torch/optimizer/matching.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "torch/training.hpp"

namespace ts = trainstate;
namespace optim = torch::optim;
using namespace ts::literals;
using training::Net;
using training::refused;
using training::restore;
using training::store;
using training::train;
using Names = std::vector<std::string>;

namespace {

Names sorted(Names names) {
  std::sort(names.begin(), names.end());
  return names;
}

/// The one moment that Adam keeps for a parameter, or an undefined tensor.
torch::Tensor moment(const optim::Optimizer& adam, const torch::Tensor& parameter) {
  const auto* state = ts::detail::live_state<optim::AdamParamState>(adam, parameter);
  return state ? state->exp_avg() : torch::Tensor();
}

}  // namespace

TEST_CASE_TEMPLATE("other orders of parameters and groups", O, optim::SGD, optim::Adam, optim::AdamW, optim::RMSprop,
                   optim::Adagrad) {
  Net net, again(2);
  auto optimizer = training::make<O>(net, true);
  train(net, *optimizer, 0, 4);
  const auto bytes = ts::to_bytes(ts::checkpoint("model"_key = net, "optimizer"_key = *optimizer));
  train(net, *optimizer, 4, 8);

  auto turned = training::make<O>(again, false, /*reversed=*/true);
  train(again, *turned, 0, 2);
  ts::from_bytes(ts::checkpoint("model"_key = again, "optimizer"_key = *turned), bytes);
  CHECK(turned->param_groups()[0].options().get_lr() == 0.02);
  CHECK(turned->param_groups()[1].options().get_lr() == 0.03);
  train(again, *turned, 4, 8);
  CHECK(ts::state_dict(again) == ts::state_dict(net));
}

TEST_CASE("names stand in the manifest, aligned with params") {
  Net net;
  auto adam = training::make<optim::Adam>(net, true, true);
  const auto stored = store(ts::checkpoint("model"_key = net, "optimizer"_key = *adam));
  const auto& record = stored.components.at_key("optimizer").as<ts::StateDict>();
  CHECK(record.at("name") == ts::Value("torch.optim.Adam"));
  CHECK(record.at("version") == ts::Value(1));
  CHECK(record.at("param_names") == ts::Value(ts::List{ts::List{ts::Value("second.bias"), ts::Value("second.weight")},
                                                       ts::List{ts::Value("first.bias"), ts::Value("first.weight")}}));
}

TEST_CASE("names begin with the module's where the optimizer spans several") {
  Net one, two(2);
  std::vector<torch::Tensor> all = one->parameters();
  for (const auto& p : two->parameters()) all.push_back(p);
  optim::Adam adam(all);
  auto ckpt = ts::checkpoint("one"_key = one, "other"_key = ts::checkpoint("two"_key = two), "optimizer"_key = adam);
  train(one, adam, 0, 1);
  train(two, adam, 0, 2);
  const auto stored = store(ckpt);
  const auto& names = stored.components.at_key("optimizer").as<ts::StateDict>().at("param_names/0").as<ts::List>();
  CHECK(names[0] == ts::Value("one.first.weight"));
  CHECK(names[7] == ts::Value("other.two.second.bias"));

  std::reverse(all.begin(), all.end());
  optim::Adam turned(all);
  auto into = ts::checkpoint("one"_key = one, "other"_key = ts::checkpoint("two"_key = two), "optimizer"_key = turned);
  restore(into, stored);
  for (const auto& p : all) CHECK(torch::equal(moment(turned, p), moment(adam, p)));
}

TEST_CASE("a file over one module into an optimizer that spans two") {
  Net net, head(2);
  optim::Adam adam(net->parameters());
  train(net, adam, 0, 2);
  const auto stored = store(ts::checkpoint("model"_key = net, "optimizer"_key = adam));

  auto all = head->parameters();
  for (const auto& p : net->parameters()) all.push_back(p);
  optim::Adam both(all);
  auto ckpt = ts::checkpoint("model"_key = net, "other"_key = head->first, "optimizer"_key = both);
  // Some parameters of `head` are in no module of the checkpoint, so the group goes by position and does not fit.
  CHECK(refused(ckpt, stored, {.allow_missing = true}).mismatched.size() == 1);

  auto whole = ts::checkpoint("model"_key = net, "head"_key = head, "optimizer"_key = both);
  const auto report = restore(whole, stored, {.allow_missing = true});
  CHECK(std::count(report.missing_keys.begin(), report.missing_keys.end(), "optimizer/state/head.first.weight") == 1);
  for (const auto& p : net->parameters()) CHECK(torch::equal(moment(both, p), moment(adam, p)));
  for (const auto& p : head->parameters()) CHECK(!moment(both, p).defined());
}

TEST_CASE("a group with a nameless parameter goes by position, others by name") {
  Net net;
  auto extra = torch::ones({3}, torch::requires_grad());
  const auto with_extra = [&](bool turned) {
    std::vector<optim::OptimizerParamGroup> groups;
    const auto add = [&](std::vector<torch::Tensor> parameters, double lr) {
      groups.emplace_back(parameters, std::make_unique<optim::AdamOptions>(lr));
    };
    if (turned) {
      add({extra, net->first->weight}, 0.5);
      add({net->second->bias, net->second->weight, net->first->bias}, 0.5);
    } else {
      add({net->first->bias, net->second->weight, net->second->bias}, 0.1);
      add({extra, net->first->weight}, 0.2);
    }
    return std::make_unique<optim::Adam>(groups);
  };
  auto adam = with_extra(false), turned = with_extra(true);
  train(net, *adam, 0, 1);
  const auto stored = store(ts::checkpoint("model"_key = net, "optimizer"_key = *adam));
  const auto& names = stored.components.at_key("optimizer").as<ts::StateDict>().at("param_names");
  CHECK(names.as<ts::List>()[1].is<ts::None>());

  auto ckpt = ts::checkpoint("model"_key = net, "optimizer"_key = *turned);
  restore(ckpt, stored);
  CHECK(turned->param_groups()[0].options().get_lr() == 0.2);
  CHECK(turned->param_groups()[1].options().get_lr() == 0.1);
  for (const auto& p : net->parameters()) CHECK(torch::equal(moment(*turned, p), moment(*adam, p)));
}

TEST_CASE("without names, by position: as many groups and parameters") {
  Net net;
  auto adam = training::make<optim::Adam>(net, true);
  train(net, *adam, 0, 1);
  const auto stored = store(*adam);
  optim::Adam one_group(net->parameters());
  auto report = refused(one_group, stored);
  REQUIRE(report.mismatched.size() == 1);
  CHECK(report.mismatched[0] == ts::Report::Mismatch{"param_groups", "1 parameter group", "2 parameter groups"});

  std::vector<optim::OptimizerParamGroup> groups{net->first->parameters(), {{net->second->weight}}};
  optim::Adam fewer(groups);
  report = refused(fewer, stored, {.allow_unexpected = true});
  REQUIRE(report.mismatched.size() == 1);
  CHECK(report.mismatched[0] == ts::Report::Mismatch{"param_groups/1/params", "1 parameter", "2 parameters"});
}

TEST_CASE("Python's own param_names count where there is no manifest") {
  Net net;
  auto adam = training::make<optim::Adam>(net, true), turned = training::make<optim::Adam>(net, false, true);
  train(net, *adam, 0, 1);
  auto stored = store(ts::checkpoint("model"_key = net, "optimizer"_key = *adam));
  stored.components = {};
  stored.tree.set("optimizer/param_groups/0/param_names", ts::List{ts::Value("first.weight"), ts::Value("first.bias")});
  stored.tree.set("optimizer/param_groups/1/param_names",
                  ts::List{ts::Value("second.weight"), ts::Value("second.bias")});
  auto ckpt = ts::checkpoint("model"_key = net, "optimizer"_key = *turned);
  SUBCASE("complete") {
    restore(ckpt, stored);
    for (const auto& p : net->parameters()) CHECK(torch::equal(moment(*turned, p), moment(*adam, p)));
  }
  SUBCASE("too few") {
    stored.tree.set("optimizer/param_groups/0/param_names", ts::List{ts::Value("first.weight")});
    CHECK(refused(ckpt, stored).mismatched.front().path == "optimizer/param_groups/0");
  }
}

TEST_CASE("groups that do not correspond") {
  Net net;
  auto adam = training::make<optim::Adam>(net, true);
  train(net, *adam, 0, 1);
  const auto stored = store(ts::checkpoint("model"_key = net, "optimizer"_key = *adam));
  const auto live = [&](std::vector<std::vector<torch::Tensor>> parameters) {
    std::vector<optim::OptimizerParamGroup> groups;
    for (auto& p : parameters) groups.emplace_back(p);
    return std::make_unique<optim::Adam>(groups, optim::AdamOptions(0.5));
  };
  const auto &a = net->first->weight, &b = net->first->bias, &c = net->second->weight, &d = net->second->bias;
  const auto load = [&](optim::Adam& optimizer, const ts::LoadOptions& options) {
    auto ckpt = ts::checkpoint("model"_key = net, "optimizer"_key = optimizer);
    return restore(ckpt, stored, options);
  };
  const auto refuse = [&](optim::Adam& optimizer, const ts::LoadOptions& options) {
    auto ckpt = ts::checkpoint("model"_key = net, "optimizer"_key = optimizer);
    return refused(ckpt, stored, options).mismatched;
  };
  const ts::LoadOptions lenient{.allow_missing = true, .allow_unexpected = true};

  SUBCASE("a parameter in another group is never let pass") {
    auto regrouped = live({{a}, {b, c, d}});
    const auto found = refuse(*regrouped, lenient);
    REQUIRE(found.size() == 2);
    CHECK(found[0].path == "optimizer/param_groups/0/params");
    CHECK(found[0].expected == "a group without first.bias");
    CHECK(found[0].found == "a group with first.bias");
    CHECK(found[1].expected == "a group with first.bias");
    CHECK(found[1].found == "a group without first.bias");
  }
  SUBCASE("a parameter that is gone") {
    auto fewer = live({{a, b}, {d}});
    CHECK(refuse(*fewer, {}).size() == 1);
    const auto report = load(*fewer, {.allow_unexpected = true});
    CHECK(report.unexpected_keys == Names{"optimizer/state/second.weight"});
    CHECK(torch::equal(moment(*fewer, d), moment(*adam, d)));
  }
  SUBCASE("a group that is gone") {
    auto fewer = live({{d, c}});
    const auto found = refuse(*fewer, {});
    REQUIRE(found.size() == 1);
    CHECK(found[0].expected == "no such group");
    CHECK(found[0].found == "a group with first.weight, first.bias");
    const auto report = load(*fewer, {.allow_unexpected = true});
    CHECK(sorted(report.unexpected_keys) == Names{"optimizer/state/first.bias", "optimizer/state/first.weight"});
    CHECK(torch::equal(moment(*fewer, c), moment(*adam, c)));
    CHECK(fewer->param_groups()[0].options().get_lr() == 0.02);
  }
  SUBCASE("a parameter and a group that are new") {
    Net more(3);
    auto& e = more->first->weight;
    auto& f = more->first->bias;
    train(more, *adam, 0, 0);
    auto grown = live({{f}, {a, b, e}, {c, d}});
    auto ckpt = ts::checkpoint("model"_key = net, "more"_key = more, "optimizer"_key = *grown);
    train(more, *grown, 0, 1);
    const ts::LoadOptions only{.allow_missing = true, .only = {"optimizer"}};
    const auto report = restore(ckpt, stored, only);
    CHECK(sorted(report.missing_keys) == Names{"optimizer/state/more.first.bias", "optimizer/state/more.first.weight"});
    CHECK(torch::equal(moment(*grown, a), moment(*adam, a)));
    CHECK(!moment(*grown, e).defined());
    CHECK(grown->param_groups()[0].options().get_lr() == 0.5);
    CHECK(grown->param_groups()[1].options().get_lr() == 0.03);
    const auto strict = refused(ckpt, stored, {.only = {"optimizer"}});
    CHECK(strict.mismatched.size() == 2);
  }
}

TEST_CASE("Adagrad cannot step without state, so new parameters get that of a new optimizer") {
  Net net, more(3);
  optim::Adagrad file(net->parameters(), optim::AdagradOptions(0.1).initial_accumulator_value(0.25));
  train(net, file, 0, 2);
  const auto stored = store(ts::checkpoint("model"_key = net, "optimizer"_key = file));
  auto all = net->parameters();
  all.push_back(more->first->weight);
  optim::Adagrad grown(all, optim::AdagradOptions(0.1).initial_accumulator_value(0.25));
  auto ckpt = ts::checkpoint("model"_key = net, "more"_key = more, "optimizer"_key = grown);
  train(more, grown, 0, 2);
  restore(ckpt, stored, {.allow_missing = true, .only = {"optimizer"}});
  const auto* state = ts::detail::live_state<optim::AdagradParamState>(grown, more->first->weight);
  REQUIRE(state);
  CHECK(state->step() == 0);
  CHECK(torch::equal(state->sum(), torch::full({5, 4}, 0.25)));
}

namespace {

struct OldImpl : torch::nn::Module {
  OldImpl() { lin = register_module("lin", torch::nn::Linear(4, 5)); }
  static constexpr auto describe() { return ts::component<OldImpl>("net", ts::version<1>); }
  torch::nn::Linear lin{nullptr};
};
struct NewImpl : torch::nn::Module {
  NewImpl() { fc = register_module("fc", torch::nn::Linear(4, 5)); }
  static constexpr auto describe() {
    return ts::component<NewImpl>("net", ts::version<2>,
                                  ts::migrate<1>([](auto& d) { d.rename_prefix("state/lin.", "state/fc."); }));
  }
  torch::nn::Linear fc{nullptr};
};

}  // namespace

TEST_CASE("renames of a migration reach the optimizer") {
  OldImpl old;
  optim::Adam file(old.parameters());
  old.lin->forward(torch::ones({1, 4})).pow(2).sum().backward();
  file.step();
  const auto stored = store(ts::checkpoint("model"_key = old, "optimizer"_key = file));

  NewImpl now;
  auto turned = now.parameters();
  std::reverse(turned.begin(), turned.end());
  optim::Adam adam(turned);
  auto ckpt = ts::checkpoint("model"_key = now, "optimizer"_key = adam);
  const auto report = restore(ckpt, stored);
  CHECK(report.migrated.size() == 1);
  CHECK(torch::equal(moment(adam, now.fc->weight), moment(file, old.lin->weight)));
  CHECK(torch::equal(moment(adam, now.fc->bias), moment(file, old.lin->bias)));
}

namespace {

/// One parameter under two names, which `parameters()` gives twice.
struct TiedImpl : torch::nn::Module {
  TiedImpl() {
    a = register_parameter("a", torch::randn({3}));
    register_parameter("b", a);
    lin = register_module("lin", torch::nn::Linear(3, 3));
  }
  torch::Tensor a;
  torch::nn::Linear lin{nullptr};
};
TORCH_MODULE(Tied);

}  // namespace

TEST_CASE_TEMPLATE("an optimizer may hold a parameter twice", O, optim::SGD, optim::Adam, optim::Adagrad,
                   optim::LBFGS) {
  const auto step = [](Tied& net, O& optimizer) {
    optimizer.step([&] {
      optimizer.zero_grad();
      torch::Tensor loss = torch::zeros({});
      for (const auto& parameter : net->parameters()) loss = loss + (parameter * parameter).sum();
      loss.backward();
      return loss;
    });
  };
  const auto make = [](const Tied& net, bool reversed) {
    auto parameters = net->parameters();
    REQUIRE(parameters.size() == 4);
    if (reversed) std::reverse(parameters.begin(), parameters.end());
    auto optimizer = std::make_unique<O>(parameters, 0.1);
    if constexpr (std::is_same_v<O, optim::SGD>) {
      static_cast<optim::SGDOptions&>(optimizer->param_groups()[0].options()).momentum(0.9);
    }
    return optimizer;
  };
  Tied net, other, turned;
  const auto file = make(net, false);
  step(net, *file);
  const auto bytes = ts::to_bytes(ts::checkpoint("model"_key = net, "optimizer"_key = *file));
  const auto same = make(other, false), reversed = make(turned, true);
  ts::from_bytes(ts::checkpoint("model"_key = other, "optimizer"_key = *same), bytes);
  CHECK(ts::state_dict(*same) == ts::state_dict(*file));
  ts::from_bytes(ts::checkpoint("model"_key = turned, "optimizer"_key = *reversed), bytes);
  step(net, *file);
  step(turned, *reversed);
  CHECK(torch::allclose(turned->a, net->a));
  CHECK(torch::allclose(turned->lin->weight, net->lin->weight));
}

TEST_CASE("files whose structure is not an optimizer's") {
  Net net;
  optim::Adam adam(net->parameters());
  const auto stored = store(adam);
  const auto with = [&](const char* path, ts::Value value) {
    auto changed = stored;
    changed.components = {};
    changed.tree.set(path, std::move(value));
    return refused(adam, changed).mismatched.at(0).path;
  };
  CHECK(with("state", 1) == "state");
  CHECK(with("param_groups", 1) == "param_groups");
  CHECK(with("param_groups/0", 1) == "param_groups/0");
  CHECK(with("param_groups/0/params", 1) == "param_groups/0/params");
  CHECK(with("param_groups/0/params", ts::List{0, 1, 2, ts::Value("x")}) == "param_groups/0/params");
  CHECK(with("state/0", 1) == "state/0");
  auto empty = training::Stored{};
  CHECK(sorted(refused(adam, empty).missing_keys) == Names{"param_groups", "state"});
}
