// What the tool shows of files that Python and trainstate wrote, and of one like Hugging Face's, as people see it.
// The texts in tests/tool/expected are the tool's own output in tests/golden, read by a person before they were kept.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"
#include "tool/run_tool.hpp"

using namespace trainstate::tests;
namespace fs = std::filesystem;

namespace {

const fs::path tests = fs::path(TRAINSTATE_SOURCE_DIR) / "tests";

// Names in the output are relative to the folder of the files.
class InFolder {
 public:
  explicit InFolder(const fs::path& folder) : before_(fs::current_path()) { fs::current_path(folder); }
  InFolder(const InFolder&) = delete;
  InFolder& operator=(const InFolder&) = delete;
  ~InFolder() { fs::current_path(before_); }

 private:
  fs::path before_;
};

void check(const std::string& name, const std::vector<std::string>& arguments, int code = 0,
           const RunOptions& options = {}) {
  CAPTURE(name);
  const Ran ran = run_tool(arguments, options);
  CHECK(ran.code == code);
  CHECK(ran.err.empty());
  CHECK(ran.out == contents(tests / "tool" / "expected" / (name + ".txt")));
}

}  // namespace

TEST_CASE("expected: inspect") {
  const InFolder golden(tests / "golden");
  check("inspect_training", {"inspect", "safetensors_1/training.safetensors"});
  check("inspect_training_ascii", {"inspect", "pt_1/training.pt"}, 0, {.unicode = false, .width = 60});
  check("inspect_values", {"inspect", "--all", "safetensors_1/values.safetensors"});
  check("inspect_scheduler", {"inspect", "safetensors_1/scheduler_1.safetensors", "pt_1/scheduler_2.pt"});
  check("inspect_python", {"inspect", "python/1.13/tutorial_AdamW.pt", "python/2.6/scheduler_MultiStepLR.pt",
                           "python/2.14/ties.pt", "python/2.14/fp8_by_v3.pt", "python/1.13/old_views.pt"});
}

TEST_CASE("expected: inspect of a file like Hugging Face's") {
  const TemporaryFolder folder;
  const InFolder here(folder.path());
  std::string header = R"({"__metadata__":{"format":"pt"})";
  std::size_t at = 0;
  const auto add = [&](const std::string& name, const std::string& dtype, const std::string& shape, std::size_t size) {
    header += ",\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":[)" + shape + R"(],"data_offsets":[)" +
              std::to_string(at) + "," + std::to_string(at + size) + "]}";
    at += size;
  };
  add("model.embed_tokens.weight", "BF16", "32,8", 512);
  for (int layer = 0; layer < 12; ++layer) {
    const std::string name = "model.layers." + std::to_string(layer);
    for (const char* projection : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      add(name + ".self_attn." + projection + ".weight", "BF16", "8,8", 128);
    }
    add(name + ".mlp.up_proj.weight", "BF16", "16,8", 256);
    add(name + ".input_layernorm.weight", "BF16", "8", 16);
  }
  add("model.norm.weight", "BF16", "8", 16);
  add("lm_head.weight", "BF16", "32,8", 512);
  put("model.safetensors", raw_file(header + "}", std::string(at, 'x')));
  check("inspect_hugging_face", {"inspect", "model.safetensors"});
}

TEST_CASE("expected: diff and stats") {
  const InFolder golden(tests / "golden");
  check("diff_python", {"diff", "python/1.13/tutorial_AdamW.pt", "python/2.14/tutorial_AdamW.pt"}, 1);
  check("diff_scheduler", {"diff", "safetensors_1/scheduler_1.safetensors", "pt_1/scheduler_2.pt"}, 1);
  check("diff_equal", {"diff", "safetensors_1/training.safetensors", "pt_1/training.pt"});
  check("stats_training", {"stats", "safetensors_1/training.safetensors"});
  check("stats_tensor", {"stats", "safetensors_1/training.safetensors", "rng.cpu", "--bins", "6"});
  check("stats_tensor_ascii", {"stats", "safetensors_1/training.safetensors", "model/in.weight", "--bins", "4"}, 0,
        {.unicode = false, .width = 40});
  check("stats_dtypes", {"stats", "python/2.14/dtypes.pt"});
  check("stats_fp8", {"stats", "--finite", "python/2.6/fp8_by_v3.pt"});
}

TEST_CASE("expected: verify") {
  const InFolder golden(tests / "golden");
  check("verify", {"verify", "safetensors_1/training.safetensors", "python/2.6/ties.pt", "python/1.13/old_views.pt"});
  const Ran ran = run_tool({"verify", "python/2.14/function.pt", "pt_1/values.pt"});
  CHECK(ran.code == 1);
  CHECK(ran.out == "python/2.14/function.pt: refused\npt_1/values.pt: whole, 394 B of tensors verified\n");
  CHECK(ran.err.starts_with("trainstate: python/2.14/function.pt: "));
  CHECK(run_tool({"verify", "-q", "pt_1/values.pt"}).out.empty());
  CHECK(run_tool({"verify", "python/2.14/function.pt", "nowhere.pt"}).code == 2);
}
