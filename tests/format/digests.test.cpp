#include "trainstate/format/digests.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "format/samples.hpp"

namespace io = trainstate::io;
using trainstate::Dtype;
using trainstate::TensorInfo;
using namespace trainstate::tests;

TEST_CASE("digests of pieces in any division") {
  const TensorInfo t = tensor(Dtype::u8, {1000});
  const auto bytes = t.bytes();
  const std::vector<std::uint64_t> sizes{10, 0, 990};
  trainstate::format::Digests digests(sizes);
  digests.update({0, 2, 0, 10}, bytes.first(10));
  digests.update({2, 3, 0, 500}, bytes.subspan(10, 500));
  digests.update({2, 3, 500, 490}, bytes.subspan(510));
  CHECK(digests.all()[0] == io::checksum(bytes.first(10)));
  CHECK(digests.all()[1] == io::checksum({}));
  CHECK(digests.all()[2] == io::checksum(bytes.subspan(10)));
}
