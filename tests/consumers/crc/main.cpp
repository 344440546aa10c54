// A user's program that takes a CRC-32: by the library that was found, and with the result that it must have.
#include <span>
#include <string_view>
#include <trainstate/format/zip/crc.hpp>

int main() {
#ifdef TRAINSTATE_WITH_LIBDEFLATE
  constexpr bool by_libdeflate = true;
#else
  constexpr bool by_libdeflate = false;
#endif
  const std::string_view text = "123456789";
  const auto crc = trainstate::format::zip::crc32(std::as_bytes(std::span(text)));
  return by_libdeflate == HAS_LIBDEFLATE && crc == 0xCBF43926 ? 0 : 1;
}
