// Law: what is loaded is what was saved, whichever way it went.
#pragma once

#include <string>
#include <utility>

#include "laws/subject.hpp"
#include "support/torch_doctest.hpp"

namespace laws {

/// False for the one thing that Python's files cannot hold: texts that are not UTF-8.
template <class T>
bool fits_pt(const T& x) {
  try {
    image_of(x, {.format = ts::Format::pt});
    return true;
  } catch (const ts::Error& e) {
    REQUIRE(std::string(e.what()).find("a string that is not UTF-8") != std::string::npos);
    return false;
  }
}

/// `make` makes an object with something to keep, `blank` one to load into that differs from it.
template <class Make, class Blank>
void round_trip(const Make& make, const Blank& blank) {
  const auto saved = make();
  for (const ts::Format format : {ts::Format::safetensors, ts::Format::pt}) {
    const bool pt = format == ts::Format::pt;
    CAPTURE(pt);
    const ts::SaveOptions options{.format = format};
    if (pt && !fits_pt(saved)) continue;
    const Image image = image_of(saved, options);
    REQUIRE_FALSE(image_of(blank(), options) == image);
    {
      INFO("alone");
      auto live = blank();
      CHECK(is_clean(ts::from_bytes(live, image.bytes)));
      CHECK(image_of(live, options) == image);
      CHECK(ts::state_dict(live) == ts::state_dict(saved));
    }
    {
      INFO("as a part of a checkpoint");
      Run from(make(), 1, 2), to(blank(), 3, 4);
      auto live = to.parts();
      const Image whole = image_of(from.parts(), options);
      CHECK(is_clean(ts::from_bytes(live, whole.bytes)));
      CHECK(image_of(live, options) == whole);
      CHECK(ts::state_dict(to.subject) == ts::state_dict(saved));
    }
  }
  {
    INFO("its own tree into itself, aliasing it and not");
    auto live = make();
    CHECK(ts::load_state_dict(live, ts::state_dict(live)).mismatched.empty());
    CHECK(ts::load_state_dict(live, ts::state_dict(live).clone()).mismatched.empty());
    CHECK(image_of(live) == image_of(saved));
  }
}

}  // namespace laws
