// The law of composition: migrating from 1 to 3 equals migrating from 1 to 2, then from 2 to 3; for every kind of
// component, in both formats.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/upgrade.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;
using ts::tests::TemporaryFolder;

// Takes a file of the first release to the third one's versions, at once and by way of the second.
template <class First, class Second, class Third>
void law(const First& first, const Second& second, const Third& third) {
  const TemporaryFolder folder;
  for (const std::string extension : {".safetensors", ".pt"}) {
    CAPTURE(extension);
    const auto old = folder / ("old" + extension), at_once = folder / ("at_once" + extension),
               steps = folder / ("steps" + extension);
    ts::save(first, old);
    ts::upgrade(third, old, at_once);
    ts::upgrade(second, old, steps);
    CHECK_FALSE(ts::read(steps) == ts::read(at_once));
    ts::upgrade(third, steps, steps);
    CHECK(ts::read(steps) == ts::read(at_once));
    const auto manifest = ts::read_manifest(steps), expected = ts::read_manifest(at_once);
    CHECK(manifest.at("components") == expected.at("components"));
    CHECK(manifest.at("ties") == expected.at("ties"));
  }
}

template <class T>
auto part(T& x) {
  return ts::checkpoint("part"_key = x);
}

// Renamed, given a default and moved, then made another type.
template <int V>
struct Record {
  double lr = 0.5;
  std::int64_t warmup = 4, step = 12;
  std::string text = "12";
  static constexpr auto describe() {
    constexpr auto first = [](auto& d) {
      d.rename("params/lr", "params/base_lr");
      d.set_default("params/warmup", 7);
    };
    constexpr auto second = [](auto& d) {
      d.rename("params/warmup", "state/warmup");
      d.transform("state/step", [](std::int64_t n) { return std::to_string(n); });
    };
    if constexpr (V == 1) {
      return ts::component<Record>("record", ts::version<1>, ts::hyper("lr", &Record::lr),
                                   ts::state("step", &Record::step), ts::unchecked);
    } else if constexpr (V == 2) {
      return ts::component<Record>("record", ts::version<2>, ts::hyper("base_lr", &Record::lr),
                                   ts::hyper("warmup", &Record::warmup), ts::state("step", &Record::step),
                                   ts::migrate<1>(first), ts::unchecked);
    } else {
      return ts::component<Record>("record", ts::version<3>, ts::hyper("base_lr", &Record::lr),
                                   ts::state("warmup", &Record::warmup), ts::state("step", &Record::text),
                                   ts::migrate<1>(first), ts::migrate<2>(second), ts::unchecked);
    }
  }
};

TEST_CASE("composition: a component") {
  Record<1> first;
  Record<2> second;
  Record<3> third;
  law(part(first), part(second), part(third));
}

// Components inside a component that has a chain of its own, in a list, a map and an optional.
template <int V>
struct Holder {
  std::vector<Record<V>> list = std::vector<Record<V>>(2);
  std::map<std::string, Record<V>> map = {{"a", {}}, {"b", {}}};
  std::optional<Record<V>> one = Record<V>();
  static constexpr auto describe() {
    constexpr auto first = [](auto& d) { d.rename("state/entries", "state/list"); };
    constexpr auto second = [](auto& d) { d.rename("state/map/b", "state/map/z"); };
    if constexpr (V == 1) {
      return ts::component<Holder>("holder", ts::version<1>, ts::state("entries", &Holder::list),
                                   ts::state("map", &Holder::map), ts::state("one", &Holder::one));
    } else if constexpr (V == 2) {
      return ts::component<Holder>("holder", ts::version<2>, ts::state("list", &Holder::list),
                                   ts::state("map", &Holder::map), ts::state("one", &Holder::one),
                                   ts::migrate<1>(first));
    } else {
      return ts::component<Holder>("holder", ts::version<3>, ts::state("list", &Holder::list),
                                   ts::state("map", &Holder::map), ts::state("one", &Holder::one),
                                   ts::migrate<1>(first), ts::migrate<2>(second));
    }
  }
};

TEST_CASE("composition: components inside components and containers") {
  Holder<1> first;
  Holder<2> second;
  Holder<3> third;
  law(part(first), part(second), part(third));
}

// A flat record, whose version stands in the manifest.
template <int V>
struct Flat {
  double gamma = 0.1;
  std::int64_t epoch = 3;
  static constexpr auto describe() {
    constexpr auto first = [](auto& d) { d.rename("epoch", "last_epoch"); };
    constexpr auto second = [](auto& d) { d.rename("gamma", "factor"); };
    if constexpr (V == 1) {
      return ts::component<Flat>("flat", ts::version<1>, ts::flat, ts::hyper("gamma", &Flat::gamma),
                                 ts::state("epoch", &Flat::epoch));
    } else if constexpr (V == 2) {
      return ts::component<Flat>("flat", ts::version<2>, ts::flat, ts::hyper("gamma", &Flat::gamma),
                                 ts::state("last_epoch", &Flat::epoch), ts::migrate<1>(first));
    } else {
      return ts::component<Flat>("flat", ts::version<3>, ts::flat, ts::hyper("factor", &Flat::gamma),
                                 ts::state("last_epoch", &Flat::epoch), ts::migrate<1>(first), ts::migrate<2>(second));
    }
  }
};

TEST_CASE("composition: a flat component") {
  Flat<1> first;
  Flat<2> second;
  Flat<3> third;
  law(part(first), part(second), part(third));
}

// From an old struct's value, then by a hook on the record.
struct Typed1 {
  std::int64_t epoch = 2, batch = 5;
  static constexpr auto describe() {
    return ts::component<Typed1>("typed", ts::version<1>, ts::state("epoch", &Typed1::epoch),
                                 ts::state("batch", &Typed1::batch));
  }
};
struct Typed2 {
  std::int64_t step = 0;
  static constexpr auto describe() {
    return ts::component<Typed2>(
        "typed", ts::version<2>, ts::state("step", &Typed2::step),
        ts::migrate_from<Typed1>([](const Typed1& old) { return Typed2{old.epoch * 100 + old.batch}; }));
  }
};
struct Typed3 {
  double progress = 0;
  static constexpr auto describe() {
    return ts::component<Typed3>(
        "typed", ts::version<3>, ts::state("progress", &Typed3::progress), ts::migrate<1>([](auto& d) {
          const auto step =
              d.template at<std::int64_t>("state/epoch") * 100 + d.template at<std::int64_t>("state/batch");
          d.erase("state/epoch");
          d.erase("state/batch");
          d.set("state/step", step);
        }),
        ts::migrate<2>([](auto& d) {
          d.rename("state/step", "state/progress");
          d.transform("state/progress", [](std::int64_t n) { return 0.5 * static_cast<double>(n); });
        }));
  }
};

TEST_CASE("composition: typed hooks and hooks on records") {
  Typed1 first;
  Typed2 second;
  Typed3 third;
  law(part(first), part(second), part(third));
}

// A module with a described submodule; layers are renamed, moved between them, and split.
template <int V>
struct BlockImpl : torch::nn::Module {
  BlockImpl() {
    inner = register_module(V == 1 ? "linear" : "body", torch::nn::Linear(2, 2));
    if (V == 3) extra = register_module("extra", torch::nn::Linear(2, 2));
  }
  static constexpr auto describe() {
    constexpr auto first = [](auto& d) { d.rename_prefix("state/linear.", "state/body."); };
    constexpr auto second = [](auto& d) {
      d.set("state/extra.weight", d.at("state/body.weight").clone());
      d.set("state/extra.bias", d.at("state/body.bias").clone());
    };
    if constexpr (V == 1) {
      return ts::component<BlockImpl>("block", ts::version<1>, ts::state("uses", &BlockImpl::uses));
    } else if constexpr (V == 2) {
      return ts::component<BlockImpl>("block", ts::version<2>, ts::state("uses", &BlockImpl::uses),
                                      ts::migrate<1>(first));
    } else {
      return ts::component<BlockImpl>("block", ts::version<3>, ts::state("uses", &BlockImpl::uses),
                                      ts::migrate<1>(first), ts::migrate<2>(second));
    }
  }
  std::int64_t uses = 6;
  torch::nn::Linear inner{nullptr}, extra{nullptr};
};

template <int V>
struct NetImpl : torch::nn::Module {
  NetImpl() {
    block = register_module("block", std::make_shared<BlockImpl<V>>());
    if (V < 3) {
      head = register_module(V == 1 ? "out" : "head", torch::nn::Linear(2, 4));
    } else {
      left = register_module("left", torch::nn::Linear(2, 2));
      right = register_module("right", torch::nn::Linear(2, 2));
    }
  }
  static constexpr auto describe() {
    constexpr auto first = [](auto& d) {
      d.rename("params/hidden", "params/width");
      d.rename_prefix("state/out.", "state/head.");
    };
    constexpr auto second = [](auto& d) {
      for (const std::string name : {"weight", "bias"}) {
        d.split("state/head." + name, {"state/left." + name, "state/right." + name});
      }
    };
    if constexpr (V == 1) {
      return ts::component<NetImpl>("net", ts::version<1>, ts::hyper("hidden", &NetImpl::hidden),
                                    ts::state("block", &NetImpl::block));
    } else if constexpr (V == 2) {
      return ts::component<NetImpl>("net", ts::version<2>, ts::hyper("width", &NetImpl::hidden),
                                    ts::state("block", &NetImpl::block), ts::migrate<1>(first));
    } else {
      return ts::component<NetImpl>("net", ts::version<3>, ts::hyper("width", &NetImpl::hidden),
                                    ts::state("block", &NetImpl::block), ts::migrate<1>(first), ts::migrate<2>(second));
    }
  }
  std::int64_t hidden = 4;
  std::shared_ptr<BlockImpl<V>> block;
  torch::nn::Linear head{nullptr}, left{nullptr}, right{nullptr};
};

TEST_CASE("composition: a module with a described submodule") {
  NetImpl<1> first;
  NetImpl<2> second;
  NetImpl<3> third;
  law(part(first), part(second), part(third));
}

// A whole checkpoint: parts are renamed and dropped, and its hooks reach into the record of an optimizer.
TEST_CASE("composition: a checkpoint, and the record of its optimizer") {
  const torch::nn::Linear net(2, 2);
  torch::optim::SGD optimizer(net->parameters(), torch::optim::SGDOptions(0.5).momentum(0.9));
  for (auto& parameter : net->parameters()) parameter.mutable_grad() = torch::ones_like(parameter);
  optimizer.step();
  std::int64_t junk = 1, step = 2;
  const auto first = [](auto& d) {
    d.rename("net", "model");
    d.transform("opt/param_groups/0/lr", [](double lr) { return lr / 4; });
  };
  const auto second = [](auto& d) {
    d.erase("junk");
    d.rename("opt", "optimizer");
    d.erase("optimizer/state/0/momentum_buffer");
  };
  auto live = net;
  auto one = ts::checkpoint("net"_key = live, "opt"_key = optimizer, "junk"_key = junk, "step"_key = step);
  auto two = ts::checkpoint(ts::version<2>, ts::migrate<1>(first), "model"_key = live, "opt"_key = optimizer,
                            "junk"_key = junk, "step"_key = step);
  auto three = ts::checkpoint(ts::version<3>, ts::migrate<1>(first), ts::migrate<2>(second), "model"_key = live,
                              "optimizer"_key = optimizer, "step"_key = step);
  law(one, two, three);

  // And what the hooks did to the optimizer's record is what is loaded.
  const TemporaryFolder folder;
  ts::save(one, folder / "old.pt");
  ts::load(three, folder / "old.pt");
  CHECK(optimizer.param_groups()[0].options().get_lr() == 0.125);
  const auto tree = ts::state_dict(optimizer);
  CHECK_FALSE(tree.contains("state/0/momentum_buffer"));
  CHECK(tree.contains("state/1/momentum_buffer"));
}

}  // namespace
