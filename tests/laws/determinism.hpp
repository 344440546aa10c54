// Law: the same state is the same bytes, however it came about.
#pragma once

#include "laws/round_trip.hpp"
#include "laws/subject.hpp"
#include "support/torch_doctest.hpp"

namespace laws {

template <class Make, class Blank>
void determinism(const Make& make, const Blank& blank) {
  const auto one = make();
  for (const ts::Format format : {ts::Format::safetensors, ts::Format::pt}) {
    const bool pt = format == ts::Format::pt;
    CAPTURE(pt);
    if (pt && !fits_pt(one)) continue;
    const Image image = image_of(one, {.format = format});
    CHECK(image_of(make(), {.format = format}) == image);
    CHECK(image_of(one, {.format = format, .threads = 1}) == image);
    CHECK(image_of(one, {.format = format, .threads = 7}) == image);
    auto loaded = blank();
    ts::from_bytes(loaded, image.bytes);
    CHECK(image_of(loaded, {.format = format}) == image);
    CHECK(image_of(one, {.format = format}) == image);
  }
}

}  // namespace laws
