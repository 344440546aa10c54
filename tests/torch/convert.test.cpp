#include "trainstate/torch/convert.hpp"

#include <cstring>
#include <string>
#include <vector>

#include "support/torch_doctest.hpp"

namespace ts = trainstate;
using ts::detail::DeviceBytes;
using ts::detail::to_info;
using ts::detail::to_tensor;

TEST_CASE("convert: a tensor and its info share memory, either way") {
  torch::Tensor tensor = torch::randn({4, 6}).t();
  const auto info = to_info(tensor);
  CHECK(info.shape == tensor.sizes().vec());
  CHECK(info.strides == tensor.strides().vec());
  CHECK(static_cast<const void*>(info.storage->data + info.offset) == tensor.data_ptr());
  CHECK_FALSE(info.fetch);
  torch::Tensor back = to_tensor(info).value();
  CHECK(back.data_ptr() == tensor.data_ptr());
  CHECK(back.strides() == tensor.strides());
  const auto* const at = static_cast<const float*>(tensor.data_ptr());
  tensor = torch::Tensor();
  CHECK(back.data_ptr() == at);  // kept alive by the info
  CHECK(torch::isfinite(back).all().item<bool>());
}

TEST_CASE("convert: views keep their offset; lazy conjugates and negations are resolved") {
  const torch::Tensor base = torch::randn({10, 3});
  const auto info = to_info(base[4]);
  CHECK(info.offset == 4 * 3 * sizeof(float));
  const torch::Tensor complex = torch::randn({5}, torch::kComplexFloat);
  const auto conjugate = to_info(torch::conj(complex));
  CHECK(torch::equal(to_tensor(conjugate).value(), torch::conj(complex).resolve_conj()));
  const auto imaginary = to_info(torch::imag(torch::conj(complex)));
  CHECK(torch::equal(to_tensor(imaginary).value(), torch::imag(torch::conj(complex)).resolve_neg()));
}

TEST_CASE("convert: no elements, no dimensions") {
  CHECK(to_tensor(to_info(torch::zeros({0, 3}))).value().sizes() == at::IntArrayRef({0, 3}));
  CHECK(to_tensor(to_info(torch::tensor(2.5))).value().item<double>() == 2.5);
}

TEST_CASE("convert: what no format stores is refused by name") {
  const auto text_of = [](const torch::Tensor& tensor) {
    try {
      to_info(tensor);
    } catch (const ts::Error& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK(text_of(torch::eye(3).to_sparse()).find("sparse") != std::string::npos);
  CHECK(text_of(torch::empty({2}, torch::kMeta)).find("meta") != std::string::npos);
  CHECK(text_of(torch::quantize_per_tensor(torch::ones({2}), 0.1, 0, torch::kQInt8)).find("quantized") !=
        std::string::npos);
}

// On the CPU, where both sides can be seen; other devices go the same way.
TEST_CASE("convert: the bytes of a device's tensor come in any pieces, those of a strided one in dense order") {
  for (const torch::Tensor& tensor :
       {torch::randn({40, 30}), torch::randn({40, 30}).t(),
        torch::randn({8, 3, 5, 5}).contiguous(at::MemoryFormat::ChannelsLast),
        torch::randint(0, 2, {77}).to(torch::kBool), torch::randn({9}, torch::kComplexDouble), torch::tensor(3.0)}) {
    const torch::Tensor dense = tensor.contiguous();
    const auto* const expected = static_cast<const char*>(dense.data_ptr());
    const std::size_t size = dense.nbytes();
    DeviceBytes bytes(tensor);
    for (const std::size_t piece : {size, std::size_t{7}, std::size_t{1}}) {
      std::vector<std::byte> found(size);
      for (std::size_t at = 0; at < size; at += piece) {
        bytes.copy(at, std::span(found).subspan(at, std::min(piece, size - at)));
      }
      CHECK(std::memcmp(found.data(), expected, size) == 0);
    }
    std::vector<std::byte> one(1);
    bytes.copy(size - 1, one);
    CHECK(std::memcmp(one.data(), expected + size - 1, 1) == 0);
  }
}
