// `trainstate stats`: norms, moments, NaN counts and histograms of tensors.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "checkpoint_file.hpp"
#include "console.hpp"
#include "progress.hpp"
#include "select.hpp"
#include "statistics.hpp"
#include "text.hpp"

namespace tool {

struct StatsOptions {
  std::vector<std::string> names;
  std::size_t bins = 16;        ///< of the large histogram of a single tensor
  bool require_finite = false;  ///< exit code 1 where there are NaNs or infinities
};

namespace stats_detail {

inline constexpr std::size_t small_bins = 10;

/// One character for each bin, the higher the more.
inline std::string small_histogram(const Console& console, const Statistics& found) {
  static constexpr std::string_view blocks[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  static constexpr std::string_view marks[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
  const auto bins = std::span(found.histogram.bins).first(small_bins);
  const auto most = static_cast<double>(*std::max_element(bins.begin(), bins.end()));
  std::string text;
  for (const std::uint64_t count : bins) {
    // What is there at all is seen.
    const std::size_t height = count == 0 ? 0 : 1 + static_cast<std::size_t>(7 * static_cast<double>(count) / most);
    text += console.unicode ? blocks[height] : marks[height];
  }
  return text;
}

inline std::string bad_text(const Statistics& found) {
  std::string text;
  if (found.moments.nan != 0) text = std::to_string(found.moments.nan * found.repeated) + " NaN";
  if (found.moments.infinite != 0) {
    text += (text.empty() ? "" : ", ") + std::to_string(found.moments.infinite * found.repeated) + " infinite";
  }
  return text;
}

inline void print_table(const Console& console, const std::vector<NamedTensor>& tensors,
                        const std::vector<Statistics>& all) {
  std::vector<std::vector<std::string>> lines{{"tensor", "", "mean", "std", "min", "max", "norm", "histogram", ""}};
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Statistics& found = all[i];
    std::vector<std::string> line{printable(tensors[i].path), tensor_text(tensors[i].tensor)};
    if (found.known && found.moments.finite != 0) {
      for (const double x :
           {found.moments.mean(), found.deviation(), found.moments.min, found.moments.max, found.norm()}) {
        line.push_back(number_text(x));
      }
      line.push_back(small_histogram(console, found));
    } else {
      line.resize(8);
    }
    line.push_back(bad_text(found));
    lines.push_back(std::move(line));
  }
  std::vector<std::size_t> widths(lines[0].size());
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width_of(line[i]));
  }
  for (std::size_t l = 0; l < lines.size(); ++l) {
    std::string text;
    for (std::size_t i = 0; i + 1 < lines[l].size(); ++i) {
      const bool number = i >= 2 && i <= 6;
      text += (i == 0 ? "" : "  ") + (number ? padded_left(lines[l][i], widths[i]) : padded(lines[l][i], widths[i]));
    }
    const std::string& bad = lines[l].back();
    if (bad.empty()) text.erase(text.find_last_not_of(' ') + 1);
    console.out << console.paint(l == 0 ? Style::dim : Style::plain, text)
                << (bad.empty() ? "" : "  " + console.paint(Style::red, bad)) << '\n';
  }
}

/// One tensor by itself, with a histogram as wide as the terminal.
inline void print_large(const Console& console, const NamedTensor& tensor, const Statistics& found, std::size_t bins) {
  const Moments& moments = found.moments;
  console.out << console.paint(Style::bold, printable(tensor.path)) << "  " << tensor_text(tensor.tensor) << ", "
              << counted(static_cast<std::uint64_t>(tensor.tensor.numel()), "element") << ", "
              << size_text(tensor.tensor.nbytes()) << '\n';
  if (!found.known) {
    console.out << "elements of " << name(tensor.tensor.dtype) << " share bytes, and are not counted\n";
    return;
  }
  const auto line = [&](std::string_view label, const std::string& value) {
    console.out << console.paint(Style::dim, padded(std::string(label), 10)) << value << '\n';
  };
  if (moments.finite != 0) {
    line("mean", number_text(moments.mean()));
    line("std", number_text(found.deviation()));
    line("min", number_text(moments.min));
    line("max", number_text(moments.max));
    line("norm", number_text(found.norm()));
  }
  line("zero", std::to_string(moments.zero * found.repeated));
  line("NaN", std::to_string(moments.nan * found.repeated));
  line("infinite", std::to_string(moments.infinite * found.repeated));
  if (moments.finite == 0) return;
  const auto counts = std::span(found.histogram.bins).first(bins);
  const auto most = static_cast<double>(*std::max_element(counts.begin(), counts.end()));
  const double step = (moments.max / static_cast<double>(bins)) - (moments.min / static_cast<double>(bins));
  std::vector<std::string> edges;
  std::size_t width = 0, widest = 0;
  for (std::size_t i = 0; i < bins; ++i) {
    edges.push_back(number_text(moments.min + static_cast<double>(i) * step));
    width = std::max(width, edges.back().size());
    widest = std::max(widest, std::to_string(counts[i] * found.repeated).size());
  }
  const std::size_t room = console.width > width + widest + 14 ? console.width - width - widest - 4 : 10;
  console.out << '\n';
  for (std::size_t i = 0; i < bins; ++i) {
    static constexpr std::string_view eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    const auto filled = static_cast<std::size_t>(static_cast<double>(8 * room) * static_cast<double>(counts[i]) / most);
    std::string bar;
    for (std::size_t k = 0; k < filled / 8; ++k) bar += console.choose("█", "#");
    if (console.unicode) bar += eighths[filled % 8];
    if (bar.empty() && counts[i] != 0) bar = console.choose("▏", ".");
    console.out << console.paint(Style::dim, padded_left(edges[i], width)) << "  " << console.paint(Style::cyan, bar)
                << (bar.empty() ? "" : " ") << counts[i] * found.repeated << '\n';
  }
}

}  // namespace stats_detail

/// Prints statistics of the tensors that are named, or of all. Returns the exit code.
inline int stats(const Console& console, const std::filesystem::path& path, const StatsOptions& options) {
  const CheckpointFile file = open_file(path);
  const auto tensors = selected(file, options.names);
  const bool single = tensors.size() == 1 && !options.names.empty();
  std::vector<Statistics> all;
  {
    ProgressBar bar(console, "reading");
    all = statistics_of(tensors, single ? options.bins : stats_detail::small_bins, bar.callback());
  }
  std::uint64_t nan = 0, infinite = 0;
  for (const auto& found : all) {
    nan += found.moments.nan * found.repeated;
    infinite += found.moments.infinite * found.repeated;
  }
  if (single) {
    stats_detail::print_large(console, tensors[0], all[0], options.bins);
  } else {
    stats_detail::print_table(console, tensors, all);
    const std::string bad = counted(tensors.size(), "tensor") + ": " + std::to_string(nan) + " NaN, " +
                            std::to_string(infinite) + " infinite elements";
    console.out << console.paint(nan + infinite != 0 ? Style::red : Style::dim, bad) << '\n';
  }
  return options.require_finite && nan + infinite != 0 ? 1 : 0;
}

}  // namespace tool
