// What the fuzz targets share. A target takes any bytes, and aborts where a promise of the library is broken: that
// nothing but ts::Error is thrown, that reading takes memory in proportion to the file, that whatever was read can be
// written and read again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "support/memory_use.hpp"
#include "trainstate/error.hpp"
#include "trainstate/format/document.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace trainstate::fuzz {

using format::Document;

inline void require(bool kept, std::string_view promise) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %.*s\n", static_cast<int>(promise.size()), promise.data());
  std::abort();
}

inline std::string text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// What `read` gives; nothing if it refuses the input. Takes no more memory than an input of this size may.
template <class Read>
auto accepted(std::size_t size, Read&& read) -> std::optional<decltype(read())> {
  std::optional<decltype(read())> result;
  const std::size_t peak = tests::peak_of([&] {
    try {
      result = read();
    } catch (const Error&) {
    }
  });
  if (peak > format::memory_bound(size)) std::fprintf(stderr, "%zu bytes took %zu of memory\n", size, peak);
  require(peak <= format::memory_bound(size), "reading takes memory in proportion to the file");
  return result;
}

/// Whether a document's tensors are small written out: one may show its storage again and again, and then is as large
/// as it looks.
bool is_small(const Document& document);

/// The two formats, on one thread.
struct Safetensors {
  static std::string write(const Document& document);
  static Document read(const std::string& file, bool verify);
};
struct Pt {
  static std::string write(const Document& document);
  static Document read(const std::string& file, bool verify);
};

/// What is in a file; what a reader found besides does not count.
bool same(const Document& a, const Document& b);

/// Whatever was read can be used, and written as safetensors; as .pt, too, unless that format has no place for it. Both
/// read as the same document, which gives the same bytes.
void check_document(Document document);

/// A safetensors file with the checksums of its tensors and its header set right, if it has a place for them: no fuzzer
/// would guess them.
std::string with_checksums(std::string file);

/// An archive with the CRCs of all entries, and the checksums of storages where it has such a record, set right.
std::string with_crcs(const std::string& file);

}  // namespace trainstate::fuzz
