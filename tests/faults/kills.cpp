// kills KILLS NAME [SAVER]: kills a process KILLS times at random moments of its saves to a file of that name. Each
// time a whole checkpoint must stand there, none older than the last that was reported as saved; in the end nothing
// else. The process is SAVER, or a fork of this one, which knows no LibTorch and so starts at once. Without kills, two
// of them save to one file at the same time.
#include <sys/wait.h>
#include <unistd.h>

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
#include "support/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
namespace ts = trainstate;
using std::chrono::duration;
using std::chrono::steady_clock;

using faults::require;

/// What `saver` does, without LibTorch.
[[noreturn]] void save(const fs::path& path, std::int64_t number, std::int64_t count, int pipe) {
  try {
    constexpr std::size_t tensors = 3, size = static_cast<std::size_t>(faults::elements) * sizeof(float);
    std::vector<float> memory(tensors * static_cast<std::size_t>(faults::elements));
    const auto storage = std::make_shared<const ts::Storage>(
        ts::Storage{nullptr, reinterpret_cast<std::byte*>(memory.data()), tensors * size});
    const auto tensor = [&](std::size_t i) {
      return ts::TensorInfo{ts::Dtype::f32, {faults::elements}, {1}, storage, i * size};
    };
    ts::format::Document document;
    document.tree["model"] = ts::BasicStateDict<ts::TensorInfo>{{"weight", tensor(0)}};
    document.tree["extra"] = ts::BasicStateDict<ts::TensorInfo>{{"moments", tensor(1)}, {"average", tensor(2)}};
    faults::tell(pipe, number - 1);
    for (const bool endless = count == 0; endless || count > 0; ++number, --count) {
      for (std::size_t i = 0; i < memory.size(); ++i) {
        memory[i] = faults::element(number, static_cast<std::int64_t>(i) % faults::elements);
      }
      document.tree["number"] = number;
      const ts::io::WriteMode mode{.sync = faults::waits_for_disk(number)};
      ts::format::write_document(document, path, ts::format_of(path), mode);
      faults::tell(pipe, number);
    }
    ::_exit(0);
  } catch (const std::exception& e) {
    std::cerr << "saver: " << e.what() << std::endl;
  }
  ::_exit(1);
}

/// `count` saves to `path`, 0 for no end. An empty `program` is a fork of this process.
class Saver : public faults::Child {
 public:
  Saver(const std::string& program, const fs::path& path, std::int64_t first, std::int64_t count)
      : Child(program, {path.string(), std::to_string(first), std::to_string(count)},
              [&](int pipe) { save(path, first, count, pipe); }) {}
};

void kill_often(int kills, const std::string& name, const std::string& program) {
  const ts::tests::TemporaryFolder folder;
  const fs::path path = folder / name;
  std::mt19937_64 random(std::random_device{}());
  std::int64_t newest = 0;  // of what stands at the path
  int saves = 0, interrupted = 0, after_rename = 0;
  duration<double> save_time(0.01);
  for (int i = 0; i < kills; ++i) {
    Saver saver(program, path, newest + 1, 0);
    std::optional<std::int64_t> told = saver.next();
    require(told == newest, "the saver did not begin");
    const auto begin = steady_clock::now();
    // Within three saves or so, each moment as likely as any other.
    std::this_thread::sleep_for(save_time * 3 * std::uniform_real_distribution(0.0, 1.0)(random));
    saver.kill();
    const duration<double> time = steady_clock::now() - begin;
    std::int64_t reported = newest;
    while ((told = saver.next())) reported = *told;
    const int status = saver.status();
    require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the saver ended before it was killed");
    // As long as saves take here, or longer if none came to its end.
    save_time = reported == newest ? 1.5 * save_time : 0.7 * save_time + 0.3 * (time / (reported - newest));

    const std::int64_t found = faults::number_at(path).value_or(0);
    require(found >= reported, "found checkpoint " + std::to_string(found) + ", but " + std::to_string(reported) +
                                   " was reported as saved");
    require(found <= reported + 1, "found a checkpoint that was not yet to be saved");
    const auto names = folder.names();
    require(names.size() <= (found == 0 ? 1 : 2), "debris of more than the last save");
    saves += static_cast<int>(found - newest);
    interrupted += static_cast<int>(names.size() - names.count(name));
    after_rename += found != reported ? 1 : 0;
    newest = found;
  }
  std::cout << kills << " kills among " << saves << " saves of " << name << ": " << interrupted
            << " left a temporary file, " << after_rename << " came between rename and report\n";
  require(saves > 0, "no save was made");
  require(interrupted > 0 || kills < 100, "no save was interrupted");

  Saver last(program, path, newest + 1, 1);
  require(last.status() == 0, "the last save failed");
  require(faults::number_at(path) == newest + 1, "the last save is not there");
  require(folder.names().size() == 1, "the last save did not clean up");
}

void save_together(const std::string& name, const std::string& program) {
  const ts::tests::TemporaryFolder folder;
  const fs::path path = folder / name;
  constexpr std::int64_t count = 60, far = 1'000'000;
  Saver one(program, path, 1, count), other(program, path, far, count);
  int checks = 0;
  for (std::int64_t number = 0; number < count; ++checks) {
    // In step with the first saver, while the second runs on its own.
    number = one.next().value_or(count);
    static_cast<void>(faults::number_at(path));
  }
  while (other.next()) continue;
  require(one.status() == 0 && other.status() == 0, "a saver failed");
  const std::int64_t found = faults::number_at(path).value_or(0);
  require(found == count || found == far + count - 1, "found checkpoint " + std::to_string(found));
  require(folder.names().size() == 1, "something was left behind");
  std::cout << "two savers of " << name << ": whole each of " << checks << " times\n";
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 3) return 2;
  const int kills = std::atoi(argv[1]);
  const std::string program = argc > 3 ? argv[3] : "";
  if (kills > 0) {
    kill_often(kills, argv[2], program);
  } else {
    save_together(argv[2], program);
  }
  return 0;
} catch (const std::exception& e) {
  std::cerr << "kills: " << e.what() << '\n';
  return 1;
}
