// Files of real PyTorchs against the trees that Python found in them; see pt_corpus.py. The environment's
// TRAINSTATE_PT_CORPUS names a folder of them, else those kept in tests/golden/python are read. What was read is
// written to the folder TRAINSTATE_PT_REWRITTEN, if there is one, for pt_ours.py.
#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/error.hpp"
#include "trainstate/format/pt.hpp"
#include "trainstate/io/mapped_file.hpp"

namespace format = trainstate::format;
using namespace trainstate::tests;
using trainstate::TensorInfo;
using Json = nlohmann::json;

namespace {

std::string hex_of(const TensorInfo& tensor) {
  std::vector<std::byte> bytes(tensor.nbytes());
  format::copy_dense(tensor, 0, bytes);
  std::string hex;
  for (const std::byte b : bytes) {
    hex += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    hex += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
  }
  return hex;
}

std::string hex_of(std::string_view text) {
  const TensorInfo bytes{trainstate::Dtype::u8, {static_cast<std::int64_t>(text.size())}, {1}, storage_of(text), 0};
  return hex_of(bytes);
}

// Finds the first differences of a tree from what Python says that it is.
class Comparison {
 public:
  std::vector<std::string> differences;

  void compare(const Tree& tree, const Json& expected, const std::string& path = "") {
    const Json& entries = expected.at("d");
    std::size_t i = 0;
    for (const auto& [key, value] : tree) {
      const std::string at = trainstate::detail::join(path, key);
      if (i == entries.size()) return differ(at, "nothing", value.describe());
      const Json& entry = entries[i++];
      if (key_of(entry[0]) != key) return differ(at, entry[0].dump(), "this key");
      compare(value, entry[1], at);
    }
    if (i != entries.size()) differ(path, entries[i][0].dump(), "the end of the dict");
  }

 private:
  static trainstate::Key key_of(const Json& json) {
    if (json.contains("i")) return std::stoll(json["i"].get<std::string>());
    return json.at("s").get<std::string>();
  }

  void differ(const std::string& path, const std::string& expected, const std::string& found) {
    differences.push_back(path.substr(0, 200) + ": expected " + expected.substr(0, 200) + ", found " +
                          found.substr(0, 200));
  }

  void compare(const Value& value, const Json& expected, const std::string& path) {
    const auto check = [&](bool equal) {
      if (!equal) differ(path, expected.dump(), value.describe());
    };
    if (const auto* flag = value.get_if<bool>()) return check(expected.is_boolean() && expected == *flag);
    if (value.is<trainstate::None>()) return check(expected.is_null());
    if (!expected.is_object()) return check(false);
    if (const auto* integer = value.get_if<std::int64_t>())
      return check(expected == Json{{"i", std::to_string(*integer)}});
    if (const auto* number = value.get_if<double>()) {
      std::ostringstream hex;
      hex << std::hex;
      hex.width(16);
      hex.fill('0');
      hex << std::bit_cast<std::uint64_t>(*number);
      return check(expected == Json{{"f", hex.str()}});
    }
    if (const auto* text = value.get_if<std::string>()) {
      return check(expected.contains("x") ? expected["x"] == hex_of(*text)
                                          : expected.contains("s") && expected["s"].get<std::string>() == *text);
    }
    if (const auto* dict = value.get_if<Tree>()) {
      if (!expected.contains("d")) return check(false);
      return compare(*dict, expected, path);
    }
    if (const auto* list = value.get_if<List>()) {
      if (!expected.contains("l") || expected["l"].size() != list->size()) return check(false);
      for (std::size_t i = 0; i < list->size(); ++i)
        compare((*list)[i], expected["l"][i], path + "/" + std::to_string(i));
      return;
    }
    const auto* tensor = value.get_if<TensorInfo>();
    if (!tensor || !expected.contains("t")) return check(false);
    compare(*tensor, expected["t"], path);
  }

  void compare(const TensorInfo& tensor, const Json& expected, const std::string& path) {
    const std::string_view defect = format::defect_of(tensor);
    if (!defect.empty()) return differ(path, "a possible tensor", std::string(defect));
    const auto check = [&](const char* what, const Json& found) {
      if (expected.at(what) != found) differ(path + " (" + what + ")", expected.at(what).dump(), found.dump());
    };
    check("dtype", trainstate::name(tensor.dtype));
    check("shape", tensor.shape);
    check("device", tensor.storage ? tensor.storage->device : "no storage");
    check("data", hex_of(tensor));
    if (expected.at("tie").is_null()) return;
    const auto tie = expected["tie"].get<int>();
    const View view{tensor.storage->data, tensor.storage->device, tensor.dtype,
                    tensor.offset,        tensor.shape,           tensor.strides};
    const auto [other, first] = ties_.emplace(tie, tensor);
    if (!first && !other->second.same_view(tensor))
      differ(path, "a tensor tied as number " + std::to_string(tie), "another");
    const auto [owner, own] = views_.emplace(view, tie);
    if (!own && owner->second != tie) {
      differ(path, "a tensor of its own", "one tied to number " + std::to_string(owner->second));
    }
  }

  using View = std::tuple<const void*, std::string, trainstate::Dtype, std::size_t, Shape, Shape>;
  std::map<int, TensorInfo> ties_;
  std::map<View, int> views_;
};

std::string differences(const Tree& tree, const Json& expected) {
  Comparison comparison;
  comparison.compare(tree, expected);
  std::string text;
  for (std::size_t i = 0; i < comparison.differences.size() && i < 5; ++i) text += "\n  " + comparison.differences[i];
  return text;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

using Image = std::shared_ptr<const trainstate::Storage>;

// The error's class and text; nothing if there is none.
std::optional<std::pair<std::string, std::string>> error_of(const Image& image, const format::ReadOptions& options) {
  using Found = std::pair<std::string, std::string>;
  try {
    const auto document = format::read_pt(image, "file", options);
    return std::nullopt;
  } catch (const trainstate::FormatError& e) {
    return Found("FormatError", e.what());
  } catch (const trainstate::IntegrityError& e) {
    return Found("IntegrityError", e.what());
  } catch (const trainstate::VersionError& e) {
    return Found("VersionError", e.what());
  } catch (const std::exception& e) {
    return Found("something else", e.what());
  }
}

// The same bytes where no tensor is aligned.
Image shifted(const Image& image) {
  std::vector<std::byte> bytes(image->size + 1);
  std::copy(image->data, image->data + image->size, bytes.begin() + 1);
  auto memory = std::make_shared<std::vector<std::byte>>(std::move(bytes));
  return std::make_shared<const trainstate::Storage>(
      trainstate::Storage{memory, memory->data() + 1, image->size, "cpu"});
}

void check_read(const Image& image, const Json& expected, const std::filesystem::path& name) {
  const format::ReadOptions verified{.verify = true, .threads = 2, .progress = {}};
  trainstate::format::Document document;
  try {
    document = format::read_pt(image, "file");
    CHECK(differences(document.tree, expected) == "");
    CHECK_FALSE(document.manifest.has_value());
    CHECK(differences(format::read_pt(image, "file", verified).tree, expected) == "");
    CHECK(differences(format::read_pt(shifted(image), "file").tree, expected) == "");
  } catch (const std::exception& e) {
    FAIL_CHECK("not read: " << std::string(e.what()));
    return;
  }
  if (expected.dump().find("{\"x\":") != std::string::npos) {  // text that is not UTF-8 is not written
    CHECK_THROWS_AS(static_cast<void>(format::write_pt(document)), trainstate::Error);
    return;
  }
  try {
    const auto written = format::write_pt(document);
    const auto again = format::read_pt(storage_of(text_of(written)), "file", verified);
    CHECK_MESSAGE(differences(again.tree, expected) == "", "written and read again");
    if (const char* folder = std::getenv("TRAINSTATE_PT_REWRITTEN"))
      put(std::filesystem::path(folder) / name, text_of(written));
  } catch (const std::exception& e) {
    FAIL_CHECK("not written or not read again: " << std::string(e.what()));
  }
}

void check_refused(const Image& image, const std::filesystem::path& path) {
  std::istringstream lines(contents(path));
  std::string type, text;
  std::vector<std::string> texts;
  std::getline(lines, type);
  while (std::getline(lines, text)) texts.push_back(text);
  for (const bool verify : {false, true}) {
    const auto found = error_of(image, {.verify = verify, .threads = 1, .progress = {}});
    if (!found) {
      FAIL_CHECK("was read, though a " << type << " was due");
      continue;
    }
    CHECK(found->first == type);
    CHECK(found->second.starts_with("file: "));
    const bool named = std::any_of(texts.begin(), texts.end(), [&](const std::string& part) {
      return lower(found->second).find(lower(part)) != std::string::npos;
    });
    CHECK_MESSAGE(named, found->second << " should say " << texts.front());
  }
}

// Reads all files of a folder; the number of them.
std::size_t check_folder(const std::filesystem::path& folder) {
  std::set<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".pt") files.insert(entry.path());
  }
  for (std::filesystem::path path : files) {
    CAPTURE(path.string());
    const Image image = trainstate::io::MappedFile(path).storage();
    if (std::filesystem::exists(path.replace_extension(".json"))) {
      check_read(image, Json::parse(contents(path)), path.stem() += ".pt");
    } else {
      check_refused(image, path.replace_extension(".refuse"));
    }
  }
  return files.size();
}

}  // namespace

TEST_CASE("pt corpus: every file of Python reads as Python reads it, or is refused by name") {
  if (const char* folder = std::getenv("TRAINSTATE_PT_CORPUS")) {
    CHECK(check_folder(folder) >= 60);
    return;
  }
  const std::filesystem::path golden = std::filesystem::path(TRAINSTATE_SOURCE_DIR) / "tests" / "golden" / "python";
  for (const char* version : {"1.13", "2.6", "2.14"}) CHECK(check_folder(golden / version) >= 12);
}

TEST_CASE("pt corpus: the comparison sees what differs") {
  const TensorInfo one = tensor(trainstate::Dtype::i16, {2}, 1), other = tensor(trainstate::Dtype::i16, {2}, 1);
  const auto json = [&](int first, int second) {
    const auto entry = [&](const char* key, int tie) {
      const Json found{{"dtype", "int16"}, {"shape", {2}}, {"device", "cpu"}, {"data", hex_of(one)}, {"tie", tie}};
      return Json::array({Json{{"s", key}}, Json{{"t", found}}});
    };
    return Json{{"d", Json::array({entry("a", first), entry("b", second)})}};
  };
  CHECK(differences(Tree{{"a", one}, {"b", one}}, json(0, 0)) == "");
  CHECK(differences(Tree{{"a", one}, {"b", other}}, json(0, 1)) == "");
  CHECK(differences(Tree{{"a", one}, {"b", other}}, json(0, 0)) != "");
  CHECK(differences(Tree{{"a", one}, {"b", one}}, json(0, 1)) != "");
  CHECK(differences(Tree{{"b", one}, {"a", one}}, json(0, 0)) != "");
  CHECK(differences(Tree{{"a", one}}, json(0, 0)) != "");
  CHECK(differences(Tree{{"a", one}, {"b", one}, {"c", 1}}, json(0, 0)) != "");
  const auto value = [](const Value& found, const char* expected) {
    return differences(Tree{{"x", found}}, Json::parse(R"({"d":[[{"s":"x"},)" + std::string(expected) + "]]}"));
  };
  CHECK(value(Value(-0.0), R"({"f":"8000000000000000"})") == "");
  CHECK(value(Value(0.0), R"({"f":"8000000000000000"})") != "");
  CHECK(value(Value(1), R"({"i":"1"})") == "");
  CHECK(value(Value(true), R"({"i":"1"})") != "");
  CHECK(value(Value(1), "true") != "");
  CHECK(value(Value(true), "true") == "");
  CHECK(value(Value("ab"), R"({"x":"6162"})") == "");
  CHECK(value(Value("ab"), R"({"s":"ab"})") == "");
  CHECK(value(Value("ab"), R"({"s":"a"})") != "");
  CHECK(value(trainstate::None(), "null") == "");
  CHECK(value(List{1, List{}}, R"({"l":[{"i":"1"},{"l":[]}]})") == "");
  CHECK(value(List{1, List{}}, R"({"l":[{"i":"1"},{"d":[]}]})") != "");
}
