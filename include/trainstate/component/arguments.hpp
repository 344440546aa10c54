// Taking a description apart: the arguments that T's ts::component was given, as constants.
#pragma once

#include <boost/hana/at.hpp>
#include <boost/hana/basic_tuple.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

#include "trainstate/component/concept.hpp"
#include "trainstate/component/description.hpp"
#include "trainstate/component/types.hpp"

namespace trainstate::detail {

/// What T says of itself.
template <Described T>
inline constexpr auto description = detail::describe<T>();

template <class T, std::size_t I>
inline constexpr const auto& argument = boost::hana::at_c<I>(description<T>.arguments);

template <class T, std::size_t N, class... Arguments>
constexpr Types<Arguments...> types_of_arguments(const Description<T, N, Arguments...>&) {
  return {};
}

template <class Wanted, class... Arguments>
constexpr bool is_among(Types<Arguments...>) {
  return (std::is_same_v<Wanted, Arguments> || ...);
}

/// Whether T's description has an argument of this type.
template <class T, class Argument>
inline constexpr bool has_argument = detail::is_among<Argument>(detail::types_of_arguments(description<T>));

/// Asks `part(std::integral_constant<std::size_t, I>{}, argument<T, I>)` for a list of types, for each argument of T's
/// description, and joins them.
template <class T, class Part>
constexpr auto collect(Part part) {
  constexpr std::size_t count = decltype(detail::types_of_arguments(description<T>))::size;
  return detail::with_indices<count>([=]<std::size_t... I>(std::index_sequence<I...>) {
    return (Types<>{} + ... + part(std::integral_constant<std::size_t, I>{}, argument<T, I>));
  });
}

}  // namespace trainstate::detail
