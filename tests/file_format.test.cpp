#include "trainstate/file_format.hpp"

#include <doctest/doctest.h>

using trainstate::Format;
using trainstate::format_of;

TEST_CASE("file format: .pt and .pth are PyTorch's, everything else is safetensors") {
  CHECK(format_of("run/model.pt") == Format::pt);
  CHECK(format_of("model.pth") == Format::pt);
  CHECK(format_of("model.safetensors") == Format::safetensors);
  CHECK(format_of("model") == Format::safetensors);
  CHECK(format_of("model.pt.backup") == Format::safetensors);
  CHECK(format_of("folder.pt/model") == Format::safetensors);
  CHECK(format_of(".pt") == Format::safetensors);  // a hidden file without an extension
}
