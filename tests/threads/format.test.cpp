// Documents written and read on several threads at once: each call is on its own, and const documents are shared.
#include <doctest/doctest.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/format/pt.hpp"
#include "trainstate/format/safetensors.hpp"
#include "trainstate/io/mapped_file.hpp"

namespace format = trainstate::format;
using trainstate::Dtype;
using namespace trainstate::tests;

namespace {

constexpr std::size_t callers = 4;
constexpr unsigned workers = 3;

using Path = std::filesystem::path;

struct Format {
  const char* name;
  void (*write)(const format::Document&, const Path&);
  format::Document (*read)(const Path&);
};

const Format formats[] = {{"safetensors",
                           [](const format::Document& document, const Path& path) {
                             format::write_safetensors(document, path, {.sync = false, .overwrite = true},
                                                       {.threads = workers, .progress = {}});
                           },
                           [](const Path& path) {
                             return format::read_safetensors(trainstate::io::MappedFile(path).storage(), path.string(),
                                                             {.verify = true, .threads = workers, .progress = {}});
                           }},
                          {"pt",
                           [](const format::Document& document, const Path& path) {
                             format::write_pt(document, path, {.sync = false, .overwrite = true},
                                              {.threads = workers, .progress = {}});
                           },
                           [](const Path& path) {
                             return format::read_pt(trainstate::io::MappedFile(path).storage(), path.string(),
                                                    {.verify = true, .threads = workers, .progress = {}});
                           }}};

// Large enough for several workers: small pieces, a large one, and one that is not dense. Documents differ in all.
format::Document document_of(std::int64_t seed) {
  static const trainstate::TensorInfo base = tensor(Dtype::f32, {(9 << 18) + 4096});
  const auto part = [&](Shape shape, Shape strides, std::size_t at) {
    return trainstate::TensorInfo{Dtype::f32, std::move(shape), std::move(strides), base.storage,
                                  (at + static_cast<std::size_t>(seed)) * 4};
  };
  format::Document document;
  document.tree["large"] = part({2048, 1024}, {1024, 1}, 0);
  document.tree["turned"] = part({256, 512}, {1, 256}, 64);
  for (std::int64_t i = 0; i < 50; ++i) {
    document.tree.set("small/" + std::to_string(i), part({64, i}, {i, 1}, static_cast<std::size_t>(1000 + i)));
  }
  document.tree["seed"] = seed;
  document.manifest = Tree{{"seed", seed}};
  return document;
}

bool same(const format::Document& a, const format::Document& b) { return a.tree == b.tree && a.manifest == b.manifest; }

// Calls `work(i)` for i below `count`, each on a thread of its own.
void at_once(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) threads.emplace_back(work, i);
  for (auto& thread : threads) thread.join();
}

}  // namespace

TEST_CASE("threads: distinct documents are written and read at once") {
  for (const Format& each : formats) {
    CAPTURE(each.name);
    const TemporaryFolder folder;
    std::vector<char> good(callers);
    at_once(callers, [&](std::size_t i) {
      const auto document = document_of(static_cast<std::int64_t>(i));
      const Path path = folder / std::to_string(i);
      for (int round = 0; round < 2; ++round) {
        each.write(document, path);
        good[i] = same(each.read(path), document) ? 1 : 0;
      }
    });
    CHECK(good == std::vector<char>(callers, 1));
  }
}

TEST_CASE("threads: one document is written to several paths at once") {
  for (const Format& each : formats) {
    CAPTURE(each.name);
    const TemporaryFolder folder;
    const auto document = document_of(7);
    at_once(callers, [&](std::size_t i) { each.write(document, folder / std::to_string(i)); });
    for (std::size_t i = 0; i < callers; ++i) {
      CHECK(contents(folder / std::to_string(i)) == contents(folder / "0"));
      CHECK(same(each.read(folder / std::to_string(i)), document));
    }
  }
}

TEST_CASE("threads: one path is written by several at once, and always holds one whole document") {
  for (const Format& each : formats) {
    CAPTURE(each.name);
    const TemporaryFolder folder;
    std::vector<format::Document> documents;
    for (std::size_t i = 0; i < callers; ++i) documents.push_back(document_of(static_cast<std::int64_t>(i)));
    each.write(documents[0], folder / "file");
    std::vector<char> good(callers, 1);
    at_once(callers, [&](std::size_t i) {
      for (int round = 0; round < 2; ++round) {
        each.write(documents[i], folder / "file");
        const auto found = each.read(folder / "file");
        const auto which = static_cast<std::size_t>(found.tree.at<std::int64_t>("seed"));
        if (which >= callers || !same(found, documents[which])) good[i] = 0;
      }
    });
    CHECK(good == std::vector<char>(callers, 1));
    CHECK(folder.names() == std::set<std::string>{"file"});  // no debris
  }
}

TEST_CASE("threads: one image is read by several at once") {
  for (const Format& each : formats) {
    CAPTURE(each.name);
    const TemporaryFolder folder;
    const auto document = document_of(3);
    each.write(document, folder / "file");
    const auto shared = each.read(folder / "file");
    std::vector<char> good(callers);
    at_once(callers,
            [&](std::size_t i) { good[i] = same(shared, document) && same(each.read(folder / "file"), shared); });
    CHECK(good == std::vector<char>(callers, 1));
  }
}
