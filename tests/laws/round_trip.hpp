// Law: what is loaded is what was saved, whichever way it went.
#pragma once

#include <utility>

#include "laws/subject.hpp"
#include "support/torch_doctest.hpp"

namespace laws {

/// `make` makes an object with something to keep, `blank` one to load into that differs from it.
template <class Make, class Blank>
void round_trip(const Make& make, const Blank& blank) {
  using namespace ts::literals;
  const auto saved = make();
  const Image image = image_of(saved);
  REQUIRE(image_of(blank()) != image);

  SUBCASE("through bytes") {
    auto live = blank();
    CHECK(is_clean(ts::from_bytes(live, image)));
    CHECK(image_of(live) == image);
    CHECK(ts::state_dict(live) == ts::state_dict(saved));
  }
  SUBCASE("as an lvalue part, from an owned one") {
    const Image owner = image_of(ts::checkpoint("before"_key = 1, "subject"_key = make(), "after"_key = 2));
    int before = 0, after = 0;
    auto live = blank();
    auto checkpoint = ts::checkpoint("before"_key = before, "subject"_key = live, "after"_key = after);
    CHECK(is_clean(ts::from_bytes(checkpoint, owner)));
    CHECK(image_of(live) == image);
    CHECK(image_of(checkpoint) == owner);
    CHECK(before == 1);
    CHECK(after == 2);
  }
  SUBCASE("a tree into itself, twice") {
    auto live = make();
    CHECK(ts::load_state_dict(live, ts::state_dict(live)).mismatched.empty());
    CHECK(ts::load_state_dict(live, ts::state_dict(live).clone()).mismatched.empty());
    CHECK(image_of(live) == image);
  }
}

}  // namespace laws
