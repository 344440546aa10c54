// How the type of a field is spelled in a schema: by what a file holds of it, so that the spelling is the same on every
// compiler, and after any set of includes: it depends on nothing but the type's own definition.
//
// | type                                                | spelling                                      |
// |-----------------------------------------------------|-----------------------------------------------|
// | bool; char and its kin                              | bool; char, char8, char16, char32             |
// | integers, by width, and enums as their integer      | i8 to i64, u8 to u64                          |
// | floating point, by width                            | f32, f64, f80, f128                           |
// | strings, string views, paths                        | string                                        |
// | std::chrono::duration, by its representation        | nanoseconds, seconds (floating point)         |
// | what has `has_value()` and `*`                      | optional<T>                                   |
// | smart pointers                                      | pointer<T>                                    |
// | std::variant                                        | variant<T, ...>                               |
// | std::pair, std::tuple                               | tuple<T, ...>                                 |
// | std::array, arrays                                  | array<T, N>                                   |
// | maps, sets, other containers                        | map<K, T>, set<T>, list<T>                    |
// | tensors, modules, optimizers                        | tensor, module, optimizer                     |
// | a described component                               | its name, #, its fingerprint                  |
// | a hana::Struct, which has no version of its own     | struct { its members }                        |
// | anything else; its own state dict answers for it    | opaque                                        |
//
// const is passed over. A component inside itself, as in a tree, is spelled by its name alone.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "trainstate/component.hpp"
#include "trainstate/fixed_string.hpp"
#include "trainstate/schema/text.hpp"

namespace at {
class Tensor;
}
namespace torch::nn {
class Module;
}
namespace torch::optim {
class Optimizer;
}

namespace trainstate::detail {

template <class M>
concept StringLike = requires(const M& m) {
  typename M::traits_type;
  { m.data() } -> std::convertible_to<const char*>;
}
|| requires(const M& m) {
  typename M::string_type;
  m.native();
};

template <class M>
concept DurationLike = requires(const M& m) {
  typename M::period;
  { m.count() } -> std::same_as<typename M::rep>;
};

template <class M>
concept OptionalLike = requires(const M& m) {
  typename M::value_type;
  { m.has_value() } -> std::same_as<bool>;
  *m;
};

template <class M>
concept PointerLike = requires(const M& m) {
  typename M::element_type;
  m.get();
  m.operator->();
};

/// A LibTorch ModuleHolder.
template <class M>
concept HolderLike = requires(const M& m) {
  typename M::ContainedType;
  m.ptr();
};

template <class M>
concept TupleLike = requires {
  std::tuple_size<M>::value;
};

template <class M>
concept ContainerLike = requires(const M& m) {
  typename M::value_type;
  m.begin();
  m.end();
}
&&!std::is_same_v<typename M::value_type, M>;

template <class M>
concept SetLike = ContainerLike<M> && requires {
  typename M::key_type;
};

template <class M>
concept MapLike = SetLike<M> && requires {
  typename M::mapped_type;
};

template <class M>
inline constexpr bool is_variant = false;
template <class... A>
inline constexpr bool is_variant<std::variant<A...>> = true;

/// A component, spelled; `Outer` are the components that it is inside of.
template <class T, class... Outer>
constexpr auto spell_component();

template <class M>
constexpr auto spell_number() {
  constexpr std::size_t bits = sizeof(M) * 8;
  if constexpr (std::is_same_v<M, bool>) {
    return FixedString("bool");
  } else if constexpr (std::is_same_v<M, char>) {
    return FixedString("char");
  } else if constexpr (std::is_same_v<M, char8_t> || std::is_same_v<M, char16_t> || std::is_same_v<M, char32_t>) {
    return detail::concat(FixedString("char"), detail::decimal<bits>());
  } else if constexpr (std::is_integral_v<M>) {
    return detail::concat(FixedString(std::is_signed_v<M> ? "i" : "u"), detail::decimal<bits>());
  } else if constexpr (std::numeric_limits<M>::digits == 64) {
    return FixedString("f80");  // of 16 or 12 octets, as the platform pads it
  } else {
    return detail::concat(FixedString("f"), detail::decimal<bits>());
  }
}

template <class M, class... Outer>
constexpr auto spell_type();

template <std::size_t N, class... A, class... Outer>
constexpr auto spell_template(const FixedString<N>& name, Types<A...>, Types<Outer...>) {
  return detail::concat(name, FixedString("<"),
                        detail::join<Order::given>(FixedString(", "), detail::spell_type<A, Outer...>()...),
                        FixedString(">"));
}

template <class... A>
constexpr Types<A...> alternatives_of(const std::variant<A...>&);

template <class Element, std::size_t N, class... Outer>
constexpr auto spell_array() {
  return detail::concat(FixedString("array<"), detail::spell_type<Element, Outer...>(), FixedString(", "),
                        detail::decimal<N>(), FixedString(">"));
}

template <class M, class... Outer>
constexpr auto spell_class() {
  constexpr Types<Outer...> outer;
  if constexpr (Component<M>) {
    return detail::spell_component<M, Outer...>();
  } else if constexpr (std::is_base_of_v<at::Tensor, M>) {
    return FixedString("tensor");
  } else if constexpr (std::is_base_of_v<torch::nn::Module, M>) {
    return FixedString("module");
  } else if constexpr (HolderLike<M>) {
    return detail::spell_type<typename M::ContainedType, Outer...>();
  } else if constexpr (std::is_base_of_v<torch::optim::Optimizer, M>) {
    return FixedString("optimizer");
  } else if constexpr (StringLike<M>) {
    return FixedString("string");
  } else if constexpr (DurationLike<M>) {
    if constexpr (std::is_floating_point_v<typename M::rep>) {
      return FixedString("seconds");
    } else {
      return FixedString("nanoseconds");
    }
  } else if constexpr (OptionalLike<M>) {
    return detail::spell_template(FixedString("optional"), Types<typename M::value_type>{}, outer);
  } else if constexpr (PointerLike<M>) {
    return detail::spell_template(FixedString("pointer"), Types<typename M::element_type>{}, outer);
  } else if constexpr (is_variant<M>) {
    return detail::spell_template(FixedString("variant"), decltype(detail::alternatives_of(std::declval<M>())){},
                                  outer);
  } else if constexpr (TupleLike<M> && ContainerLike<M>) {
    return detail::spell_array<typename M::value_type, std::tuple_size_v<M>, Outer...>();
  } else if constexpr (TupleLike<M>) {
    return detail::with_indices<std::tuple_size_v<M>>([=]<std::size_t... I>(std::index_sequence<I...>) {
      return detail::spell_template(FixedString("tuple"), Types<std::tuple_element_t<I, M>...>{}, outer);
    });
  } else if constexpr (MapLike<M>) {
    return detail::spell_template(FixedString("map"), Types<typename M::key_type, typename M::mapped_type>{}, outer);
  } else if constexpr (SetLike<M>) {
    return detail::spell_template(FixedString("set"), Types<typename M::value_type>{}, outer);
  } else if constexpr (ContainerLike<M>) {
    return detail::spell_template(FixedString("list"), Types<typename M::value_type>{}, outer);
  } else {
    return FixedString("opaque");
  }
}

/// The type of a field, spelled; `Outer` are the components that the field is inside of.
template <class M, class... Outer>
constexpr auto spell_type() {
  if constexpr (std::is_const_v<M>) {
    return detail::spell_type<std::remove_const_t<M>, Outer...>();
  } else if constexpr (std::is_array_v<M>) {
    return detail::spell_array<std::remove_extent_t<M>, std::extent_v<M>, Outer...>();
  } else if constexpr (std::is_enum_v<M>) {
    return detail::spell_number<std::underlying_type_t<M>>();
  } else if constexpr (std::is_arithmetic_v<M>) {
    return detail::spell_number<M>();
  } else if constexpr (std::is_class_v<M> && requires { sizeof(M); }) {
    return detail::spell_class<M, Outer...>();
  } else {
    return FixedString("opaque");
  }
}

}  // namespace trainstate::detail
