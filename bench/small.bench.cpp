// A scheduler of five numbers to bytes and back, beside what else C++ offers for it; to a file; and through migrations.
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>
#include <trainstate/trainstate.hpp>
#include <utility>
#include <vector>

#include "measure.hpp"
#ifdef TRAINSTATE_BENCH_CEREAL
#include <cereal/archives/binary.hpp>
#include <cereal/archives/json.hpp>
#endif
#ifdef TRAINSTATE_BENCH_BOOST
#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#endif
#ifdef TRAINSTATE_BENCH_NLOHMANN
#include <nlohmann/json.hpp>
#endif

namespace {

namespace ts = trainstate;
using bench::file;

struct Scheduler {
  double base_lr = 0.1;
  std::int64_t warmup = 1000, total = 100'000, steps = 12'345;
  double best = 0.6180339887498949;

  static constexpr auto describe() {
    return ts::component<Scheduler>("scheduler", ts::version<1>, ts::hyper("base_lr", &Scheduler::base_lr),
                                    ts::hyper("warmup", &Scheduler::warmup), ts::hyper("total", &Scheduler::total),
                                    ts::state("steps", &Scheduler::steps), ts::state("best", &Scheduler::best));
  }
};

struct Trainstate {
  static std::vector<std::byte> save(const Scheduler& x) { return ts::to_bytes(x); }
  static void load(Scheduler& x, const std::vector<std::byte>& bytes) { ts::from_bytes(x, bytes); }
};

struct TrainstatePt {
  static std::vector<std::byte> save(const Scheduler& x) { return ts::to_bytes(x, {.format = ts::Format::pt}); }
  static void load(Scheduler& x, const std::vector<std::byte>& bytes) { ts::from_bytes(x, bytes); }
};

struct LibTorch {
  static std::string save(const Scheduler& x) {
    torch::serialize::OutputArchive archive;
    archive.write("base_lr", x.base_lr);
    archive.write("warmup", x.warmup);
    archive.write("total", x.total);
    archive.write("steps", x.steps);
    archive.write("best", x.best);
    std::string bytes;
    archive.save_to([&](const void* data, std::size_t size) {
      bytes.append(static_cast<const char*>(data), size);
      return size;
    });
    return bytes;
  }
  static void load(Scheduler& x, const std::string& bytes) {
    torch::serialize::InputArchive archive;
    archive.load_from(bytes.data(), bytes.size());
    const auto read = [&](const char* key) {
      c10::IValue value;
      archive.read(key, value);
      return value;
    };
    x.base_lr = read("base_lr").toDouble();
    x.warmup = read("warmup").toInt();
    x.total = read("total").toInt();
    x.steps = read("steps").toInt();
    x.best = read("best").toDouble();
  }
};

#if defined(TRAINSTATE_BENCH_CEREAL) || defined(TRAINSTATE_BENCH_BOOST)
// Out and In are archives of cereal or Boost.Serialization: both are made of streams.
template <class Out, class In>
struct Streamed {
  static std::string save(const Scheduler& x) {
    std::ostringstream stream;
    {
      Out archive(stream);  // some of them end their text when they go
      put(archive, x);
    }
    return std::move(stream).str();
  }
  static void load(Scheduler& x, const std::string& bytes) {
    std::istringstream stream(bytes);
    In archive(stream);
    put(archive, x);
  }

 private:
  template <class Archive, class X>
  static void put(Archive& archive, X& x) {
    if constexpr (requires { archive(x.best); }) {
      archive(x.base_lr, x.warmup, x.total, x.steps, x.best);
    } else {
      archive& x.base_lr& x.warmup& x.total& x.steps& x.best;
    }
  }
};
#endif

#ifdef TRAINSTATE_BENCH_NLOHMANN
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Scheduler, base_lr, warmup, total, steps, best)

struct Nlohmann {
  static std::string save(const Scheduler& x) { return nlohmann::json(x).dump(); }
  static void load(Scheduler& x, const std::string& bytes) { nlohmann::json::parse(bytes).get_to(x); }
};
#endif

template <class Peer>
void add(const std::string& who) {
  bench::often("component_to_bytes/five_fields/" + who, 0, [] {
    static const Scheduler x;
    benchmark::DoNotOptimize(Peer::save(x));
  });
  bench::often("component_from_bytes/five_fields/" + who, 0, [] {
    static Scheduler x;
    static const auto bytes = Peer::save(x);
    Peer::load(x, bytes);
    benchmark::DoNotOptimize(x);
  });
  bench::often("component/five_fields/" + who, 0, [] {
    static Scheduler from, to;
    ++from.steps;
    Peer::load(to, Peer::save(from));
    if (to.steps != from.steps || to.best != from.best) std::abort();  // not the same work
  });
}

// Version 11 of a component; a record of version 1 goes through ten hooks.
struct Migrated {
  std::int64_t steps = 7;
  double best_11 = 0.5;

  template <int from>
  static constexpr auto hook() {
    return ts::migrate<from>(
        [](auto& d) { d.rename("state/best_" + std::to_string(from), "state/best_" + std::to_string(from + 1)); });
  }
  static constexpr auto describe() {
    return ts::component<Migrated>("migrated", ts::version<11>, ts::state("steps", &Migrated::steps),
                                   ts::state("best_11", &Migrated::best_11), hook<1>(), hook<2>(), hook<3>(), hook<4>(),
                                   hook<5>(), hook<6>(), hook<7>(), hook<8>(), hook<9>(), hook<10>());
  }
};

ts::StateDict record(std::int64_t version) {
  auto tree = ts::state_dict(Migrated{});
  tree.set("version", version);
  tree.rename("state/best_11", "state/best_" + std::to_string(version));
  return tree;
}

[[maybe_unused]] const bool registered = [] {
  add<Trainstate>("trainstate");
  add<TrainstatePt>("trainstate_pt");
  add<LibTorch>("libtorch");
#ifdef TRAINSTATE_BENCH_CEREAL
  add<Streamed<cereal::JSONOutputArchive, cereal::JSONInputArchive>>("cereal_json");
  add<Streamed<cereal::BinaryOutputArchive, cereal::BinaryInputArchive>>("cereal_binary");
#endif
#ifdef TRAINSTATE_BENCH_BOOST
  add<Streamed<boost::archive::binary_oarchive, boost::archive::binary_iarchive>>("boost_binary");
#endif
#ifdef TRAINSTATE_BENCH_NLOHMANN
  add<Nlohmann>("nlohmann_json");
#endif

  bench::often("component_save/five_fields/trainstate", 0,
               [] { ts::save(Scheduler{}, file("component.safetensors"), {.sync = false}); });
  bench::often("component_load/five_fields/trainstate", 0, [] {
    static Scheduler x;
    [[maybe_unused]] static const bool saved = (ts::save(x, file("component.safetensors"), {.sync = false}), true);
    ts::load(x, file("component.safetensors"));
  });
  bench::often("component_state_dict/five_fields/trainstate", 0, [] {
    static const Scheduler x;
    benchmark::DoNotOptimize(ts::state_dict(x));
  });
  bench::often("component_load_state_dict/five_fields/trainstate", 0, [] {
    static Scheduler x;
    static const auto tree = ts::state_dict(x);
    ts::load_state_dict(x, tree);
  });
  bench::often("migrate/no_hook/trainstate", 0, [] {
    static Migrated x;
    static const auto tree = record(11);
    ts::load_state_dict(x, tree);
  });
  bench::often("migrate/ten_hooks/trainstate", 0, [] {
    static Migrated x;
    static const auto tree = record(1);
    ts::load_state_dict(x, tree);
  });
  return true;
}();

}  // namespace
