#include "trainstate/codec/component.hpp"

#include <boost/hana/adapt_struct.hpp>
#include <boost/hana/define_struct.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "laws/laws.hpp"
#include "support/printing.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/objects.hpp"

namespace ts = trainstate;
using ts::HyperPolicy;
using Strings = std::vector<std::string>;
using Steps = std::vector<ts::Report::Migration>;

namespace {

class WarmupCosine {
 public:
  WarmupCosine() = default;
  WarmupCosine(double base_lr, std::int64_t warmup_steps) : base_lr_(base_lr), warmup_steps_(warmup_steps) {}
  void step() {
    ++step_num_;
    cache_ = 0.5;
  }
  [[nodiscard]] double cache() const { return cache_; }
  static constexpr auto describe() {
    return ts::component<WarmupCosine>(
        "warmup_cosine", ts::version<3>, ts::hyper("base_lr", &WarmupCosine::base_lr_),
        ts::hyper("warmup_steps", &WarmupCosine::warmup_steps_), ts::state("step_num", &WarmupCosine::step_num_),
        ts::transient(&WarmupCosine::cache_), ts::migrate<1>([](auto& d) { d.rename("params/lr", "params/base_lr"); }),
        ts::migrate<2>([](auto& d) { d.set_default("params/warmup_steps", 0); }));
  }

 private:
  double base_lr_ = 0;
  std::int64_t warmup_steps_ = 0;
  std::int64_t step_num_ = 0;
  double cache_ = -1;
};

WarmupCosine stepped(int n) {
  WarmupCosine scheduler(0.1, 100);
  for (int i = 0; i < n; ++i) scheduler.step();
  return scheduler;
}

/// What a program of version 1 wrote.
const ts::StateDict version_1{{"params", ts::StateDict{{"lr", 0.3}}}, {"state", ts::StateDict{{"step_num", 7}}}};

class Base {
 public:
  static constexpr auto describe() { return ts::component<Base>("base", ts::state("epoch", &Base::epoch_)); }

 protected:
  int epoch_ = 0;
};

class Derived : public Base {
 public:
  explicit Derived(int epoch = 0, double best = 0) : best_(best) { epoch_ = epoch; }
  static constexpr auto describe() {
    return ts::component<Derived>("derived", ts::version<2>, ts::base<Base>, ts::state("best", &Derived::best_),
                                  ts::migrate<1>([](auto& d) { d.rename("state/score", "state/best"); }));
  }

 private:
  double best_;
};

struct Inner {
  int width = 1;
  std::int64_t count = 0;
  static constexpr auto describe() {
    return ts::component<Inner>(
        "inner", ts::version<2>, ts::hyper("width", &Inner::width), ts::state("count", &Inner::count),
        ts::migrate<1>([](ts::StateDict& d) { d.transform("state/count", [](std::int64_t n) { return n * 10; }); }));
  }
};

struct Outer {
  double rate = 0;
  Inner inner;
  std::vector<Inner> more;
  at::Tensor sum = torch::zeros({2});
  static constexpr auto describe() {
    return ts::component<Outer>("outer", ts::hyper("rate", &Outer::rate), ts::state("inner", &Outer::inner),
                                ts::state("more", &Outer::more), ts::state("sum", &Outer::sum));
  }
};

/// Python's schedulers are flat.
struct Step {
  double gamma = 0.1;
  std::int64_t last_epoch = 0;
  std::vector<double> base_lrs;
  static constexpr auto describe() {
    return ts::component<Step>("step", ts::flat, ts::version<2>, ts::hyper("gamma", &Step::gamma),
                               ts::state("last_epoch", &Step::last_epoch), ts::state("base_lrs", &Step::base_lrs),
                               ts::migrate<1>([](auto& d) { d.rename("epoch", "last_epoch"); }));
  }
};

struct Constant {
  explicit Constant(int n = 0, std::string t = "") : size(n), tag(std::move(t)) {}
  const int size;
  const std::string tag;
  int count = 0;
  static constexpr auto describe() {
    return ts::component<Constant>("constant", ts::hyper("size", &Constant::size), ts::state("tag", &Constant::tag),
                                   ts::state("count", &Constant::count));
  }
};

struct Foreign {
  int a = 0;
  std::string b;
};

struct Adapted {
  int a = 0;
  at::Tensor t = torch::zeros({1});
};

struct Defined {
  BOOST_HANA_DEFINE_STRUCT(Defined, (int, x), (std::vector<double>, y));
};

/// Nothing but parts, so laid out as a checkpoint.
struct Parts {
  Inner first;
  Step second;
  ts::StateDict extra;
  static constexpr auto describe() {
    return ts::component<Parts>("parts", ts::version<2>, ts::state("first", &Parts::first),
                                ts::state("second", &Parts::second), ts::state("extra", &Parts::extra),
                                ts::migrate<1>([](auto& d) { d.rename("primary", "first"); }));
  }
};

template <class T>
ts::Report mismatches(T& live, const ts::StateDict& tree, const ts::LoadOptions& options = {}) {
  const auto before = laws::image_of(live);
  try {
    ts::load_state_dict(live, tree, options);
  } catch (const ts::MismatchError& e) {
    CHECK(laws::image_of(live) == before);
    return e.report();
  }
  FAIL("it was loaded");
  return {};
}

}  // namespace

template <>
struct trainstate::describe_for<Foreign> {
  static constexpr auto describe() {
    return component<Foreign>("foreign", hyper("a", &Foreign::a), state("b", &Foreign::b));
  }
};

BOOST_HANA_ADAPT_STRUCT(Adapted, a, t);

TEST_CASE("a component is its version, its params and its state, without what is transient") {
  CHECK(ts::state_dict(stepped(4)) == ts::StateDict{{"version", 3},
                                                    {"params", ts::StateDict{{"base_lr", 0.1}, {"warmup_steps", 100}}},
                                                    {"state", ts::StateDict{{"step_num", 4}}}});
  auto live = stepped(1);
  ts::load_state_dict(live, ts::state_dict(stepped(9)));
  CHECK(live.cache() == 0.5);
}

TEST_CASE("components of every kind obey the laws") {
  laws::hold_for(stepped(4));
  laws::hold_for(Derived(3, 0.5));
  laws::hold_for(Foreign{1, "b"});
  laws::hold_for(Defined{1, {0.5}});
  laws::hold_for(Step{0.5, 3, {1, 2}});
  laws::hold([] { return Adapted{1, torch::ones({1})}; }, [] { return Adapted(); });
  laws::hold([] { return Outer{0.5, {2, 3}, {{4, 5}, {6, 7}}, torch::ones({2})}; }, [] { return Outer(); });
  laws::hold(
      [] {
        return Parts{{2, 3}, {0.5, 1, {2}}, ts::StateDict{{"note", "x"}, {7, ts::List{1.5}}}};
      },
      [] { return Parts(); });
}

TEST_CASE("hana structs are components of version 1 whose members are all state") {
  CHECK(ts::state_dict(Defined{1, {0.5}}) == ts::StateDict{{"version", 1},
                                                           {"params", ts::StateDict()},
                                                           {"state", ts::StateDict{{"x", 1}, {"y", ts::List{0.5}}}}});
  CHECK(ts::state_dict(Adapted()).at("state/t").is<at::Tensor>());
}

TEST_CASE("fields of a base stand among those of the derived class, under its version") {
  CHECK(ts::state_dict(Derived(3, 0.5)).at("state") == ts::Value(ts::StateDict{{"epoch", 3}, {"best", 0.5}}));
  Derived live;
  const auto report = ts::load_state_dict(live, ts::StateDict{{"state", ts::StateDict{{"score", 2.0}, {"epoch", 1}}}});
  CHECK(report.migrated == Steps{{"", 1, 2}});
  CHECK(ts::state_dict(live) == ts::state_dict(Derived(1, 2.0)));
}

TEST_CASE("a flat component is one dict, as Python's own schedulers write it") {
  CHECK(ts::state_dict(Step{0.5, 3, {1, 2}}) ==
        ts::StateDict{{"gamma", 0.5}, {"last_epoch", 3}, {"base_lrs", ts::List{1.0, 2.0}}});
  Step live;
  const ts::StateDict old{{"gamma", 0.5}, {"epoch", 3}, {"base_lrs", ts::List{}}};
  CHECK(ts::load_state_dict(live, old).migrated == Steps{{"", 1, 2}});
  CHECK(live.last_epoch == 3);
  CHECK(mismatches(live, ts::StateDict{{"gamma", 0.5}, {"last_epoch", 3}, {"base_lrs", ts::List{}}, {"x", 1}})
            .unexpected_keys == Strings{"x"});
}

TEST_CASE("every difference is reported at once, by path, with expected and found") {
  Outer live{0.5, {2, 3}, {{4, 5}}, torch::ones({2})};
  auto tree = ts::state_dict(live).clone();
  tree.set("params/rate", "fast");
  tree.erase("state/inner/state/count");
  tree.set("state/inner/state/counts", 5);
  tree.set("state/more/0/params/width", true);
  tree.set("state/sum", torch::ones({3}, torch::kDouble));
  tree.set("state/extra", 1);
  tree.set("other", 1);
  const auto report = mismatches(live, tree);
  CHECK(report.missing_keys == Strings{"state/inner/state/count"});
  CHECK(report.unexpected_keys == Strings{"state/inner/state/counts", "state/extra", "other"});
  CHECK(report.mismatched ==
        std::vector<ts::Report::Mismatch>{
            {"params/rate", "double", "string \"fast\""},
            {"state/more/0/params/width", "an integer from -2147483648 to 2147483647", "bool true"},
            {"state/sum", "float32[2]", "float64[3]"}});
  try {
    ts::load_state_dict(live, tree);
  } catch (const ts::MismatchError& e) {
    const std::string text = e.what();
    for (const auto& key : report.missing_keys) CHECK(text.find(key) != std::string::npos);
    for (const auto& key : report.unexpected_keys) CHECK(text.find(key) != std::string::npos);
    for (const auto& m : report.mismatched) {
      CHECK(text.find(m.path + ": expected " + m.expected + ", found " + m.found) != std::string::npos);
    }
  }
}

TEST_CASE("allow_missing keeps what the file lacks, allow_unexpected passes over what it has beyond") {
  auto live = stepped(2);
  auto tree = ts::state_dict(stepped(9)).clone();
  tree.erase("state/step_num");
  tree.set("state/later", 1);
  CHECK_THROWS_AS(ts::load_state_dict(live, tree, {.allow_missing = true}), ts::MismatchError);
  CHECK_THROWS_AS(ts::load_state_dict(live, tree, {.allow_unexpected = true}), ts::MismatchError);
  const auto report = ts::load_state_dict(live, tree, {.allow_missing = true, .allow_unexpected = true});
  CHECK(report.missing_keys == Strings{"state/step_num"});
  CHECK(report.unexpected_keys == Strings{"state/later"});
  CHECK(ts::state_dict(live) == ts::state_dict(stepped(2)));
}

TEST_CASE("what stands in the place of a component must be a record") {
  auto live = stepped(2);
  for (const char* section : {"params", "state"}) {
    auto tree = ts::state_dict(live).clone();
    tree.set(section, 5);
    CHECK_FALSE(mismatches(live, tree).missing_keys.empty());
  }
  Outer outer;
  auto tree = ts::state_dict(outer).clone();
  tree.set("state/inner", ts::List{});
  CHECK(mismatches(outer, tree).mismatched.at(0).path == "state/inner");
}

TEST_CASE("hyperparameters: the file's by default, the live ones, or neither") {
  const auto tree = ts::state_dict(stepped(9));
  const auto fresh = [] { return WarmupCosine(0.5, 100); };
  const ts::Report::HyperChange change{"params/base_lr", "double 0.5", "double 0.1"};

  auto live = fresh();
  CHECK(ts::load_state_dict(live, tree).hyper_changes == std::vector{change});
  CHECK(ts::state_dict(live) == tree);

  live = fresh();
  CHECK(ts::load_state_dict(live, tree, {.hyper = HyperPolicy::code}).hyper_changes == std::vector{change});
  CHECK(ts::state_dict(live).at("params/base_lr") == ts::Value(0.5));
  CHECK(ts::state_dict(live).at("state/step_num") == ts::Value(9));

  live = fresh();
  const auto report = mismatches(live, tree, {.hyper = HyperPolicy::match});
  REQUIRE(report.mismatched.size() == 1);
  CHECK(report.mismatched[0].path == "params/base_lr");
  CHECK(report.mismatched[0].expected.find("0.5") != std::string::npos);
  CHECK(report.mismatched[0].found == "double 0.1");
  live = WarmupCosine(0.1, 100);
  CHECK(ts::load_state_dict(live, tree, {.hyper = HyperPolicy::match}).hyper_changes.empty());
}

TEST_CASE("a hyperparameter that means the same is no change") {
  WarmupCosine live(3.0, 100);
  auto tree = ts::state_dict(live).clone();
  tree.set("params/base_lr", 3);
  tree.set("params/warmup_steps", torch::scalar_tensor(100, torch::kLong));
  CHECK(ts::load_state_dict(live, tree, {.hyper = HyperPolicy::match}).hyper_changes.empty());
  live = WarmupCosine(std::numeric_limits<double>::quiet_NaN(), 1);
  CHECK(ts::load_state_dict(live, ts::state_dict(live).clone(), {.hyper = HyperPolicy::match}).hyper_changes.empty());
}

TEST_CASE("const members are compared, never written") {
  Constant live(4, "t");
  auto tree = ts::state_dict(Constant(4, "t")).clone();
  tree.set("state/count", 5);
  CHECK(laws::is_clean(ts::load_state_dict(live, tree)));
  CHECK(live.count == 5);

  tree.set("params/size", 7);
  tree.set("state/count", 6);
  CHECK(mismatches(live, tree).mismatched.at(0).path == "params/size");
  CHECK(mismatches(live, tree, {.hyper = HyperPolicy::match}).mismatched.size() == 1);
  CHECK(ts::load_state_dict(live, tree, {.hyper = HyperPolicy::code}).hyper_changes.size() == 1);
  CHECK(live.size == 4);
  CHECK(live.count == 6);

  tree.set("params/size", 4);
  tree.set("state/tag", "u");
  const auto report = mismatches(live, tree);
  REQUIRE(report.mismatched.size() == 1);
  CHECK(report.mismatched[0].path == "state/tag");
  CHECK(report.mismatched[0].found == "string \"u\"");
}

TEST_CASE("old records are migrated step by step; without a version they count as version 1") {
  WarmupCosine live;
  CHECK(ts::load_state_dict(live, version_1).migrated == Steps{{"", 1, 2}, {"", 2, 3}});
  CHECK(ts::state_dict(live) == ts::StateDict{{"version", 3},
                                              {"params", ts::StateDict{{"base_lr", 0.3}, {"warmup_steps", 0}}},
                                              {"state", ts::StateDict{{"step_num", 7}}}});
  auto from_2 = ts::state_dict(stepped(1)).clone();
  from_2.set("version", 2);
  from_2.erase("params/warmup_steps");
  CHECK(ts::load_state_dict(live, from_2).migrated == Steps{{"", 2, 3}});
}

TEST_CASE("hooks run for every component inside, at its path") {
  Outer live;
  auto tree = ts::state_dict(Outer{0.5, {2, 3}, {{4, 5}, {6, 7}}, torch::ones({2})}).clone();
  tree.set("state/inner/version", 1);
  tree.set("state/more/1/version", 1);
  CHECK(ts::load_state_dict(live, tree).migrated == Steps{{"state/inner", 1, 2}, {"state/more/1", 1, 2}});
  CHECK(live.inner.count == 30);
  CHECK(live.more.at(0).count == 5);
  CHECK(live.more.at(1).count == 70);
}

TEST_CASE("a later version, or one that no hook leads on from, names both versions and changes nothing") {
  auto live = stepped(2);
  auto tree = ts::state_dict(stepped(9)).clone();
  tree.set("version", 8);
  CHECK_THROWS_WITH_AS(ts::load_state_dict(live, tree), doctest::Contains("8"), ts::VersionError);
  CHECK_THROWS_WITH_AS(ts::load_state_dict(live, tree), doctest::Contains("3"), ts::VersionError);
  CHECK_THROWS_WITH_AS(ts::load_state_dict(live, tree), doctest::Contains("warmup_cosine"), ts::VersionError);

  struct Late {
    int x = 0;
    static constexpr auto describe() {
      return ts::component<Late>("late", ts::version<5>, ts::state("x", &Late::x), ts::migrate<4>([](auto&) {}));
    }
  } late;
  const ts::StateDict old{{"version", 2}, {"params", ts::StateDict()}, {"state", ts::StateDict{{"x", 1}}}};
  CHECK_THROWS_WITH_AS(ts::load_state_dict(late, old), doctest::Contains("2"), ts::VersionError);
  CHECK_THROWS_WITH_AS(ts::load_state_dict(late, old), doctest::Contains("4"), ts::VersionError);
  CHECK(late.x == 0);
  for (const ts::Value& version : {ts::Value(0), ts::Value(-1), ts::Value("3"), ts::Value(3.0), ts::Value(),
                                   ts::Value(true), ts::Value(std::numeric_limits<std::int64_t>::max())}) {
    tree.set("version", version);
    CHECK_THROWS_AS(ts::load_state_dict(live, tree), ts::VersionError);
  }
  CHECK(ts::state_dict(live) == ts::state_dict(stepped(2)));
}

TEST_CASE("a hook that throws is a VersionError that says what it threw, and changes nothing") {
  struct Thrower {
    int x = 3;
    static constexpr auto describe() {
      return ts::component<Thrower>("thrower", ts::version<2>, ts::state("x", &Thrower::x),
                                    ts::migrate<1>([](auto& d) { d.set("state/x/y", 1); }));
    }
  } live;
  CHECK_THROWS_WITH_AS(ts::load_state_dict(live, ts::StateDict{{"state", ts::StateDict{{"x", 1}}}}),
                       doctest::Contains("state/x/y"), ts::VersionError);
  CHECK(live.x == 3);
}

TEST_CASE("a hook that works on a tensor's values does not touch the caller's tree") {
  struct Doubler {
    at::Tensor t = torch::zeros({1});
    static constexpr auto describe() {
      return ts::component<Doubler>("doubler", ts::version<2>, ts::state("t", &Doubler::t), ts::migrate<1>([](auto& d) {
                                      d.transform("state/t", [](const at::Tensor& t) { return t * 2; });
                                    }));
    }
  } live;
  const ts::StateDict tree{{"version", 1}, {"state", ts::StateDict{{"t", torch::ones({1})}}}};
  ts::load_state_dict(live, tree);
  CHECK(live.t.item<double>() == 2);
  CHECK(tree.at("state/t").as<at::Tensor>().item<double>() == 1);
  CHECK(tree.at("version") == ts::Value(1));
}

TEST_CASE("a struct of nothing but parts is laid out as a checkpoint") {
  Parts saved{{2, 3}, {0.5, 1, {2}}, ts::StateDict{{"note", "x"}}};
  const auto tree = ts::state_dict(saved).clone();
  CHECK(tree.size() == 3);
  CHECK(tree.at("first/version") == ts::Value(2));
  CHECK(tree.at("second/last_epoch") == ts::Value(1));

  Parts live;
  CHECK(ts::load_state_dict(live, tree, {.only = {"second"}}).missing_keys.empty());
  CHECK(live.second.last_epoch == 1);
  CHECK(live.first.count == 0);
  auto some = tree.clone();
  some.erase("extra");
  CHECK(mismatches(live, some).missing_keys == Strings{"extra"});
  ts::load_state_dict(live, some, {.except = {"extra"}});
  CHECK(live.first.count == 3);
  CHECK(live.extra.empty());

  auto old = tree.clone();
  old.rename("first", "primary");
  Parts migrated;
  CHECK(ts::load_state_dict(migrated, old).migrated == Steps{{"", 1, 2}});
  CHECK(ts::state_dict(migrated) == tree);
}
