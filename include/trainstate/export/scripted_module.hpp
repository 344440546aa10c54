// TorchScript files, called with a typed signature.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cerrno>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "trainstate/codec/plan.hpp"
#include "trainstate/error.hpp"
#include "trainstate/export/script_value.hpp"
#include "trainstate/io/posix.hpp"
#include "trainstate/torch/device.hpp"

namespace trainstate {
namespace detail {

/// Runs `f`; whatever it throws, but for a lack of memory, becomes an E whose text is `prefix` and the reason.
template <class E = Error, class F>
decltype(auto) with_reason(const std::string& prefix, F&& f) {
  try {
    return f();
  } catch (const Error&) {
    rethrow_with_prefix(prefix);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& e) {
    throw E(prefix + text_of(e));
  }
}

/// Reads a TorchScript file. Throws IoError, FormatError; Error if there is no such device.
inline torch::jit::Module read_script(const std::filesystem::path& path, std::optional<c10::Device> device) {
  struct stat status {};
  if (io::posix().stat(path.c_str(), &status) != 0) io::throw_io_error(path, "cannot be read", errno);
  io::require_regular(path, status);
  if (device && !is_present(*device)) {
    throw Error(path.string() + ": is to be loaded to " + device->str() + ", which this machine has not");
  }
  return with_reason<FormatError>(path.string() + ": cannot be read as TorchScript: ", [&] {
    torch::jit::Module module;
    if (device) {
      module = torch::jit::load(path.string(), *device);
    } else {
      module = torch::jit::load(path.string());
    }
    // Not by eval(): a frozen module has no such attribute, and eval() wants one everywhere.
    for (torch::jit::Module part : module.modules()) {
      if (part.hasattr("training")) part.setattr("training", false);
    }
    return module;
  });
}

/// What is different between the forward of a file and the types that a program gives it; empty if nothing is.
template <class Result, class... Args>
std::string signature_difference(const c10::FunctionSchema& schema) {
  const auto& arguments = schema.arguments();  // the first is the module
  std::size_t at_least = 1;
  while (at_least < arguments.size() && !arguments[at_least].default_value()) ++at_least;
  constexpr std::size_t given = sizeof...(Args) + 1;
  if (given < at_least || given > arguments.size()) {
    return "expected " + std::to_string(given - 1) + " arguments, found " + std::to_string(arguments.size() - 1);
  }
  std::string text;
  std::size_t i = 0;
  const auto compare = [&]<class T>(std::type_identity<T>) {
    const auto& argument = arguments[++i];
    if (!text.empty() || ScriptValue<T>::accepts(*argument.type())) return;
    text = "argument " + argument.name() + ": expected " + ScriptValue<T>::name() + ", found " + argument.type()->str();
  };
  (compare(std::type_identity<Args>()), ...);
  if (!text.empty()) return text;
  const c10::Type& result = *schema.returns().at(0).type();
  if (ScriptValue<Result>::accepts(result)) return "";
  return "result: expected " + ScriptValue<Result>::name() + ", found " + result.str();
}

}  // namespace detail

template <class Signature>
class ScriptedModule;

/// A module from a TorchScript file, which `export_torchscript` or Python (`torch.jit.trace`, `torch.jit.script`)
/// wrote, called as a function: `ts::ScriptedModule<at::Tensor(at::Tensor)> net("net.pt")`, then `net(x)`. Arguments
/// and results are tensors, bool, std::int64_t, double and std::string, and optionals, tuples, pairs, arrays, vectors
/// and maps of them. An output that is None is an undefined tensor. The module is in eval mode, and calls record no
/// gradients. A TorchScript file is a program: load none that you do not trust.
template <class Result, class... Args>
class ScriptedModule<Result(Args...)> {
  static_assert(detail::ScriptType<Result> && (detail::ScriptType<std::remove_cvref_t<Args>> && ...),
                "trainstate: a ScriptedModule takes and returns tensors, bool, std::int64_t, double, std::string, and "
                "std::optional, tuple, pair, array, vector and map<std::string, …> of them");

 public:
  /// Loads the file, to `device` or to where its tensors were. Throws IoError; FormatError if it is no TorchScript file
  /// that this LibTorch reads; Error if there is no such device, or if its forward has other arguments or another
  /// result.
  explicit ScriptedModule(const std::filesystem::path& path, std::optional<c10::Device> device = std::nullopt)
      : where_(path.string() + ": forward: "), module_(detail::read_script(path, device)) {
    const auto forward = module_.find_method("forward");
    if (!forward) throw Error(path.string() + ": expected a module with a forward, found none");
    const auto difference =
        detail::signature_difference<Result, std::remove_cvref_t<Args>...>(forward->function().getSchema());
    if (!difference.empty()) throw Error(where_ + difference);
  }

  /// Runs forward. Throws Error with LibTorch's reason if that fails.
  Result operator()(const std::remove_cvref_t<Args>&... args) const {
    return detail::with_reason(where_, [&] {
      const c10::NoGradGuard no_grad;
      std::vector<c10::IValue> stack{detail::ScriptValue<std::remove_cvref_t<Args>>::to(args)...};
      return detail::ScriptValue<Result>::from(module_.get_method("forward")(std::move(stack)));
    });
  }

  /// LibTorch's own object, for what this class has not: its parameters, other methods, other devices.
  [[nodiscard]] const torch::jit::Module& module() const noexcept { return module_; }
  [[nodiscard]] torch::jit::Module& module() noexcept { return module_; }

 private:
  std::string where_;
  torch::jit::Module module_;
};

}  // namespace trainstate
