// Out to inference: a trained C++ module as a TorchScript file, which LibTorch and Python load without the module's
// code.
#pragma once

#include <torch/nn/modules/container/any.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"
#include "trainstate/export/checked_trace.hpp"
#include "trainstate/export/options.hpp"
#include "trainstate/export/script_value.hpp"
#include "trainstate/export/scripted_module.hpp"
#include "trainstate/export/trace.hpp"
#include "trainstate/io/atomic_file.hpp"
#include "trainstate/torch/module_tensors.hpp"

namespace trainstate {
namespace detail {

inline constexpr std::size_t most_inputs = 8;

template <class M, std::size_t... i>
constexpr bool takes_tensors(std::index_sequence<i...>) {
  return requires(M & module, at::Tensor & x) { module.forward((static_cast<void>(i), x)...); };
}
template <class M, std::size_t n>
inline constexpr bool takes = takes_tensors<M>(std::make_index_sequence<n>());

/// Calls `f(std::make_index_sequence<n>())` for every number of tensors that forward takes.
template <class M, class F>
void for_each_arity(const F& f) {
  [&]<std::size_t... i>(std::index_sequence<i...>) {
    (
        [&] {
          if constexpr (takes<M, i + 1>) f(std::make_index_sequence<i + 1>());
        }(),
        ...);
  }
  (std::make_index_sequence<most_inputs>());
}

template <class M>
inline constexpr bool takes_any = []<std::size_t... i>(std::index_sequence<i...>) {
  return (takes<M, i + 1> || ...);
}
(std::make_index_sequence<most_inputs>());

template <class M, std::size_t... i>
auto call_forward(M& module, Tensors& inputs, std::index_sequence<i...>) {
  return module.forward(inputs[i]...);
}
template <class M, std::size_t... i>
using ResultOf = decltype(call_forward(std::declval<M&>(), std::declval<Tensors&>(), std::index_sequence<i...>()));

template <class M>
Forward forward_of(M& module) {
  return [&module](const Tensors& inputs) {
    c10::IValue result;
    std::string arities;
    bool found = false;
    for_each_arity<M>([&]<std::size_t... i>(std::index_sequence<i...> indices) {
      using Result = ResultOf<M, i...>;
      static_assert(ScriptType<Result>,
                    "trainstate: TorchScript has no value for what this module's forward returns; return a tensor, or "
                    "std::tuple, pair, array or vector of tensors, or export a module that wraps it");
      arities += (arities.empty() ? "" : " or ") + std::to_string(sizeof...(i));
      if (sizeof...(i) != inputs.size()) return;
      found = true;
      Tensors arguments = inputs;
      result = ScriptValue<Result>::to(call_forward(module, arguments, indices));
    });
    if (!found) {
      throw Error("forward takes " + arities + " tensors, found " + std::to_string(inputs.size()) + " examples");
    }
    return result;
  };
}

/// What forward of an AnyModule returned, if it is one of the usual types.
template <class... Results>
c10::IValue first_of(torch::nn::AnyValue& value) {
  std::optional<c10::IValue> found;
  const auto look = [&]<class Result>(std::type_identity<Result>) {
    if (auto* const result = value.template try_get<Result>(); result && !found) {
      found = ScriptValue<Result>::to(*result);
    }
  };
  (look(std::type_identity<Results>()), ...);
  if (!found) throw Error("an AnyModule's forward returns a type that is not known here; export the module itself");
  return *found;
}

inline Forward forward_of(torch::nn::AnyModule& module) {
  return [&module](const Tensors& inputs) {
    using T = at::Tensor;
    using Pair = std::tuple<T, T>;
    std::optional<c10::IValue> result;
    [&]<std::size_t... n>(std::index_sequence<n...>) {
      const auto call = [&]<std::size_t... i>(std::index_sequence<i...>) {
        if (sizeof...(i) != inputs.size()) return;
        auto value = module.any_forward(T(inputs[i])...);
        result = first_of<T, Pair, std::tuple<T, T, T>, std::tuple<T, Pair>, std::pair<T, T>, std::vector<T>>(value);
      };
      (call(std::make_index_sequence<n + 1>()), ...);
    }
    (std::make_index_sequence<most_inputs>());
    if (!result) throw Error("found " + std::to_string(inputs.size()) + " examples, more than can be passed");
    return *result;
  };
}

inline void write_script(const torch::nn::Module& module, const Forward& forward, const Tensors& examples,
                         const std::filesystem::path& path, const TorchScriptOptions& options) {
  const std::string where = path.string() + ": " + module.name() + ": ";
  const std::string script =
      with_reason(where, [&] { return CheckedTrace(module, forward, examples, options).script(); });
  const auto bytes = std::as_bytes(std::span(script));
  io::AtomicFile file(path, {.sync = options.sync, .overwrite = options.overwrite});
  file.reserve(bytes.size());
  file.write_at(bytes, 0);
  file.commit();
}

}  // namespace detail

/// Writes a module (a ModuleHolder, a shared_ptr, an AnyModule) as a TorchScript file: `torch::jit::load` and
/// `ScriptedModule` load it in C++, `torch.jit.load` in Python. Its forward is traced with the examples, one for each
/// argument: `ts::export_torchscript(net, {x}, "net.pt")`. Submodules, parameters and buffers keep their names; only
/// one that TorchScript cannot have (a keyword as `in`, `training`, the root's `forward`) gets a `_` after it.
///
/// A trace has what forward did with the examples: C++'s own `if` and `for` are gone, and tensors that are not
/// registered are constants. So it has what forward does in the mode that the module is in; call eval() first on one
/// that does something else in training. (Dropout and batch normalisation in training mode are refused.) The batch size
/// may differ, though, even where forward asks for it (LibTorch's LSTM and multi-head attention do); other sizes may
/// where forward does not ask. Before anything is written, the very bytes of the file are loaded and must give what the
/// module gives for the examples, for other values and at other batch sizes.
///
/// The file is written atomically; the same module gives the same bytes. Memory for two or three more copies of the
/// module is needed meanwhile. The module, its gradients and the random number generators are as before. Throws
/// IoError; Error, naming the module and the reason, if forward draws random numbers, reads values of its inputs
/// (`item()`), changes the module or cannot be traced, or if the file would give other results.
template <class Net>
void export_torchscript(const Net& net, const std::vector<at::Tensor>& examples, const std::filesystem::path& path,
                        const TorchScriptOptions& options = {}) {
  constexpr bool is_any = std::is_same_v<Net, torch::nn::AnyModule>;
  static_assert(is_any || detail::ModuleField<Net>,
                "trainstate: export_torchscript takes a module, a ModuleHolder, a shared_ptr or unique_ptr of one, or "
                "an AnyModule");
  if constexpr (is_any) {
    if (net.is_empty()) throw Error(path.string() + ": the AnyModule to export is empty");
    auto module = net;  // another handle of the same module; forward is not const
    detail::write_script(*module.ptr(), detail::forward_of(module), examples, path, options);
  } else if constexpr (detail::ModuleField<Net>) {
    using Module = typename detail::ModuleIn<Net>::type;
    static_assert(detail::takes_any<Module>,
                  "trainstate: forward of this module cannot be called with 1 to 8 tensors, so it cannot be traced; "
                  "export a module that wraps it and whose public forward takes tensors");
    if constexpr (detail::takes_any<Module>) {
      const Module* const module = detail::ModuleIn<Net>::get(net);
      if (!module) throw Error(path.string() + ": the module to export is empty");
      // Forward is not const in LibTorch; whatever it changes is put back and refused.
      detail::write_script(*module, detail::forward_of(const_cast<Module&>(*module)), examples, path, options);
    }
  }
}

}  // namespace trainstate
