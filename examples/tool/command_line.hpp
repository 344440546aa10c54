// The commands of `trainstate` and their flags.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <functional>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "completion.hpp"
#include "console.hpp"
#include "convert.hpp"
#include "diff.hpp"
#include "extract.hpp"
#include "inspect.hpp"
#include "latest.hpp"
#include "select.hpp"
#include "stats.hpp"
#include "text.hpp"
#include "trainstate/version.hpp"
#include "verify.hpp"

namespace tool {

/// The parser. What a command does is kept in `chosen` once one was parsed; everything lives as long as this.
class CommandLine {
 public:
  explicit CommandLine(Console& console) : console_(console) {
    app_.set_version_flag("--version", std::string("trainstate ") + ts::version_text);
    app_.require_subcommand(1);
    app_.failure_message([](const CLI::App*, const CLI::Error& error) {
      return "trainstate: " + printable(error.what()) + "; see trainstate --help\n";
    });
    app_.add_option("--color", colour_, "auto, always or never; auto looks at the terminal and NO_COLOR")
        ->check(CLI::IsMember({"auto", "always", "never"}));
    app_.footer(
        "Checkpoints of trainstate, PyTorch (.pt, .pth) and safetensors are told apart by their bytes. Nothing in a\n"
        "file is ever run. Exit code 2 means that a file cannot be read, is malformed, or that a command is wrong.\n\n"
        "Examples:\n"
        "  trainstate inspect run.pt\n"
        "  trainstate diff before.safetensors after.safetensors\n"
        "  trainstate stats run.pt 'model.*'\n"
        "  trainstate verify \"$(trainstate latest runs/digits)\"\n"
        "  eval \"$(trainstate completion bash)\"");
    add_inspect();
    add_verify();
    add_diff();
    add_stats();
    add_convert();
    add_extract();
    add_latest();
    add_completion();
  }
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// Runs a command. Returns the exit code; what goes wrong is one line on `err` and exit code 2.
  int run(int argc, const char* const* argv) {
    if (argc > 1 && argv[1][0] != '-' && !is_command(argv[1])) return unknown(argv[1]);
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error, console_.out, console_.err) == 0 ? 0 : 2;
    }
    if (colour_ != "auto") console_.colour = colour_ == "always";
    std::string what;
    try {
      return chosen_();
    } catch (const std::bad_alloc&) {
      what = "out of memory";
    } catch (const std::exception& error) {
      what = error.what();
    }
    console_.out.flush();
    console_.note(printable(what));
    return 2;
  }

 private:
  [[nodiscard]] bool is_command(const std::string& name) const {
    const auto commands = offered_commands(app_);
    return std::any_of(commands.begin(), commands.end(), [&](const auto& command) { return command.name == name; });
  }

  int unknown(const std::string& name) {
    std::string what = "no command '" + name + "'";
    for (const auto& command : offered_commands(app_)) {
      if (edits_between(name, command.name) <= 2) what += "; is '" + command.name + "' meant?";
    }
    console_.note(printable(what + "; see trainstate --help"));
    return 2;
  }

  using Path = std::filesystem::path;

  CLI::App* add(const std::string& name, const std::string& what, const std::string& footer, std::function<int()> act) {
    CLI::App* command = app_.add_subcommand(name, what);
    command->footer(footer);
    command->callback([this, act = std::move(act)] { chosen_ = act; });
    return command;
  }

  void add_inspect() {
    auto* command =
        add("inspect", "Show what checkpoints hold, without reading their tensors",
            "Tensors of one dtype and shape whose names differ in numbers only are shown as one where there "
            "are many.\n\n"
            "Examples:\n"
            "  trainstate inspect run.pt\n"
            "  trainstate inspect --json run.pt | jq -r '.tensors[] | select(.dtype==\"float16\") | .path'",
            [this] { return inspect(console_, paths_, inspect_); });
    command->add_option("FILE", paths_, "checkpoints")->required();
    command->add_flag("--json", inspect_.json,
                      "one JSON object a file: tensors, values, manifest, metadata, checksums");
    command->add_flag("--all", inspect_.all, "every tensor, also where many are alike");
  }

  void add_verify() {
    auto* command = add(
        "verify", "Read all of a checkpoint and check structure and checksums",
        "Exit code: 0 all are whole, 1 one is damaged or malformed, 2 one cannot be read or is of a later format.\n\n"
        "Example:\n  trainstate verify runs/*/*.safetensors",
        [this] { return verify(console_, paths_, quiet_); });
    command->add_option("FILE", paths_, "checkpoints")->required();
    command->add_flag("-q,--quiet", quiet_, "only errors");
  }

  void add_diff() {
    auto* command = add("diff", "Compare two checkpoints: parts, versions, hyperparameters, values, every tensor",
                        "A changed tensor: how many elements changed, the largest difference, and |b - a| / |a| (L2).\n"
                        "Exit code: 0 equal, 1 different, 2 trouble.\n\n"
                        "Example:\n  trainstate diff before.pt after.safetensors",
                        [this] { return diff(console_, paths_.at(0), paths_.at(1), quiet_); });
    command->add_option("FILE", paths_, "two checkpoints, of any formats")->required()->expected(2);
    command->add_flag("-q,--quiet", quiet_, "only the exit code");
  }

  void add_stats() {
    auto* command =
        add("stats", "Norms, mean, deviation, extremes, NaN counts and histograms of tensors",
            "std is that of all elements; mean, std, min, max and norm (L2) are those of the finite ones, of\n"
            "complex numbers those of their magnitudes. A single tensor gets a large histogram.\n\n"
            "Examples:\n"
            "  trainstate stats run.pt\n"
            "  trainstate stats run.pt model.conv1.weight --bins 30\n"
            "  trainstate stats run.pt 'model/*' --finite || echo diverged",
            [this] { return stats(console_, in_, stats_); });
    command->add_option("FILE", in_, "checkpoint")->required();
    command->add_option("NAME", stats_.names, "tensors: paths, dotted names, what they lie below, or patterns");
    command->add_option("--bins", stats_.bins, "of the large histogram")
        ->check(CLI::Range(std::size_t{2}, Histogram::most_bins));
    command->add_flag("--finite", stats_.require_finite, "exit code 1 if there is a NaN or an infinity");
  }

  void add_convert() {
    auto* command =
        add("convert", "Write a checkpoint in the other format, .pt or .safetensors, by the name of OUT",
            "Nothing is lost: what the other format cannot hold (in .pt, texts that are not UTF-8 and some\n"
            "dtypes) is an error, and then there is no OUT.\n\n"
            "Example:\n  trainstate convert run.pt run.safetensors",
            [this] { return convert(console_, in_, out_, copy()); });
    command->add_option("IN", in_, "checkpoint")->required();
    command->add_option("OUT", out_, "the new file")->required();
    add_copy_flags(*command);
  }

  void add_extract() {
    auto* command = add("extract", "Write one part of a checkpoint, or one tensor as .npy",
                        "Examples:\n"
                        "  trainstate extract --part model run.pt model.safetensors\n"
                        "  trainstate extract --tensor model.conv1.weight run.pt weight.npy",
                        [this] {
                          if (!part_.empty()) return extract_part(console_, in_, part_, out_, copy());
                          if (!tensor_.empty()) return extract_tensor(console_, in_, tensor_, out_, copy());
                          throw Refusal("extract: expected --part or --tensor; see trainstate extract --help");
                        });
    auto* part = command->add_option("--part", part_, "name or path of a part; OUT is a checkpoint");
    auto* tensor = command->add_option("--tensor", tensor_, "path or dotted name of a tensor; OUT is an .npy file");
    part->excludes(tensor);
    command->add_option("IN", in_, "checkpoint")->required();
    command->add_option("OUT", out_, "the new file")->required();
    add_copy_flags(*command);
  }

  void add_latest() {
    auto* command = add("latest", "Print the path of the newest checkpoint that a CheckpointManager keeps in a folder",
                        "Exit code: 0 there is one, 1 there is none, 2 the folder cannot be listed.\n\n"
                        "Example:\n  trainstate inspect \"$(trainstate latest runs/digits)\"",
                        [this] { return latest(console_, in_, verify_); });
    command->add_option("DIR", in_, "the manager's folder")->required();
    command->add_flag("--verify", verify_, "the newest that is whole; damaged ones are named on stderr");
  }

  void add_completion() {
    auto* command = add("completion", "Print a script that completes commands and options in a shell",
                        "Examples:\n"
                        "  eval \"$(trainstate completion bash)\"\n"
                        "  source <(trainstate completion zsh)\n"
                        "  trainstate completion fish | source",
                        [this] {
                          console_.out << completion_script(app_, shell_);
                          return 0;
                        });
    command->add_option("SHELL", shell_, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  }

  void add_copy_flags(CLI::App& command) {
    command.add_flag("-f,--force", force_, "replace OUT if it exists");
    command.add_flag("--no-verify", no_verify_, "do not check IN's tensors first");
  }
  [[nodiscard]] CopyOptions copy() const { return {.force = force_, .verify = !no_verify_}; }

  Console& console_;
  CLI::App app_{"Looks into checkpoints: what they hold, whether they are whole, what is different.", "trainstate"};
  std::function<int()> chosen_;
  std::string colour_ = "auto", part_, tensor_, shell_;
  std::vector<Path> paths_;
  Path in_, out_;
  bool quiet_ = false, verify_ = false, force_ = false, no_verify_ = false;
  InspectOptions inspect_;
  StatsOptions stats_;
};

/// The program, without its process.
inline int run(int argc, const char* const* argv, Console& console) { return CommandLine(console).run(argc, argv); }

}  // namespace tool
