// The command line tool: `trainstate --help`. It links nothing of LibTorch, so that it starts in a moment.
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>

#include "command_line.hpp"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // who pipes into head is not to see a death; what nobody reads is dropped
  tool::DescriptorBuffer out_buffer(STDOUT_FILENO);
  std::ostream out(&out_buffer);
  tool::Console console{out, std::cerr};
  tool::look_around(console);
  const int code = tool::run(argc, argv, console);
  out.flush();
  if (out_buffer.error() == 0 || out_buffer.error() == EPIPE) return code;
  std::cerr << "trainstate: cannot write the output: " << std::strerror(out_buffer.error()) << '\n';
  return 2;
}
