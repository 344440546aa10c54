// Files of every released format and component version load with today's code and give what they always gave. The files
// are append-only; `golden_write` adds those of a new release.
#include "support/torch_doctest.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include "golden/dump.hpp"
#include "golden/subjects.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;
namespace fs = std::filesystem;

const fs::path folder = fs::path(TRAINSTATE_SOURCE_DIR) / "tests" / "golden";

std::string content(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_CASE("every golden file reads as it was written") {
  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    auto expected = entry.path();
    if (entry.path().extension() == ".txt" || !fs::exists(expected.replace_extension(".txt"))) continue;
    CAPTURE(entry.path().string());
    CHECK(golden::dump(ts::read(entry.path(), {.verify = true})) == content(expected));
    ++files;
  }
  CHECK(files >= 8);
}

// The folder of each format's first version, and how its files end.
const std::pair<fs::path, std::string> formats[] = {{folder / "safetensors_1", ".safetensors"},
                                                    {folder / "pt_1", ".pt"}};

TEST_CASE("values of format 1 are those of the program that wrote them") {
  CHECK(ts::read(folder / "safetensors_1" / "values.safetensors") == golden::values());
  CHECK(ts::read(folder / "pt_1" / "values.pt") == golden::pt_values());
}

TEST_CASE("schedulers of every version load") {
  for (const auto& [in, extension] : formats) {
    CAPTURE(extension);
    golden::v2::Scheduler scheduler{.base_lr = 0, .warmup = 1, .step = 0};
    ts::load(scheduler, in / ("scheduler_1" + extension));
    CHECK(scheduler.base_lr == 0.25);
    CHECK(!scheduler.warmup);
    CHECK(scheduler.step == 17);
    ts::load(scheduler, in / ("scheduler_2" + extension));
    CHECK(scheduler.base_lr == 0.75);
    CHECK(scheduler.warmup == 40);
    CHECK(scheduler.step == 19);
  }
}

TEST_CASE("a training checkpoint of format 1 loads into live objects") {
  for (const auto& [in, extension] : formats) {
    CAPTURE(extension);
    const auto path = in / ("training" + extension);
    golden::Net net;
    // Listed in the other order: names decide.
    torch::optim::AdamW optimizer({torch::optim::OptimizerParamGroup(net->out->parameters()),
                                   torch::optim::OptimizerParamGroup(net->in->parameters())},
                                  torch::optim::AdamWOptions(1));
    golden::v2::Scheduler scheduler;
    auto checkpoint = ts::checkpoint("model"_key = net, "optimizer"_key = optimizer, "scheduler"_key = scheduler,
                                     "rng"_key = ts::Rng{});
    ts::load(checkpoint, path);
    CHECK(net->calls == 3);
    CHECK(optimizer.param_groups()[0].options().get_lr() == 0.05);
    CHECK(optimizer.param_groups()[1].options().get_lr() == 0.01);
    const auto file = ts::read(path);
    const auto live = ts::state_dict(checkpoint);
    CHECK(live.at("model") == file.at("model"));
    CHECK(live.at("rng") == file.at("rng"));
    CHECK(live.at("optimizer/state/0") == file.at("optimizer/state/2"));
    CHECK(live.at("optimizer/state/3") == file.at("optimizer/state/1"));
  }
}

}  // namespace
