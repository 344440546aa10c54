// Law: a load that throws changes nothing.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "laws/subject.hpp"
#include "support/torch_doctest.hpp"

namespace laws {

template <class Make, class Blank>
void all_or_nothing(const Make& make, const Blank& blank) {
  Run run(blank(), 3, 4);
  auto live = run.parts();
  const Image image = image_of(live);
  const Memory memory = memory_of(live);
  const auto unchanged = [&] { return image_of(live) == image && memory_of(live) == memory; };
  {
    INFO("the part after it does not fit");
    Run other(make(), 1, 2);
    other.after = torch::zeros({3});
    CHECK_THROWS_AS(ts::from_bytes(live, image_of(other.parts()).bytes), ts::MismatchError);
    CHECK(unchanged());
  }
  {
    INFO("the part before it does not fit");
    Run other(make(), 1, 2);
    other.before = torch::zeros({3});
    CHECK_THROWS_AS(ts::from_bytes(live, image_of(other.parts()).bytes), ts::MismatchError);
    CHECK(unchanged());
  }
  {
    INFO("the last byte of the file is another");
    Image broken = image_of(Run(make(), 1, 2).parts());
    broken.bytes.back() ^= std::byte{1};
    CHECK_THROWS_AS(ts::from_bytes(live, broken.bytes), ts::IntegrityError);
    CHECK(unchanged());
  }
  {
    INFO("it is missing");
    const ts::StateDict rest{{"before", torch::full({2}, 3)}, {"after", torch::full({3}, 4)}};
    try {
      ts::load_state_dict(live, rest);
      FAIL_CHECK("a part is missing and another one too long");
    } catch (const ts::MismatchError& e) {
      CHECK(e.report().missing_keys == std::vector<std::string>{"subject"});
    }
    CHECK(unchanged());
  }
  {
    INFO("something altogether different stands in its place");
    const ts::StateDict wrong{{"before", torch::full({2}, 3)},
                              {"subject", ts::StateDict{{"no", ts::StateDict{{"such", "thing"}}}}},
                              {"after", torch::full({2}, 4)}};
    try {
      ts::load_state_dict(live, wrong);
      CHECK(ts::state_dict(live).contains("subject/no/such"));  // it takes whatever comes
    } catch (const ts::Error&) {
      CHECK(image_of(live) == image);  // in other memory, where a load_state_dict() of its own had to be undone
    }
  }
}

}  // namespace laws
