// A bar on the terminal for work that takes long.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <utility>

#include "console.hpp"
#include "text.hpp"
#include "trainstate/io/chunks.hpp"

namespace tool {

/// Shows how far something is, if somebody looks on and it takes longer than a moment; leaves nothing behind.
class ProgressBar {
 public:
  ProgressBar(const Console& console, std::string what) : console_(console), what_(std::move(what)) {}
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar() {
    if (shown_) console_.err << "\r\033[K" << std::flush;
  }

  /// For the library's functions; empty where nobody looks on. The bar must outlive it.
  [[nodiscard]] ts::io::Progress callback() {
    if (!console_.progress) return {};
    return [this](std::uint64_t done, std::uint64_t total) { show(done, total); };
  }

 private:
  using Clock = std::chrono::steady_clock;

  void show(std::uint64_t done, std::uint64_t total) {
    const auto now = Clock::now();
    if (now < next_ || total == 0) return;
    next_ = now + std::chrono::milliseconds(50);
    shown_ = true;
    constexpr std::size_t width = 30;
    const double part = static_cast<double>(done) / static_cast<double>(total);
    const auto filled = static_cast<std::size_t>(part * width);
    const double seconds = std::chrono::duration<double>(now - start_).count();
    std::string bar;
    for (std::size_t i = 0; i < width; ++i) {
      bar += i < filled ? console_.choose("█", "#") : console_.choose("░", ".");
    }
    console_.err << "\r\033[K" << what_ << ' ' << bar << ' ' << static_cast<int>(100 * part) << " %  "
                 << size_text(static_cast<std::uint64_t>(static_cast<double>(done) / seconds)) << "/s" << std::flush;
  }

  const Console& console_;
  std::string what_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point next_ = start_ + std::chrono::milliseconds(300);
  bool shown_ = false;
};

}  // namespace tool
