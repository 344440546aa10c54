// Law: a load that throws, and a check, change nothing.
#pragma once

#include <string>
#include <utility>

#include "laws/subject.hpp"
#include "support/torch_doctest.hpp"

namespace laws {

template <class Make, class Blank>
void all_or_nothing(const Make& make, const Blank& blank) {
  using namespace ts::literals;
  auto live = blank();
  int bad = 7;
  const Image before = image_of(live);
  const Memory memory = memory_of(live);
  const auto unchanged = [&] { return image_of(live) == before && memory_of(live) == memory && bad == 7; };

  SUBCASE("another part, after it, does not fit") {
    const Image image = image_of(ts::checkpoint("subject"_key = make(), "bad"_key = std::string("no number")));
    auto checkpoint = ts::checkpoint("subject"_key = live, "bad"_key = bad);
    CHECK_THROWS_AS(ts::from_bytes(checkpoint, image), ts::MismatchError);
    CHECK(unchanged());
  }
  SUBCASE("another part, before it, does not fit") {
    const Image image = image_of(ts::checkpoint("bad"_key = std::string("no number"), "subject"_key = make()));
    auto checkpoint = ts::checkpoint("bad"_key = bad, "subject"_key = live);
    CHECK_THROWS_AS(ts::from_bytes(checkpoint, image), ts::MismatchError);
    CHECK(unchanged());
  }
  SUBCASE("it is missing") {
    const Image image = image_of(ts::checkpoint("bad"_key = 8));
    auto checkpoint = ts::checkpoint("subject"_key = live, "bad"_key = bad);
    CHECK_THROWS_AS(ts::from_bytes(checkpoint, image), ts::MismatchError);
    CHECK(unchanged());
    CHECK(ts::from_bytes(checkpoint, image, {.allow_missing = true}).missing_keys ==
          std::vector<std::string>{"subject"});
    CHECK(bad == 8);
    bad = 7;
    CHECK(unchanged());
  }
  SUBCASE("something altogether different stands in its place") {
    const ts::StateDict wrong{{"subject", ts::StateDict{{"no", ts::StateDict{{"such", "thing"}}}}}, {"bad", 8}};
    auto checkpoint = ts::checkpoint("subject"_key = live, "bad"_key = bad);
    CHECK_THROWS_AS(ts::load_state_dict(checkpoint, wrong), ts::Error);
    CHECK(unchanged());
  }
  SUBCASE("the last byte of the file is another") {
    Image image = image_of(ts::checkpoint("subject"_key = make(), "bad"_key = at::full({1}, 3)));
    image.back() ^= std::byte{1};
    at::Tensor tensor = at::full({1}, 5);
    auto checkpoint = ts::checkpoint("subject"_key = live, "bad"_key = tensor);
    CHECK_THROWS_AS(ts::from_bytes(checkpoint, image), ts::IntegrityError);
    CHECK(unchanged());
    CHECK(tensor.item<std::int64_t>() == 5);
  }
}

}  // namespace laws
