// The exceptions of the library. Nothing else escapes its functions but what a user's own callback throws.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "trainstate/report.hpp"

namespace trainstate {

/// Base of every exception that the library throws. The text begins with the file and the path inside it, as far as
/// they are known: `run/last.safetensors: model/conv1.weight: …`.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The file is malformed, unsafe or of a kind that cannot be read.
class FormatError : public Error {
 public:
  using Error::Error;
};

/// The file is well-formed, but a checksum says that its bytes are not those that were written.
class IntegrityError : public Error {
 public:
  using Error::Error;
};

/// The file or a component in it is newer than this build, or no migration hook leads from its version to today's.
class VersionError : public Error {
 public:
  using Error::Error;
};

/// The file does not fit the live objects. `report()` has every difference, and so does the text.
class MismatchError : public Error {
 public:
  MismatchError(const std::string& what, Report report) : Error(what), report_(std::move(report)) {}
  [[nodiscard]] const Report& report() const noexcept { return report_; }

 private:
  Report report_;
};

/// The operating system refused: `code()` is its errno.
class IoError : public Error {
 public:
  IoError(const std::string& what, int code)
      : Error(what + ": " + std::generic_category().message(code)), code_(code) {}
  [[nodiscard]] int code() const noexcept { return code_; }

 private:
  int code_;
};

namespace detail {

/// Throws the same exception again with `prefix` in front of its text, keeping its type and data.
[[noreturn]] inline void rethrow_with_prefix(std::string_view prefix) {
  const std::string head(prefix);
  try {
    throw;
  } catch (const MismatchError& e) {
    throw MismatchError(head + e.what(), e.report());
  } catch (const FormatError& e) {
    throw FormatError(head + e.what());
  } catch (const IntegrityError& e) {
    throw IntegrityError(head + e.what());
  } catch (const VersionError& e) {
    throw VersionError(head + e.what());
  } catch (const IoError&) {
    throw;  // its text begins with the file already
  } catch (const Error& e) {
    throw Error(head + e.what());
  }
}

/// Runs `f`; the texts of this library's errors get a prefix.
template <class F>
decltype(auto) with_prefix(const std::string& prefix, F&& f) {
  try {
    return f();
  } catch (const Error&) {
    rethrow_with_prefix(prefix);
  }
}

}  // namespace detail
}  // namespace trainstate
