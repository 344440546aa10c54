#include "trainstate/format/pt.hpp"

#include <doctest/doctest.h>

#include <array>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/io/mapped_file.hpp"
#include "trainstate/state_dict_text.hpp"

namespace format = trainstate::format;
namespace io = trainstate::io;
using trainstate::Dtype;
using trainstate::Error;
using trainstate::FormatError;
using trainstate::IntegrityError;
using trainstate::Key;
using trainstate::None;
using trainstate::Storage;
using trainstate::TensorInfo;
using trainstate::VersionError;
using namespace trainstate::tests;

namespace {

format::Document read(std::vector<std::byte> bytes, bool verify = true) {
  return format::read_pt(storage_of(std::move(bytes)), "f.pt", {.verify = verify});
}

// The sample tree without the texts that only safetensors can hold.
Value printable(const Value& value) {
  if (const auto* text = value.get_if<std::string>()) return format::is_utf8(*text) ? value : Value(None());
  if (const auto* list = value.get_if<List>()) {
    List kept;
    for (const auto& item : *list) kept.push_back(printable(item));
    return kept;
  }
  if (const auto* dict = value.get_if<Tree>()) {
    Tree kept;
    for (const auto& [key, item] : *dict) {
      const auto* text = std::get_if<std::string>(&key);
      if (!text || format::is_utf8(*text)) kept[key] = printable(item);
    }
    return kept;
  }
  return value;
}

constexpr std::array supported = {
    Dtype::boolean,     Dtype::u8,  Dtype::i8,  Dtype::f8_e5m2, Dtype::f8_e4m3, Dtype::f8_e8m0, Dtype::f8_e4m3fnuz,
    Dtype::f8_e5m2fnuz, Dtype::i16, Dtype::u16, Dtype::f16,     Dtype::bf16,    Dtype::i32,     Dtype::u32,
    Dtype::f32,         Dtype::c64, Dtype::f64, Dtype::i64,     Dtype::u64,     Dtype::c32,     Dtype::c128};

format::Document sample() {
  format::Document document;
  unsigned seed = 1;
  for (const Dtype dtype : supported) {
    const std::string name(trainstate::name(dtype));
    document.tree[name] = tensor(dtype, {3, 5}, seed++);
    document.tree[name + " scalar"] = tensor(dtype, {}, seed++);
    document.tree[name + " empty"] = tensor(dtype, {2, 0}, seed++);
  }
  TensorInfo view = tensor(Dtype::f32, {4, 6});
  document.tree["whole"] = view;
  document.tree["whole again"] = view;
  view.shape = {3, 2};
  view.strides = {1, 6};
  view.offset = 4;
  document.tree["view"] = view;
  view.shape = {7, 2};
  view.strides = {0, 3};
  document.tree["expanded"] = view;
  document.tree["on a gpu"] = tensor(Dtype::f32, {2}, 5, "cuda:1");
  document.manifest = Tree{{"components", Tree{{"model", Tree{{"version", Value(3)}}}}}};
  document.metadata = {{"who", "me \"and\" you"}};
  return document;
}

const TensorInfo& at(const format::Document& document, const std::string& key) {
  return document.tree.at_key(key).as<TensorInfo>();
}

}  // namespace

TEST_CASE("pt: every kind of value and key comes back") {
  format::Document document;
  document.tree = printable(nasty_tree()).as<Tree>();
  const auto back = read(format::write_pt(document));
  CHECK(back.tree == document.tree);
  std::vector<Key> wrote, found;
  for (const auto& entry : document.tree.at("keys").as<Tree>()) wrote.push_back(entry.first);
  for (const auto& entry : back.tree.at("keys").as<Tree>()) found.push_back(entry.first);
  CHECK(found == wrote);
  document.tree = long_lists();
  CHECK(read(format::write_pt(document)).tree == document.tree);
}

TEST_CASE("pt: tensors, manifest and metadata come back") {
  const auto document = sample();
  const auto back = read(format::write_pt(document));
  CHECK(back.tree == document.tree);
  CHECK(back.manifest == document.manifest);
  CHECK(back.metadata == document.metadata);
  CHECK(back.format == 1);
  CHECK(at(back, "whole").same_view(at(back, "whole again")));
  CHECK_FALSE(at(back, "whole").same_view(at(back, "view")));
  CHECK(at(back, "view").storage->size >= at(back, "view").nbytes());
  CHECK(at(back, "on a gpu").storage->device == "cuda:1");
  for (const auto& [key, value] : back.tree) {
    CAPTURE(trainstate::detail::to_string(key));
    CHECK(value.as<TensorInfo>().is_contiguous());
  }
}

TEST_CASE("pt: a view stores what it shows, and tied tensors are stored once") {
  const TensorInfo large = tensor(Dtype::f32, {100'000});
  TensorInfo view = large;
  view.shape = {10};
  format::Document document;
  document.tree["view"] = view;
  CHECK(format::write_pt(document).size() < 4'000);
  document.tree["a"] = document.tree["b"] = large;
  CHECK(format::write_pt(document).size() < 405'000);
}

TEST_CASE("pt: a root that is no dict is the object itself") {
  for (const Value& root : {Value(5), Value(List{1, "x"}), Value("text"), Value(tensor(Dtype::f32, {2}))}) {
    format::Document document;
    document.tree[""] = root;
    CHECK(read(format::write_pt(document)).tree == document.tree);
  }
  format::Document document;
  document.tree[""] = Tree{{"a", Value(1)}};
  CHECK(read(format::write_pt(document)).tree == document.tree);
  CHECK(read(format::write_pt({})).tree.empty());
}

TEST_CASE("pt: the same bytes in memory, in a file, and with any number of threads") {
  format::Document document = sample();
  // Large ones, small ones between them, and one that is not dense.
  for (int i = 0; i < 200; ++i) document.tree.set("small/" + std::to_string(i), tensor(Dtype::u8, {i * 7}, 9));
  document.tree["large"] = tensor(Dtype::f32, {700'000}, 10);
  TensorInfo turned = tensor(Dtype::f32, {900, 1000}, 11);
  std::swap(turned.shape[0], turned.shape[1]);
  std::swap(turned.strides[0], turned.strides[1]);
  document.tree["turned"] = turned;
  for (int i = 0; i < 3; ++i) document.tree.set("middle/" + std::to_string(i), tensor(Dtype::u8, {300'000}, 12));
  const auto bytes = format::write_pt(document, {.threads = 1});
  CHECK(format::write_pt(document, {.threads = 3}) == bytes);
  const TemporaryFolder folder;
  for (const unsigned threads : {1U, 3U}) {
    const auto path = folder / ("f" + std::to_string(threads));
    format::write_pt(document, path, {.sync = false, .overwrite = true}, {.threads = threads});
    const io::MappedFile file(path);
    CHECK(text_of({file.storage()->data, file.storage()->size}) == text_of(bytes));
    CHECK(format::read_pt(file.storage(), "f", {.verify = true, .threads = threads}).tree == document.tree);
  }
}

TEST_CASE("pt: no flipped bit passes unseen") {
  format::Document document;
  document.tree["w"] = tensor(Dtype::f32, {3, 4});
  document.tree["n"] = 5;
  document.manifest = Tree{{"components", Tree()}};
  const auto bytes = format::write_pt(document);
  std::size_t refused = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto flipped = bytes;
    flipped[bit / 8] ^= std::byte{1} << bit % 8;
    CAPTURE(bit);
    try {
      // What passes is what readers ignore: padding, dates, versions.
      const auto back = read(flipped);
      const bool same = back.tree == document.tree && back.manifest == document.manifest;
      if (!same) CHECK(same);
    } catch (const FormatError&) {
      ++refused;
    } catch (const IntegrityError&) {
      ++refused;
    }
  }
  CHECK(refused > bytes.size() * 4);
}

TEST_CASE("pt: what cannot be written is named") {
  const auto error_of = [](const Tree& tree) {
    try {
      format::Document document;
      document.tree = tree;
      (void)format::write_pt(document);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("none");
  };
  Tree tree;
  tree.set("a/b", "\xff");
  CHECK(error_of(tree) == "a/b: cannot be written as .pt: a string that is not UTF-8");
  tree.set("a/b", tensor(Dtype::f4, {4}));
  CHECK(error_of(tree) == "a/b: cannot be written as .pt: a tensor of float4_e2m1fn_x2");
  TensorInfo outside = tensor(Dtype::f32, {4});
  outside.offset = 4;
  tree.set("a/b", outside);
  CHECK(error_of(tree) == "a/b: cannot be written as .pt: it ends past the end of its storage");
  Tree deep;
  for (int i = 0; i < 600; ++i) deep = Tree{{"d", deep}};
  CHECK(error_of(deep).starts_with("d/d/"));
  CHECK(error_of(deep).ends_with("/d: nested deeper than 512 levels"));
}

TEST_CASE("pt: the metadata keys that safetensors keeps for itself are refused, too") {
  const TemporaryFolder folder;
  for (const char* key : {"format", "trainstate", "trainstate.", "trainstate.xxh3"}) {
    CAPTURE(key);
    format::Document document;
    document.metadata[key] = "pt";
    const std::string text = std::string("the metadata key '") + key + "' is reserved";
    CHECK_THROWS_WITH_AS(static_cast<void>(format::write_pt(document)), text.c_str(), Error);
    const auto path = folder / "file.pt";
    CHECK_THROWS_WITH_AS(format::write_pt(document, path), (path.string() + ": " + text).c_str(), Error);
  }
  format::Document document;
  document.metadata["trainstates"] = "x";
  CHECK(read(format::write_pt(document)).metadata == document.metadata);
}

TEST_CASE("pt: a later format and a damaged manifest") {
  format::Document document;
  document.tree["n"] = 5;
  const std::string text = text_of(format::write_pt(document));
  // The same archive with another manifest and other checksums, with CRCs of their own.
  const auto with_manifest = [&](const Tree& manifest, const std::string& digests = "") {
    std::string bytes, directory;
    std::size_t count = 0;
    for (const auto& entry : format::read_zip(std::as_bytes(std::span(text)), "")) {
      std::string data = text_of(entry.data);
      if (entry.name.ends_with("trainstate.pkl")) data = format::pickle::TreePickler().pickle(manifest);
      if (entry.name.ends_with("trainstate.xxh3")) data = digests;
      format::zip::Record record{std::string(entry.name), data.size(), bytes.size(),
                                 format::zip::crc32(std::as_bytes(std::span(data)))};
      record.append_local_header(bytes);
      bytes += data;
      record.append_central_header(directory);
      ++count;
    }
    const std::size_t place = bytes.size();
    format::zip::append_end(directory, count, place, directory.size());
    return format::read_pt(storage_of(bytes + directory), "f.pt");
  };
  CHECK(with_manifest({{"format", 1}}).tree == document.tree);
  CHECK_THROWS_WITH_AS(with_manifest({{"format", 2}}), "f.pt: expected format 1 or older, found 2", VersionError);
  CHECK_THROWS_AS(with_manifest({{"format", 0}}), FormatError);
  CHECK_THROWS_AS(with_manifest({{"format", "1"}}), FormatError);
  CHECK_THROWS_AS(with_manifest({}), FormatError);
  CHECK_THROWS_AS(with_manifest({{"format", 1}, {"more", 1}}), FormatError);
  CHECK_THROWS_AS(with_manifest({{"format", 1}, {"metadata", Tree{{"a", 5}}}}), FormatError);
  CHECK_THROWS_AS(with_manifest({{"format", 1}}, "00"), IntegrityError);
}

TEST_CASE("pt: a manifest may hold tensors, which share storages with the tree") {
  format::Document document;
  document.tree["w"] = tensor(Dtype::f32, {300});
  document.manifest = Tree{{"kept", document.tree.at("w")}, {"more", tensor(Dtype::c64, {2})}};
  const auto bytes = format::write_pt(document);
  CHECK(bytes.size() < 4'000);
  const auto back = read(bytes);
  CHECK(back.tree == document.tree);
  CHECK(back.manifest == document.manifest);
  CHECK(back.checksums.empty());
  CHECK(format::read_pt(storage_of(bytes), "", {.checksums = true}).checksums.size() == 2);
}

TEST_CASE("pt: what is not aligned in the older container is copied, or aliases it where that is enough") {
  const auto path = std::filesystem::path(TRAINSTATE_SOURCE_DIR) / "tests/golden/python/1.13/old_views.pt";
  const auto image = trainstate::io::MappedFile(path).storage();
  const auto in_file = [&](const format::Document& document) {
    const std::byte* const data = document.tree.at<TensorInfo>("base").storage->data;
    return data >= image->data && data < image->data + image->size;
  };
  const auto copied = format::read_pt(image, "f.pt"), in_place = format::read_pt(image, "f.pt", {.align = false});
  CHECK_FALSE(in_file(copied));
  CHECK(in_file(in_place));
  CHECK(copied.tree == in_place.tree);
}

TEST_CASE("pt: a tree that unfolds into more than its pickle is refused") {
  // l0 = [1]; l1 = [l0, l0]; l2 = [l1, l1]; … each recalled from the memo.
  std::string pickle =
      "\x80\x02]K\x01"
      "a";
  for (int i = 0; i < 60; ++i) {
    pickle += "q";
    pickle += static_cast<char>(i);
    pickle += "0](h";
    pickle += static_cast<char>(i);
    pickle += "h";
    pickle += static_cast<char>(i);
    pickle += "e";
  }
  pickle += ".";
  format::pickle::Objects objects;
  const auto root = format::pickle::Machine(std::as_bytes(std::span(pickle)), "", objects).run();
  struct NoStorages : format::pt::StorageSource {
    std::span<const std::byte> bytes_of(const format::pickle::StorageRef&) override { return {}; }
  } none;
  format::pt::TreeBuilder builder(objects, none, storage_of(""), "f: ", pickle.size());
  CHECK_THROWS_WITH_AS(builder.build(root), doctest::Contains("unfolds into more"), FormatError);
}
