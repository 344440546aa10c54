// matrix STAGE FOLDER: trains a small network once for each optimizer with each scheduler. Stage `whole` does all steps
// at once, the stages `first`, `second` and `third` a part each, and save to FOLDER what the next one loads. The last
// prints, for each run, a digest of everything that it can see.
#include <torch/torch.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <trainstate/trainstate.hpp>
#include <utility>
#include <vector>

#include "digits/digest.hpp"

namespace {

namespace ts = trainstate;
namespace optim = torch::optim;
using namespace ts::literals;

constexpr std::int64_t steps = 23;
constexpr std::size_t examples = 22, batch = 4;  // an epoch has 6 steps, the last of 2 examples

constexpr std::array optimizers{"sgd", "adam", "adamw", "rmsprop", "adagrad", "lbfgs"};
constexpr std::array schedulers{"none", "step_lr", "one_cycle", "plateau", "custom", "sequential"};

/// A scheduler as a user would write it.
class SquareRoot {
 public:
  explicit SquareRoot(double base_lr) : base_lr_(base_lr) {}
  double next() { return base_lr_ / std::sqrt(static_cast<double>(++steps_)); }

  static constexpr auto describe() {
    return ts::component<SquareRoot>("square_root", ts::version<1>, ts::hyper("base_lr", &SquareRoot::base_lr_),
                                     ts::state("steps", &SquareRoot::steps_));
  }

 private:
  double base_lr_;
  std::int64_t steps_ = 0;
};

std::unique_ptr<optim::Optimizer> make_optimizer(const std::string& name, const std::vector<torch::Tensor>& of) {
  if (name == "sgd") return std::make_unique<optim::SGD>(of, optim::SGDOptions(0.05).momentum(0.9).nesterov(true));
  if (name == "adam") return std::make_unique<optim::Adam>(of, optim::AdamOptions(0.02).amsgrad(true));
  if (name == "adamw") return std::make_unique<optim::AdamW>(of, optim::AdamWOptions(0.02).weight_decay(0.1));
  if (name == "rmsprop") {
    return std::make_unique<optim::RMSprop>(of, optim::RMSpropOptions(0.01).centered(true).momentum(0.5));
  }
  if (name == "adagrad") return std::make_unique<optim::Adagrad>(of, optim::AdagradOptions(0.05).lr_decay(0.01));
  return std::make_unique<optim::LBFGS>(of, optim::LBFGSOptions(0.1).max_iter(3).history_size(4));
}

/// One training, with all that it keeps.
class Training {
 public:
  Training(const std::string& optimizer, const std::string& scheduler, std::uint64_t seed)
      : is_lbfgs_(optimizer == "lbfgs"),
        net_(torch::nn::Linear(3, 8), torch::nn::BatchNorm1d(8), torch::nn::Tanh(), torch::nn::Dropout(0.25),
             torch::nn::Linear(8, 2)),
        optimizer_(make_optimizer(optimizer, net_->parameters())),
        noise_(seed),
        sampler_(examples, seed),
        ema_(*net_, {.decay = 0.9}),
        accumulation_(*net_, is_lbfgs_ ? 1 : 2) {
    const double lr = optimizer_->param_groups()[0].options().get_lr();
    const bool has_momentum = !is_lbfgs_ && optimizer != "adagrad";
    if (scheduler == "step_lr") step_lr_.emplace(*optimizer_, 4, 0.5);
    if (scheduler == "one_cycle") {
      one_cycle_.emplace(*optimizer_, 2 * lr,
                         ts::OneCycleLROptions{.total_steps = steps + 1, .cycle_momentum = has_momentum});
    }
    if (scheduler == "plateau") {
      plateau_.emplace(*optimizer_, ts::ReduceLROnPlateauOptions{.factor = 0.5, .patience = 1, .cooldown = 1});
    }
    if (scheduler == "custom") custom_.emplace(lr);
    if (scheduler == "sequential") {
      sequential_.emplace(
          *optimizer_,
          std::vector<ts::SequentialLR::Part>{ts::LinearLR(*optimizer_, 0.25), ts::CosineAnnealingLR(*optimizer_, 12),
                                              ts::StepLR(*optimizer_, 2, 0.5)},
          std::vector<std::int64_t>{4, 15});
    }
    const auto x = torch::linspace(-1, 1, static_cast<std::int64_t>(examples) * 3);
    inputs_ = x.view({-1, 3}).sin();
    targets_ = torch::stack({inputs_.sum(1), inputs_.prod(1)}, 1);
  }

  auto checkpoint() {
    return ts::checkpoint("rng"_key = ts::Rng{}, "model"_key = net_, "optimizer"_key = *optimizer_,
                          "step_lr"_key = step_lr_, "one_cycle"_key = one_cycle_, "plateau"_key = plateau_,
                          "custom"_key = custom_, "sequential"_key = sequential_, "noise"_key = noise_,
                          "sampler"_key = sampler_, "ema"_key = ema_, "accumulation"_key = accumulation_,
                          "early_stopping"_key = early_stopping_, "history"_key = history_, "step"_key = step_);
  }

  void run_until(std::int64_t end) {
    sampler_.reset();
    while (step_ < end) {
      const auto indices = sampler_.next(batch);
      if (!indices) {
        sampler_.reset();
        continue;
      }
      train(torch::tensor(std::vector<std::int64_t>(indices->begin(), indices->end())));
    }
  }

  /// Everything that can be seen from outside, by a digest that shares no code with the library's checksums.
  digits::Digest digest() {
    digits::Digest all;
    all.add("", ts::state_dict(checkpoint()));
    all.add("lr", optimizer_->param_groups()[0].options().get_lr());
    all.add("random", torch::rand({3}));
    return all;
  }

  [[nodiscard]] std::int64_t step() const { return step_; }
  [[nodiscard]] double last_loss() const { return history_.latest("loss").value().value; }

 private:
  void train(const torch::Tensor& index) {
    const double jitter = std::ldexp(static_cast<double>(noise_() >> 11), -53);
    const auto x = inputs_.index_select(0, index) + 0.01 * jitter, y = targets_.index_select(0, index);
    const auto closure = [&] {
      if (is_lbfgs_) optimizer_->zero_grad();
      const auto loss = torch::mse_loss(net_->forward(x), y) / accumulation_.steps();
      loss.backward();
      return loss;
    };
    double loss = 0;
    if (is_lbfgs_) {
      loss = optimizer_->step(closure).item<double>();
    } else {
      loss = closure().item<double>();
      if (accumulation_.step()) {
        optimizer_->step();
        optimizer_->zero_grad();
      }
    }
    ema_.update_parameters(*net_);
    ++step_;
    history_.add("loss", step_, loss);
    early_stopping_.step(loss);
    if (step_lr_) step_lr_->step();
    if (one_cycle_) one_cycle_->step();
    if (plateau_) plateau_->step(loss);
    if (custom_) optimizer_->param_groups()[0].options().set_lr(custom_->next());
    if (sequential_) sequential_->step();
  }

  bool is_lbfgs_;
  torch::nn::Sequential net_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::optional<ts::StepLR> step_lr_;
  std::optional<ts::OneCycleLR> one_cycle_;
  std::optional<ts::ReduceLROnPlateau> plateau_;
  std::optional<SquareRoot> custom_;
  std::optional<ts::SequentialLR> sequential_;
  std::mt19937_64 noise_;
  ts::ResumableSampler sampler_;
  ts::AveragedModel ema_;
  ts::GradientAccumulation accumulation_;
  ts::EarlyStopping early_stopping_;
  ts::MetricHistory history_;
  std::int64_t step_ = 0;
  torch::Tensor inputs_, targets_;
};

/// The steps before which a run is interrupted: twice within the second or third epoch, or in two epochs (one of them
/// at its very end). Odd ones are in the middle of accumulated gradients.
std::pair<std::int64_t, std::int64_t> stops_of(int run) {
  constexpr std::pair<std::int64_t, std::int64_t> all[] = {{7, 10}, {5, 18}, {13, 16}, {12, 21}};
  return all[run / 2 % 4];
}

int run_all(const std::string& stage, const std::string& folder) {
  torch::set_num_threads(1);
  int run = 0;
  for (const std::string optimizer : optimizers) {
    for (const std::string scheduler : schedulers) {
      const std::string name = optimizer + '-' + scheduler;
      const std::string extension = run % 2 == 0 ? ".safetensors" : ".pt";
      const auto path = [&](const std::string& part) { return folder + '/' + name + '.' + part + extension; };
      const auto [one, two] = stops_of(run);
      // Each part begins with weights and random numbers of its own, which only the file can put right.
      const auto number = static_cast<std::uint64_t>(run++);
      torch::manual_seed(number + (stage == "second" ? 1000 : stage == "third" ? 2000 : 0));
      Training training(optimizer, scheduler, number);
      auto checkpoint = training.checkpoint();
      const bool begins = stage == "whole" || stage == "first";
      if (!begins) {
        const auto report = ts::load(checkpoint, path(stage == "second" ? "first" : "second"));
        if (!report.warnings.empty()) throw std::runtime_error(name + ": " + report.warnings.front());
      }
      training.run_until(stage == "first" ? one : stage == "second" ? two : steps);
      ts::save(checkpoint, path(stage == "third" ? "whole" : stage), {.sync = false});
      if (stage != "whole" && stage != "third") continue;
      if (!std::isfinite(training.last_loss())) throw std::runtime_error(name + ": the loss is not finite");
      std::cout << name << " step " << training.step() << ' ' << training.digest() << '\n';
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 3) throw std::invalid_argument("usage: matrix whole|first|second|third FOLDER");
    return run_all(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::cerr << "matrix: " << error.what() << '\n';
    return 1;
  }
}
