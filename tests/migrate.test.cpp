// Migration chains on components, modules and checkpoints: what they make of old files, and what they leave alone.
#include "support/torch_doctest.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "support/printing.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/checkpoint.hpp"
#include "trainstate/upgrade.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;
using ts::tests::TemporaryFolder;

// One component through five versions: a rename, a default, a change of type, a split, a move from params to state.
struct Meter1 {
  double lr = 0.5;
  std::int64_t step = 1234;
  static constexpr auto describe() {
    return ts::component<Meter1>("meter", ts::version<1>, ts::hyper("lr", &Meter1::lr),
                                 ts::state("step", &Meter1::step));
  }
};

template <int Version>
struct Meter;

template <>
struct Meter<3> {
  double base_lr = 0;
  std::int64_t warmup = 1;
  std::string step;
  static constexpr auto describe() {
    return ts::component<Meter>("meter", ts::version<3>, ts::hyper("base_lr", &Meter::base_lr),
                                ts::hyper("warmup", &Meter::warmup), ts::state("step", &Meter::step),
                                ts::migrate<1>([](auto& d) {
                                  d.rename("params/lr", "params/base_lr");
                                  d.set_default("params/warmup", 0);
                                }),
                                ts::migrate<2>([](auto& d) {
                                  d.transform("state/step", [](std::int64_t step) { return std::to_string(step); });
                                }));
  }
};

template <>
struct Meter<5> {
  double base_lr = 0;
  std::int64_t epoch = 0, batch = 0, warmup = 1;
  static constexpr auto describe() {
    return ts::component<Meter>("meter", ts::version<5>,  // the hooks in any order
                                ts::migrate<4>([](auto& d) { d.rename("params/warmup", "state/warmup"); }),
                                ts::hyper("base_lr", &Meter::base_lr), ts::state("epoch", &Meter::epoch),
                                ts::state("batch", &Meter::batch), ts::state("warmup", &Meter::warmup),
                                ts::migrate<1>([](auto& d) {
                                  d.rename("params/lr", "params/base_lr");
                                  d.set_default("params/warmup", 0);
                                }),
                                ts::migrate<2>([](auto& d) {
                                  d.transform("state/step", [](std::int64_t step) { return std::to_string(step); });
                                }),
                                ts::migrate<3>([](ts::StateDict& d) {
                                  const auto step = std::stoll(d.at<std::string>("state/step"));
                                  d.erase("state/step");
                                  d.set("state/epoch", step / 100);
                                  d.set("state/batch", step % 100);
                                }));
  }
};

TEST_CASE("a chain from 1 to 5 runs each step once, in order, and the report lists them") {
  const TemporaryFolder folder;
  ts::save(Meter1(), folder / "old.safetensors");
  const std::string before = ts::tests::contents(folder / "old.safetensors");
  Meter<5> meter;
  const auto report = ts::load(meter, folder / "old.safetensors");
  CHECK(meter.base_lr == 0.5);
  CHECK(meter.warmup == 0);
  CHECK(meter.epoch == 12);
  CHECK(meter.batch == 34);
  using Step = ts::Report::Migration;
  CHECK(report.migrated == std::vector<Step>{{"", 1, 2}, {"", 2, 3}, {"", 3, 4}, {"", 4, 5}});
  CHECK(ts::tests::contents(folder / "old.safetensors") == before);
}

TEST_CASE("a record without a version counts as 1") {
  Meter<3> meter;
  const ts::StateDict record{{"params", ts::StateDict{{"lr", 0.25}}}, {"state", ts::StateDict{{"step", 7}}}};
  ts::load_state_dict(meter, record);
  CHECK(meter.base_lr == 0.25);
  CHECK(meter.step == "7");
}

template <class T>
std::string error_of(T& live, const std::filesystem::path& path) {
  try {
    ts::load(live, path);
  } catch (const ts::VersionError& e) {
    return e.what();
  }
  return "no VersionError";
}

TEST_CASE("a newer record names both versions and the component, and changes nothing") {
  const TemporaryFolder folder;
  ts::save(Meter<5>(), folder / "new.safetensors");
  Meter<3> meter{.base_lr = 4, .warmup = 5, .step = "6"};
  const auto text = error_of(meter, folder / "new.safetensors");
  CHECK(text.starts_with((folder / "new.safetensors").string() + ": "));
  CHECK(text.find("'meter'") != std::string::npos);
  CHECK(text.find("version 5") != std::string::npos);
  CHECK(text.find("version 3") != std::string::npos);
  CHECK(ts::state_dict(meter) == ts::state_dict(Meter<3>{.base_lr = 4, .warmup = 5, .step = "6"}));
}

struct Late {
  std::int64_t x = 0;
  static constexpr auto describe() {
    return ts::component<Late>("late", ts::version<4>, ts::state("x", &Late::x), ts::migrate<3>([](auto&) {}));
  }
};

TEST_CASE("a version below the oldest hook names the oldest that loads") {
  Late late{8};
  const ts::StateDict record{{"version", 2}, {"params", ts::StateDict()}, {"state", ts::StateDict{{"x", 1}}}};
  CHECK_THROWS_WITH_AS(ts::load_state_dict(late, record),
                       "component 'late': the file has version 2, but the oldest that this program loads is 3",
                       ts::VersionError);
  CHECK(late.x == 8);
}

struct Failing {
  std::int64_t x = 0;
  static constexpr auto describe() {
    return ts::component<Failing>("failing", ts::version<2>, ts::state("x", &Failing::x), ts::migrate<1>([](auto& d) {
                                    d.transform("state/x", [](std::string s) { return s; });
                                  }));
  }
};

TEST_CASE("a hook that throws is a VersionError naming component, step and cause; nothing has changed") {
  torch::Tensor tensor = torch::zeros({2});
  Failing failing{5};
  auto checkpoint = ts::checkpoint("tensor"_key = tensor, "failing"_key = failing);
  const ts::StateDict tree{
      {"tensor", torch::ones({2})},
      {"failing", ts::StateDict{{"version", 1}, {"params", ts::StateDict()}, {"state", ts::StateDict{{"x", 1}}}}}};
  try {
    ts::load_state_dict(checkpoint, tree);
    FAIL("should have thrown");
  } catch (const ts::VersionError& e) {
    const std::string text = e.what();
    CHECK(text.starts_with("failing: component 'failing'"));
    CHECK(text.find("from version 1") != std::string::npos);
    CHECK(text.find("expected string, found int64 1") != std::string::npos);
  }
  CHECK(failing.x == 5);
  CHECK(tensor.equal(torch::zeros({2})));
}

struct Rude {
  std::int64_t x = 0;
  static constexpr auto describe() {
    return ts::component<Rude>("rude", ts::version<2>, ts::state("x", &Rude::x),
                               ts::migrate<1>([](auto&) { throw 5; }));
  }
};

TEST_CASE("a hook that throws what is no std::exception is a VersionError, too") {
  Rude live{8};
  CHECK_THROWS_WITH_AS(ts::load_state_dict(live, ts::StateDict{{"state", ts::StateDict{{"x", 1}}}}),
                       "component 'rude': the migration from version 1 failed: an exception that is no std::exception",
                       ts::VersionError);
  CHECK(live.x == 8);
}

// A nested component has its own chain, run after that of what holds it.
struct Inner {
  std::int64_t now = 0;
  static constexpr auto describe() {
    return ts::component<Inner>("inner", ts::version<2>, ts::state("now", &Inner::now),
                                ts::migrate<1>([](auto& d) { d.rename("state/was", "state/now"); }));
  }
};
struct Outer {
  Inner inner;
  std::vector<Inner> list;
  std::int64_t own = 0;
  static constexpr auto describe() {
    return ts::component<Outer>("outer", ts::version<2>, ts::state("inner", &Outer::inner),
                                ts::state("list", &Outer::list), ts::state("own", &Outer::own),
                                ts::migrate<1>([](auto& d) {
                                  // The hook of the inner one must not have run yet.
                                  if (!d.contains("state/old_inner/state/was")) throw ts::Error("too late");
                                  d.rename("state/old_inner", "state/inner");
                                }));
  }
};

TEST_CASE("the outermost hook runs first, nested and listed components after it") {
  const auto old_inner = [](int was) {
    return ts::StateDict{{"version", 1}, {"params", ts::StateDict()}, {"state", ts::StateDict{{"was", was}}}};
  };
  const ts::StateDict record{
      {"version", 1},
      {"params", ts::StateDict()},
      {"state",
       ts::StateDict{{"old_inner", old_inner(3)}, {"list", ts::List{old_inner(4), old_inner(5)}}, {"own", 6}}}};
  Outer outer;
  const auto report = ts::load_state_dict(outer, record);
  CHECK(outer.inner.now == 3);
  REQUIRE(outer.list.size() == 2);
  CHECK(outer.list[1].now == 5);
  CHECK(report.migrated.front() == ts::Report::Migration{"", 1, 2});
  CHECK(report.migrated.size() == 4);
}

// Modules: layers renamed, a fused layer split, hyperparameters renamed.
struct OldNetImpl : torch::nn::Module {
  OldNetImpl()
      : qkv(register_module("qkv", torch::nn::Linear(2, 6))), out(register_module("out", torch::nn::Linear(2, 1))) {}
  static constexpr auto describe() {
    return ts::component<OldNetImpl>("net", ts::version<1>, ts::hyper("width", &OldNetImpl::width),
                                     ts::state("calls", &OldNetImpl::calls));
  }
  std::int64_t width = 2, calls = 9;
  torch::nn::Linear qkv, out;
};
TORCH_MODULE(OldNet);

struct NewNetImpl : torch::nn::Module {
  NewNetImpl()
      : q(register_module("q", torch::nn::Linear(2, 2))),
        k(register_module("k", torch::nn::Linear(2, 2))),
        v(register_module("v", torch::nn::Linear(2, 2))),
        head(register_module("head", torch::nn::Linear(2, 1))) {}
  static constexpr auto describe() {
    return ts::component<NewNetImpl>(
        "net", ts::version<3>, ts::hyper("features", &NewNetImpl::features), ts::state("calls", &NewNetImpl::calls),
        ts::migrate<1>([](auto& d) {
          d.rename("params/width", "params/features");
          d.rename_prefix("state/out.", "state/head.");
        }),
        ts::migrate<2>([](auto& d) {
          for (const std::string part : {"weight", "bias"}) {
            d.split("state/qkv." + part, {"state/q." + part, "state/k." + part, "state/v." + part});
          }
        }));
  }
  std::int64_t features = 2, calls = 0;
  torch::nn::Linear q, k, v, head;
};
TORCH_MODULE(NewNet);

void train(torch::optim::Optimizer& optimizer) {
  for (auto& group : optimizer.param_groups()) {
    for (auto& parameter : group.params()) parameter.mutable_grad() = torch::ones_like(parameter) * 0.1;
  }
  optimizer.step();
}

TEST_CASE("renamed and split layers load; the optimizer's moments follow the names") {
  const TemporaryFolder folder;
  OldNet old;
  torch::optim::Adam old_optimizer(old->parameters(), 0.1);
  train(old_optimizer);
  ts::save(ts::checkpoint("model"_key = old, "optimizer"_key = old_optimizer), folder / "old.safetensors");

  NewNet net;
  torch::optim::Adam optimizer(net->head->parameters(), 0.2);
  auto only_head = ts::checkpoint("model"_key = net, "optimizer"_key = optimizer);
  const auto before = ts::state_dict(only_head).clone();
  CHECK_THROWS_AS(ts::load(only_head, folder / "old.safetensors"), ts::MismatchError);
  CHECK(ts::state_dict(only_head) == before);

  const auto report = ts::load(only_head, folder / "old.safetensors", {.allow_unexpected = true});
  CHECK(net->q->weight.equal(old->qkv->weight.slice(0, 0, 2)));
  CHECK(net->v->bias.equal(old->qkv->bias.slice(0, 4, 6)));
  CHECK(net->head->weight.equal(old->out->weight));
  CHECK(net->calls == 9);
  const auto moments = ts::state_dict(optimizer), old_moments = ts::state_dict(old_optimizer);
  CHECK(moments.at("state/0/exp_avg") == old_moments.at("state/2/exp_avg"));
  CHECK(moments.at("state/1/exp_avg_sq") == old_moments.at("state/3/exp_avg_sq"));
  CHECK(optimizer.param_groups()[0].options().get_lr() == 0.1);

  // What a hook created has no moments: that must be allowed, and is named where it is not.
  torch::optim::Adam whole(net->parameters(), 0.2);
  auto all = ts::checkpoint("model"_key = net, "optimizer"_key = whole);
  try {
    ts::load(all, folder / "old.safetensors");
    FAIL("should have thrown");
  } catch (const ts::MismatchError& e) {
    CHECK(std::string(e.what()).find("q.weight") != std::string::npos);
  }
}

TEST_CASE("a file without a manifest counts as today's version when its keys are today's, else as version 1") {
  NewNet net;
  OldNet old;
  ts::load_state_dict(net, ts::state_dict(old));
  CHECK(net->head->weight.equal(old->out->weight));
  NewNet other;
  ts::load_state_dict(other, ts::state_dict(net));
  CHECK(ts::state_dict(other) == ts::state_dict(net));
}

TEST_CASE("hooks of a checkpoint rename, split and drop parts, with their versions and hyperparameters") {
  const TemporaryFolder folder;
  OldNet old;
  Meter1 meter;
  std::int64_t junk = 3;
  ts::StateDict both{{"a", 1}, {"b", 2}};
  ts::save(ts::checkpoint("net"_key = old, "meter"_key = meter, "junk"_key = junk, "both"_key = both),
           folder / "old.safetensors");
  NewNet net;
  Meter<5> today;
  std::int64_t a = 0, b = 0;
  auto checkpoint = ts::checkpoint(ts::version<2>, ts::migrate<1>([](auto& d) {
                                     d.rename("net", "model");
                                     d.erase("junk");
                                     d.rename("both/a", "a");
                                     d.rename("both/b", "b");
                                     d.erase("both");
                                   }),
                                   "model"_key = net, "meter"_key = today, "a"_key = a, "b"_key = b);
  const auto report = ts::load(checkpoint, folder / "old.safetensors");
  CHECK(net->head->weight.equal(old->out->weight));
  CHECK(net->calls == 9);
  CHECK(today.epoch == 12);
  CHECK(a == 1);
  CHECK(b == 2);
  CHECK(report.migrated.front() == ts::Report::Migration{"", 1, 2});
  CHECK(report.warnings.empty());
}

// Old structs beside new ones.
struct Settings {
  std::vector<double> rates;
  static constexpr auto describe() {
    return ts::component<Settings>("meter", ts::version<2>, ts::state("rates", &Settings::rates),
                                   ts::migrate_from<Meter1>([](const Meter1& old) {
                                     return Settings{{old.lr, static_cast<double>(old.step)}};
                                   }));
  }
};

TEST_CASE("a hook may map an old described struct to the new one") {
  Settings settings;
  const auto report = ts::load_state_dict(settings, ts::state_dict(Meter1()));
  CHECK(settings.rates == std::vector<double>{0.5, 1234});
  CHECK(report.migrated == std::vector<ts::Report::Migration>{{"", 1, 2}});
}

}  // namespace
