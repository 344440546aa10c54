// Where the tool writes, and what is known of the reader: colour, lines and width for a terminal, plain text for
// everything else.
#pragma once

#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <clocale>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ostream>
#include <streambuf>
#include <string>
#include <string_view>

namespace tool {

/// A stream's buffer on a file descriptor that remembers why a write failed and drops what comes after.
class DescriptorBuffer final : public std::streambuf {
 public:
  explicit DescriptorBuffer(int fd) : fd_(fd) { setp(memory_.data(), memory_.data() + memory_.size()); }
  DescriptorBuffer(const DescriptorBuffer&) = delete;
  DescriptorBuffer& operator=(const DescriptorBuffer&) = delete;
  ~DescriptorBuffer() override { DescriptorBuffer::sync(); }

  /// The errno of the first write that failed; 0 if none did.
  [[nodiscard]] int error() const noexcept { return error_; }

 protected:
  int sync() override {
    for (const char* at = pbase(); at < pptr() && error_ == 0;) {
      const ssize_t written = ::write(fd_, at, static_cast<std::size_t>(pptr() - at));
      if (written >= 0) {
        at += written;
      } else if (errno != EINTR) {
        error_ = errno;
      }
    }
    setp(memory_.data(), memory_.data() + memory_.size());
    return 0;
  }
  int_type overflow(int_type c) override {
    sync();
    if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
    return traits_type::not_eof(c);
  }

 private:
  int fd_;
  int error_ = 0;
  std::array<char, 1 << 16> memory_{};
};

enum class Style { plain, bold, dim, red, green, yellow, cyan };

/// The two streams of the tool and how to write on them.
struct Console {
  std::ostream& out;      ///< results
  std::ostream& err;      ///< errors, notes and progress
  bool colour = false;    ///< for `out`
  bool unicode = false;   ///< whether tree lines and blocks can be shown
  bool progress = false;  ///< whether somebody looks at `err`
  std::size_t width = 100;

  [[nodiscard]] std::string paint(Style style, std::string_view text) const {
    static constexpr std::string_view codes[] = {"", "1", "2", "31", "32", "33", "36"};
    if (!colour || style == Style::plain || text.empty()) return std::string(text);
    return "\033[" + std::string(codes[static_cast<std::size_t>(style)]) + "m" + std::string(text) + "\033[0m";
  }
  [[nodiscard]] std::string_view choose(std::string_view in_unicode, std::string_view in_ascii) const {
    return unicode ? in_unicode : in_ascii;
  }
  [[nodiscard]] std::string arrow() const { return std::string(choose(" → ", " -> ")); }

  /// Says something beside the result.
  void note(std::string_view text) const { err << "trainstate: " << text << std::endl; }
};

/// Fits a console to this process's terminal, locale and environment (COLUMNS, NO_COLOR).
inline void look_around(Console& console) {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string_view(value ? value : "");
  };
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  console.colour = terminal && variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  console.progress = ::isatty(STDERR_FILENO) != 0 && variable("TERM") != "dumb";
  std::setlocale(LC_CTYPE, "");
  console.unicode = std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0;
  std::size_t width = 0;
  const auto columns = variable("COLUMNS");
  std::from_chars(columns.data(), columns.data() + columns.size(), width);
  winsize window{};
  if (width == 0 && terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0) width = window.ws_col;
  if (width >= 20) console.width = width;
}

}  // namespace tool
