// Any text as JSON, as a tree, and as the tree of a safetensors file whose checksums are right.
#include "format/samples.hpp"
#include "fuzz/fuzz.hpp"
#include "trainstate/format/json_reader.hpp"
#include "trainstate/format/json_tree.hpp"
#include "trainstate/format/json_writer.hpp"

using namespace trainstate::fuzz;
namespace format = trainstate::format;
using trainstate::tests::Tree;

namespace {

std::size_t skipped(const std::string& text) {
  format::JsonReader json(text, "", "json", 600);
  json.skip();
  json.finish();
  return json.position();
}

Tree decoded(const std::string& text) {
  format::JsonReader json(text, "", "tree", format::TreeDecoder::json_depth);
  Tree tree = format::TreeDecoder(json).read_dict();
  json.finish();
  return tree;
}

std::string encoded(const Tree& tree) {
  std::string json;
  format::TreeEncoder(json).write(tree);
  return json;
}

// A file with this tree and five tensors, of each kind that a tree can refer to, `{"$t": i}` and `{"$l": i}`. Those
// that it does not refer to have their place in the manifest.
std::string file_of(const std::string& tree) {
  std::string rest;
  for (char i = '0'; i < '5'; ++i) {
    const std::string number = std::string("\":") + i;
    if (tree.find("\"$t" + number) != std::string::npos || tree.find("\"$l" + number) != std::string::npos) continue;
    rest += (rest.empty() ? "{\"$t" : ",{\"$t") + number + '}';
  }
  const std::string json = R"({"format":1,"tree":)" + tree + R"(,"manifest":{"rest":[)" + rest + "]}}";
  std::string header = R"({"__metadata__":{"format":"pt","trainstate.xxh3":")";
  header.append(6 * trainstate::io::hex_digits, '0') += R"(","trainstate":)";
  format::append_json_string(header, json);
  header += R"(},"0":{"dtype":"I64","shape":[3],"data_offsets":[0,24]},"1":{"dtype":"F64","shape":[2],)"
            R"("data_offsets":[24,40]},"2":{"dtype":"F16","shape":[2,2],"data_offsets":[40,48]},)"
            R"("3":{"dtype":"BOOL","shape":[4],"data_offsets":[48,52]},"4":{"dtype":"U8","shape":[0],)"
            R"("data_offsets":[52,52]}})";
  header.append((8 - header.size() % 8) % 8, ' ');
  return with_checksums(trainstate::tests::raw_file(header, std::string(52, '\1').replace(0, 3, "abc")));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = text_of(data, size);
  const auto end = accepted(size, [&] { return skipped(text); });
  const auto tree = accepted(size, [&] { return decoded(text); });
  if (tree) {
    require(end == size, "a tree is JSON");
    const std::string json = encoded(*tree);
    const Tree back = decoded(json);
    require(back == *tree, "a tree that was encoded decodes as the same");
    require(encoded(back) == json, "the same tree gives the same text");
  }
  const std::string file = file_of(text);
  const auto document = accepted(file.size(), [&] { return Safetensors::read(file, true); });
  require(!tree || document, "a tree is a tree in a file, too");
  if (document) check_document(*document);
  return 0;
}
