// What safetensors_python.py asks of trainstate: to write sample files, and to say what a file holds.
//   safetensors_tool write FOLDER   writes samples, one file each
//   safetensors_tool dump FILE…     one line of JSON a file: its tensors, or the error
#include <exception>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "format/samples.hpp"
#include "trainstate/format/safetensors.hpp"
#include "trainstate/io/mapped_file.hpp"

namespace {

namespace format = trainstate::format;
using trainstate::Dtype;
using namespace trainstate::tests;

void write_samples(const std::filesystem::path& folder) {
  const auto write = [&](const char* name, const Tree& tree) {
    format::Document document;
    document.tree = tree;
    document.manifest = nasty_tree();
    document.metadata["key"] = "value \" \\ ä";
    format::write_safetensors(document, folder / (std::string(name) + ".safetensors"));
  };
  write("empty", {});
  write("nasty", nasty_tree());
  write("lists", long_lists());
  Tree tensors;
  for (int d = 0; d < 24; ++d) {
    for (const Shape& shape : {Shape{8}, Shape{2, 0}, Shape{2, 2, 2}, Shape{1, 2, 1, 2, 1, 1, 1, 1, 2}}) {
      const std::string name = std::to_string(d) + "/" + std::to_string(shape.size());
      tensors.set("model/" + name, tensor(static_cast<Dtype>(d), shape, static_cast<unsigned>(d)));
    }
    if (bits(static_cast<Dtype>(d)) >= 8) tensors.set("scalar/" + std::to_string(d), tensor(static_cast<Dtype>(d), {}));
  }
  tensors["tied"] = tensors.at("model/3/1");
  tensors["\xff\n"] = tensor(Dtype::u8, {1});
  tensors["model.3.1"] = tensor(Dtype::u8, {1});
  tensors["__metadata__"] = tensor(Dtype::u8, {1});
  tensors[""] = tensor(Dtype::u8, {1});
  write("tensors", tensors);
  Tree many;
  for (int i = 0; i < 30'000; ++i) many.set("layers/" + std::to_string(i), tensor(Dtype::f32, {2}, 3));
  write("many", many);
}

nlohmann::json dump(const std::filesystem::path& path) {
  try {
    const auto image = trainstate::io::MappedFile(path).storage();
    const std::span<const std::byte> bytes(image->data, image->size);
    static_cast<void>(format::read_safetensors(image, path.string(), {.verify = true, .threads = 0, .progress = {}}));
    const auto header = format::safetensors::HeaderParser(bytes, "").parse();
    auto tensors = nlohmann::json::object();
    for (const auto& entry : header.entries) {
      const auto data = bytes.subspan(header.data_at + entry.begin, entry.end - entry.begin);
      tensors[entry.name] = {trainstate::detail::facts(entry.dtype).tag, entry.shape,
                             trainstate::io::hex_text(trainstate::io::checksum(data))};
    }
    return {{"tensors", tensors}, {"metadata", header.metadata}};
  } catch (const trainstate::Error& e) {
    return {{"error", e.what()}};
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string command = argc > 2 ? argv[1] : "";
  if (command == "write") {
    write_samples(argv[2]);
  } else if (command == "dump") {
    for (int i = 2; i < argc; ++i) std::cout << dump(argv[i]).dump() << '\n';
  } else {
    std::cerr << "usage: safetensors_tool write FOLDER | dump FILE...\n";
    return 2;
  }
  return 0;
} catch (const std::exception& e) {
  std::cerr << e.what() << '\n';
  return 1;
}
