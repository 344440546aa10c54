// Trains a small convolutional network on handwritten digits, and can be killed at any moment: --resume goes on from
// the last checkpoint, in a new process, and ends with the very bits of a run that was never interrupted. Ctrl-C saves
// first and loses nothing. Checkpoints are saved behind the training; the latest and the best stay.
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdint>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <trainstate/trainstate.hpp>
#include <vector>

#include "data.hpp"
#include "digest.hpp"
#include "display.hpp"
#include "net.hpp"
#include "optimizers.hpp"
#include "summary.hpp"
#include "warmup_cosine.hpp"

namespace {

namespace ts = trainstate;
using namespace ts::literals;

struct Flags {
  std::string optimizer = "adamw", data = DIGITS_CSV, run, save_as, inspect;
  std::int64_t steps = 540, batch = 32, every = 10, die_at = 0, interrupt_at = 0, seed = 1;
  double require_accuracy = 0;
  bool resume = false, list_tensors = false;
};

/// Where the training stands. A member that describe() forgets does not compile.
struct Progress {
  std::int64_t step = 0, epoch = 1;
  double epoch_loss = 0;

  static constexpr auto describe() {
    return ts::component<Progress>("progress", ts::version<1>,  //
                                   ts::state("step", &Progress::step), ts::state("epoch", &Progress::epoch),
                                   ts::state("epoch_loss", &Progress::epoch_loss));
  }
};

double accuracy(digits::Net& net, const digits::Examples& examples) {
  const torch::NoGradGuard no_grad;
  net->eval();
  const auto right = net->forward(examples.images).argmax(1).eq(examples.labels).sum().item<std::int64_t>();
  net->train();
  return static_cast<double>(right) / static_cast<double>(examples.size());
}

int inspect(const std::string& path) {
  std::cout << "manifest of " << path << ": " << ts::read_manifest(path) << "\n\n"
            << "contents: " << ts::read(path) << '\n';
  return 0;
}

constexpr std::int64_t keep_latest = 2;

/// The folder of the run's checkpoints, if there is to be one. Without --resume it has to be a new one, since what is
/// there would count as later than what begins.
std::optional<ts::CheckpointManager> open_run(const Flags& flags) {
  if (flags.run.empty()) return std::nullopt;
  ts::CheckpointManager manager(flags.run, {.keep_latest = keep_latest,
                                            .keep_best = 1,
                                            .metric = "accuracy",
                                            .mode = ts::Mode::max,
                                            .async = true,
                                            .save_every_steps = flags.every,
                                            .signals = {SIGINT, SIGTERM}});
  if (!flags.resume && manager.latest()) {
    throw std::invalid_argument(flags.run + " has checkpoints already; --resume goes on from them");
  }
  return manager;
}

/// The signal that asks the training to end, 0 if none did.
int interruption(const std::optional<ts::CheckpointManager>& manager) {
  for (const int signal : {SIGINT, SIGTERM}) {
    if (manager && manager->received(signal)) return signal;
  }
  return 0;
}

int train(const Flags& flags) {
  // One thread and deterministic kernels: sums are then taken in the same order in every run.
  torch::set_num_threads(1);
  at::globalContext().setDeterministicAlgorithms(true, false);
  torch::manual_seed(static_cast<std::uint64_t>(flags.seed));

  const digits::Split data(digits::read_csv(flags.data));
  // LBFGS compares the losses of several passes over one batch: dropout would make noise of that.
  digits::Net net(16, flags.optimizer == "lbfgs" ? 0.0 : 0.25);
  auto [optimizer, base_lr] = digits::make_optimizer(flags.optimizer, *net);
  digits::WarmupCosine scheduler(base_lr, flags.steps / 10, flags.steps);
  ts::ResumableSampler sampler(static_cast<std::size_t>(data.training.size()), static_cast<std::uint64_t>(flags.seed));
  ts::MetricHistory history;
  Progress progress;

  auto checkpoint = ts::checkpoint("model"_key = net, "optimizer"_key = *optimizer, "scheduler"_key = scheduler,
                                   "sampler"_key = sampler, "history"_key = history, "progress"_key = progress,
                                   "rng"_key = ts::Rng{});
  auto manager = open_run(flags);
  if (flags.resume) {
    if (const auto at = manager->restore_latest(checkpoint)) {
      for (const auto& file : at->skipped) std::cout << "passed over " << file.path << ": " << file.reason << '\n';
      std::cout << "resumed from step " << progress.step << " of epoch " << progress.epoch << ": " << at->report;
    } else {
      std::cout << "nothing to resume in " << flags.run << ": the training begins\n";
    }
  }

  const digits::Display display(flags.steps);
  const auto end_epoch = [&] {
    const double loss = progress.epoch_loss / static_cast<double>(data.training.size());
    const double right = accuracy(net, data.validation);
    display.epoch(progress.epoch, progress.step, loss, right);
    history.add(progress.step, {{"loss", loss}, {"accuracy", right}});
    progress.epoch_loss = 0;
    ++progress.epoch;
    return ts::Metrics{{"accuracy", right}};
  };

  sampler.reset();  // a restored epoch goes on where it stopped
  int signal = 0;
  while (progress.step < flags.steps && signal == 0) {
    const auto batch = sampler.next(static_cast<std::size_t>(flags.batch));
    if (!batch) {
      sampler.reset();
      continue;
    }
    const std::vector<std::int64_t> index(batch->begin(), batch->end());
    const digits::Examples examples = data.training.select(torch::tensor(index));
    const double lr = scheduler.next();
    for (auto& group : optimizer->param_groups()) group.options().set_lr(lr);
    const auto closure = [&] {               // LBFGS calls it more than once
      net->zero_grad(/*set_to_none=*/true);  // a first gradient is then the same thing in a resumed run
      torch::Tensor value = torch::cross_entropy_loss(net->forward(examples.images), examples.labels);
      value.backward();
      return value;
    };
    const double loss = optimizer->step(closure).item<double>();
    ++progress.step;
    progress.epoch_loss += loss * static_cast<double>(examples.size());
    display.step(progress.step, loss, lr);

    ts::Metrics metrics;
    if (sampler.position() == sampler.size()) metrics = end_epoch();
    const bool last = progress.step == flags.steps;
    if (progress.step == flags.interrupt_at) std::raise(SIGINT);
    signal = interruption(manager);
    const bool due = manager && manager->should_save(progress.step);
    if (manager && (due || last || signal != 0 || !metrics.empty())) manager->save(progress.step, checkpoint, metrics);
    if (progress.step == flags.die_at) std::raise(SIGKILL);
  }
  display.clear();
  if (manager) {
    manager->wait();
    digits::print_kept(*manager, "accuracy", keep_latest);
  }
  if (signal != 0) {
    std::cout << "interrupted after step " << progress.step << ", which is saved; to go on: digits --run " << flags.run
              << " --resume, and the other arguments as before\n";
    return 128 + signal;
  }
  if (!flags.save_as.empty()) ts::save(checkpoint, flags.save_as);

  std::ostream* const list = flags.list_tensors ? &std::cout : nullptr;
  digits::Digest digest;
  digest.add("model", ts::state_dict(net), list);
  digest.add("optimizer", ts::state_dict(*optimizer), list);
  std::cout << "digest of " << digest.tensors() << " tensors of model and optimizer: " << digest << '\n';

  const auto best = history.best("accuracy", ts::Mode::max);
  if (flags.require_accuracy > 0 && (!best || best->value < flags.require_accuracy)) {
    std::cerr << "the best validation accuracy, " << (best ? best->value : 0) << ", is below " << flags.require_accuracy
              << '\n';
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Trains a small network on handwritten digits, with checkpoints.");
  app.add_option("--run", flags.run, "folder that the checkpoints are saved to");
  app.add_option("--every", flags.every, "steps from one checkpoint to the next")->check(CLI::PositiveNumber);
  app.add_flag("--resume", flags.resume, "go on from the latest checkpoint in the folder");
  app.add_option("--save-as", flags.save_as, "save the end of the training as this file, too");
  app.add_option("--die-at", flags.die_at, "end by SIGKILL after this step");
  app.add_option("--interrupt-at", flags.interrupt_at, "as if Ctrl-C had been pressed in this step");
  app.add_option("--optimizer", flags.optimizer, "what trains the network")
      ->check(CLI::IsMember({"sgd", "adam", "adamw", "rmsprop", "adagrad", "lbfgs"}));
  app.add_option("--steps", flags.steps, "steps of the whole training")->check(CLI::PositiveNumber);
  app.add_option("--batch", flags.batch, "examples in one step")->check(CLI::PositiveNumber);
  app.add_option("--seed", flags.seed, "of weights, dropout and the order of examples");
  app.add_option("--data", flags.data, "the digits")->check(CLI::ExistingFile);
  app.add_option("--require-accuracy", flags.require_accuracy, "fail if no epoch reaches it")
      ->check(CLI::Range(0.0, 1.0));
  app.add_flag("--list-tensors", flags.list_tensors, "print the digest of every tensor, too");
  app.add_option("--inspect", flags.inspect, "print what this file holds, and do nothing else");
  CLI11_PARSE(app, argc, argv);

  try {
    if (!flags.inspect.empty()) return inspect(flags.inspect);
    if (flags.resume && flags.run.empty()) throw std::invalid_argument("--resume needs --run");
    return train(flags);
  } catch (const std::exception& error) {
    std::cerr << "digits: " << error.what() << '\n';
    return 1;
  }
}
