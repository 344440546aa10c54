#include "trainstate/verify.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"

using namespace trainstate::tests;
using trainstate::Dtype;
using trainstate::Format;
using trainstate::format::Document;
namespace fs = std::filesystem;

namespace {

Document sample() {
  Document document;
  const auto tied = tensor(Dtype::f32, {100, 10}, 1);
  document.tree["weight"] = tied;
  document.tree["again"] = tied;
  document.tree["list"] = List{Value(tensor(Dtype::i64, {3}, 2)), Value(1)};
  document.tree["state"] = Tree{{"empty", tensor(Dtype::f32, {0}, 3)}, {"step", 5}};
  return document;
}

std::vector<std::pair<Format, std::string>> formats() {
  return {{Format::safetensors, "file.safetensors"}, {Format::pt, "file.pt"}};
}

}  // namespace

TEST_CASE("verify: a whole file is reported with its bytes, tied tensors once") {
  const TemporaryFolder folder;
  for (const auto& [format, name] : formats()) {
    CAPTURE(name);
    trainstate::format::write_document(sample(), folder / name, format);
    std::vector<std::uint64_t> calls;
    const auto report = trainstate::verify(folder / name, {.progress = [&](std::uint64_t done, std::uint64_t total) {
                                             calls = {done, total};
                                           }});
    CHECK(report.bytes == 4000 + 24);
    CHECK(report.warnings.empty());
    CHECK(report.missing_keys.empty());
    CHECK(report.mismatched.empty());
    CHECK(report.seconds > 0);
    REQUIRE(calls.size() == 2);
    CHECK(calls[0] == calls[1]);
    CHECK(calls[1] >= 4024);
  }
}

TEST_CASE("verify: every byte counts, the data's too") {
  const TemporaryFolder folder;
  for (const auto& [format, name] : formats()) {
    CAPTURE(name);
    trainstate::format::write_document(sample(), folder / name, format);
    const std::string good = contents(folder / name);
    const auto weight = text_of(tensor(Dtype::f32, {100, 10}, 1).bytes());
    const auto at = good.find(weight);
    REQUIRE(at != std::string::npos);
    std::string bad = good;
    bad[at + 2000] = static_cast<char>(bad[at + 2000] ^ 4);
    put(folder / "bad", bad);
    try {
      trainstate::verify(folder / "bad");
      FAIL_CHECK("a flipped bit was not found");
    } catch (const trainstate::IntegrityError& e) {
      CHECK(std::string(e.what()).starts_with((folder / "bad").string() + ": "));
    }
    put(folder / "bad", good.substr(0, good.size() - 1));
    CHECK_THROWS_AS(trainstate::verify(folder / "bad"), trainstate::FormatError);
  }
  CHECK_THROWS_AS(trainstate::verify(folder / "absent"), trainstate::IoError);
  CHECK_THROWS_AS(trainstate::verify(folder.path()), trainstate::IoError);
  put(folder / "text", "hello");
  CHECK_THROWS_AS(trainstate::verify(folder / "text"), trainstate::FormatError);
}

TEST_CASE("verify: a file of others without checksums is noted, one with CRCs is checked") {
  const TemporaryFolder folder;
  put(folder / "foreign", raw_file(R"({"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "abcd"));
  const auto report = trainstate::verify(folder / "foreign");
  CHECK(report.bytes == 4);
  REQUIRE(report.warnings.size() == 1);
  CHECK(report.warnings.front().find("no checksums") != std::string::npos);

  const fs::path golden = fs::path(TRAINSTATE_SOURCE_DIR) / "tests/golden/python";
  std::size_t found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(golden)) {
    if (entry.path().extension() != ".pt") continue;
    CAPTURE(entry.path().string());
    const std::string bytes = contents(entry.path());
    const bool zip = bytes.starts_with("PK");
    trainstate::Report foreign;
    try {
      foreign = trainstate::verify(entry.path());
    } catch (const trainstate::FormatError&) {
      continue;  // one of those that hold what is never read
    }
    ++found;
    const bool warned = std::any_of(foreign.warnings.begin(), foreign.warnings.end(),
                                    [](const auto& text) { return text.find("no checksums") != std::string::npos; });
    CHECK(warned == !zip);
  }
  CHECK(found > 10);
}
