// What every example needs to assert its claims and to clean up after itself.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <source_location>
#include <string>

/// Prints the claim; if it is false, the example ends as failed.
inline void claim(bool holds, const char* what, std::source_location at = std::source_location::current()) {
  std::cout << (holds ? "true   " : "FALSE  ") << what << '\n';
  if (holds) return;
  std::cout << "       " << at.file_name() << ':' << at.line() << std::endl;
  std::exit(1);
}

/// A folder of its own that is removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() : path_(std::filesystem::temp_directory_path() / ("trainstate_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};
