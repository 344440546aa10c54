#include "tool/inspect.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"
#include "tool/run_tool.hpp"
#include "trainstate/format/container.hpp"

using namespace trainstate::tests;
namespace fs = std::filesystem;
namespace format = trainstate::format;
using trainstate::Dtype;
using namespace std::string_literals;

namespace {

const fs::path golden = fs::path(TRAINSTATE_SOURCE_DIR) / "tests" / "golden";

// What inspect prints below its first two lines.
std::string inspected(const format::Document& document, const std::vector<std::string>& flags = {}) {
  const TemporaryFolder folder;
  const std::string path = (folder / "file.safetensors").string();
  format::write_document(document, path, trainstate::Format::safetensors);
  std::vector<std::string> arguments{"inspect", path};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  const Ran ran = run_tool(arguments, {.unicode = false});
  CHECK(ran.code == 0);
  const auto blank = ran.out.find("\n\n");
  return blank == std::string::npos ? "" : ran.out.substr(blank + 2);
}

}  // namespace

TEST_CASE("inspect: tensors that are alike are one row, where there are many") {
  format::Document document;
  for (int layer = 0; layer < 20; ++layer) {
    const std::string name = "layers." + std::to_string(layer);
    document.tree[name + ".weight"] = tensor(Dtype::f32, {4, 4}, static_cast<unsigned>(layer));
    document.tree[name + ".bias"] = tensor(Dtype::f32, {layer == 7 ? 5 : 4}, static_cast<unsigned>(layer));
  }
  document.tree["head"] = tensor(Dtype::f16, {2});
  CHECK(inspected(document) ==
        "layers.{0..19}.weight  float32  [4, 4]  64 B  each of 20\n"
        "layers.{0..19}.bias    float32  [4]     16 B  each of 19\n"
        "layers.7.bias          float32  [5]     20 B\n"
        "head                   float16  [2]      4 B\n");
  const std::string all = inspected(document, {"--all"});
  CHECK(std::count(all.begin(), all.end(), '\n') == 41);
}

TEST_CASE("inspect: of a long list of dicts the first ones and the last") {
  format::Document document;
  List list;
  for (int i = 0; i < 20; ++i) list.emplace_back(Tree{{"epoch", i}});
  document.tree["history"] = list;
  CHECK(inspected(document) ==
        "history\n|- 0  epoch = 0\n|- 1  epoch = 1\n|- 2  epoch = 2\n|- ... 16 more\n`- 19  epoch = 19\n");
  const std::string all = inspected(document, {"--all"});
  CHECK(std::count(all.begin(), all.end(), '\n') == 21);
}

TEST_CASE("inspect: tied tensors, devices, metadata, long and hostile texts") {
  format::Document document;
  const auto shared = tensor(Dtype::f32, {2}, 1, "cuda:0");
  document.tree["a"] = Tree{{"x", shared}, {"y", shared}, {"\x1b[31m", 1}};
  document.tree["text"] = "\x1b[2J" + std::string(100, 'x');
  document.metadata["manager.step"] = "12\n";
  CHECK(inspected(document) ==
        "a  2 tensors, 8 B\n"
        "|- x  float32  [2]  8 B  cuda:0\n"
        "|- y  float32  [2]  8 B  cuda:0, same as a/x\n"
        "`- \\x1b[31m = 1\n"
        "text = \"\\x1b[2J" +
            std::string(56, 'x') +
            "...\"\n"
            "\nmetadata\n`- manager.step = \"12\\n\"\n");
}

TEST_CASE("inspect: long rows wrap at the width of the terminal") {
  format::Document document;
  Tree fields;
  for (int i = 0; i < 30; ++i) fields["field_" + std::to_string(i)] = i;
  document.tree["d"] = fields;
  const TemporaryFolder folder;
  format::write_document(document, folder / "file.pt", trainstate::Format::pt);
  for (const std::size_t width : {20U, 40U, 100U}) {
    const Ran ran = run_tool({"inspect", (folder / "file.pt").string()}, {.width = width});
    const std::string rows = ran.out.substr(ran.out.find("\n\n") + 2);
    for (std::size_t at = 0; at < rows.size();) {
      const auto end = rows.find('\n', at);
      CHECK(tool::width_of(rows.substr(at, end - at)) <= width);
      at = end + 1;
    }
    CHECK(rows.find("field_29 = 29") != std::string::npos);
  }
}

TEST_CASE("inspect: colour only where it is asked for") {
  const std::string path = (golden / "pt_1" / "training.pt").string();
  const std::string plain = run_tool({"inspect", path}).out;
  CHECK(plain.find('\033') == std::string::npos);
  std::string coloured = run_tool({"--color", "always", "inspect", path}).out;
  CHECK(coloured.find('\033') != std::string::npos);
  for (auto at = coloured.find('\033'); at != std::string::npos; at = coloured.find('\033')) {
    coloured.erase(at, coloured.find('m', at) - at + 1);
  }
  CHECK(coloured == plain);
  CHECK(run_tool({"--color", "never", "inspect", path}, {.colour = true}).out == plain);
}

TEST_CASE("inspect: --json is JSON, with all that there is") {
  for (const auto& entry : fs::recursive_directory_iterator(golden)) {
    const auto extension = entry.path().extension();
    if (extension != ".pt" && extension != ".safetensors") continue;
    const Ran ran = run_tool({"inspect", "--json", entry.path().string()});
    if (ran.code != 0) continue;
    CAPTURE(entry.path().string());
    CHECK_FALSE(nlohmann::json::parse(ran.out, nullptr, false).is_discarded());
  }
  const std::string path = (golden / "safetensors_1" / "training.safetensors").string();
  const auto json = nlohmann::json::parse(run_tool({"inspect", "--json", path}).out);
  CHECK(json.at("file") == path);
  CHECK(json.at("container") == "safetensors");
  CHECK(json.at("format") == 1);
  CHECK(json.at("bytes") == fs::file_size(path));
  CHECK(json.at("tensors").size() == 22);
  CHECK(json.at("tensors").at(0) ==
        nlohmann::json::parse(R"({"path":"model/in.weight","name":"model.in.weight","dtype":"float32","shape":[3,2],)"
                              R"("bytes":24,"device":"cpu"})"));
  CHECK(json.at("manifest").at("components").at("model").at("params").at("hidden") == 3);
  CHECK(json.at("checksums").at("model.in.weight").is_string());
  const auto values = nlohmann::json::parse(
      run_tool({"inspect", "--json", (golden / "safetensors_1" / "values.safetensors").string()}).out);
  const auto value = [&](const std::string& name) {
    for (const auto& each : values.at("values")) {
      if (each.at("path") == name) return each.at("value");
    }
    return nlohmann::json("absent");
  };
  CHECK(value("none").is_null());
  CHECK(value("ints/3") == std::numeric_limits<std::int64_t>::max());
  CHECK(value("doubles/6") == "nan");
  CHECK(value("doubles/8") == "-inf");
  CHECK(value("strings/4") == "%FF\0%80"s);
  CHECK(value("empty/0") == nlohmann::json::array());
}
