// Trees in files, without any type.
#include "support/torch_doctest.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <typeinfo>
#include <vector>

#include "support/temporary_folder.hpp"
#include "trainstate/files.hpp"
#include "trainstate/format/dense.hpp"

namespace {

namespace ts = trainstate;
using torch::Tensor;
using ts::tests::contents;
using ts::tests::put;
using ts::tests::TemporaryFolder;

ts::StateDict sample() {
  const Tensor w = torch::arange(8.F);
  return {{"w", w},
          {"tied", w},
          {"rows", ts::List{torch::ones({2, 0}), torch::tensor(2.5)}},
          {7, ts::StateDict{{"none", ts::None()}, {"yes", true}, {-1, 0.1}, {"", "text"}}}};
}

/// The text of the `E` that `f` throws.
template <class E, class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    CHECK(typeid(e) == typeid(E));
    return e.what();
  }
  FAIL_CHECK("no exception of this type");
  return "";
}

/// The file's name begins the text, and is not repeated.
bool names_once(const std::string& text, const std::filesystem::path& path) {
  const std::string prefix = path.string() + ": ";
  return text.starts_with(prefix) && text.find(prefix, 1) == std::string::npos;
}

TEST_CASE("a tree comes back as it was, in order; tied tensors tied") {
  const TemporaryFolder folder;
  const auto tree = sample();
  ts::write(tree, folder / "x.safetensors");
  const auto read = ts::read(folder / "x.safetensors", {.verify = true});
  CHECK(read == tree);
  CHECK(read.begin()->first == ts::Key("w"));
  CHECK(read.at<Tensor>("w").data_ptr() == read.at<Tensor>("tied").data_ptr());
}

TEST_CASE("lazy conjugates and negations can be resolved piece by piece") {
  const Tensor complex = torch::randn({300, 20}, torch::kComplexDouble);
  const Tensor half = torch::randn({300, 20}).to(torch::kHalf);
  for (const Tensor& tensor :
       {complex.conj(), complex.conj().t(), complex.conj()[3], torch::imag(complex.conj()), torch::_neg_view(complex),
        torch::_neg_view(complex.conj()), torch::_neg_view(half),
        torch::_neg_view(torch::arange(6'000).view({300, 20})), complex.t(), torch::conj(complex.slice(0, 0, 0))}) {
    const auto info = ts::detail::to_info_in_pieces(tensor);
    const Tensor dense = tensor.resolve_conj().resolve_neg().contiguous();
    CHECK(info.shape == dense.sizes().vec());
    REQUIRE(info.nbytes() == dense.nbytes());
    CHECK(ts::format::defect_of(info).empty());
    std::vector<std::byte> found(dense.nbytes());
    for (std::size_t at = 0; at < found.size(); at += 1024) {
      ts::format::copy_dense(info, at, std::span(found).subspan(at, std::min<std::size_t>(1024, found.size() - at)));
    }
    CHECK((found.empty() || std::memcmp(found.data(), dense.data_ptr(), found.size()) == 0));
  }
  const auto plain = ts::detail::to_info(complex), conjugate = ts::detail::to_info_in_pieces(complex.conj());
  CHECK(conjugate.fetch);
  CHECK_FALSE(plain.same_view(conjugate));
  CHECK_FALSE(conjugate.same_view(ts::detail::to_info_in_pieces(torch::_neg_view(complex))));
}

TEST_CASE("what was read may be written to, outlives the file, and never changes it") {
  const TemporaryFolder folder;
  const auto path = folder / "x.safetensors";
  ts::write(sample(), path);
  const std::string before = contents(path);
  auto read = ts::read(path);
  read.at<Tensor>("w").fill_(3);
  CHECK(contents(path) == before);
  CHECK(ts::read(path) == sample());
  std::filesystem::remove(path);
  CHECK(read.at<Tensor>("tied").equal(torch::full({8}, 3.F)));
}

TEST_CASE("the manifest: versions, format, ties and checksums; of another's file, nothing") {
  const TemporaryFolder folder;
  ts::write(sample(), folder / "x.safetensors");
  const auto manifest = ts::read_manifest(folder / "x.safetensors");
  CHECK(manifest.at<std::string>("trainstate") == ts::version_text);
  CHECK(manifest.at<std::string>("libtorch") == TORCH_VERSION);
  CHECK_FALSE(manifest.at<std::string>("compiler").empty());
  CHECK(manifest.at<std::int64_t>("format") == 1);
  CHECK(manifest.at("components") == ts::Value(ts::StateDict()));
  CHECK(manifest.at("ties") == ts::Value(ts::List{ts::List{"w", "tied"}}));
  const auto& checksums = manifest.at<ts::StateDict>("checksums");
  CHECK(checksums.find_key("w"));
  for (const auto& [key, checksum] : checksums) CHECK(checksum.is<std::string>());

  const std::string header = R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
  put(folder / "foreign.safetensors",
      std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header + "x");
  CHECK(ts::read_manifest(folder / "foreign.safetensors").empty());
  CHECK(ts::read(folder / "foreign.safetensors").at<Tensor>("w").item<int>() == 'x');
}

TEST_CASE("tensor bytes are looked at when they are asked for; the header always") {
  const TemporaryFolder folder;
  const auto path = folder / "x.safetensors";
  ts::write(sample(), path);
  std::string bytes = contents(path);
  bytes[bytes.find("\"dtype\"")] ^= 1;
  put(folder / "header.safetensors", bytes);
  CHECK_THROWS_AS(ts::read(folder / "header.safetensors"), ts::Error);
  CHECK_THROWS_AS(ts::read_manifest(folder / "header.safetensors"), ts::Error);

  bytes = contents(path);
  bytes.back() ^= 1;
  put(folder / "payload.safetensors", bytes);
  CHECK(ts::read_manifest(folder / "payload.safetensors") == ts::read_manifest(path));
  CHECK_FALSE(ts::read(folder / "payload.safetensors") == sample());
  CHECK(names_once(error_of<ts::IntegrityError>([&] { ts::read(folder / "payload.safetensors", {.verify = true}); }),
                   folder / "payload.safetensors"));
}

TEST_CASE("map_location moves every tensor") {
  const TemporaryFolder folder;
  const auto path = folder / "x.safetensors";
  ts::write(sample(), path);
  const auto read = ts::read(path, {.map_location = torch::kMeta});
  CHECK(read.at<Tensor>("w").is_meta());
  CHECK(read.at<Tensor>("rows/1").is_meta());
  CHECK(read.at<Tensor>("w").sizes() == torch::IntArrayRef({8}));
  CHECK(ts::read(path, {.map_location = torch::kCPU}) == sample());
  // A device that no LibTorch built for CPU or CUDA has.
  CHECK(names_once(error_of<ts::Error>([&] { ts::read(path, {.map_location = torch::kXLA}); }), path));
}

TEST_CASE("every error begins with the file") {
  const TemporaryFolder folder;
  const auto absent = folder / "absent.safetensors", empty = folder / "empty.safetensors";
  put(empty, "");
  CHECK(names_once(error_of<ts::IoError>([&] { ts::read(absent); }), absent));
  CHECK(names_once(error_of<ts::IoError>([&] { ts::read_manifest(absent); }), absent));
  CHECK(names_once(error_of<ts::IoError>([&] { ts::read(folder.path()); }), folder.path()));
  CHECK(names_once(error_of<ts::FormatError>([&] { ts::read(empty); }), empty));
  CHECK(names_once(error_of<ts::FormatError>([&] { ts::read_manifest(empty); }), empty));

  for (const char* name : {"x.safetensors", "x.pt"}) {
    const auto path = folder / name;
    const ts::StateDict bad{{"a", ts::List{1, torch::ones({2}, torch::kMeta)}}};
    const auto text = error_of<ts::Error>([&] { ts::write(bad, path); });
    CHECK(names_once(text, path));
    CHECK(text.starts_with(path.string() + ": a/1: "));
  }
  const auto path = folder / "none" / "x.safetensors";
  CHECK(names_once(error_of<ts::IoError>([&] { ts::write(sample(), path); }), path));
  const auto reserved = [&] { ts::write(sample(), folder / "x.safetensors", {.metadata = {{"format", "np"}}}); };
  CHECK(names_once(error_of<ts::Error>(reserved), folder / "x.safetensors"));
  CHECK(folder.names() == std::set<std::string>{"empty.safetensors"});
}

TEST_CASE("overwrite = false leaves a file that exists as it is") {
  const TemporaryFolder folder;
  const auto path = folder / "x.safetensors";
  ts::write(sample(), path, {.overwrite = false});
  const std::string before = contents(path);
  try {
    ts::write(ts::StateDict(), path, {.overwrite = false});
    FAIL("it was overwritten");
  } catch (const ts::IoError& e) {
    CHECK(e.code() == EEXIST);
    CHECK(names_once(e.what(), path));
  }
  CHECK(contents(path) == before);
  ts::write(ts::StateDict(), path);
  CHECK(ts::read(path).empty());
}

TEST_CASE("metadata of one's own stands beside the tree, not in it") {
  const TemporaryFolder folder;
  ts::write(sample(), folder / "x.safetensors", {.metadata = {{"author", "me"}, {"note", "\"quoted\"\n"}}});
  CHECK(ts::read(folder / "x.safetensors") == sample());
  CHECK(contents(folder / "x.safetensors").find(R"("author":"me","note":"\"quoted\"\n")") != std::string::npos);
}

TEST_CASE("what a progress callback throws cancels a read") {
  const TemporaryFolder folder;
  ts::write(sample(), folder / "x.safetensors");
  struct Cancelled {};
  for (const bool verify : {true, false}) {
    const ts::ReadOptions options{.verify = verify, .progress = [](auto, auto) { throw Cancelled(); }};
    CHECK_THROWS_AS(ts::read(folder / "x.safetensors", options), Cancelled);
  }
}

TEST_CASE("the last call of a progress callback has all bytes done, verified or not") {
  const TemporaryFolder folder;
  ts::write(sample(), folder / "x.safetensors");
  ts::write(sample(), folder / "x.pt");
  // As another program would have written it, without checksums.
  std::string header = R"({"w":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}})";
  header.resize(56, ' ');
  put(folder / "foreign.safetensors", std::string("\x38\0\0\0\0\0\0\0", 8) + header + "abc");
  for (const char* name : {"x.safetensors", "x.pt", "foreign.safetensors"}) {
    for (const bool verify : {true, false}) {
      CAPTURE(name);
      CAPTURE(verify);
      std::uint64_t last = 0, total = 0;
      const auto follow = [&](std::uint64_t done, std::uint64_t all) {
        CHECK(done >= last);
        last = done;
        total = all;
      };
      ts::read(folder / name, {.verify = verify, .progress = follow});
      CHECK(last > 0);
      CHECK(last == total);
    }
  }
}

}  // namespace
