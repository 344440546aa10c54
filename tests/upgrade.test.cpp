// Old files rewritten at today's versions.
#include "support/torch_doctest.hpp"

#include <cstdint>

#include "support/temporary_folder.hpp"
#include "trainstate/checkpoint.hpp"
#include "trainstate/upgrade.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;
using ts::tests::TemporaryFolder;

struct OldBlockImpl : torch::nn::Module {
  OldBlockImpl() : a(register_module("a", torch::nn::Linear(3, 3))) {}
  static constexpr auto describe() {
    return ts::component<OldBlockImpl>("block", ts::hyper("w", &OldBlockImpl::w),
                                       ts::state("count", &OldBlockImpl::count));
  }
  std::int64_t w = 3, count = 4;
  torch::nn::Linear a;
};
TORCH_MODULE(OldBlock);

struct OldNetImpl : torch::nn::Module {
  OldNetImpl()
      : stem(register_module("stem", torch::nn::Linear(2, 3))), encoder(register_module("encoder", OldBlock())) {}
  static constexpr auto describe() {
    return ts::component<OldNetImpl>("net", ts::hyper("depth", &OldNetImpl::depth),
                                     ts::state("encoder", &OldNetImpl::encoder));
  }
  double depth = 1;
  torch::nn::Linear stem;
  OldBlock encoder;
};
TORCH_MODULE(OldNet);

struct TodaysBlockImpl : torch::nn::Module {
  TodaysBlockImpl() : b(register_module("b", torch::nn::Linear(3, 3))) {}
  static constexpr auto describe() {
    return ts::component<TodaysBlockImpl>("block", ts::version<2>, ts::hyper("width", &TodaysBlockImpl::width),
                                          ts::state("count", &TodaysBlockImpl::count), ts::migrate<1>([](auto& d) {
                                            d.rename("params/w", "params/width");
                                            d.rename_prefix("state/a.", "state/b.");
                                          }));
  }
  std::int64_t width = 3, count = 0;
  torch::nn::Linear b;
};
TORCH_MODULE(TodaysBlock);

struct TodaysNetImpl : torch::nn::Module {
  TodaysNetImpl()
      : stem(register_module("stem", torch::nn::Linear(2, 3))), body(register_module("body", TodaysBlock())) {}
  static constexpr auto describe() {
    return ts::component<TodaysNetImpl>(
        "net", ts::version<2>, ts::hyper("depth", &TodaysNetImpl::depth), ts::state("body", &TodaysNetImpl::body),
        ts::migrate<1>([](auto& d) { d.rename_prefix("state/encoder.", "state/body."); }));
  }
  double depth = 1;
  torch::nn::Linear stem;
  TodaysBlock body;
};
TORCH_MODULE(TodaysNet);

void train(torch::optim::Optimizer& optimizer) {
  for (auto& group : optimizer.param_groups()) {
    for (auto& parameter : group.params()) parameter.mutable_grad() = torch::full_like(parameter, 0.25);
  }
  optimizer.step();
}

TEST_CASE("an upgraded file is what today's program would have written from the same state") {
  const TemporaryFolder folder;
  OldNet old;
  torch::optim::Adam old_optimizer(old->parameters(), 0.1);
  train(old_optimizer);
  ts::StateDict extra{{"free", ts::List{1, "two", torch::ones({3})}}};
  ts::save(ts::checkpoint("net"_key = old, "optimizer"_key = old_optimizer, "extra"_key = extra),
           folder / "old.safetensors", {.metadata = {{"note", "kept"}}});

  TodaysNet net;
  torch::optim::Adam optimizer(net->parameters(), 0.5);
  auto today = ts::checkpoint(ts::version<2>, ts::migrate<1>([](auto& d) { d.rename("net", "model"); }),
                              "model"_key = net, "optimizer"_key = optimizer);
  const auto before = ts::state_dict(today).clone();
  const auto report = ts::upgrade(today, folder / "old.safetensors", folder / "new.safetensors");
  CHECK(ts::state_dict(today) == before);
  CHECK(report.migrated.size() == 3);

  // It loads without any migration, and what was saved from it is the same tree with the same components.
  ts::StateDict loaded_extra;
  auto whole = ts::checkpoint(ts::version<2>, ts::migrate<1>([](auto&) { throw ts::Error("not needed"); }),
                              "model"_key = net, "optimizer"_key = optimizer, "extra"_key = loaded_extra);
  const auto loaded = ts::load(whole, folder / "new.safetensors");
  CHECK(loaded.migrated.empty());
  CHECK(loaded.warnings.empty());
  CHECK(loaded_extra == extra);
  CHECK(net->body->count == 4);
  CHECK(net->body->b->weight.equal(old->encoder->a->weight));
  ts::save(whole, folder / "saved.safetensors");
  CHECK(ts::read(folder / "new.safetensors") == ts::read(folder / "saved.safetensors"));
  const auto manifest = ts::read_manifest(folder / "new.safetensors");
  CHECK(manifest.at("components") == ts::read_manifest(folder / "saved.safetensors").at("components"));

  // The history stays.
  CHECK(manifest.at<std::int64_t>("upgrades/0/versions/net") == 1);
  CHECK(manifest.at<ts::List>("upgrades/0/steps").size() == 3);
}

TEST_CASE("in place, and twice") {
  const TemporaryFolder folder;
  OldNet old;
  ts::save(old, folder / "net.safetensors");
  TodaysNet net;
  ts::upgrade(net, folder / "net.safetensors", folder / "net.safetensors");
  CHECK(ts::load(net, folder / "net.safetensors").migrated.empty());
  CHECK(net->stem->weight.equal(old->stem->weight));
  ts::upgrade(net, folder / "net.safetensors", folder / "net.safetensors");
  CHECK(ts::read_manifest(folder / "net.safetensors").at<ts::List>("upgrades").size() == 2);
  CHECK(folder.names() == std::set<std::string>{"net.safetensors"});
}

TEST_CASE("what cannot be upgraded leaves the target as it was") {
  const TemporaryFolder folder;
  TodaysNet net;
  ts::save(net, folder / "new.safetensors");
  ts::tests::put(folder / "target.safetensors", "untouched");
  OldNet old;
  CHECK_THROWS_AS(ts::upgrade(old, folder / "new.safetensors", folder / "target.safetensors"), ts::VersionError);
  CHECK_THROWS_AS(ts::upgrade(old, folder / "absent.safetensors", folder / "target.safetensors"), ts::IoError);
  CHECK(ts::tests::contents(folder / "target.safetensors") == "untouched");
}

}  // namespace
