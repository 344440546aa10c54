// C++ values as TorchScript's and back: what goes into an exported module and what comes out.
#pragma once

#include <ATen/core/Dict.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "trainstate/error.hpp"

namespace trainstate::detail {

/// How a type stands in TorchScript: `to` and `from` convert, `accepts` says whether values of a type of TorchScript's
/// become this one, `name` is TorchScript's. Not for every type, see ScriptType.
template <class T>
struct ScriptValue {};

/// Tensors; bool, int64, double and strings; optionals, tuples, pairs, arrays, vectors and maps with text as keys.
template <class T>
concept ScriptType = requires {
  ScriptValue<T>::name();
};

template <>
struct ScriptValue<at::Tensor> {
  static c10::IValue to(const at::Tensor& x) { return x; }
  static at::Tensor from(const c10::IValue& x) { return x.isNone() ? at::Tensor() : x.toTensor(); }
  static bool accepts(const c10::Type& type) {
    if (const auto* optional = type.castRaw<c10::OptionalType>()) return accepts(*optional->getElementType());
    return type.isSubtypeOf(*c10::TensorType::get()) || type.kind() == c10::TypeKind::NoneType;
  }
  static std::string name() { return "Tensor"; }
};

template <class T, c10::TypeKind kind>
struct ScriptScalar {
  static c10::IValue to(const T& x) { return x; }
  static T from(const c10::IValue& x) { return x.to<T>(); }
  static bool accepts(const c10::Type& type) { return type.kind() == kind; }
};
template <>
struct ScriptValue<bool> : ScriptScalar<bool, c10::TypeKind::BoolType> {
  static std::string name() { return "bool"; }
};
template <>
struct ScriptValue<std::int64_t> : ScriptScalar<std::int64_t, c10::TypeKind::IntType> {
  static std::string name() { return "int"; }
};
template <>
struct ScriptValue<double> : ScriptScalar<double, c10::TypeKind::FloatType> {
  static std::string name() { return "float"; }
};
template <>
struct ScriptValue<std::string> : ScriptScalar<std::string, c10::TypeKind::StringType> {
  static std::string name() { return "str"; }
};

template <ScriptType T>
struct ScriptValue<std::optional<T>> {
  static c10::IValue to(const std::optional<T>& x) { return x ? ScriptValue<T>::to(*x) : c10::IValue(); }
  static std::optional<T> from(const c10::IValue& x) {
    return x.isNone() ? std::nullopt : std::optional<T>(ScriptValue<T>::from(x));
  }
  static bool accepts(const c10::Type& type) {
    if (const auto* optional = type.castRaw<c10::OptionalType>()) {
      return ScriptValue<T>::accepts(*optional->getElementType());
    }
    return type.kind() == c10::TypeKind::NoneType || ScriptValue<T>::accepts(type);
  }
  static std::string name() { return "Optional[" + ScriptValue<T>::name() + "]"; }
};

/// A tuple of TorchScript's for everything that std::get takes apart.
template <class Tuple, class... Ts>
struct ScriptTuple {
  static c10::IValue to(const Tuple& x) {
    return std::apply(
        [](const Ts&... values) {
          std::vector<c10::IValue> elements{ScriptValue<Ts>::to(values)...};
          return c10::IValue(c10::ivalue::Tuple::create(std::move(elements)));
        },
        x);
  }
  static Tuple from(const c10::IValue& x) {
    const auto tuple = x.toTuple();
    const auto& elements = tuple->elements();
    return [&]<std::size_t... i>(std::index_sequence<i...>) { return Tuple{ScriptValue<Ts>::from(elements.at(i))...}; }
    (std::index_sequence_for<Ts...>());
  }
  static bool accepts(const c10::Type& type) {
    const auto* tuple = type.castRaw<c10::TupleType>();
    if (!tuple || tuple->elements().size() != sizeof...(Ts)) return false;
    std::size_t i = 0;
    return (ScriptValue<Ts>::accepts(*tuple->elements()[i++]) && ...);
  }
  static std::string name() {
    std::string names;
    ((names += (names.empty() ? "" : ", ") + ScriptValue<Ts>::name()), ...);
    return "Tuple[" + names + "]";
  }
};
template <ScriptType... Ts>
struct ScriptValue<std::tuple<Ts...>> : ScriptTuple<std::tuple<Ts...>, Ts...> {};
template <ScriptType A, ScriptType B>
struct ScriptValue<std::pair<A, B>> : ScriptTuple<std::pair<A, B>, A, B> {};

template <class T, class Indices>
struct ScriptArray;
template <class T, std::size_t... i>
struct ScriptArray<T, std::index_sequence<i...>>
    : ScriptTuple<std::array<T, sizeof...(i)>, std::conditional_t<(i >= 0), T, void>...> {};
template <ScriptType T, std::size_t n>
struct ScriptValue<std::array<T, n>> : ScriptArray<T, std::make_index_sequence<n>> {};

template <ScriptType T>
struct ScriptValue<std::vector<T>> {
  static c10::IValue to(const std::vector<T>& x) requires std::same_as<T, at::Tensor> { return x; }
  static std::vector<T> from(const c10::IValue& x) {
    std::vector<T> values;
    for (const c10::IValue& value : x.toListRef()) values.push_back(ScriptValue<T>::from(value));
    return values;
  }
  static bool accepts(const c10::Type& type) {
    const auto* list = type.castRaw<c10::ListType>();
    return list && ScriptValue<T>::accepts(*list->getElementType());
  }
  static std::string name() { return "List[" + ScriptValue<T>::name() + "]"; }
};

template <ScriptType T>
struct ScriptValue<std::map<std::string, T>> {
  static c10::IValue to(const std::map<std::string, T>& x) requires std::same_as<T, at::Tensor> {
    c10::Dict<std::string, at::Tensor> dict;
    for (const auto& [key, value] : x) dict.insert(key, value);
    return dict;
  }
  static std::map<std::string, T> from(const c10::IValue& x) {
    std::map<std::string, T> values;
    for (const auto& entry : x.toGenericDict()) {
      values.emplace(entry.key().toStringRef(), ScriptValue<T>::from(entry.value()));
    }
    return values;
  }
  static bool accepts(const c10::Type& type) {
    const auto* dict = type.castRaw<c10::DictType>();
    return dict && dict->getKeyType()->kind() == c10::TypeKind::StringType &&
           ScriptValue<T>::accepts(*dict->getValueType());
  }
  static std::string name() { return "Dict[str, " + ScriptValue<T>::name() + "]"; }
};

}  // namespace trainstate::detail
