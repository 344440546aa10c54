// Law: what is loaded is what was saved, whichever way it went.
#pragma once

#include <utility>

#include "laws/subject.hpp"
#include "support/torch_doctest.hpp"

namespace laws {

/// `make` makes an object with something to keep, `blank` one to load into that differs from it.
template <class Make, class Blank>
void round_trip(const Make& make, const Blank& blank) {
  const auto saved = make();
  const Image image = image_of(saved);
  REQUIRE_FALSE(image_of(blank()) == image);
  {
    INFO("alone");
    auto live = blank();
    CHECK(is_clean(ts::from_bytes(live, image.bytes)));
    CHECK(image_of(live) == image);
    CHECK(ts::state_dict(live) == ts::state_dict(saved));
  }
  {
    INFO("as a part of a checkpoint");
    Run from(make(), 1, 2), to(blank(), 3, 4);
    auto live = to.parts();
    const Image whole = image_of(from.parts());
    CHECK(is_clean(ts::from_bytes(live, whole.bytes)));
    CHECK(image_of(live) == whole);
    CHECK(ts::state_dict(to.subject) == ts::state_dict(saved));
  }
  {
    INFO("its own tree into itself, aliasing it and not");
    auto live = make();
    CHECK(ts::load_state_dict(live, ts::state_dict(live)).mismatched.empty());
    CHECK(ts::load_state_dict(live, ts::state_dict(live).clone()).mismatched.empty());
    CHECK(image_of(live) == image);
  }
}

}  // namespace laws
