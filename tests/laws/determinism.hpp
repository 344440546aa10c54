// Law: the same state is the same bytes, however it came about.
#pragma once

#include "laws/subject.hpp"
#include "support/torch_doctest.hpp"

namespace laws {

template <class Make, class Blank>
void determinism(const Make& make, const Blank& blank) {
  const auto one = make();
  const Image image = image_of(one);
  CHECK(image_of(make()) == image);
  CHECK(image_of(one, {.threads = 1}) == image);
  CHECK(image_of(one, {.threads = 7}) == image);
  auto loaded = blank();
  ts::from_bytes(loaded, image.bytes);
  CHECK(image_of(loaded) == image);
  CHECK(image_of(one) == image);
}

}  // namespace laws
