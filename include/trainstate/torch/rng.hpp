// The states of LibTorch's random number generators: `ts::Rng` stands for all default ones, and a generator of one's
// own is an object like any other.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <c10/util/Exception.h>
#include <torch/cuda.h>

#include <concepts>
#include <mutex>
#include <optional>
#include <string>
#include <typeinfo>
#include <utility>

#include "trainstate/codec/codec.hpp"
#include "trainstate/codec/component.hpp"
#include "trainstate/migrate.hpp"

namespace trainstate {

/// The default generators of the CPU and of every CUDA device, wherever they are: `"rng"_key = ts::Rng{}`. Saved as
/// `{"cpu": state, "cuda": {0: state, …}}`, the bytes of Python's `torch.get_rng_state()`; loaded after everything
/// else. A device that only the file or only this machine has is a warning.
struct Rng {
  bool operator==(const Rng&) const = default;
};

namespace detail {

inline at::Tensor generator_state(const at::Generator& generator) {
  at::Generator handle = generator;
  const std::lock_guard lock(handle.mutex());
  return handle.get_state();
}

/// A generator of the same kind, to try a state on. What LibTorch's clone() makes is never freed, so LibTorch's own for
/// the CPU is made anew.
inline at::Generator another_of(const at::Generator& generator) {
  const c10::GeneratorImpl& impl = *generator.unsafeGetGeneratorImpl();
  if (typeid(impl) == typeid(at::CPUGeneratorImpl)) return at::make_generator<at::CPUGeneratorImpl>();
  at::Generator handle = generator;
  const std::lock_guard lock(handle.mutex());
  return handle.clone();
}

/// The state in a value, if this generator takes it; else nothing, and a mismatch. It is tried on another one.
inline std::optional<at::Tensor> expect_generator_state(const at::Generator& generator, const Value& value,
                                                        LoadContext& context) {
  const auto* tensor = value.get_if<at::Tensor>();
  if (tensor && tensor->defined() && tensor->scalar_type() == at::kByte && tensor->dim() == 1) {
    try {
      at::Tensor state = tensor->detach().cpu().clone(at::MemoryFormat::Contiguous);
      another_of(generator).set_state(state);
      return state;
    } catch (const c10::Error& e) {
      context.mismatch("the state of this generator", value.describe() + " (" + e.what_without_backtrace() + ")");
      return std::nullopt;
    }
  }
  context.mismatch("the state of a generator, a list of uint8", value.describe());
  return std::nullopt;
}

inline void plan_generator(const at::Generator& generator, const Value& value, LoadContext& context) {
  if (auto state = expect_generator_state(generator, value, context)) {
    context.plan->assign_last([handle = generator, held = *std::move(state)]() mutable noexcept {
      const std::lock_guard lock(handle.mutex());
      handle.set_state(held);
    });
  }
}

/// Code of the user's that runs during a load (constructors of what is built, hooks, a `load_state_dict`) may draw from
/// a generator. That is no part of its state after the load, nor when the load fails.
inline void put_back_later(const at::Generator& generator, NamesContext& context) {
  if (!context.loads) return;
  context.put_back.push_back([handle = generator, state = generator_state(generator)]() mutable {
    const std::lock_guard lock(handle.mutex());
    handle.set_state(state);
  });
}

inline const at::Generator& cuda_generator(std::int64_t device) {
  return at::globalContext().defaultGenerator(c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device)));
}

template <std::same_as<Rng> Only>
struct TorchCodec<Only> {
  static constexpr bool is_object = true;

  static Value save(const Rng&, SaveContext& context) {
    context.note_component("rng", 1, "flat");
    StateDict dict;
    dict["cpu"] = generator_state(at::detail::getDefaultCPUGenerator());
    if (devices() != 0) {
      StateDict cuda;
      for (std::int64_t i = 0; i < devices(); ++i) cuda[i] = generator_state(cuda_generator(i));
      dict["cuda"] = std::move(cuda);
    }
    return dict;
  }

  static void collect(const Rng&, NamesContext& context) {
    put_back_later(at::detail::getDefaultCPUGenerator(), context);
    for (std::int64_t i = 0; i < devices(); ++i) put_back_later(cuda_generator(i), context);
  }

  static void migrate(const Rng*, Value& value, LoadContext& context) {
    auto* dict = value.get_if<StateDict>();
    Value* record = dict ? dict->find_key(manifest_key) : nullptr;
    if (!record || !record->is<StateDict>()) return;
    auto& own = record->as<StateDict>();
    run_migrations<Rng>(boost::hana::tuple<>(), "rng", version_in(own, context.path, "rng"), 1, own, context);
    dict->erase(std::get<std::string>(manifest_key));
  }

  static void plan(Rng&, const Value& value, LoadContext& context) {
    if (value.is<at::Tensor>()) {  // Python's torch.get_rng_state() as it is
      return plan_generator(at::detail::getDefaultCPUGenerator(), value, context);
    }
    const auto* dict = value.get_if<StateDict>();
    if (!dict) return context.mismatch("the states of the generators, a dict of cpu and cuda", value.describe());
    for (const auto& [key, state] : *dict) {
      const auto scope = context.enter(key);
      if (key == Key("cpu")) {
        plan_generator(at::detail::getDefaultCPUGenerator(), state, context);
      } else if (key == Key("cuda")) {
        plan_cuda(state, context);
      }
    }
    for (const auto& [key, state] : *dict) {
      if (key != Key("cpu") && key != Key("cuda")) context.unexpected(key);
    }
    if (!dict->find_key("cpu")) context.missing("cpu");
    const Value* cuda = dict->find_key("cuda");
    for (std::int64_t i = 0; i < devices(); ++i) {
      if (!cuda || !state_of(*cuda, i)) {
        context.warn("the file has no state for cuda:" + std::to_string(i) + ", which goes on with its own");
      }
    }
  }

 private:
  static std::int64_t devices() { return static_cast<std::int64_t>(torch::cuda::device_count()); }

  /// By device, in a dict or in the list that Python's torch.cuda.get_rng_state_all() gives.
  static const Value* state_of(const Value& cuda, std::int64_t device) {
    if (const auto* dict = cuda.get_if<StateDict>()) return dict->find_key(device);
    const auto* list = cuda.get_if<List>();
    const auto i = static_cast<std::size_t>(device);
    return list && i < list->size() ? &(*list)[i] : nullptr;
  }

  static void plan_cuda(const Value& value, LoadContext& context) {
    const auto one = [&](const Key& key, const Value& state) {
      const auto* device = std::get_if<std::int64_t>(&key);
      if (!device || *device < 0) return context.unexpected(key);
      if (*device >= devices()) {
        return context.warn("this machine has no cuda:" + std::to_string(*device) + "; its generator is passed over");
      }
      const auto scope = context.enter(key);
      plan_generator(cuda_generator(*device), state, context);
    };
    if (const auto* dict = value.get_if<StateDict>()) {
      for (const auto& [key, state] : *dict) one(key, state);
    } else if (const auto* list = value.get_if<List>()) {
      for (std::size_t i = 0; i < list->size(); ++i) one(static_cast<std::int64_t>(i), (*list)[i]);
    } else {
      context.mismatch("the states of CUDA generators by device", value.describe());
    }
  }
};

/// A generator of one's own: its state, loaded into the very generator that the handle refers to.
template <std::same_as<at::Generator> Only>
struct TorchCodec<Only> {
  static constexpr bool is_object = true;

  static Value save(const at::Generator& x, SaveContext&) { return x.defined() ? Value(generator_state(x)) : Value(); }

  static void collect(const at::Generator& x, NamesContext& context) {
    if (x.defined()) put_back_later(x, context);
  }

  static void plan(at::Generator& live, const Value& value, LoadContext& context) {
    if (live.defined()) return plan_generator(live, value, context);
    if (!value.is<None>()) context.mismatch("None (the generator is undefined)", value.describe());
  }
};

}  // namespace detail
}  // namespace trainstate
