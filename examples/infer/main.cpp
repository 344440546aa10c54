// Inference with nothing but a checkpoint of examples/digits: the network is built again by the name that the file
// gives it, exported to TorchScript, and loaded from there as a program would that does not have its class. Both
// classify the same rows and have to agree.
#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <iomanip>
#include <iostream>
#include <string>
#include <trainstate/export/torchscript.hpp>
#include <trainstate/registry.hpp>
#include <vector>

#include "../digits/data.hpp"
#include "../digits/net.hpp"

namespace {

namespace ts = trainstate;

struct Flags {
  std::string checkpoint, part = "model", data = DIGITS_CSV, script = "digits.torchscript.pt";
  std::int64_t batch = 64, passes = 5;
  double require_accuracy = 0;
};

struct Classified {
  torch::Tensor logits;  // float32 [n, 10]
  double images_per_second = 0;
};

/// Runs all images through `forward`, batch by batch, some times; the fastest pass counts.
template <class Forward>
Classified classify(const torch::Tensor& images, const Flags& flags, const Forward& forward) {
  const torch::NoGradGuard no_grad;
  Classified result;
  for (std::int64_t pass = 0; pass < flags.passes; ++pass) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<torch::Tensor> logits;
    for (const torch::Tensor& batch : images.split(flags.batch)) logits.push_back(forward(batch));
    result.logits = torch::cat(logits);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    result.images_per_second =
        std::max(result.images_per_second, static_cast<double>(images.size(0)) / seconds.count());
  }
  return result;
}

double accuracy(const Classified& classified, const torch::Tensor& labels) {
  return classified.logits.argmax(1).eq(labels).to(torch::kFloat64).mean().item<double>();
}

int infer(const Flags& flags) {
  const digits::Examples rows = digits::read_csv(flags.data);

  ts::ModelRegistry registry;
  registry.add<digits::Net>();
  ts::Report report;
  torch::nn::AnyModule model = registry.load(flags.checkpoint, flags.part, {}, &report);
  std::int64_t parameters = 0;
  for (const torch::Tensor& parameter : model.ptr()->parameters()) parameters += parameter.numel();
  std::cout << "built " << model.ptr()->name() << " with " << parameters << " parameters from " << flags.checkpoint
            << '\n'
            << report;

  ts::export_torchscript(model, {rows.images.slice(0, 0, 2)}, flags.script);
  const ts::ScriptedModule<torch::Tensor(torch::Tensor)> scripted(flags.script);
  std::cout << "exported to " << flags.script << '\n';

  const Classified ours = classify(rows.images, flags, [&](const torch::Tensor& x) { return model.forward(x); });
  const Classified theirs = classify(rows.images, flags, scripted);
  const double right = accuracy(ours, rows.labels);
  const double difference = (ours.logits - theirs.logits).abs().max().item<double>();

  std::cout << std::fixed << std::setprecision(0) << "\n"
            << rows.size() << " images in batches of " << flags.batch << "\n  by its class     " << std::setw(8)
            << ours.images_per_second << " images/s, " << std::setprecision(1) << 100 * right
            << " % right\n  from TorchScript " << std::setw(8) << std::setprecision(0) << theirs.images_per_second
            << " images/s, " << std::setprecision(1) << 100 * accuracy(theirs, rows.labels) << " % right\n"
            << "largest difference of their outputs: " << std::scientific << difference << '\n';
  if (!(difference <= 1e-6) || right < flags.require_accuracy) {  // a NaN is no agreement
    std::cerr << "infer: the outputs differ, or too few are right\n";
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Classifies handwritten digits with a network that is built from its checkpoint alone.");
  app.add_option("checkpoint", flags.checkpoint, "what examples/digits saved")->required()->check(CLI::ExistingFile);
  app.add_option("--part", flags.part, "the model in it");
  app.add_option("--data", flags.data, "rows of 64 pixels and a label")->check(CLI::ExistingFile);
  app.add_option("--torchscript", flags.script, "where to write the exported network");
  app.add_option("--batch", flags.batch, "images at once")->check(CLI::PositiveNumber);
  app.add_option("--passes", flags.passes, "how often to run through the rows; the fastest counts")
      ->check(CLI::PositiveNumber);
  app.add_option("--require-accuracy", flags.require_accuracy, "fail if less is right")->check(CLI::Range(0.0, 1.0));
  CLI11_PARSE(app, argc, argv);

  try {
    return infer(flags);
  } catch (const std::exception& error) {
    std::cerr << "infer: " << error.what() << '\n';
    return 1;
  }
}
