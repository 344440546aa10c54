// What a file was written with, and how that differs from what reads it.
#pragma once

#include <ATen/detail/CUDAHooksInterface.h>
#include <torch/version.h>

#include <array>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "trainstate/codec/assemble.hpp"
#include "trainstate/state_dict.hpp"
#include "trainstate/version.hpp"

namespace trainstate {

/// The programs that a file's numbers depend on, as it stands in the manifest. It says nothing of the machine, so that
/// the same state is the same bytes on all that have the same programs.
struct Environment {
  std::string trainstate, libtorch, compiler;
  std::string cuda;  ///< `12.1`; empty where LibTorch has none
  bool operator==(const Environment&) const = default;
};

/// That of this process. Does not wake a GPU.
inline const Environment& environment() {
  static const Environment here = [] {
    Environment e;
    e.trainstate = version_text;
    e.libtorch = TORCH_VERSION;
#if defined(__clang__)
    e.compiler = "clang " __clang_version__;
#else
    e.compiler = "g++ " __VERSION__;
#endif
    const auto& hooks = at::detail::getCUDAHooks();
    if (hooks.hasCUDART()) {
      const long version = hooks.versionCUDART();  // 12010 is 12.1
      e.cuda = std::to_string(version / 1000) + '.' + std::to_string(version % 1000 / 10);
    }
    return e;
  }();
  return here;
}

namespace detail {

/// Stamps a manifest with this process and with the devices of the tensors.
inline void note_environment(StateDict& manifest, const std::set<std::string>& devices) {
  const Environment& here = environment();
  manifest["trainstate"] = here.trainstate;
  manifest["libtorch"] = here.libtorch;
  manifest["compiler"] = here.compiler;
  if (!here.cuda.empty()) manifest["cuda"] = here.cuda;
  manifest["devices"] = List(devices.begin(), devices.end());
}

/// `0.1` of `0.1.7`.
inline std::string_view without_patch(std::string_view version) {
  const auto minor = version.find('.');
  return minor == std::string_view::npos ? version : version.substr(0, version.find('.', minor + 1));
}

inline constexpr const char* last_bits = ": results of further training may differ in the last bits";

/// How a file's stamp differs from `here`, for a person; empty if it does not, or if the file has none.
inline std::string environment_difference(const StateDict& manifest, const Environment& here) {
  const bool has_stamp = manifest.find_key("devices") != nullptr;  // the first files have none of CUDA
  std::string theirs, ours;
  const auto compare = [&](const char* key, const char* label, std::string_view live, bool empty_counts) {
    const std::string_view there = text_in(manifest, std::string(key));
    const bool by_minor = std::string_view(key) == "trainstate";
    if (by_minor ? without_patch(there) == without_patch(live) : there == live) return;
    if (there.empty() && !empty_counts) return;
    const auto add = [&](std::string& to, std::string_view version) {
      to += (to.empty() ? "" : ", ") + (version.empty() ? std::string("no ") : std::string()) + label;
      if (!version.empty()) to += (*label ? " " : "") + std::string(version);
    };
    add(theirs, there);
    add(ours, live);
  };
  compare("trainstate", "trainstate", here.trainstate, false);
  compare("libtorch", "LibTorch", here.libtorch, false);
  compare("compiler", "", here.compiler, false);
  compare("cuda", "CUDA", here.cuda, has_stamp);
  if (theirs.empty()) return {};
  return "written with " + theirs + ", this is " + ours + last_bits;
}

/// What to say of a device whose tensors a file has, and that is not here.
inline std::string absent_device_text(const std::string& device) {
  return "written with tensors on " + device + ", which is not here" + last_bits;
}

}  // namespace detail
}  // namespace trainstate
