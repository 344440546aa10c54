// A state of float32 in 64 tensors into a file and back, in either format: beside LibTorch's archives and what the
// machine can do at most.
#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <trainstate/trainstate.hpp>

#include "measure.hpp"

namespace {

namespace ts = trainstate;
using bench::file, bench::Net;

// One state and its files, made when they are first needed. LibTorch's load gives a model new memory, so it has its
// own.
struct Subject {
  explicit Subject(std::int64_t size) : bytes(size), net(bench::make_net(size)), pieces(bench::pieces_of(*net)) {}

  [[nodiscard]] std::filesystem::path path(const std::string& extension) const {
    return file(std::to_string(bytes >> 20) + extension);
  }
  // A file that saves have left, or a new one.
  [[nodiscard]] std::filesystem::path saved(const std::string& extension) const {
    const auto at = path(extension);
    if (!std::filesystem::exists(at)) {
      if (extension == ".archive") {
        torch::save(net, at.string());
      } else if (extension == ".raw") {
        raw::write(pieces, at, false);
      } else {
        ts::save(net, at, {.sync = false});
      }
      bench::settle();
    }
    return at;
  }
  [[nodiscard]] std::shared_ptr<Net>& libtorch_net() {
    if (!libtorch_net_) libtorch_net_ = bench::make_net(bytes);
    return libtorch_net_;
  }

  std::int64_t bytes;
  std::shared_ptr<Net> net;
  raw::Pieces pieces;

 private:
  std::shared_ptr<Net> libtorch_net_;
};

Subject& subject(std::int64_t bytes) {
  static std::map<std::int64_t, Subject> subjects;
  return subjects.try_emplace(bytes, bytes).first->second;
}

// `how` is bench::once for what is large, bench::often for what is small.
template <class How>
void add_saves(const std::string& size, std::int64_t bytes, const How& how) {
  const auto at = [bytes]() -> Subject& { return subject(bytes); };
  const auto add = [&](const std::string& what, const std::string& who, const auto& f) {
    how(what + '/' + size + '/' + who, bytes, f, bench::settle);
  };
  add("save", "trainstate", [at] { ts::save(at().net, at().path(".safetensors"), {.sync = false}); });
  add("save", "limit", [at] { raw::write(at().pieces, at().path(".raw"), false); });
  add("save", "libtorch", [at] { torch::save(at().net, at().path(".archive").string()); });
  add("save_sync", "trainstate", [at] { ts::save(at().net, at().path(".safetensors")); });
  add("save_sync", "limit", [at] { raw::write(at().pieces, at().path(".raw"), true); });
}

template <class How>
void add_loads(const std::string& size, std::int64_t bytes, const How& how) {
  const auto at = [bytes]() -> Subject& { return subject(bytes); };
  how("load/" + size + "/trainstate", bytes, [at] { ts::load(at().net, at().saved(".safetensors")); });
  how("load/" + size + "/limit", bytes, [at] {
    const auto path = at().saved(".safetensors");
    benchmark::DoNotOptimize(raw::hash(path, at().pieces));
    raw::read(path, at().pieces);
  });
  how("load/" + size + "/libtorch", bytes, [at] { torch::load(at().libtorch_net(), at().saved(".archive").string()); });
  how("load_unverified/" + size + "/trainstate", bytes,
      [at] { ts::load(at().net, at().saved(".safetensors"), {.verify = false}); });
  how("load_unverified/" + size + "/limit", bytes, [at] { raw::read(at().saved(".safetensors"), at().pieces); });
}

// Nothing of the file is in the page cache.
void add_cold_loads(std::int64_t bytes) {
  const auto at = [bytes]() -> Subject& { return subject(bytes); };
  const auto cold = [at](const char* extension) { return [at, extension] { raw::make_cold(at().saved(extension)); }; };
  bench::once(
      "load_cold/large/trainstate", bytes, [at] { ts::load(at().net, at().saved(".safetensors")); },
      cold(".safetensors"));
  bench::once(
      "load_cold/large/limit", bytes, [at] { raw::read(at().saved(".safetensors"), at().pieces); },
      cold(".safetensors"));
  bench::once(
      "load_cold/large/libtorch", bytes, [at] { torch::load(at().libtorch_net(), at().saved(".archive").string()); },
      cold(".archive"));
}

void add_pt(std::int64_t bytes) {
  const auto at = [bytes]() -> Subject& { return subject(bytes); };
  const auto add_save = [&](const std::string& who, const auto& f) {
    bench::once("pt_save/large/" + who, bytes, f, bench::settle);
  };
  add_save("trainstate", [at] { ts::save(at().net, at().path(".pt"), {.sync = false}); });
  add_save("limit", [at] { raw::write(at().pieces, at().path(".raw"), false); });
  add_save("libtorch", [at] { torch::save(at().net, at().path(".archive").string()); });
  bench::once("pt_load/large/trainstate", bytes, [at] { ts::load(at().net, at().saved(".pt")); });
  bench::once("pt_load/large/limit", bytes, [at] {
    benchmark::DoNotOptimize(raw::hash(at().saved(".raw"), at().pieces));
    raw::read(at().saved(".raw"), at().pieces);
  });
  bench::once("pt_load/large/libtorch", bytes,
              [at] { torch::load(at().libtorch_net(), at().saved(".archive").string()); });
  bench::once("pt_load_unverified/large/trainstate", bytes,
              [at] { ts::load(at().net, at().saved(".pt"), {.verify = false}); });
  // Written by peers.py, for the same model; it has no checksums but CRC-32.
  if (const char* const python = std::getenv("TRAINSTATE_BENCH_PYTHON_PT")) {
    bench::once("pt_load_of_python/large/trainstate", bytes, [at, python] { ts::load(at().net, python); });
  }
}

[[maybe_unused]] const bool registered = [] {
  const auto once = [](const auto&... arguments) { bench::once(arguments...); };
  const auto often = [](const auto&... arguments) { bench::often(arguments...); };
  add_saves("large", bench::large_bytes(), once);
  add_loads("large", bench::large_bytes(), once);
  add_cold_loads(bench::large_bytes());
  add_pt(bench::large_bytes());
  for (const std::int64_t mib : {32, 1}) {
    add_saves(std::to_string(mib) + "_mib", mib << 20, often);
    add_loads(std::to_string(mib) + "_mib", mib << 20, often);
  }
  // The speed of memory and of the checksum, to judge the rest by.
  const std::int64_t bytes = bench::large_bytes();
  bench::once("hash/large/limit", bytes, [bytes] { benchmark::DoNotOptimize(raw::hash(subject(bytes).pieces)); });
  return true;
}();

}  // namespace
