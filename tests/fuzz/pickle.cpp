// Any bytes as a pickle: in the machine alone, and as the pickle of an otherwise good archive.
#include "fuzz/fuzz.hpp"

#include "format/hostile.hpp"
#include "trainstate/format/pickle/machine.hpp"

using namespace trainstate::fuzz;
namespace pickle = trainstate::format::pickle;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = text_of(data, size);
  const auto end = accepted(size, [&] {
    pickle::Objects objects;
    pickle::Machine machine(std::as_bytes(std::span(text)), "", objects);
    require(machine.run() < objects.size(), "a pickle makes an object");
    return machine.position();
  });
  const std::string file = trainstate::tests::archive(text, {std::string(64, 'x'), "\1"});
  const auto document = accepted(file.size(), [&] { return Pt::read(file, true); });
  require(!document || end == size, "what an archive's pickle says is what its pickle alone says");
  if (document) check_document(*document);
  return 0;
}
