// manager_kills KILLS [SAVER]: kills a run that saves behind, with keep_latest = 2, KILLS times at random moments. Each
// time the latest whole checkpoint must be there, not older than the last that was reported as saved, and no heap of
// temporary files; in the end two checkpoints and nothing else. The run is SAVER, or a fork of this process, which
// knows no LibTorch and so starts at once.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "faults/child.hpp"
#include "faults/sequence.hpp"
#include "manager/small_files.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/manager/engine.hpp"

namespace {

namespace fs = std::filesystem;
namespace ts = trainstate;
using faults::require;
using std::chrono::duration;
using std::chrono::steady_clock;

/// The latest whole checkpoint; 0 if there is none. Throws if its content is not that of its step.
std::int64_t latest_in(ts::manager::Engine& engine, std::size_t& skipped) {
  const auto restored = engine.restore({}, [](const fs::path& path) {
    require(faults::number_at(path).has_value(), "a file that is gone");
    return ts::Report{};
  });
  skipped = restored ? restored->skipped.size() : 0;
  if (restored) require(faults::number_at(restored->path) == restored->step, "a checkpoint of another step");
  return restored ? restored->step : 0;
}

/// What manager_saver does, without LibTorch.
[[noreturn]] void run(const fs::path& folder, std::int64_t count, int pipe) {
  try {
    constexpr std::size_t tensors = 3, size = static_cast<std::size_t>(faults::elements) * sizeof(float);
    ts::manager::Engine engine(folder, {.keep_latest = 2, .async = true});
    std::size_t skipped = 0;
    std::int64_t number = latest_in(engine, skipped);
    faults::tell(pipe, number);
    for (const bool endless = count == 0; endless || count > 0; --count) {
      ++number;
      const auto memory = std::make_shared<std::vector<float>>(tensors * static_cast<std::size_t>(faults::elements));
      for (std::size_t i = 0; i < memory->size(); ++i) {
        (*memory)[i] = faults::element(number, static_cast<std::int64_t>(i) % faults::elements);
      }
      const auto storage = std::make_shared<const ts::Storage>(
          ts::Storage{memory, reinterpret_cast<std::byte*>(memory->data()), tensors * size});
      const auto tensor = [&](std::size_t i) {
        return ts::TensorInfo{ts::Dtype::f32, {faults::elements}, {1}, storage, i * size};
      };
      ts::format::Document document;
      document.tree["model"] = ts::BasicStateDict<ts::TensorInfo>{{"weight", tensor(0)}};
      document.tree["extra"] = ts::BasicStateDict<ts::TensorInfo>{{"moments", tensor(1)}, {"average", tensor(2)}};
      document.tree["number"] = number;
      document.manifest.emplace();
      engine.save(number, {}, {}, [&](const fs::path& path, const auto& metadata) {
        document.metadata = metadata;
        auto behind = std::make_shared<ts::tests::WriteBehind>([path, document] {
          ts::format::write_document(document, path, ts::Format::safetensors, {.overwrite = false});
        });
        return ts::manager::Completion([behind, number, pipe] {
          behind->wait();
          faults::tell(pipe, number);
        });
      });
    }
    engine.wait();
    ::_exit(0);
  } catch (const std::exception& e) {
    std::cerr << "run: " << e.what() << std::endl;
  }
  ::_exit(1);
}

/// `count` saves to `folder`, 0 for no end.
class Run : public faults::Child {
 public:
  Run(const std::string& program, const fs::path& folder, std::int64_t count)
      : Child(program, {folder.string(), "1", std::to_string(count)}, [&](int pipe) { run(folder, count, pipe); }) {}
};

/// How many checkpoints are in a folder, and how many other files.
struct Contents {
  std::size_t checkpoints = 0, others = 0;
};
Contents contents_of(const ts::tests::TemporaryFolder& folder) {
  Contents contents;
  for (const auto& name : folder.names()) ++(ts::manager::parse_name(name) ? contents.checkpoints : contents.others);
  return contents;
}

void kill_often(int kills, const std::string& program) {
  const ts::tests::TemporaryFolder folder;
  std::mt19937_64 random(std::random_device{}());
  std::int64_t newest = 0;  // of what stands in the folder
  int interrupted = 0, unreported = 0;
  std::size_t most_checkpoints = 0, most_others = 0;
  duration<double> save_time(0.02);
  for (int i = 0; i < kills; ++i) {
    Run saver(program, folder.path(), 0);
    std::optional<std::int64_t> told = saver.next();
    require(told == newest, "the run did not begin with the latest checkpoint");
    const auto begin = steady_clock::now();
    // Within four saves or so, each moment as likely as any other.
    std::this_thread::sleep_for(save_time * 4 * std::uniform_real_distribution(0.0, 1.0)(random));
    saver.kill();
    const duration<double> time = steady_clock::now() - begin;
    std::int64_t reported = newest;
    while ((told = saver.next())) reported = *told;
    const int status = saver.status();
    require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the run ended before it was killed");
    save_time = reported == newest ? 1.2 * save_time : 0.7 * save_time + 0.3 * (time / (reported - newest));

    ts::manager::Engine reader(folder.path(), {});
    std::size_t skipped = 0;
    const std::int64_t found = latest_in(reader, skipped);
    require(found >= reported, "found checkpoint " + std::to_string(found) + ", but " + std::to_string(reported) +
                                   " was reported as saved");
    require(skipped == 0, "a kill left a damaged checkpoint");
    const Contents contents = contents_of(folder);
    require(contents.others <= 2, "temporary files pile up");
    most_checkpoints = std::max(most_checkpoints, contents.checkpoints);
    most_others = std::max(most_others, contents.others);
    interrupted += contents.others > 0 ? 1 : 0;
    unreported += found != reported ? 1 : 0;
    newest = found;
  }
  std::cout << kills << " kills among " << newest << " saves: " << interrupted << " left temporary files, at most "
            << most_others << "; " << unreported << " came between rename and report; at most " << most_checkpoints
            << " checkpoints were there\n";
  require(newest > 0, "no save was made");
  require(interrupted > 0 || kills < 100, "no save was interrupted");

  Run last(program, folder.path(), 3);
  require(last.status() == 0, "the last saves failed");
  ts::manager::Engine reader(folder.path(), {});
  std::size_t skipped = 0;
  require(latest_in(reader, skipped) == newest + 3, "the last save is not there");
  const Contents contents = contents_of(folder);
  require(contents.checkpoints == 2 && contents.others == 0, "the last run did not clean up");
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2) return 2;
  kill_often(std::atoi(argv[1]), argc > 2 ? argv[2] : "");
  return 0;
} catch (const std::exception& e) {
  std::cerr << "manager_kills: " << e.what() << '\n';
  return 1;
}
