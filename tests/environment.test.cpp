// The stamp of a file, and what a load says where it is another one.
#include "trainstate/environment.hpp"

#include "support/torch_doctest.hpp"
#include "trainstate/checkpoint.hpp"

namespace ts = trainstate;

namespace {

/// The warnings of a load of a file whose manifest was changed by `edit`.
template <class Edit>
std::vector<std::string> warnings_after(const Edit& edit, ts::Format format = ts::Format::safetensors) {
  auto tensor = torch::ones({2});
  auto document = ts::detail::document_of(ts::detail::save_object(tensor), {});
  edit(*document.manifest);
  return ts::from_bytes(tensor, ts::format::write_document(document, format, {})).warnings;
}

const std::string last_bits = ": results of further training may differ in the last bits";

TEST_CASE("the stamp of a file: the programs and the devices, nothing of the machine") {
  const auto tensor = torch::ones({2});
  const auto document = ts::detail::document_of(ts::detail::save_object(tensor), {});
  const auto& here = ts::environment();
  CHECK(here.trainstate == ts::version_text);
  CHECK(here.libtorch == TORCH_VERSION);
  CHECK(here.cuda.empty() != at::detail::getCUDAHooks().hasCUDART());
  CHECK(document.manifest->at<std::string>("compiler") == here.compiler);
  CHECK(document.manifest->contains("cuda") != here.cuda.empty());
  const auto& devices = document.manifest->at<ts::BasicList<ts::TensorInfo>>("devices");
  REQUIRE(devices.size() == 1);
  CHECK(devices[0].as<std::string>() == "cpu");
}

TEST_CASE("a file of this environment is no reason for a warning, nor is another patch of trainstate") {
  for (const ts::Format format : {ts::Format::safetensors, ts::Format::pt}) {
    CHECK(warnings_after([](auto&) {}, format).empty());
    const auto patched = [](auto& manifest) {
      const std::string version(ts::version_text);
      manifest.set("trainstate", version.substr(0, version.rfind('.')) + ".1234");
    };
    CHECK(warnings_after(patched, format).empty());
  }
}

TEST_CASE("another environment is a warning that names both") {
  const auto& here = ts::environment();
  for (const ts::Format format : {ts::Format::safetensors, ts::Format::pt}) {
    const auto other = warnings_after([](auto& manifest) { manifest.set("libtorch", "0.4.1"); }, format);
    CHECK(other ==
          std::vector<std::string>{"written with LibTorch 0.4.1, this is LibTorch " + here.libtorch + last_bits});
  }
  const auto all = warnings_after([](auto& manifest) {
    manifest.set("trainstate", "77.0.0");
    manifest.set("libtorch", "0.4.1");
    manifest.set("compiler", "cc 1");
    manifest.set("cuda", "5.5");
  });
  const std::string cuda = here.cuda.empty() ? "no CUDA" : "CUDA " + here.cuda;
  CHECK(all == std::vector<std::string>{"written with trainstate 77.0.0, LibTorch 0.4.1, cc 1, CUDA 5.5, this is "
                                        "trainstate " +
                                        here.trainstate + ", LibTorch " + here.libtorch + ", " + here.compiler + ", " +
                                        cuda + last_bits});
}

TEST_CASE("CUDA on this side only, and files from before it was written down") {
  const auto& here = ts::environment();
  ts::StateDict manifest;
  ts::detail::note_environment(manifest, {});
  ts::Environment with_cuda = here;
  with_cuda.cuda = "12.1";
  manifest.erase("cuda");
  CHECK(ts::detail::environment_difference(manifest, with_cuda) ==
        "written with no CUDA, this is CUDA 12.1" + last_bits);
  manifest.erase("devices");
  CHECK(ts::detail::environment_difference(manifest, with_cuda).empty());
  CHECK(ts::detail::environment_difference({}, with_cuda).empty());
}

TEST_CASE("tensors of a device that is not here") {
  const auto with_devices = [](auto list) {
    return warnings_after([&](auto& manifest) { manifest.set("devices", ts::BasicList<ts::TensorInfo>(list)); });
  };
  using Names = std::vector<ts::BasicValue<ts::TensorInfo>>;
  CHECK(with_devices(Names{"cpu", "cuda:99"}) ==
        std::vector<std::string>{"written with tensors on cuda:99, which is not here" + last_bits});
  CHECK(with_devices(Names{"abacus"}).size() == 1);
  CHECK(with_devices(Names{7}).empty());
}

TEST_CASE("a stamp that is no stamp is passed over") {
  CHECK(warnings_after([](auto& manifest) {
          manifest.set("libtorch", 7);
          manifest.set("devices", "cpu");
        }).empty());
}

}  // namespace
