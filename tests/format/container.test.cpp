#include "trainstate/format/container.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"

using namespace trainstate::tests;
using trainstate::Dtype;
using trainstate::Format;
using trainstate::TensorInfo;
namespace format = trainstate::format;

namespace {

constexpr Format formats[] = {Format::safetensors, Format::pt};

// The tensor as it would be in memory that the processor cannot address: its address must never be used.
TensorInfo on_device(const TensorInfo& tensor, std::atomic<int>& fetches) {
  TensorInfo there = tensor;
  auto* const nowhere = reinterpret_cast<std::byte*>(std::uintptr_t{64} * static_cast<unsigned>(tensor.numel()));
  const trainstate::Storage storage{nullptr, nowhere, tensor.storage->size, "cuda:0"};
  there.storage = std::make_shared<const trainstate::Storage>(storage);
  using Fetch = std::function<void(std::size_t, std::span<std::byte>)>;
  there.fetch = std::make_shared<const Fetch>([tensor, &fetches](std::size_t at, std::span<std::byte> to) {
    ++fetches;
    format::copy_dense(tensor, at, to);
  });
  return there;
}

}  // namespace

TEST_CASE("container: what is read is decided by the bytes, not by the name") {
  const TemporaryFolder folder;
  format::Document document;
  document.tree["w"] = tensor(Dtype::f32, {3, 5});
  for (const Format written : formats) {
    format::write_document(document, folder / "file.any", written);
    const auto bytes = format::write_document(document, written);
    CHECK(contents(folder / "file.any") == text_of(bytes));
    CHECK(format::looks_like_pt(bytes) == (written == Format::pt));
    CHECK(format::read_document(folder / "file.any", {.verify = true}).tree == document.tree);
    CHECK(format::read_document(storage_of(bytes), "bytes").tree == document.tree);
  }
  CHECK_THROWS_AS(static_cast<void>(format::read_document(folder / "absent")), trainstate::IoError);
}

TEST_CASE("container: tensors of a device are fetched in pieces, and make the bytes that others make") {
  const TemporaryFolder folder;
  const TensorInfo large = tensor(Dtype::f32, {1000, 1500}, 1, "cuda:0"), small = tensor(Dtype::i64, {7}, 2, "cuda:0");
  TensorInfo turned = tensor(Dtype::f32, {900, 700}, 3, "cuda:0");
  std::swap(turned.shape[0], turned.shape[1]);
  std::swap(turned.strides[0], turned.strides[1]);
  format::Document here, there;
  std::atomic<int> fetches{0};
  for (const auto& [name, value] :
       {std::pair("large", large), std::pair("small", small), std::pair("turned", turned)}) {
    here.tree[name] = value;
    there.tree[name] = on_device(value, fetches);
  }
  there.tree["tied"] = there.tree.at("large");
  here.tree["tied"] = here.tree.at("large");
  for (const Format written : formats) {
    const auto expected = format::write_document(here, written);
    for (const unsigned threads : {1U, 4U}) {
      fetches = 0;
      CHECK((format::write_document(there, written, {.threads = threads}) == expected));
      CHECK(fetches >= 9);  // 6 MB and 2.5 MB in pieces of a MiB, and the small one
      CHECK(fetches <= 12);
    }
    format::write_document(there, folder / "file", written);
    CHECK(contents(folder / "file") == text_of(expected));
  }
  CHECK(there.tree.clone() == here.tree);
  CHECK(there.tree == here.tree);
}

TEST_CASE("container: what fetching throws ends the save, and the old file stays") {
  const TemporaryFolder folder;
  put(folder / "file", "old");
  std::atomic<int> fetches{0};
  TensorInfo failing = on_device(tensor(Dtype::f32, {1000, 1500}), fetches);
  using Fetch = std::function<void(std::size_t, std::span<std::byte>)>;
  failing.fetch = std::make_shared<const Fetch>([&](std::size_t at, std::span<std::byte>) {
    if (at != 0) throw std::runtime_error("the device is gone");
  });
  format::Document document;
  document.tree["w"] = failing;
  for (const Format written : formats) {
    CHECK_THROWS_WITH_AS(format::write_document(document, folder / "file", written), "the device is gone",
                         std::runtime_error);
    CHECK(contents(folder / "file") == "old");
    CHECK(folder.names().size() == 1);
  }
}
