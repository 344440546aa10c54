#include "tool/run_tool.hpp"

#include <sstream>
#include <string>
#include <vector>

#include "tool/command_line.hpp"

namespace trainstate::tests {

Ran run_tool(const std::vector<std::string>& arguments, const RunOptions& options) {
  std::vector<const char*> argv{"trainstate"};
  for (const auto& argument : arguments) argv.push_back(argument.c_str());
  std::ostringstream out, err;
  ::tool::Console console{out, err, options.colour, options.unicode, false, options.width};
  const int code = ::tool::run(static_cast<int>(argv.size()), argv.data(), console);
  return {code, out.str(), err.str()};
}

}  // namespace trainstate::tests
