// `trainstate completion`: scripts that let a shell complete commands and options, made from what the parser knows.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <utility>
#include <vector>

#include "text.hpp"

namespace tool {

/// A command as a shell offers it.
struct OfferedCommand {
  std::string name, description;
  std::vector<std::pair<std::string, std::string>> options;  // `--all` and what it does
};

inline std::vector<OfferedCommand> offered_commands(const CLI::App& app) {
  std::vector<OfferedCommand> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    OfferedCommand offered{command->get_name(), command->get_description(), {}};
    for (const CLI::Option* option : command->get_options()) {
      for (const auto& name : option->get_lnames())
        offered.options.emplace_back("--" + name, option->get_description());
    }
    commands.push_back(std::move(offered));
  }
  return commands;
}

namespace completion_detail {

/// In single quotes, for every shell.
inline std::string in_quotes(const std::string& text, const std::string& quote = "'\\''") {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? quote : std::string(1, c);
  return quoted + "'";
}

inline std::string bash(const std::vector<OfferedCommand>& commands) {
  std::string names, cases;
  for (const auto& command : commands) {
    names += (names.empty() ? "" : " ") + command.name;
    std::string options;
    for (const auto& [option, description] : command.options) options += (options.empty() ? "" : " ") + option;
    cases += "    " + command.name + ") words='" + options + "' ;;\n";
  }
  return "# bash completion of trainstate: eval \"$(trainstate completion bash)\"\n"
         "_trainstate() {\n"
         "  local current=${COMP_WORDS[COMP_CWORD]} words=''\n"
         "  COMPREPLY=()\n"
         "  if ((COMP_CWORD == 1)); then\n"
         "    COMPREPLY=($(compgen -W '" +
         names +
         " --help --version --color' -- \"$current\"))\n"
         "    return\n"
         "  fi\n"
         "  case ${COMP_WORDS[1]} in\n" +
         cases +
         "  esac\n"
         "  if [[ ${COMP_WORDS[1]} == completion ]]; then\n"
         "    words+=' bash zsh fish'\n"
         "  elif [[ $current != -* ]]; then\n"
         "    return\n"
         "  fi\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "}\n"
         "complete -o default -F _trainstate trainstate\n";
}

inline std::string zsh(const std::vector<OfferedCommand>& commands) {
  const auto described = [](const std::string& name, const std::string& description) {
    return in_quotes(name + ":" + description);
  };
  std::string names, cases;
  for (const auto& command : commands) {
    names += "    " + described(command.name, command.description) + "\n";
    std::string options;
    for (const auto& [option, description] : command.options) options += " " + described(option, description);
    cases += "    " + command.name + ") options=(" + options + " ) ;;\n";
  }
  return "#compdef trainstate\n"
         "# zsh completion of trainstate: source <(trainstate completion zsh)\n"
         "_trainstate() {\n"
         "  local -a commands options\n"
         "  commands=(\n" +
         names +
         "  )\n"
         "  if ((CURRENT == 2)); then\n"
         "    _describe command commands\n"
         "    return\n"
         "  fi\n"
         "  case ${words[2]} in\n" +
         cases +
         "  esac\n"
         "  if [[ ${words[2]} == completion ]]; then\n"
         "    compadd bash zsh fish\n"
         "  elif [[ ${words[CURRENT]} == -* ]]; then\n"
         "    _describe option options\n"
         "  else\n"
         "    _files\n"
         "  fi\n"
         "}\n"
         "compdef _trainstate trainstate\n";
}

inline std::string fish(const std::vector<OfferedCommand>& commands) {
  std::string script = "# fish completion of trainstate: trainstate completion fish | source\n";
  const std::string head = "complete -c trainstate";
  for (const auto& command : commands) {
    script += head + " -n __fish_use_subcommand -f -a " + command.name + " -d " +
              in_quotes(command.description, "\\'") + "\n";
    for (const auto& [option, description] : command.options) {
      script += head + " -n '__fish_seen_subcommand_from " + command.name + "' -l " + option.substr(2) + " -d " +
                in_quotes(description, "\\'") + "\n";
    }
  }
  return script + head + " -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n";
}

}  // namespace completion_detail

/// The script for `bash`, `zsh` or `fish`.
inline std::string completion_script(const CLI::App& app, const std::string& shell) {
  const auto commands = offered_commands(app);
  if (shell == "bash") return completion_detail::bash(commands);
  if (shell == "zsh") return completion_detail::zsh(commands);
  return completion_detail::fish(commands);
}

}  // namespace tool
