// A process that saves, to be killed: a program, or a fork of this one, which starts at once. No LibTorch.
#pragma once

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace faults {

inline void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

/// The process, and the pipe that it reports numbers to (see `tell`).
class Child {
 public:
  /// Runs `program` with `arguments` and the pipe as its output; where there is none, `otherwise(pipe)` in a fork,
  /// which must not return.
  Child(const std::string& program, std::vector<std::string> arguments, const std::function<void(int)>& otherwise) {
    int ends[2];
    require(::pipe(ends) == 0, "no pipe");
    std::vector<char*> texts{const_cast<char*>(program.c_str())};
    for (std::string& argument : arguments) texts.push_back(argument.data());
    texts.push_back(nullptr);
    child_ = ::fork();
    require(child_ >= 0, "no process");
    if (child_ == 0) {
      ::close(ends[0]);
      if (program.empty()) otherwise(ends[1]);
      ::dup2(ends[1], STDOUT_FILENO);
      ::close(ends[1]);
      ::execv(program.c_str(), texts.data());
      ::_exit(3);
    }
    ::close(ends[1]);
    pipe_ = ends[0];
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    ::close(pipe_);
    if (child_ < 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

  /// The next number that it reports, when it comes; nothing once the process is gone.
  std::optional<std::int64_t> next() {
    std::int64_t number = 0;
    ssize_t size = -1;
    do {
      size = ::read(pipe_, &number, sizeof number);
    } while (size < 0 && errno == EINTR);
    require(size == 0 || size == sizeof number, "half a report");
    return size == 0 ? std::nullopt : std::optional(number);
  }

  void kill() { require(::kill(child_, SIGKILL) == 0, "the saver cannot be killed"); }

  /// Waits for its end.
  int status() {
    int status = 0;
    require(::waitpid(child_, &status, 0) == child_, "the saver cannot be waited for");
    child_ = -1;
    return status;
  }

 private:
  pid_t child_ = -1;
  int pipe_ = -1;
};

}  // namespace faults
