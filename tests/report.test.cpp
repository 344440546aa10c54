#include "trainstate/report.hpp"

#include <doctest/doctest.h>

#include <sstream>
#include <string>

TEST_CASE("a report prints one line for every finding of every kind, in order, and the totals") {
  const trainstate::Report report{.missing_keys = {"m/1", "m/2"},
                                  .unexpected_keys = {"u"},
                                  .mismatched = {{"x", "float32[2]", "int64 3"}},
                                  .hyper_changes = {{"h/lr", "double 0.1", "double 0.2"}},
                                  .migrated = {{"c", 1, 2}, {"c", 2, 3}},
                                  .warnings = {"beware"},
                                  .bytes = 4096,
                                  .seconds = 0.5};
  std::ostringstream text;
  text << report;
  CHECK(text.str() ==
        "missing     m/1\n"
        "missing     m/2\n"
        "unexpected  u\n"
        "mismatched  x: expected float32[2], found int64 3\n"
        "hyper       h/lr: live double 0.1, file double 0.2\n"
        "migrated    c: version 1 -> 2\n"
        "migrated    c: version 2 -> 3\n"
        "warning     beware\n"
        "4096 bytes of tensors in 0.5 s\n");
}

TEST_CASE("the empty path, that of an object saved alone, reads as the whole") {
  std::ostringstream text;
  text << trainstate::Report{.missing_keys = {""},
                             .unexpected_keys = {""},
                             .mismatched = {{"", "int64", "None"}},
                             .hyper_changes = {{"", "int64 1", "int64 2"}},
                             .migrated = {{"", 1, 2}}};
  CHECK(text.str() ==
        "missing     the whole\n"
        "unexpected  the whole\n"
        "mismatched  the whole: expected int64, found None\n"
        "hyper       the whole: live int64 1, file int64 2\n"
        "migrated    the whole: version 1 -> 2\n"
        "0 bytes of tensors in 0 s\n");
}
