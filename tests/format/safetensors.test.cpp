#include "trainstate/format/safetensors.hpp"

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/io/mapped_file.hpp"

namespace format = trainstate::format;
using format::Document;
using trainstate::Dtype;
using trainstate::Error;
using trainstate::FormatError;
using trainstate::IntegrityError;
using trainstate::Storage;
using trainstate::TensorInfo;
using namespace trainstate::tests;
using namespace std::string_literals;

namespace {

const format::ReadOptions verified{.verify = true, .threads = 1, .progress = {}};

Document read(std::string_view file, const format::ReadOptions& options = verified) {
  return format::read_safetensors(storage_of(file), "file", options);
}

std::string written(const Document& document) { return text_of(format::write_safetensors(document)); }

Document with_tree(Tree tree) {
  Document document;
  document.tree = std::move(tree);
  return document;
}

void check_round_trip(const Document& document) {
  const std::string file = written(document);
  const Document back = read(file);
  CHECK(back.tree == document.tree);
  CHECK(back.manifest == document.manifest);
  CHECK(back.metadata == document.metadata);
  CHECK(back.warnings.empty());
  CHECK(written(back) == file);  // order and ties survive, too
}

// Small, with everything that a file of ours can have.
Document small_document() {
  Document document;
  const TensorInfo w = tensor(Dtype::f32, {2, 3});
  document.tree.set("model/w", w);
  document.tree.set("model/tied", w);
  document.tree.set("model/b", tensor(Dtype::bf16, {3}, 2, "cuda:0"));
  document.tree.set("flag", tensor(Dtype::boolean, {3}));
  document.tree.set("empty", tensor(Dtype::f64, {0, 2}));
  document.tree.set("lr", 0.1);
  document.tree.set("history", List(64, Value(2.5)));
  document.tree.set("name", "x\"y\\z");
  document.manifest = Tree{{"version", Tree{{"model", 3}}}};
  document.metadata["author"] = "me";
  return document;
}

}  // namespace

TEST_CASE("safetensors: the golden bytes of an empty document") {
  const std::string file = written({});
  CHECK(file == raw_file(R"({"__metadata__":{"format":"pt","trainstate.xxh3":"ceadb76c0ce4228a",)"
                         R"("trainstate":"{\"format\":1,\"tree\":{}}"}} )"));
  CHECK(file.size() % 8 == 0);
  // The checksum is that of the file with zeros for its own digits.
  std::string zeros = file;
  zeros.replace(file.find("ceadb76c0ce4228a"), 16, 16, '0');
  CHECK(trainstate::io::checksum(std::as_bytes(std::span(zeros))) == 0xceadb76c0ce4228aULL);
  check_round_trip({});
}

TEST_CASE("safetensors: every value, key, nesting and long list survives") {
  Document document = with_tree(nasty_tree());
  check_round_trip(document);
  document.manifest = nasty_tree();
  document.metadata = {{"a", "b"}, {"", "\n\"\\ä"}, {"trainstates", ""}, {"nul", "\0x"s}};
  check_round_trip(document);
  document.tree = long_lists();
  document.manifest = long_lists();
  check_round_trip(document);
  document.manifest = Tree();  // empty is not absent
  check_round_trip(document);
  CHECK(read(written(document)).manifest.has_value());
}

TEST_CASE("safetensors: every dtype in many shapes survives") {
  const std::vector<Shape> shapes{{},
                                  {8},
                                  {0},
                                  {2, 0},
                                  {0, std::int64_t{1} << 61},
                                  {4, 2},
                                  {1, 8},
                                  {2, 2, 2, 2},
                                  {1, 2, 1, 2, 1, 2, 1, 1, 1},
                                  {2, 1, 1, 1, 1, 1, 1, 1, 2, 2}};
  Tree tree;
  for (int d = 0; d < 24; ++d) {
    const auto dtype = static_cast<Dtype>(d);
    for (std::size_t s = 0; s < shapes.size(); ++s) {
      if (!format::dense_size(dtype, shapes[s])) continue;  // a scalar of less than a byte
      tree.set(std::string(name(dtype)) + "/" + std::to_string(s), tensor(dtype, shapes[s], static_cast<unsigned>(s)));
    }
  }
  const Document document = with_tree(tree);
  check_round_trip(document);
  for (const auto& [dtype, tensors] : read(written(document)).tree) {
    for (const auto& [key, value] : tensors.as<Tree>()) {
      const auto& t = value.as<TensorInfo>();
      CHECK(std::string(name(t.dtype)) == std::get<std::string>(dtype));
      CHECK(t.strides == TensorInfo::contiguous_strides(t.shape));
      CHECK(t.storage->device == "cpu");
    }
  }
}

TEST_CASE("safetensors: views are written dense, and only what they show") {
  const TensorInfo base = tensor(Dtype::f32, {64, 64});
  Tree tree;
  tree["transposed"] = TensorInfo{Dtype::f32, {64, 64}, {1, 64}, base.storage, 0};
  tree["row"] = TensorInfo{Dtype::f32, {64}, {1}, base.storage, 4 * 64 * 3};
  tree["column"] = TensorInfo{Dtype::f32, {64}, {64}, base.storage, 4 * 5};
  tree["expanded"] = TensorInfo{Dtype::f32, {10, 3}, {0, 0}, base.storage, 8};
  tree["channels_last"] = TensorInfo{Dtype::f32, {2, 3, 4, 5}, {60, 1, 15, 3}, base.storage, 0};
  check_round_trip(with_tree(tree));
  CHECK(written(with_tree(Tree{{"row", tree["row"]}})).size() < 600);
}

TEST_CASE("safetensors: large views are dense across chunks") {
  const TensorInfo base = tensor(Dtype::f32, {1111, 1234});
  Tree tree;
  tree["transposed"] = TensorInfo{Dtype::f32, {1234, 1111}, {1, 1234}, base.storage, 0};
  tree["dense"] = base;
  tree["sliced"] = TensorInfo{Dtype::f32, {1111, 617}, {1234, 2}, base.storage, 0};
  check_round_trip(with_tree(tree));
}

TEST_CASE("safetensors: tied tensors stay tied, others do not become so") {
  const TensorInfo w = tensor(Dtype::f32, {4, 4}), equal = tensor(Dtype::f32, {4, 4});
  Tree tree{{"w", w}, {"tied", w}, {"equal", equal}};
  tree["part"] = TensorInfo{Dtype::f32, {4}, {1}, w.storage, 0};
  const Tree back = read(written(with_tree(tree))).tree;
  CHECK(back.at<TensorInfo>("w").same_view(back.at<TensorInfo>("tied")));
  CHECK_FALSE(back.at<TensorInfo>("w").same_view(back.at<TensorInfo>("equal")));
  CHECK_FALSE(back.at<TensorInfo>("w").same_view(back.at<TensorInfo>("part")));
}

TEST_CASE("safetensors: devices survive, also of tied and misaligned tensors") {
  Tree tree;
  const TensorInfo on_gpu = tensor(Dtype::f64, {3}, 1, "cuda:1");
  tree["gpu"] = on_gpu;
  tree["tied"] = on_gpu;
  tree["empty"] = tensor(Dtype::f64, {0}, 1, "cuda:1");
  tree["cpu"] = tensor(Dtype::f64, {3});
  tree["other"] = tensor(Dtype::f64, {3}, 1, "mps");
  const std::string file = written(with_tree(tree));
  for (const std::size_t shift : {0U, 1U, 4U}) {
    // The image begins where nothing is aligned.
    std::vector<std::byte> memory(file.size() + shift);
    std::memcpy(memory.data() + shift, file.data(), file.size());
    const auto owner = std::make_shared<std::vector<std::byte>>(std::move(memory));
    const auto image = std::make_shared<const Storage>(Storage{owner, owner->data() + shift, file.size(), "cpu"});
    const Tree back = format::read_safetensors(image, "file", verified).tree;
    CHECK(back == tree);
    for (const auto& [key, value] : back) {
      const auto& t = value.as<TensorInfo>();
      CHECK(t.storage->device == tree.at_key(key).as<TensorInfo>().storage->device);
      if (t.numel() != 0) CHECK(reinterpret_cast<std::uintptr_t>(t.storage->data + t.offset) % 8 == 0);
      if (shift == 0) CHECK(t.storage->data == image->data);  // no copy
    }
    CHECK(back.at<TensorInfo>("gpu").same_view(back.at<TensorInfo>("tied")));
  }
}

TEST_CASE("safetensors: tensors own what they show") {
  TensorInfo t;
  {
    const Tree tree = read(written(small_document())).tree;
    t = tree.at<TensorInfo>("model/w");
  }
  CHECK(text_of(t.bytes()) == text_of(tensor(Dtype::f32, {2, 3}).bytes()));
}

TEST_CASE("safetensors: the same document gives the same bytes, with any number of threads, in memory and in a file") {
  const TemporaryFolder folder;
  Document document = small_document();
  for (int i = 0; i < 20; ++i) {
    document.tree.set("large/" + std::to_string(i), tensor(Dtype::f32, {300, 1000 - i}, static_cast<unsigned>(i)));
  }
  document.tree.set("largest", tensor(Dtype::u8, {20'000'000}));
  const std::string expected = written(document);
  for (const unsigned threads : {0U, 1U, 2U, 5U, 64U}) {
    format::WriteOptions options;
    options.threads = threads;
    CHECK(text_of(format::write_safetensors(document, options)) == expected);
    format::write_safetensors(document, folder / "file", {.sync = false, .overwrite = true}, options);
    CHECK(contents(folder / "file") == expected);
    format::ReadOptions reading{.verify = true, .threads = threads, .progress = {}};
    CHECK(format::read_safetensors(trainstate::io::MappedFile(folder / "file").storage(), "file", reading).tree ==
          document.tree);
  }
  Document other = small_document();  // other memory, same content
  CHECK(written(small_document()) == written(other));
}

TEST_CASE("safetensors: 50,000 tensors") {
  Tree tree;
  for (int i = 0; i < 50'000; ++i) {
    tree.set("model/layers." + std::to_string(i) + ".weight", tensor(Dtype::f32, {2}, static_cast<unsigned>(i)));
  }
  const TemporaryFolder folder;
  const Document document = with_tree(std::move(tree));
  format::write_safetensors(document, folder / "file");
  const auto image = trainstate::io::MappedFile(folder / "file").storage();
  CHECK(format::read_safetensors(image, "file", verified).tree == document.tree);
}

TEST_CASE("safetensors: every flip of a bit is found, and most without reading tensors") {
  const Document document = small_document();
  const std::string file = written(document);
  const std::size_t data_at = 8 + static_cast<std::size_t>(static_cast<unsigned char>(file[0])) +
                              256 * static_cast<std::size_t>(static_cast<unsigned char>(file[1]));
  REQUIRE(data_at < file.size());
  std::set<std::size_t> silent;  // without verification: bytes of tensors
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::string damaged = file;
    damaged[bit / 8] = static_cast<char>(static_cast<unsigned char>(damaged[bit / 8]) ^ 1U << bit % 8);
    bool found = false;
    try {
      static_cast<void>(read(damaged));
    } catch (const Error& e) {
      found = std::string(e.what()).starts_with("file: ");
    }
    CHECK_MESSAGE(found, "bit ", bit);
    try {
      static_cast<void>(read(damaged, {}));
      silent.insert(bit / 8);
    } catch (const Error&) {
    }
  }
  for (const std::size_t byte : silent) CHECK(byte >= data_at);
  // The 64 doubles of the list and the structure are always verified; what is left are the bytes of four tensors.
  CHECK(silent.size() == 24 + 6 + 3);
}

TEST_CASE("safetensors: every truncation and extension is found, verified or not") {
  const std::string file = written(small_document());
  for (std::size_t size = 0; size < file.size(); ++size) {
    CHECK_THROWS_AS(read(file.substr(0, size), {}), FormatError);
  }
  CHECK_THROWS_AS(read(file + '\0', {}), FormatError);
  CHECK_THROWS_AS(read(file + file, {}), FormatError);
}

TEST_CASE("safetensors: random damage is found or refused, and never crashes") {
  const std::string file = written(small_document());
  std::mt19937 random(5);
  for (int i = 0; i < 20'000; ++i) {
    std::string damaged = file;
    for (auto n = random() % 4 + 1; n > 0; --n) damaged[random() % damaged.size()] = static_cast<char>(random());
    if (damaged == file) continue;
    CHECK_THROWS_AS(read(damaged), Error);
  }
}

TEST_CASE("safetensors: swapped tensors and swapped blocks are found") {
  const Document document = with_tree(Tree{{"a", tensor(Dtype::u8, {64}, 1)}, {"b", tensor(Dtype::u8, {64}, 2)}});
  std::string file = written(document);
  const std::string a = file.substr(file.size() - 128, 64), b = file.substr(file.size() - 64);
  file.replace(file.size() - 128, 128, b + a);
  CHECK_THROWS_AS(read(file), IntegrityError);
}

TEST_CASE("safetensors: an error names the file, the tensor, what was expected and what was found") {
  std::string file = written(with_tree(Tree{{"model", Tree{{"w", tensor(Dtype::u8, {64})}}}}));
  file.back() = static_cast<char>(~file.back());
  try {
    static_cast<void>(format::read_safetensors(storage_of(file), "run/last.safetensors", verified));
    FAIL("accepted a damaged tensor");
  } catch (const IntegrityError& e) {
    const std::string text = e.what();
    CHECK(text.starts_with("run/last.safetensors: 'model.w': expected checksum "));
    CHECK(text.find(", found ") != std::string::npos);
  }
  try {
    static_cast<void>(format::read_safetensors(storage_of("x"), "", verified));
    FAIL("accepted nonsense");
  } catch (const FormatError& e) {
    CHECK(std::string(e.what()).starts_with("expected"));  // nothing to begin with
  }
}

TEST_CASE("safetensors: a foreign file is one flat dict in the order of its data") {
  const std::string file = raw_file(
      R"({"z.b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"__metadata__":{"format":"pt","k":"v"},)"
      R"("a/c":{"dtype":"I32","shape":[],"data_offsets":[0,4]},"5":{"dtype":"F64","shape":[0],"data_offsets":[8,8]}})",
      "12345678");
  const Document document = read(file, {});
  CHECK_FALSE(document.manifest);
  CHECK(document.metadata == std::map<std::string, std::string>{{"format", "pt"}, {"k", "v"}});
  CHECK(document.warnings.empty());
  std::vector<std::string> keys;
  for (const auto& [key, value] : document.tree) {
    keys.push_back(std::get<std::string>(key));
    CHECK(value.is<TensorInfo>());
  }
  CHECK(keys == std::vector<std::string>{"a/c", "z.b", "5"});
  CHECK(text_of(document.tree.at_key("z.b").as<TensorInfo>().bytes()) == "5678");
  const Document checked = read(file);
  REQUIRE(checked.warnings.size() == 1);
  CHECK(checked.warnings[0].find("no checksums") != std::string::npos);
  CHECK(read("\x08\0\0\0\0\0\0\0{}      "s).tree.empty());
}

TEST_CASE("safetensors: misaligned tensors of foreign files are copied, aligned ones alias") {
  // The first tensor has one byte, so that the second is not aligned.
  const std::string header =
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})";
  std::string padded = header;
  padded.resize((header.size() + 7) / 8 * 8, ' ');
  const auto image = storage_of(raw_file(padded, "x12345678"));
  const Tree tree = format::read_safetensors(image, "file").tree;
  const auto &a = tree.at<TensorInfo>("a"), &b = tree.at<TensorInfo>("b");
  CHECK(a.storage->data == image->data);
  CHECK(reinterpret_cast<std::uintptr_t>(b.storage->data) % 4 == 0);
  CHECK(b.storage->data != image->data);
  CHECK(b.storage->size == 8);
  CHECK(text_of(b.bytes()) == "12345678");
  const Tree in_place = format::read_safetensors(image, "file", {.align = false}).tree;
  CHECK(in_place.at<TensorInfo>("b").storage->data == image->data);
  CHECK(in_place == tree);
}

TEST_CASE("safetensors: recognised by its first bytes") {
  const auto looks = [](std::string_view text) {
    return format::looks_like_safetensors(std::as_bytes(std::span(text)));
  };
  CHECK(looks(written({})));
  CHECK(looks("\x08\0\0\0\0\0\0\0{}      "s));
  CHECK(looks("\x08\0\0\0\0\0\0\0 \n{"s));
  CHECK_FALSE(looks(""));
  CHECK_FALSE(looks("\x08\0\0\0\0\0\0\0"s));
  CHECK_FALSE(looks("\x08\0\0\0\0\0\0\0["s));
  CHECK_FALSE(looks("PK\x03\x04\x14\0\0\0\0\0\0\0"s));
  CHECK_FALSE(looks("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20"));
  CHECK_FALSE(looks("{\"json\": true, \"x\": 1}"));
}
