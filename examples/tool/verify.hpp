// `trainstate verify`: whether files are whole.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "console.hpp"
#include "progress.hpp"
#include "text.hpp"
#include "trainstate/error.hpp"
#include "trainstate/verify.hpp"

namespace tool {

/// What came of a file: `refused` is one that is malformed, or asks for code to be run.
enum class Verdict { whole, refused, damaged, unreadable };

/// Reads all of a file and checks it. What is wrong goes to `err`.
inline Verdict verdict_of(const Console& console, const std::filesystem::path& path, ts::Report& report) {
  const auto say = [&](const char* what) { console.note(printable(what)); };
  try {
    ProgressBar bar(console, "verifying " + printable(path.filename().string()));
    report = ts::verify(path, {.threads = 0, .progress = bar.callback()});
    return Verdict::whole;
  } catch (const ts::FormatError& error) {
    say(error.what());
    return Verdict::refused;
  } catch (const ts::IntegrityError& error) {
    say(error.what());
    return Verdict::damaged;
  } catch (const ts::Error& error) {
    say(error.what());
    return Verdict::unreadable;
  }
}

/// One line a file. Returns 0 if all are whole, 1 if one is damaged or malformed, 2 if one cannot be read or is of a
/// later format.
inline int verify(const Console& console, const std::vector<std::filesystem::path>& paths, bool quiet) {
  Verdict worst = Verdict::whole;
  for (const auto& path : paths) {
    ts::Report report;
    const Verdict verdict = verdict_of(console, path, report);
    worst = std::max(worst, verdict);
    if (quiet) continue;
    const std::string file = printable(path.string()) + ": ";
    if (verdict == Verdict::whole && report.warnings.empty()) {
      console.out << file << console.paint(Style::green, "whole") << ", " << size_text(report.bytes)
                  << " of tensors verified\n";
    } else if (verdict == Verdict::whole) {
      console.out << file << console.paint(Style::yellow, "well-formed")
                  << ", but has no checksums, so its tensors cannot be verified\n";
    } else {
      static constexpr std::string_view words[] = {"", "refused", "damaged", "cannot be read"};
      console.out << file << console.paint(Style::red, words[static_cast<std::size_t>(verdict)]) << '\n';
    }
  }
  return worst == Verdict::whole ? 0 : worst == Verdict::unreadable ? 2 : 1;
}

}  // namespace tool
