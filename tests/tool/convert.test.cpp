#include "tool/convert.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"
#include "tool/run_tool.hpp"
#include "trainstate/format/container.hpp"

using namespace trainstate::tests;
namespace fs = std::filesystem;
namespace format = trainstate::format;

namespace {

const fs::path golden = fs::path(TRAINSTATE_SOURCE_DIR) / "tests" / "golden";

bool same(const format::Document& a, const format::Document& b) {
  return a.tree == b.tree && a.manifest == b.manifest && a.metadata == b.metadata;
}

}  // namespace

TEST_CASE("convert: there and back is an equal document, for every golden file") {
  const TemporaryFolder folder;
  std::size_t converted = 0;
  for (const auto& entry : fs::recursive_directory_iterator(golden)) {
    const fs::path in = entry.path();
    const auto extension = in.extension();
    if ((extension != ".pt" && extension != ".safetensors") || fs::exists(fs::path(in).replace_extension(".refuse"))) {
      continue;
    }
    CAPTURE(in.string());
    const std::string out = (folder / "out").string();
    const auto before = format::read_document(in);
    const Ran there = run_tool({"convert", "-f", in.string(), out + ".safetensors"});
    CHECK(there.code == 0);
    CHECK(same(format::read_document(out + ".safetensors", {.verify = true, .threads = 1, .progress = {}}), before));
    if (in.filename() == "values.safetensors") continue;  // has a text that is not UTF-8
    CHECK(run_tool({"convert", "-f", out + ".safetensors", out + ".pt"}).code == 0);
    CHECK(same(format::read_document(out + ".pt", {.verify = true, .threads = 1, .progress = {}}), before));
    CHECK(run_tool({"convert", "-f", out + ".pt", out + ".again.safetensors"}).code == 0);
    CHECK(contents(out + ".again.safetensors") == contents(out + ".safetensors"));
    ++converted;
  }
  CHECK(converted > 40);
}

TEST_CASE("convert: what cannot be kept is named, and there is no file") {
  const TemporaryFolder folder;
  const auto refused = [&](const fs::path& in, const std::string& what) {
    const auto before = folder.names();
    const Ran ran = run_tool({"convert", in.string(), (folder / "out.pt").string()});
    CHECK(ran.code == 2);
    CHECK(ran.out.empty());
    CHECK_MESSAGE(ran.err.find(what) != std::string::npos, ran.err);
    CHECK(folder.names() == before);
  };
  refused(golden / "safetensors_1" / "values.safetensors", "strings/4");
  format::Document document;
  document.tree["x"] = tensor(trainstate::Dtype::f6_e2m3, {4});
  format::write_document(document, folder / "six.safetensors", trainstate::Format::safetensors);
  refused(folder / "six.safetensors", "x: ");
  std::string damaged = contents(golden / "safetensors_1" / "training.safetensors");
  damaged.back() ^= 1;
  put(folder / "damaged.safetensors", damaged);
  refused(folder / "damaged.safetensors", "expected checksum");
  CHECK(run_tool({"convert", "--no-verify", (folder / "damaged.safetensors").string(), (folder / "out.pt").string()})
            .code == 0);
}

TEST_CASE("convert: files that exist stay, unless forced; names must say the format") {
  const TemporaryFolder folder;
  const std::string in = (golden / "pt_1" / "scheduler_1.pt").string(), out = (folder / "out.pt").string();
  put(out, "precious");
  Ran ran = run_tool({"convert", in, out});
  CHECK(ran.code == 2);
  CHECK(ran.err == "trainstate: " + out + ": exists; --force replaces it\n");
  CHECK(contents(out) == "precious");
  ran = run_tool({"convert", "--force", in, out});
  CHECK(ran.code == 0);
  CHECK(ran.out == "wrote " + out + ": 0 tensors, 0 B\n");
  CHECK(run_tool({"convert", in, (folder / "out.bin").string()}).code == 2);
  CHECK(run_tool({"convert", in, (folder / "no" / "where.pt").string()}).code == 2);
}

TEST_CASE("convert: a foreign file's word about its own container is dropped") {
  const TemporaryFolder folder;
  const std::string entry = R"("a.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  put(folder / "in.safetensors",
      raw_file(R"({"__metadata__":{"format":"pt","note":"kept"},)" + entry + "}", "12345678"));
  const Ran ran = run_tool({"convert", (folder / "in.safetensors").string(), (folder / "out.pt").string()});
  CHECK(ran.code == 0);
  CHECK(ran.err.find("cannot be verified") != std::string::npos);
  const auto found = format::read_document(folder / "out.pt");
  CHECK(found.metadata == std::map<std::string, std::string>{{"note", "kept"}});
  CHECK(found.tree == format::read_document(folder / "in.safetensors").tree);
  put(folder / "numpy.safetensors", raw_file(R"({"__metadata__":{"format":"np"},)" + entry + "}", "12345678"));
  CHECK(run_tool({"convert", (folder / "numpy.safetensors").string(), (folder / "np.pt").string()})
            .err.find("'format' = \"np\"") != std::string::npos);
}
