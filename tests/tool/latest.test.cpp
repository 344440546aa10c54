#include "tool/latest.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "support/temporary_folder.hpp"
#include "tool/run_tool.hpp"

using namespace trainstate::tests;
namespace fs = std::filesystem;

TEST_CASE("latest: the greatest step, then the latest time, then the last of a second") {
  const TemporaryFolder folder;
  for (const char* name :
       {"step_00000002-20251122_153210.pt", "step_00000010-20251122_153210-9.pt", "step_00000010-20251122_153210-10.pt",
        "step_00000010-20251122_153209.safetensors", "step_00000009-20991122_153210.pt", "best.safetensors"}) {
    put(folder / name, "not looked at");
  }
  fs::create_directory(folder / "step_00000011-20251122_153210.pt");
  const Ran ran = run_tool({"latest", folder.path().string()});
  CHECK(ran.code == 0);
  CHECK(ran.out == (folder / "step_00000010-20251122_153210-10.pt").string() + "\n");
  CHECK(ran.err.empty());
}

TEST_CASE("latest: --verify passes over what is damaged, and says so") {
  const TemporaryFolder folder;
  const fs::path golden = fs::path(TRAINSTATE_SOURCE_DIR) / "tests" / "golden" / "safetensors_1";
  std::string whole = contents(golden / "training.safetensors");
  put(folder / "step_00000001-20251122_153210.safetensors", whole);
  whole.back() ^= 1;
  put(folder / "step_00000002-20251122_153211.safetensors", whole);
  put(folder / "step_00000003-20251122_153212.safetensors", "");
  CHECK(run_tool({"latest", folder.path().string()}).out ==
        (folder / "step_00000003-20251122_153212.safetensors").string() + "\n");
  Ran ran = run_tool({"latest", "--verify", folder.path().string()});
  CHECK(ran.code == 0);
  CHECK(ran.out == (folder / "step_00000001-20251122_153210.safetensors").string() + "\n");
  CHECK(ran.err.find("step_00000002-20251122_153211.safetensors: 'rng.cpu': expected checksum") != std::string::npos);
  CHECK(ran.err.find("step_00000003") != std::string::npos);
  fs::remove(folder / "step_00000001-20251122_153210.safetensors");
  ran = run_tool({"latest", "--verify", folder.path().string()});
  CHECK(ran.code == 1);
  CHECK(ran.out.empty());
}

TEST_CASE("latest: a folder without checkpoints is 1, none at all is 2") {
  const TemporaryFolder folder;
  Ran ran = run_tool({"latest", folder.path().string()});
  CHECK(ran.code == 1);
  CHECK(ran.err == "trainstate: " + folder.path().string() + ": no checkpoint of a manager in it\n");
  ran = run_tool({"latest", (folder / "nowhere").string()});
  CHECK(ran.code == 2);
  CHECK(ran.err.find("cannot be listed: No such file or directory") != std::string::npos);
}
