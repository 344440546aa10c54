// The rooms of include/trainstate and the one direction between them: a header includes its own room and lower ones.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Strings = std::vector<std::string>;

struct Room {
  std::string name;
  std::string headers;  // a regular expression of paths below include/trainstate
  Strings lower;        // the rooms that it may include
  bool knows_torch;
};

const std::vector<Room>& rooms() {
  static const std::vector<Room> all{
      {"base", "(error|report|path|file_format|fixed_string|mode|tensor_info|version)\\.hpp", {}, false},
      {"io", "io/.*", {"base"}, false},
      {"tree", "(basic_value|basic_state_dict|state_dict_text|state_dict_edit)\\.hpp", {"base"}, false},
      {"component", "(component|schema)\\.hpp|(component|schema)/.*", {"base"}, false},
      {"metrics", "training/(early_stopping|metric_history)\\.hpp", {"base", "component"}, false},
      {"format", "format/.*", {"base", "io", "tree"}, false},
      {"verify", "verify\\.hpp", {"base", "io", "tree", "format"}, false},
      {"manager", "manager/.*", {"base", "io", "tree", "format", "verify"}, false},
      {"compat", "torch/compat\\.hpp", {"base"}, true},
      {"state_dict", "(state_dict|options)\\.hpp", {"base", "tree", "compat"}, true},
      {"codec", "codec/.*|migrate\\.hpp", {"base", "io", "tree", "component", "compat", "state_dict"}, true},
      {"torch", "torch/.*", {"base", "tree", "component", "compat", "state_dict", "codec"}, true},
      {"adapter", "adapter\\.hpp", {"base", "tree", "component", "compat", "state_dict", "codec", "torch"}, true},
      {"objects",
       "objects\\.hpp",
       {"base", "io", "tree", "component", "compat", "state_dict", "codec", "torch", "adapter"},
       true},
      {"schedulers",
       "schedulers\\.hpp|schedulers/.*",
       {"base", "tree", "component", "compat", "state_dict", "codec", "torch", "adapter"},
       true},
      {"training",
       "training\\.hpp|training/.*",
       {"base", "tree", "component", "metrics", "compat", "state_dict", "codec", "torch", "adapter"},
       true},
      {"checkpoint",
       "(async|checkpoint|checkpoint_parts|environment|files|number_record|snapshot|upgrade)\\.hpp",
       {"base", "io", "tree", "component", "format", "compat", "state_dict", "codec", "torch", "adapter", "objects"},
       true},
      {"upper",
       "(manager|registry)\\.hpp|(registry|export)/.*",
       {"base", "io", "tree", "component", "format", "compat", "state_dict", "codec", "torch", "adapter", "objects",
        "checkpoint", "verify", "manager"},
       true},
      {"everything",
       "trainstate\\.hpp",
       {"base", "io", "tree", "component", "format", "compat", "state_dict", "codec", "torch", "adapter", "objects",
        "schedulers", "metrics", "training", "checkpoint", "verify", "manager", "upper"},
       true},
  };
  return all;
}

const Room* room_of(const std::string& header) {
  const auto at = std::find_if(rooms().begin(), rooms().end(),
                               [&](const Room& room) { return std::regex_match(header, std::regex(room.headers)); });
  return at == rooms().end() ? nullptr : &*at;
}

// Everything that is wrong with a header of this path (below include/trainstate) and text.
Strings faults(const std::string& header, const std::string& text) {
  const Room* const room = room_of(header);
  if (!room) return {header + " belongs to no room"};
  static const std::regex include("#include [<\"]([^>\"]+)[>\"]");
  static const std::regex wide("torch/(torch|all)\\.h|boost/hana\\.hpp|ATen/ATen\\.h");
  static const std::regex torch("(torch|ATen|c10|caffe2)/.*");
  static const std::regex hiding("namespace +trainstate *:: *(torch|hana)|\\n *namespace +(torch|hana) *\\{");

  Strings found;
  if (!text.starts_with("// ")) found.push_back(header + " does not begin by saying what it is");
  if (text.find("\n#pragma once\n") == std::string::npos) found.push_back(header + " lacks #pragma once");
  if (std::regex_search(text, hiding)) found.push_back(header + " opens a namespace that hides ::torch or ::hana");
  for (std::sregex_iterator at(text.begin(), text.end(), include), end; at != end; ++at) {
    const std::string name = (*at)[1];
    if (std::regex_match(name, wide)) found.push_back(header + " includes all of a library: " + name);
    if (!room->knows_torch && std::regex_match(name, torch)) found.push_back(header + " includes LibTorch: " + name);
    if (!name.starts_with("trainstate/")) continue;
    const Room* const other = room_of(name.substr(std::string("trainstate/").size()));
    const bool allowed = other && (other == room || std::count(room->lower.begin(), room->lower.end(), other->name));
    if (!allowed) {
      found.push_back(header + " (" + room->name + ") includes " + name + " (" + (other ? other->name : "no room") +
                      ")");
    }
  }
  return found;
}

std::map<std::string, std::string> headers() {
  const std::filesystem::path folder = std::filesystem::path(TRAINSTATE_SOURCE_DIR) / "include" / "trainstate";
  std::map<std::string, std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path());
    all[std::filesystem::relative(entry.path(), folder).generic_string()] =
        std::string(std::istreambuf_iterator<char>(file), {});
  }
  return all;
}

std::string header_text(const std::string& body) { return "// A header.\n#pragma once\n\n" + body; }

}  // namespace

TEST_CASE("every header keeps to its room") {
  const auto all = headers();
  REQUIRE(all.contains("component.hpp"));
  for (const auto& [header, text] : all) {
    for (const std::string& fault : faults(header, text)) FAIL_CHECK(fault);
  }
}

TEST_CASE("the table of rooms is an order: each lists only rooms above itself in the table") {
  Strings seen;
  for (const Room& room : rooms()) {
    for (const std::string& lower : room.lower) CHECK(std::count(seen.begin(), seen.end(), lower) == 1);
    seen.push_back(room.name);
  }
}

TEST_CASE("each fault is found where it is, and not elsewhere") {
  const auto count = [](const char* header, const std::string& text) { return faults(header, text).size(); };
  CHECK(count("io/file.hpp", header_text("#include \"trainstate/error.hpp\"\n#include <fcntl.h>\n")) == 0);
  CHECK(count("io/file.hpp", header_text("#include \"trainstate/format/zip.hpp\"\n")) == 1);
  CHECK(count("format/zip.hpp", header_text("#include <trainstate/state_dict.hpp>\n")) == 1);
  CHECK(count("format/zip.hpp", header_text("#include <c10/core/Device.h>\n")) == 1);
  CHECK(count("torch/module.hpp", header_text("#include <c10/core/Device.h>\n")) == 0);
  CHECK(count("torch/module.hpp", header_text("#include <torch/torch.h>\n")) == 1);
  CHECK(count("torch/module.hpp", header_text("#include \"trainstate/checkpoint.hpp\"\n")) == 1);
  CHECK(count("component.hpp", header_text("#include <boost/hana.hpp>\n")) == 1);
  CHECK(count("component.hpp", header_text("#include <boost/hana/tuple.hpp>\n")) == 0);
  CHECK(count("component.hpp", header_text("namespace trainstate::hana {}\n")) == 1);
  CHECK(count("component.hpp", header_text("namespace trainstate {\n  namespace torch {}\n}\n")) == 1);
  CHECK(count("component.hpp", header_text("namespace hana = boost::hana;\n")) == 0);
  CHECK(count("somewhere.hpp", header_text("")) == 1);
  CHECK(count("path.hpp", "// A header.\n") == 1);
  CHECK(count("path.hpp", "\n#pragma once\n") == 1);
}
