// The tool inside the test's process.
#pragma once

#include <string>
#include <vector>

namespace trainstate::tests {

struct Ran {
  int code = 0;
  std::string out, err;
};

/// How the tool's console is; by default that of a pipe in a UTF-8 locale.
struct RunOptions {
  bool colour = false, unicode = true;
  std::size_t width = 100;
};

/// Runs `trainstate` with these arguments.
Ran run_tool(const std::vector<std::string>& arguments, const RunOptions& options = {});

}  // namespace trainstate::tests
