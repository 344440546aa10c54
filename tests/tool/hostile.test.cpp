// The tool on files that were made to do harm, or were damaged: one line on stderr and exit code 2, never a crash, and
// nothing on the terminal that could steer it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "format/hostile.hpp"
#include "support/temporary_folder.hpp"
#include "tool/run_tool.hpp"
#include "trainstate/file_format.hpp"
#include "trainstate/format/container.hpp"

using namespace trainstate::tests;
namespace fs = std::filesystem;

namespace {

const fs::path golden = fs::path(TRAINSTATE_SOURCE_DIR) / "tests" / "golden";

bool has_control(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ' && c != '\n') || c == 0x7F; });
}

// What is wrong with how a command takes a file; nothing if it is as it should be. `bad` is its code for bad files.
std::string fault_of(const std::vector<std::string>& arguments, int bad) {
  const Ran ran = run_tool(arguments);
  const std::string head = arguments[0] + ": ";
  if (has_control(ran.out) || has_control(ran.err)) return head + "printed a control character";
  if (ran.code == 0)
    return ran.err.empty() || ran.err.starts_with("trainstate: note: ") ? "" : head + "said " + ran.err;
  // A file of a later format is none that verify can judge.
  const bool later = arguments[0] == "verify" && ran.code == 2;
  if (ran.code != bad && !later) return head + "exit code " + std::to_string(ran.code);
  if (std::count(ran.err.begin(), ran.err.end(), '\n') != 1) return head + "not one line: " + ran.err;
  if (!ran.err.starts_with("trainstate: ")) return head + "said " + ran.err;
  return "";
}

std::string fault_of_file(const std::string& path, const std::string& scratch) {
  std::string faults;
  for (const auto& [arguments, bad] : {std::pair(std::vector<std::string>{"inspect", path}, 2),
                                       {{"inspect", "--json", path}, 2},
                                       {{"stats", path}, 2},
                                       {{"diff", path, path}, 2},
                                       {{"verify", path}, 1},
                                       {{"convert", "--force", path, scratch}, 2}}) {
    const std::string fault = fault_of(arguments, bad);
    if (!fault.empty()) faults += path + ": " + fault + "; ";
  }
  return faults;
}

}  // namespace

TEST_CASE("hostile: damaged files of every container") {
  const TemporaryFolder folder;
  for (const char* name :
       {"python/1.13/old_views.pt", "python/2.14/views.pt", "python/2.6/bytes_and_complex.pt", "pt_1/scheduler_2.pt",
        "safetensors_1/scheduler_1.safetensors", "safetensors_1/values.safetensors"}) {
    const std::string file = contents(golden / name);
    constexpr std::size_t cuts = 15, flips = 60;
    const std::string path = (folder / "damaged").string();
    for (const std::string& fault : faults_of(cuts + flips, [&](std::size_t i) {
           std::string damaged = file;
           if (i < cuts) {
             damaged.resize(file.size() * i / cuts);
           } else {
             const std::size_t bit = (i - cuts) * file.size() * 8 / flips + i % 8;
             damaged[bit / 8 % file.size()] ^= static_cast<char>(1 << bit % 8);
           }
           put(path, damaged);
           return fault_of_file(path, (folder / "out.safetensors").string());
         })) {
      FAIL_CHECK(name << ": " << fault);
    }
  }
}

TEST_CASE("hostile: names and texts that would steer a terminal") {
  const TemporaryFolder folder;
  const std::string steer = "\x1b]0;owned\x07\n\x9b";
  trainstate::format::Document document;
  document.tree[steer] = Tree{{steer, steer}, {"t", tensor(trainstate::Dtype::f32, {40})}};
  document.manifest = Tree{{"trainstate", steer},
                           {"components", Tree{{"", Tree{{"name", steer}}}, {steer + "/x", Tree{{"name", steer}}}}}};
  document.metadata["\x1b[31m"] = "\x1b[31m";
  const std::string path = (folder / "steer.safetensors").string();
  trainstate::format::write_document(document, path, trainstate::Format::safetensors);
  CHECK(fault_of_file(path, (folder / "out.safetensors").string()).empty());
  CHECK_FALSE(has_control(run_tool({"extract", "--part", "x", path, (folder / "x.pt").string()}).err));
  put(folder / "\x1b[2J", "no checkpoint");
  const Ran ran = run_tool({"inspect", (folder / "\x1b[2J").string()});
  CHECK(ran.code == 2);
  CHECK_FALSE(has_control(ran.err));
}

// The files that the tests of formats made, where they were kept; see tests/tool/CMakeLists.txt.
TEST_CASE("hostile: every hostile file of the other tests") {
  const char* kept = std::getenv("TRAINSTATE_HOSTILE_FILES");
  if (!kept) return;
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(kept)) files.push_back(entry.path().string());
  CHECK(files.size() > 300);
  for (const std::string& fault : faults_of(files.size(), [&](std::size_t i) {
         std::string faults;
         for (const char* command : {"inspect", "stats"}) faults += fault_of({command, files[i]}, 2);
         return faults.empty() ? "" : files[i] + ": " + faults;
       })) {
    FAIL_CHECK(fault);
  }
}
