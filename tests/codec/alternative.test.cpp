#include "trainstate/codec/alternative.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "laws/laws.hpp"
#include "support/printing.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/objects.hpp"

namespace ts = trainstate;

namespace {

struct Scaler {
  double scale = 1;
  at::Tensor found = torch::zeros({1});
  static constexpr auto describe() {
    return ts::component<Scaler>("scaler", ts::version<2>, ts::state("scale", &Scaler::scale),
                                 ts::state("found", &Scaler::found),
                                 ts::migrate<1>([](auto& d) { d.rename("state/s", "state/scale"); }));
  }
};

Scaler scaler(double s) { return {s, torch::full({1}, s)}; }

/// A record in one flat dict, so that its version stands in the manifest.
struct Flat {
  int x = 0;
  static constexpr auto describe() {
    return ts::component<Flat>("flat", ts::flat, ts::version<2>, ts::state("x", &Flat::x),
                               ts::migrate<1>([](auto& d) { d.set("x", 0); }));
  }
};

/// Cannot be built by the library.
struct Rigid {
  explicit Rigid(int n) : value(n) {}
  int value;
  static constexpr auto describe() { return ts::component<Rigid>("rigid", ts::state("value", &Rigid::value)); }
};

template <class T>
void refuse(T& live, const ts::Value& value) {
  const auto before = laws::image_of(live);
  CHECK_THROWS_AS(ts::load_state_dict(live, ts::StateDict{{"", value}}), ts::MismatchError);
  CHECK(laws::image_of(live) == before);
}

struct Thrower {
  std::string text;
  Thrower() = default;
  explicit Thrower(int n) { throw n; }
  static constexpr auto describe() { return ts::component<Thrower>("thrower", ts::state("text", &Thrower::text)); }
};

const ts::StateDict old_scaler{{"version", 1}, {"state", ts::StateDict{{"s", 4.0}, {"found", torch::ones({1})}}}};

}  // namespace

TEST_CASE("an optional is None or its value") {
  laws::hold_for(std::optional<int>(5));
  laws::hold_for(std::optional<int>(5), std::optional<int>(6));
  laws::hold_for(std::optional<int>(), std::optional<int>(6));
  laws::hold_for(std::optional<std::string>(""), std::optional<std::string>());
  laws::hold_for(std::optional<std::vector<double>>({{0.5}}), {});
  CHECK(ts::state_dict(std::optional<int>()).at_key("") == ts::Value());
  CHECK(ts::state_dict(std::optional<int>(5)).at_key("") == ts::Value(5));
  std::optional<int> live = 7;
  refuse(live, "x");
  refuse(live, ts::List{5});
}

TEST_CASE("an optional of what may itself be None tells the two apart") {
  using Twice = std::optional<std::optional<int>>;
  laws::hold_for(Twice(std::optional<int>(5)), Twice());
  laws::hold_for(Twice(std::optional<int>()), Twice());
  laws::hold_for(Twice(), Twice(std::optional<int>()));
  using Thrice = std::optional<Twice>;
  laws::hold_for(Thrice(Twice(std::optional<int>())), Thrice(Twice()));
  laws::hold_for(std::optional<std::monostate>(std::monostate()), {});
  laws::hold([] { return std::optional<at::Tensor>(at::Tensor()); }, [] { return std::optional<at::Tensor>(); });
  laws::hold([] { return std::optional<ts::Value>(ts::Value()); }, [] { return std::optional<ts::Value>(); });
  laws::hold([] { return std::optional<std::shared_ptr<Scaler>>(nullptr); },
             [] { return std::optional<std::shared_ptr<Scaler>>(); });
}

TEST_CASE("an optional of a tensor is loaded in place where there is one") {
  const auto with = [](double x) { return [x] { return std::optional<at::Tensor>(torch::full({2}, x)); }; };
  const auto without = [] { return std::optional<at::Tensor>(); };
  laws::hold(with(1), with(2));
  laws::hold(with(1), without);
  laws::hold(without, with(1));
  auto live = with(2)();
  const at::Tensor alias = *live;
  ts::load_state_dict(live, ts::state_dict(with(1)()).clone());
  CHECK(alias[0].item<double>() == 1);
  refuse(live, ts::List{torch::ones({3})});
}

TEST_CASE("a variant is its index and value") {
  using V = std::variant<int, std::string, int>;
  laws::hold_for(V(std::in_place_index<2>, 5), V(std::in_place_index<0>, 5));
  laws::hold_for(V("text"), V(std::in_place_index<1>, "other"));
  laws::hold_for(std::variant<std::monostate, bool>(true));
  laws::hold_for(std::variant<std::monostate, bool>(), {true});
  laws::hold_for(std::variant<std::vector<V>, std::optional<int>>(std::vector<V>{1, "a"}), {std::optional<int>()});
  CHECK(ts::state_dict(V("text")) == ts::StateDict{{"index", 1}, {"value", "text"}});

  V live("kept");
  for (const ts::StateDict& wrong :
       {ts::StateDict{{"index", 3}, {"value", 1}}, ts::StateDict{{"index", -1}, {"value", 1}},
        ts::StateDict{{"index", 1}, {"value", 1}}, ts::StateDict{{"index", true}, {"value", "x"}},
        ts::StateDict{{"value", "x"}}, ts::StateDict{{"index", 1}}}) {
    CHECK_THROWS_AS(ts::load_state_dict(live, wrong), ts::MismatchError);
    CHECK(live == V("kept"));
  }
}

TEST_CASE("a variant of components and tensors: in place where the alternative stays, else built") {
  using V = std::variant<Scaler, at::Tensor>;
  const auto scalers = [](double x) { return [x] { return V(scaler(x)); }; };
  const auto tensors = [](double x) { return [x] { return V(torch::full({2}, x)); }; };
  laws::hold(scalers(1), scalers(2));
  laws::hold(tensors(1), tensors(2));
  laws::hold(scalers(1), tensors(2));
  laws::hold(tensors(1), scalers(2));
  V live = scalers(2)();
  const at::Tensor alias = std::get<Scaler>(live).found;
  ts::load_state_dict(live, ts::state_dict(scalers(1)()).clone());
  CHECK(alias.item<double>() == 1);

  std::variant<Rigid, int> rigid(Rigid(1));
  ts::load_state_dict(rigid,
                      ts::StateDict{{"index", 0}, {"value", ts::StateDict{{"state", ts::StateDict{{"value", 2}}}}}});
  CHECK(std::get<Rigid>(rigid).value == 2);
  CHECK_THROWS_AS(ts::load_state_dict(rigid, ts::StateDict{{"index", 1}, {"value", 5}}), ts::MismatchError);
  CHECK(std::get<Rigid>(rigid).value == 2);
}

TEST_CASE("a variant that lost its value cannot be saved") {
  std::map<std::string, std::variant<int, Thrower>> x{{"v", 1}};
  CHECK_THROWS(x["v"].emplace<1>(5));
  REQUIRE(x["v"].valueless_by_exception());
  CHECK_THROWS_WITH_AS(ts::state_dict(x), doctest::Contains("v: "), ts::Error);
}

TEST_CASE("unique_ptr and shared_ptr of components: in place, built, or dropped") {
  const auto unique = [](double x) { return [x] { return std::make_unique<Scaler>(scaler(x)); }; };
  const auto shared = [](double x) { return [x] { return std::make_shared<Scaler>(scaler(x)); }; };
  laws::hold(unique(1), unique(2));
  laws::hold(unique(1), [] { return std::unique_ptr<Scaler>(); });
  laws::hold([] { return std::unique_ptr<Scaler>(); }, unique(1));
  laws::hold(shared(1), shared(2));
  laws::hold(shared(1), [] { return std::shared_ptr<Scaler>(); });
  laws::hold([] { return std::shared_ptr<Scaler>(); }, shared(1));

  auto live = shared(2)();
  const auto alias = live;
  const at::Tensor tensor = live->found;
  ts::load_state_dict(live, ts::state_dict(*shared(1)()).clone());
  CHECK(alias->scale == 1);
  CHECK(tensor.item<double>() == 1);
}

TEST_CASE("a pointee that cannot be built must be there") {
  std::unique_ptr<Rigid> live;
  const ts::StateDict tree{{"version", 1}, {"params", ts::StateDict()}, {"state", ts::StateDict{{"value", 3}}}};
  CHECK_THROWS_WITH_AS(ts::load_state_dict(live, tree), doctest::Contains("cannot be built"), ts::MismatchError);
  CHECK_FALSE(live);
  live = std::make_unique<Rigid>(1);
  ts::load_state_dict(live, tree);
  CHECK(live->value == 3);
}

TEST_CASE("two pointers to one component load it once more, consistently") {
  auto one = std::make_shared<Scaler>(scaler(1));
  std::vector<std::shared_ptr<Scaler>> live{one, one};
  const auto tree = ts::state_dict(live).clone();
  one->scale = 9;
  one->found.fill_(9);
  ts::load_state_dict(live, tree);
  CHECK(one->scale == 1);
  CHECK(one->found.item<double>() == 1);
  auto differing = tree.clone();
  differing.set("/1/state/found", torch::full_like(differing.at<at::Tensor>("/1/state/found"), 5));
  CHECK_THROWS_AS(ts::load_state_dict(live, differing), ts::MismatchError);
  CHECK(one->found.item<double>() == 1);
}

TEST_CASE("components behind any of them are migrated, at their path") {
  using Steps = std::vector<ts::Report::Migration>;
  std::optional<Scaler> maybe;
  CHECK(ts::load_state_dict(maybe, old_scaler).migrated == Steps{{"", 1, 2}});
  CHECK(maybe->scale == 4);
  std::optional<std::unique_ptr<Scaler>> pointer;
  CHECK(ts::load_state_dict(pointer, ts::StateDict{{"", ts::List{old_scaler}}}).migrated == Steps{{"0", 1, 2}});
  CHECK((*pointer)->scale == 4);
  std::variant<int, Scaler> either;
  CHECK(ts::load_state_dict(either, ts::StateDict{{"index", 1}, {"value", old_scaler}}).migrated ==
        Steps{{"value", 1, 2}});
  CHECK(std::get<Scaler>(either).scale == 4);
  std::vector<std::shared_ptr<Scaler>> list;
  CHECK(ts::load_state_dict(list, ts::StateDict{{"", ts::List{ts::None(), old_scaler}}}).migrated ==
        Steps{{"1", 1, 2}});
  CHECK(list.at(1)->scale == 4);
}

TEST_CASE("a version that stands in the manifest finds its way to what is inside") {
  laws::hold([] { return std::make_unique<Flat>(Flat{3}); }, [] { return std::unique_ptr<Flat>(); });
  laws::hold([] { return std::optional<std::shared_ptr<Flat>>(std::make_shared<Flat>(Flat{3})); },
             [] { return std::optional<std::shared_ptr<Flat>>(); });
  laws::hold([] { return std::variant<int, Flat>(Flat{3}); }, [] { return std::variant<int, Flat>(); });
  laws::hold(
      [] {
        return std::vector<std::optional<Flat>>{std::nullopt, Flat{3}};
      },
      [] { return std::vector<std::optional<Flat>>{}; });
  laws::hold(
      [] {
        return std::map<std::pair<int, int>, Flat>{{{1, 2}, Flat{3}}};
      },
      [] { return std::map<std::pair<int, int>, Flat>{}; });
}
