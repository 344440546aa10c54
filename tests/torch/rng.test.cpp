#include "trainstate/torch/rng.hpp"

#include <string>

#include "torch/training.hpp"

namespace ts = trainstate;
using namespace ts::literals;
using training::refused;
using training::restore;
using training::store;
using training::Stored;

TEST_CASE("random numbers go on where they were") {
  torch::manual_seed(7);
  torch::randn({3});  // an odd number, so that half a pair of normal numbers is kept
  auto ckpt = ts::checkpoint("rng"_key = ts::Rng{});
  const auto bytes = ts::to_bytes(ckpt);
  const auto normal = torch::randn({5}), uniform = torch::rand({40}), order = torch::randperm(100);
  torch::manual_seed(99);
  ts::from_bytes(ckpt, bytes);
  CHECK(torch::equal(torch::randn({5}), normal));
  CHECK(torch::equal(torch::rand({40}), uniform));
  CHECK(torch::equal(torch::randperm(100), order));
}

TEST_CASE("the state is Python's torch.get_rng_state()") {
  torch::manual_seed(7);
  const auto dict = ts::state_dict(ts::Rng{});
  const auto& cpu = dict.at<torch::Tensor>("cpu");
  CHECK((cpu.scalar_type() == torch::kByte));
  CHECK(cpu.numel() == 5056);
  CHECK(torch::equal(cpu, at::detail::getDefaultCPUGenerator().get_state()));
  CHECK(dict.contains("cuda") == torch::cuda::is_available());

  torch::rand({9});
  Stored python{{{"rng", ts::Value(cpu)}}, {}};  // {"rng": torch.get_rng_state()}
  auto ckpt = ts::checkpoint("rng"_key = ts::Rng{});
  restore(ckpt, python);
  CHECK(torch::equal(cpu, at::detail::getDefaultCPUGenerator().get_state()));
}

TEST_CASE("it comes last, after what draws numbers while it is loaded") {
  struct Draws {
    ts::StateDict state_dict() const { return {{"x", 1}}; }
    void load_state_dict(const ts::StateDict&) { torch::rand({100}); }
  } draws;
  auto ckpt = ts::checkpoint("rng"_key = ts::Rng{}, "draws"_key = draws);
  const auto stored = store(ckpt);
  const auto expected = torch::rand({5});
  restore(ckpt, stored);
  CHECK(torch::equal(torch::rand({5}), expected));
}

TEST_CASE("states that a generator does not take are refused, and it goes on undisturbed") {
  const auto good = store(ts::Rng{});
  ts::Rng rng;
  const auto before = at::detail::getDefaultCPUGenerator().get_state();
  const auto with = [&](const char* key, ts::Value value) {
    auto bad = good;
    bad.tree.set(key, std::move(value));
    return bad;
  };
  CHECK(refused(rng, with("cpu", torch::zeros({5056}, torch::kByte))).mismatched.size() == 1);
  CHECK(refused(rng, with("cpu", torch::zeros({12}, torch::kByte))).mismatched.size() == 1);
  CHECK(refused(rng, with("cpu", torch::zeros({5056}, torch::kChar))).mismatched.size() == 1);
  CHECK(refused(rng, with("cpu", ts::None())).mismatched.size() == 1);
  CHECK(refused(rng, with("cuda", "text")).mismatched.size() == 1);
  CHECK(refused(rng, with("tpu", 1)).unexpected_keys.size() == 1);
  CHECK(refused(rng, Stored{}).missing_keys.size() == 1);
  CHECK(torch::equal(at::detail::getDefaultCPUGenerator().get_state(), before));
}

TEST_CASE("a newer version is refused, also where it is a part") {
  auto ckpt = ts::checkpoint("rng"_key = ts::Rng{});
  auto stored = store(ckpt);
  stored.components.set("rng/version", 2);
  CHECK_THROWS_AS(restore(ckpt, stored), ts::VersionError);
}

TEST_CASE("states for devices that are not here are a warning") {
  if (torch::cuda::device_count() > 2) return;
  const auto state = torch::zeros({16}, torch::kByte);
  auto ckpt = ts::checkpoint("rng"_key = ts::Rng{});
  const auto warnings = [&](ts::Value cuda) {
    auto stored = store(ckpt);
    stored.tree.set("rng/cuda", std::move(cuda));
    return restore(ckpt, stored).warnings;
  };
  const auto by_device = warnings(ts::StateDict{{7, state}, {8, state}});
  CHECK(by_device.size() == 2 + torch::cuda::device_count());
  CHECK(by_device[0] == "rng/cuda: this machine has no cuda:7; its generator is passed over");
  if (torch::cuda::device_count() == 0) CHECK(warnings(ts::List{state}).size() == 1);  // get_rng_state_all()
}

TEST_CASE("CUDA generators go on where they were" * doctest::skip(!torch::cuda::is_available())) {
  torch::cuda::manual_seed_all(5);
  torch::rand({3}, torch::kCUDA);
  ts::Rng rng;
  const auto stored = store(rng);
  const auto expected = torch::rand({5}, torch::kCUDA).cpu();
  torch::cuda::manual_seed_all(6);
  CHECK(restore(rng, stored).warnings.empty());
  CHECK(torch::equal(torch::rand({5}, torch::kCUDA).cpu(), expected));
  auto bad = stored;
  bad.tree.set("cuda/0", torch::zeros({3}, torch::kByte));
  CHECK(refused(rng, bad).mismatched.at(0).path == "cuda/0");
  bad.tree.erase("cuda");
  CHECK(restore(rng, bad).warnings.size() == torch::cuda::device_count());
}

TEST_CASE("a generator of one's own") {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(11);
  auto other = at::make_generator<at::CPUGeneratorImpl>(12);
  const auto handle = other;
  torch::rand({3}, generator);
  const auto stored = store(ts::checkpoint("noise"_key = generator));
  const auto expected = torch::rand({5}, generator);
  auto ckpt = ts::checkpoint("noise"_key = other);
  restore(ckpt, stored);
  CHECK(other == handle);
  CHECK(torch::equal(torch::rand({5}, handle), expected));

  at::Generator none;
  auto empty = ts::checkpoint("noise"_key = none);
  CHECK(refused(empty, stored).mismatched.size() == 1);
  restore(empty, store(empty));
}
