// Any bytes as a safetensors file: as they are, and once more with right checksums, which no fuzzer would guess.
#include "fuzz/fuzz.hpp"

using namespace trainstate::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string file = text_of(data, size);
  for (const std::string& candidate : {file, with_checksums(file)}) {
    const auto document = accepted(size, [&] { return Safetensors::read(candidate, false); });
    if (!document) continue;
    check_document(*document);
    if (candidate != file) require(same(Safetensors::read(candidate, true), *document), "verifying changes nothing");
  }
  return 0;
}
