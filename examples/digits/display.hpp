// How the training shows itself: a bar on a terminal, a line per epoch anywhere else.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>

namespace digits {

class Display {
 public:
  explicit Display(std::int64_t steps) : steps_(steps) {}

  void step(std::int64_t at, double loss, double lr) const {
    if (!terminal_) return;
    constexpr std::int64_t width = 40;
    const auto filled = static_cast<std::size_t>(width * at / steps_);
    const std::string bar = std::string(filled, '#') + std::string(width - filled, '.');
    std::printf("\r[%s] step %lld/%lld  loss %.4f  lr %.2e ", bar.c_str(), static_cast<long long>(at),
                static_cast<long long>(steps_), loss, lr);
    std::fflush(stdout);
  }

  /// Takes the bar away, for whatever is printed next.
  void clear() const {
    if (terminal_) std::printf("\r\033[K");
    std::fflush(stdout);
  }

  void epoch(std::int64_t epoch, std::int64_t at, double loss, double accuracy) const {
    clear();
    std::printf("epoch %2lld  step %4lld  loss %.4f  validation accuracy %.2f %%\n", static_cast<long long>(epoch),
                static_cast<long long>(at), loss, 100 * accuracy);
    std::fflush(stdout);
  }

 private:
  std::int64_t steps_;
  bool terminal_ = isatty(STDOUT_FILENO) != 0;
};

}  // namespace digits
