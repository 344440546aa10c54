#include "trainstate/torch/optimizer/lbfgs.hpp"

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

namespace {

const optim::LBFGSParamState& state_of(const optim::LBFGS& optimizer) {
  return *ts::detail::live_state<optim::LBFGSParamState>(optimizer, optimizer.param_groups()[0].params()[0]);
}

/// The part of a flat vector that belongs to a parameter.
torch::Tensor slice(const optim::LBFGS& optimizer, const torch::Tensor& flat, const torch::Tensor& parameter) {
  std::int64_t offset = 0;
  for (const auto& p : optimizer.param_groups()[0].params()) {
    if (p.is_same(parameter)) return flat.narrow(0, offset, p.numel());
    offset += p.numel();
  }
  return {};
}

struct Trained {
  Net net;
  std::unique_ptr<optim::LBFGS> optimizer = training::make<optim::LBFGS>(net, true);
  explicit Trained(int steps = 4) { train(net, *optimizer, 0, steps); }
};

}  // namespace

TEST_CASE("flat vectors are sliced anew by name") {
  Trained file;
  REQUIRE(state_of(*file.optimizer).old_dirs().size() > 1);
  const auto stored = store(ts::checkpoint("model"_key = file.net, "optimizer"_key = *file.optimizer));
  auto turned = training::make<optim::LBFGS>(file.net, false, /*reversed=*/true);
  auto ckpt = ts::checkpoint("model"_key = file.net, "optimizer"_key = *turned);
  restore(ckpt, stored);
  const auto &a = state_of(*file.optimizer), &b = state_of(*turned);
  for (const auto& p : file.net->parameters()) {
    const auto same = [&](const torch::Tensor& x, const torch::Tensor& y) {
      return torch::equal(slice(*file.optimizer, x, p), slice(*turned, y, p));
    };
    CHECK(same(a.d(), b.d()));
    CHECK(same(a.prev_flat_grad(), b.prev_flat_grad()));
    for (std::size_t i = 0; i < a.old_dirs().size(); ++i) {
      CHECK(same(a.old_dirs()[i], b.old_dirs()[i]));
      CHECK(same(a.old_stps()[i], b.old_stps()[i]));
    }
  }
  CHECK(b.func_evals() == a.func_evals());
  CHECK(b.t() == a.t());
  CHECK(torch::equal(b.H_diag(), a.H_diag()));
  train(file.net, *turned, 4, 5);
}

TEST_CASE("before the first iteration there are only the counts") {
  Net net;
  optim::LBFGS optimizer(net->parameters(), optim::LBFGSOptions(1).tolerance_grad(1e9));  // done before it starts
  train(net, optimizer, 0, 1);
  const auto stored = store(optimizer);
  CHECK(stored.tree.at("state/0").as<ts::StateDict>() == ts::StateDict{{"func_evals", 1}, {"n_iter", 0}});
  Trained other;
  restore(*other.optimizer, stored);
  CHECK(!state_of(*other.optimizer).d().defined());
  CHECK(ts::state_dict(*other.optimizer).at("state") == stored.tree.at("state"));
}

TEST_CASE("the integer of the first iteration is one, as in Python") {
  Net net;
  optim::LBFGS optimizer(net->parameters(), optim::LBFGSOptions(1).max_iter(1));
  train(net, optimizer, 0, 1);
  const auto stored = store(optimizer);
  CHECK(stored.tree.at("state/0/H_diag") == ts::Value(1));
  CHECK(!stored.tree.contains("state/0/al"));
  optim::LBFGS other(net->parameters(), optim::LBFGSOptions(1).max_iter(1));
  restore(other, stored);
  CHECK(ts::Value(state_of(other).H_diag()) == ts::Value(torch::tensor(1)));  // an int64
  train(net, other, 1, 3);
}

TEST_CASE("the history is fitted to the live history_size") {
  Trained file(6);
  const auto stored = store(*file.optimizer);
  const auto live = [&](std::int64_t size) {
    return optim::LBFGS(file.net->parameters(), training::Maker<optim::LBFGS>::tuned(0.2).history_size(size));
  };
  REQUIRE(state_of(*file.optimizer).old_dirs().size() == 4);
  const ts::LoadOptions code{.hyper = ts::HyperPolicy::code};
  SUBCASE("a shorter one keeps the newest") {
    auto shorter = live(2);
    CHECK(restore(shorter, stored, code).warnings.size() == 1);
    REQUIRE(state_of(shorter).old_dirs().size() == 2);
    CHECK(torch::equal(state_of(shorter).old_dirs()[1], state_of(*file.optimizer).old_dirs()[3]));
    train(file.net, shorter, 6, 9);
    CHECK(state_of(shorter).old_dirs().size() == 2);
  }
  SUBCASE("a longer one grows") {
    auto longer = live(9);
    restore(longer, stored, code);
    train(file.net, longer, 6, 12);
    CHECK(state_of(longer).al()->size() == 9);
    CHECK(state_of(longer).old_dirs().size() > 4);
  }
}

TEST_CASE("what does not fit is refused, all at once") {
  Trained file;
  auto stored = store(*file.optimizer);
  const auto before = ts::state_dict(*file.optimizer).clone();
  SUBCASE("values") {
    stored.tree.set("state/0/d", torch::zeros({36}));
    stored.tree.set("state/0/prev_flat_grad", torch::zeros({37}, torch::kDouble));
    stored.tree.set("state/0/old_dirs/1", torch::zeros({2}));
    stored.tree.set("state/0/ro/0", torch::zeros({1}));
    stored.tree.set("state/0/t", "text");
    stored.tree.set("state/0/n_iter", -3);
    stored.tree.set("state/0/al", 1);
    stored.tree.set("state/0/mystery", 1);
    stored.tree.set("state/1", ts::StateDict());
    const auto all = refused(*file.optimizer, stored);
    CHECK(all.mismatched.size() == 7);
    CHECK(all.unexpected_keys == std::vector<std::string>{"state/1", "state/0/mystery"});
  }
  SUBCASE("lengths") {
    auto& ro = stored.tree.at("state/0/ro").as<ts::List>();
    ro.pop_back();
    CHECK(refused(*file.optimizer, stored).mismatched.at(0).path == "state/0");
  }
  SUBCASE("missing") {
    stored.tree.erase("state/0/d");
    CHECK(refused(*file.optimizer, stored).missing_keys == std::vector<std::string>{"state/0/d"});
  }
  SUBCASE("options that a step does not survive") {
    stored.tree.set("param_groups/0/max_eval", ts::None());
    stored.tree.set("param_groups/0/history_size", 0);
    stored.tree.set("param_groups/0/line_search_fn", "weak");
    CHECK(refused(*file.optimizer, stored).mismatched.size() == 3);
  }
  CHECK(ts::state_dict(*file.optimizer) == before);
}

TEST_CASE("no history_size of a file makes a load or a step take more memory than there is") {
  Trained file(6);
  auto stored = store(*file.optimizer);
  const auto before = ts::state_dict(*file.optimizer).clone();
  for (const std::int64_t size : {std::int64_t{-5}, std::int64_t{0}, std::int64_t{1} << 21, std::int64_t{1} << 62}) {
    stored.tree.set("param_groups/0/history_size", size);
    const auto all = refused(*file.optimizer, stored).mismatched;
    REQUIRE(all.size() == 1);
    CHECK(all[0].path == "param_groups/0/history_size");
    CHECK(ts::state_dict(*file.optimizer) == before);
  }
  SUBCASE("one that can be borne is taken, and steps") {
    stored.tree.set("param_groups/0/history_size", ts::detail::most_lbfgs_history);
    restore(*file.optimizer, stored);
    train(file.net, *file.optimizer, 6, 12);
    CHECK(state_of(*file.optimizer).old_dirs().size() > 4);
  }
  SUBCASE("the file's does not matter where the live one is kept") {
    restore(*file.optimizer, stored, {.hyper = ts::HyperPolicy::code});
    train(file.net, *file.optimizer, 6, 9);
  }
}

TEST_CASE("with other parameters it starts afresh, if that is allowed") {
  Trained file;
  const auto stored = store(ts::checkpoint("model"_key = file.net, "optimizer"_key = *file.optimizer));
  optim::LBFGS fewer(file.net->first->parameters(), optim::LBFGSOptions(1));
  auto ckpt = ts::checkpoint("model"_key = file.net, "optimizer"_key = fewer);
  CHECK(refused(ckpt, stored).mismatched.size() == 1);
  const auto report = restore(ckpt, stored, {.allow_unexpected = true});
  CHECK(report.warnings.size() == 1);
  CHECK(fewer.state().empty());
}

TEST_CASE("what Python's files have that C++'s have not") {
  Trained file;
  Stored python{store(*file.optimizer).tree, {}};
  python.tree.set("state/0/t", torch::tensor(0.5F));  // as the line search leaves it
  python.tree.set("param_groups/0/lr", 1);
  restore(*file.optimizer, python);
  CHECK(state_of(*file.optimizer).t() == 0.5);
  python.tree.set("param_groups/0/maximize", true);
  CHECK(refused(*file.optimizer, python).mismatched.size() == 1);
}
