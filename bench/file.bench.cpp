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
  // Makes the file unless saves have left it, and for LibTorch the model.
  void prepare_load(const std::string& extension) {
    if (extension == ".archive" && !libtorch_net) libtorch_net = bench::make_net(bytes);
    const auto at = path(extension);
    if (std::filesystem::exists(at)) return;
    if (extension == ".archive") {
      torch::save(net, at.string());
    } else if (extension == ".raw") {
      raw::write(pieces, at, false);
    } else {
      ts::save(net, at, {.sync = false});
    }
    bench::settle();
  }

  std::int64_t bytes;
  std::shared_ptr<Net> net;
  raw::Pieces pieces;
  std::shared_ptr<Net> libtorch_net;
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
  add("pt_save", "trainstate", [at] { ts::save(at().net, at().path(".pt"), {.sync = false}); });
}

// `how(name, bytes, f, prepare)`. The tensors that are loaded into hold values already, as those of a model do.
template <class How>
void add_loads(const std::string& what, const std::string& size, std::int64_t bytes, const How& how) {
  const auto at = [bytes]() -> Subject& { return subject(bytes); };
  const auto add = [&](const std::string& kind, const std::string& who, const char* extension, const auto& f) {
    how(kind + '/' + size + '/' + who, bytes, f, [at, extension] { at().prepare_load(extension); });
  };
  add(what, "trainstate", ".safetensors", [at] { ts::load(at().net, at().path(".safetensors")); });
  add(what, "limit", ".raw", [at] {
    benchmark::DoNotOptimize(raw::hash(at().path(".raw"), at().pieces));
    raw::read(at().path(".raw"), at().pieces);
  });
  add(what, "libtorch", ".archive", [at] { torch::load(at().libtorch_net, at().path(".archive").string()); });
  add(what + "_unverified", "trainstate", ".safetensors",
      [at] { ts::load(at().net, at().path(".safetensors"), {.verify = false}); });
  add(what + "_unverified", "limit", ".raw", [at] { raw::read(at().path(".raw"), at().pieces); });
  add("pt_" + what, "trainstate", ".pt", [at] { ts::load(at().net, at().path(".pt")); });
  // Written by peers.py, for the same model; it has no checksums but CRC-32.
  if (const char* const python = std::getenv("TRAINSTATE_BENCH_PYTHON_PT"); python && size == "large") {
    how(
        "pt_" + what + "_of_python/large/trainstate", bytes, [at, python] { ts::load(at().net, python); },
        [at] { static_cast<void>(at()); });
  }
}

// Nothing of the file is in the page cache.
void add_cold_loads(std::int64_t bytes) {
  const auto at = [bytes]() -> Subject& { return subject(bytes); };
  const auto add = [&](const std::string& who, const char* extension, const auto& f) {
    bench::each("load_cold/large/" + who, bytes, f, [at, extension] {
      at().prepare_load(extension);
      bench::settle();
      raw::make_cold(at().path(extension));
    });
  };
  add("trainstate", ".safetensors", [at] { ts::load(at().net, at().path(".safetensors")); });
  add("limit", ".raw", [at] { raw::read(at().path(".raw"), at().pieces); });
  add("libtorch", ".archive", [at] { torch::load(at().libtorch_net, at().path(".archive").string()); });
}

[[maybe_unused]] const bool registered = [] {
  const auto once = [](const auto&... arguments) { bench::once(arguments...); };
  const auto often = [](const auto&... arguments) { bench::often(arguments...); };
  // run.sh has a process for each, since programs load once, when they resume.
  const auto first = [](const std::string& name, std::int64_t bytes, const auto& f, const auto& prepare) {
    bench::each(name, bytes, f, [prepare] {
      prepare();
      bench::settle();
    });
  };
  add_saves("large", bench::large_bytes(), once);
  add_loads("load", "large", bench::large_bytes(), first);
  add_loads("load_again", "large", bench::large_bytes(), once);
  add_cold_loads(bench::large_bytes());
  for (const std::int64_t mib : {32, 1}) {
    add_saves(std::to_string(mib) + "_mib", mib << 20, often);
    add_loads("load", std::to_string(mib) + "_mib", mib << 20, often);
  }
  // The speed of memory and of the checksum, to judge the rest by.
  const std::int64_t bytes = bench::large_bytes();
  bench::once("hash/large/limit", bytes, [bytes] { benchmark::DoNotOptimize(raw::hash(subject(bytes).pieces)); });
  return true;
}();

}  // namespace
