// One release as a program: `save FILE` writes its scheduler, `load FILE` prints what it finds in a file of any
// release, `upgrade FILE` rewrites a file as this release would have written it.
#pragma once

#include <trainstate/checkpoint.hpp>
#include <trainstate/upgrade.hpp>

#include <iostream>
#include <string_view>

/// `print` is called with the scheduler that was loaded. Exit status: 0, or 1 after printing the error.
template <class Scheduler, class Print>
int run(int argc, char** argv, Scheduler scheduler, const Print& print) {
  namespace ts = trainstate;
  using namespace ts::literals;
  const std::string_view command = argc == 3 ? argv[1] : "";
  try {
    auto checkpoint = ts::checkpoint("scheduler"_key = scheduler);
    if (command == "save") {
      ts::save(checkpoint, argv[2]);
    } else if (command == "load") {
      const ts::Report report = ts::load(checkpoint, argv[2]);
      for (const auto& step : report.migrated) {
        std::cout << step.path << ": version " << step.from << " -> " << step.to << '\n';
      }
      print(scheduler);
    } else if (command == "upgrade") {
      ts::upgrade(checkpoint, argv[2], argv[2]);
    } else {
      std::cerr << "usage: " << argv[0] << " save|load|upgrade FILE\n";
      return 2;
    }
  } catch (const ts::Error& error) {
    std::cout << error.what() << '\n';
    return 1;
  }
  return 0;
}
