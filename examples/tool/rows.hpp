// A tree of rows on the terminal, the cells of neighbours aligned.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "console.hpp"
#include "text.hpp"

namespace tool {

/// One line of a tree: a label, then cells of a table, or items that wrap; and what is below it.
struct Row {
  std::string label;
  Style style = Style::plain;
  std::vector<std::string> cells = {};  ///< the last but one is aligned to the right, as a size
  std::vector<std::string> items = {};  ///< joined with commas
  std::vector<Row> below = {};
};

/// Prints rows with the lines of a tree between them; the topmost have none.
class RowPrinter {
 public:
  explicit RowPrinter(const Console& console) : console_(console) {}

  void print(const std::vector<Row>& rows) { print(rows, "", true); }

 private:
  static constexpr std::size_t widest_label = 64;

  void print(const std::vector<Row>& rows, const std::string& prefix, bool top) {
    std::size_t label_width = 0;
    std::vector<std::size_t> widths;
    for (const Row& row : rows) {
      if (row.cells.empty()) continue;
      label_width = std::max(label_width, std::min(width_of(row.label), widest_label));
      widths.resize(std::max(widths.size(), row.cells.size()));
      for (std::size_t i = 0; i < row.cells.size(); ++i) widths[i] = std::max(widths[i], width_of(row.cells[i]));
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Row& row = rows[i];
      const bool last = i + 1 == rows.size();
      const std::string_view branch = last ? console_.choose("└─ ", "`- ") : console_.choose("├─ ", "|- ");
      const std::string_view trunk = last ? "   " : console_.choose("│  ", "|  ");
      const std::string head = top ? "" : prefix + std::string(branch);
      const std::string inner = top ? "" : prefix + std::string(trunk);
      console_.out << console_.paint(Style::dim, head) << console_.paint(row.style, row.label);
      if (!row.cells.empty()) {
        print_cells(row, label_width, widths);
      } else if (!row.items.empty()) {
        const bool more = !row.below.empty();
        print_items(row, inner + std::string(more ? console_.choose("│  ", "|  ") : "   "), width_of(head));
      }
      console_.out << '\n';
      print(row.below, inner, false);
    }
  }

  void print_cells(const Row& row, std::size_t label_width, const std::vector<std::size_t>& widths) const {
    std::string line(label_width - std::min(label_width, width_of(row.label)), ' ');
    for (std::size_t i = 0; i < row.cells.size(); ++i) {
      line += "  ";
      line += i == 2 ? padded_left(row.cells[i], widths[i]) : padded(row.cells[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    console_.out << line;
  }

  // Wrapped lines stand below the first item where there is room for that.
  void print_items(const Row& row, const std::string& inner, std::size_t head) const {
    std::size_t at = head + width_of(row.label) + 2;
    const std::size_t hang = at <= console_.width / 2 ? at : width_of(inner);
    console_.out << "  ";
    for (std::size_t i = 0; i < row.items.size(); ++i) {
      const std::string item = row.items[i] + (i + 1 < row.items.size() ? "," : "");
      if (i != 0 && at + 1 + width_of(item) > console_.width) {
        console_.out << '\n'
                     << console_.paint(Style::dim, inner) << std::string(hang - std::min(hang, width_of(inner)), ' ');
        at = hang;
      } else if (i != 0) {
        console_.out << ' ';
        ++at;
      }
      console_.out << item;
      at += width_of(item);
    }
  }

  const Console& console_;
};

}  // namespace tool
