#include "trainstate/codec/memory.hpp"

#include <cstdint>
#include <string>
#include <vector>

#include "support/torch_doctest.hpp"

namespace {

using trainstate::Dtype;
using trainstate::detail::SignFlip;

TEST_CASE("memory: signs that conjugation and negation flip") {
  const auto flipped = [](Dtype dtype, bool conjugated, bool negated) {
    std::vector<std::byte> bytes(48);
    SignFlip::of(dtype, conjugated, negated).value().apply(bytes);
    std::string signs;  // one of each two bytes
    for (std::size_t i = 1; i < bytes.size(); i += 2) {
      CHECK((bytes[i - 1] == std::byte{0} && (bytes[i] == std::byte{0} || bytes[i] == std::byte{0x80})));
      signs += bytes[i] == std::byte{0} ? '.' : '-';
    }
    return signs;
  };
  CHECK(flipped(Dtype::c32, true, false) == ".-.-.-.-.-.-.-.-.-.-.-.-");
  CHECK(flipped(Dtype::c64, true, false) == "...-...-...-...-...-...-");
  CHECK(flipped(Dtype::c64, true, true) == ".-...-...-...-...-...-..");
  CHECK(flipped(Dtype::c64, false, true) == ".-.-.-.-.-.-.-.-.-.-.-.-");
  CHECK(flipped(Dtype::c128, true, false) == ".......-.......-.......-");
  CHECK(flipped(Dtype::f64, false, true) == "...-...-...-...-...-...-");
  CHECK(flipped(Dtype::f16, false, true) == "------------------------");
  CHECK(flipped(Dtype::f32, false, false) == "........................");
  CHECK_FALSE(SignFlip::of(Dtype::i64, false, false).value());
  CHECK(SignFlip::of(Dtype::f32, false, true).value());
  CHECK_FALSE(SignFlip::of(Dtype::i64, false, true));
  CHECK_FALSE(SignFlip::of(Dtype::f32, true, false));

  std::vector<std::byte> one(8);  // less than a step
  SignFlip::of(Dtype::c64, true, false).value().apply(one);
  CHECK(one[7] == std::byte{0x80});
}

TEST_CASE("memory: what is there, and what shall be") {
  const torch::Tensor complex = torch::randn({4}, torch::kComplexFloat);
  for (const torch::Tensor& t :
       {complex, complex.conj(), torch::_neg_view(complex), torch::_neg_view(complex.conj())}) {
    const auto memory = trainstate::detail::as_in_memory(t);
    CHECK(memory.equal(complex));
    CHECK(memory.data_ptr() == t.data_ptr());
    CHECK_FALSE((memory.is_conj() || memory.is_neg()));
    // Written to where `t` is, it is what `t` shows then.
    const auto from = torch::randn({4}, torch::kComplexFloat);
    memory.copy_(trainstate::detail::values_in_memory(t, from));
    CHECK(t.equal(from));
    complex.copy_(torch::randn({4}, torch::kComplexFloat));
  }
}

TEST_CASE("memory: copies of what shows its elements more than once take no more memory than that") {
  const auto copied = [](const torch::Tensor& tensor) {
    const auto copy = trainstate::detail::copy_once_each(tensor, [](const torch::Tensor& t) { return t.clone(); });
    CHECK(copy.equal(tensor));
    CHECK((tensor.numel() == 0 || copy.data_ptr() != tensor.data_ptr()));
    CHECK(trainstate::detail::copy_once_each(tensor, [](const torch::Tensor& t) { return t; }).equal(tensor));
    return copy.storage().nbytes() / copy.element_size();
  };
  const torch::Tensor base = torch::randn({10, 3});
  CHECK(copied(base) == 30);
  CHECK(copied(base[4]) == 3);
  CHECK(copied(base.t()) == 30);
  CHECK(copied(base.slice(1, 0, 3, 2)) == 20);
  CHECK(copied(base[4].expand({100, 3})) == 3);
  CHECK(copied(base.slice(0, 2, 3).expand({4, 3})) == 3);
  CHECK(copied(base[9][2].expand({5, 6})) == 1);
  CHECK(copied(base.view({-1}).unfold(0, 10, 1)) == 30);
  CHECK(copied(torch::zeros({0, 3}).expand({0, 3})) == 0);
}

}  // namespace
