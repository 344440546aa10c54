// Any bytes as a .pt file, in either container: as they are, and once more with right checksums.
#include "fuzz/fuzz.hpp"

using namespace trainstate::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string file = text_of(data, size);
  for (const std::string& candidate : {file, with_crcs(file)}) {
    const auto document = accepted(candidate.size(), [&] { return Pt::read(candidate, false); });
    if (!document) continue;
    check_document(*document);
    if (candidate == file) continue;
    const auto verified = Pt::read(candidate, true);
    if (is_small(*document)) require(same(verified, *document), "verifying changes nothing");
  }
  return 0;
}
