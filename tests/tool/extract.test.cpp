#include "tool/extract.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"
#include "tool/run_tool.hpp"
#include "trainstate/format/container.hpp"

using namespace trainstate::tests;
namespace fs = std::filesystem;
namespace format = trainstate::format;
using trainstate::Dtype;

namespace {

const fs::path golden = fs::path(TRAINSTATE_SOURCE_DIR) / "tests" / "golden";
const std::string training = (golden / "safetensors_1" / "training.safetensors").string();

}  // namespace

TEST_CASE("extract: a part becomes a file as if it had been saved alone") {
  const TemporaryFolder folder;
  const auto whole = format::read_document(training);
  for (const std::string extension : {".safetensors", ".pt"}) {
    const std::string out = (folder / ("model" + extension)).string();
    const Ran ran = run_tool({"extract", "--part", "model", training, out});
    CHECK(ran.code == 0);
    CHECK(ran.out == "wrote " + out + ": 9 tensors, 108 B\n");
    const auto part = format::read_document(out, {.verify = true, .threads = 1, .progress = {}});
    CHECK(Value(part.tree) == whole.tree.at("model"));
    const auto& components = part.manifest->at("components").as<Tree>();
    CHECK(components.size() == 2);
    CHECK(components.at_key("") == whole.manifest->at("components").as<Tree>().at_key("model"));
    CHECK(components.at_key("block") == whole.manifest->at("components").as<Tree>().at_key("model/block"));
  }
  CHECK(run_tool({"extract", "--part", "optimizer", training, (folder / "optimizer.pt").string()}).code == 0);
  const auto optimizer = format::read_document(folder / "optimizer.pt");
  const auto& record = optimizer.manifest->at("components").as<Tree>().at_key("").as<Tree>();
  CHECK(record.find_key("param_names"));
  CHECK_FALSE(record.find_key("module"));
}

TEST_CASE("extract: ties inside the part stay, by their new paths") {
  const TemporaryFolder folder;
  format::Document document;
  const auto shared = tensor(Dtype::f32, {2});
  document.tree["a"] = Tree{{"x", shared}, {"y", shared}};
  document.tree["b"] = Tree{{"z", shared}};
  document.manifest = Tree{{"ties", List{List{"a/x", "a/y", "b/z"}}}, {"components", Tree()}, {"upgrades", List{1}}};
  format::write_document(document, folder / "in.pt", trainstate::Format::pt);
  CHECK(run_tool({"extract", "--part", "a", (folder / "in.pt").string(), (folder / "a.pt").string()}).code == 0);
  const auto part = format::read_document(folder / "a.pt");
  CHECK(*part.manifest == Tree{{"ties", List{List{"x", "y"}}}, {"components", Tree()}});
  CHECK(part.tree.at("x").as<trainstate::TensorInfo>().same_view(part.tree.at("y").as<trainstate::TensorInfo>()));
  CHECK(run_tool({"extract", "--part", "b", (folder / "in.pt").string(), (folder / "b.pt").string()}).code == 0);
  CHECK(format::read_document(folder / "b.pt").manifest->at("ties") == Value(List()));
}

TEST_CASE("extract: a part of a flat file, by the names' beginning") {
  const TemporaryFolder folder;
  put(folder / "in.safetensors", raw_file(R"({"net.a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                          R"("network.b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                          "xy"));
  CHECK(
      run_tool({"extract", "--part", "net", (folder / "in.safetensors").string(), (folder / "net.pt").string()}).code ==
      0);
  const auto part = format::read_document(folder / "net.pt");
  CHECK(part.tree.size() == 1);
  CHECK(part.tree.contains("a"));
}

TEST_CASE("extract: a tensor becomes an .npy file of format 1.0") {
  const TemporaryFolder folder;
  const std::string out = (folder / "x.npy").string();
  const auto header_of = [&](const Shape& shape, Dtype dtype) {
    format::Document document;
    document.tree["m"] = Tree{{"x", tensor(dtype, shape)}};
    format::write_document(document, folder / "in.safetensors", trainstate::Format::safetensors);
    CHECK(run_tool({"extract", "-f", "--tensor", "m.x", (folder / "in.safetensors").string(), out}).code == 0);
    const std::string file = contents(out);
    CHECK(file.starts_with(std::string("\x93NUMPY\1\0", 8)));
    const std::size_t length = static_cast<unsigned char>(file.at(8)) + 256U * static_cast<unsigned char>(file.at(9));
    CHECK((10 + length) % 64 == 0);
    CHECK(file.at(9 + length) == '\n');
    const std::string text = file.substr(10, length);
    return text.substr(0, text.find_last_not_of(" \n") + 1) + " " + std::to_string(file.size() - 10 - length);
  };
  CHECK(header_of({2, 3}, Dtype::f32) == "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } 24");
  CHECK(header_of({5}, Dtype::i64) == "{'descr': '<i8', 'fortran_order': False, 'shape': (5,), } 40");
  CHECK(header_of({}, Dtype::boolean) == "{'descr': '|b1', 'fortran_order': False, 'shape': (), } 1");
  CHECK(header_of({2, 0}, Dtype::c128) == "{'descr': '<c16', 'fortran_order': False, 'shape': (2, 0), } 0");
  CHECK(header_of({4}, Dtype::bf16) == "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), } 16");
  CHECK(header_of({4}, Dtype::f8_e4m3) == "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), } 16");
  CHECK(header_of({4}, Dtype::c32) == "{'descr': '<c8', 'fortran_order': False, 'shape': (4,), } 32");
}

TEST_CASE("extract: a widened tensor has the same numbers, and that is said") {
  const TemporaryFolder folder;
  format::Document document;
  const std::uint16_t values[] = {0x3F80, 0xC049};  // 1 and -3.140625
  const auto bytes = std::as_bytes(std::span(values));
  document.tree["x"] =
      trainstate::TensorInfo{Dtype::bf16, {2}, {1}, storage_of(std::vector(bytes.begin(), bytes.end())), 0};
  format::write_document(document, folder / "in.pt", trainstate::Format::pt);
  const Ran ran = run_tool({"extract", "--tensor", "x", (folder / "in.pt").string(), (folder / "x.npy").string()});
  CHECK(ran.code == 0);
  CHECK(ran.err == "trainstate: note: NumPy has no bfloat16; the elements are written as float32\n");
  const std::string file = contents(folder / "x.npy");
  float found[2];
  std::memcpy(found, file.data() + file.size() - sizeof found, sizeof found);
  CHECK(found[0] == 1);
  CHECK(found[1] == -3.140625F);
}

TEST_CASE("extract: what is not there, or cannot be written, is an error and leaves no file") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::vector<std::string>& flags, const std::string& out, const std::string& what) {
    std::vector<std::string> arguments{"extract"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    arguments.push_back(training);
    arguments.push_back((folder / out).string());
    const Ran ran = run_tool(arguments);
    CHECK(ran.code == 2);
    CHECK_MESSAGE(ran.err.find(what) != std::string::npos, ran.err);
    CHECK(folder.names().empty());
  };
  refused({"--part", "modle"}, "x.pt", "no part 'modle'; is 'model' meant?");
  refused({"--part", "model/in.weight"}, "x.pt", "expected a part, found float32[3, 2]");
  refused({"--tensor", "model.in.wieght"}, "x.npy", "is 'model.in.weight' meant?");
  refused({"--tensor", "scheduler.state.step"}, "x.npy", "no tensor");
  refused({"--tensor", "model.in.weight"}, "x.pt", ".npy");
  refused({"--part", "model"}, "x.npy", ".safetensors, .pt or .pth");
  refused({"--part", "model", "--tensor", "x"}, "x.pt", "excludes");
  refused({}, "x.pt", "--part or --tensor");
}
