// Was a member forgotten? With C++26 reflection the answer is exact, for classes with private members too, and it names
// the member; completeness.hpp guesses as well as C++20 can.
//
// Counted are the data members of the class itself and of every base that is an aggregate or a component. Each has to
// be listed, by itself or by a ts::base of its class, or annotated, but for these:
// - references, which are transient by nature, and static members;
// - members of any other base: its author answers for them, and most are out of reach (of torch::optim::LRScheduler or
//   torch::nn::Module nobody could list all). Of such a base of an aggregate one must be listed at least, as in C++20;
// - in a torch::nn::Module, tensors and submodules, which are saved for being registered, and containers of them;
// - what is not public where ts::describe_for<T> speaks for the class: it could not name it.
// An anonymous union is accounted for by any of its members. No pointer reaches a bit-field: annotate it as transient,
// or pass ts::unchecked.
#pragma once

// Version 14 does not know C++26.
// clang-format off

#include "trainstate/component/reflection.hpp"

#ifdef TRAINSTATE_REFLECTION

#include <algorithm>
#include <meta>
#include <string>
#include <type_traits>
#include <vector>

#include "trainstate/component/arguments.hpp"
#include "trainstate/component/completeness.hpp"
#include "trainstate/component/concept.hpp"
#include "trainstate/component/description.hpp"
#include "trainstate/component/listed_members.hpp"
#include "trainstate/component/types.hpp"

// clang-format off: it does not know the syntax

namespace at {
class Tensor;
}
namespace torch::nn {
class AnyModule;
class Module;
}  // namespace torch::nn

namespace trainstate::detail {

template <class T>
inline constexpr auto data_members = std::define_static_array(nonstatic_data_members_of(^^T, all_access));
template <class T>
inline constexpr auto bases = std::define_static_array(bases_of(^^T, all_access));

// What need not be listed ---------------------------------------------------------------------------------------------

template <class Holder>
using ContainedModule = typename Holder::ContainedType;

/// Whether registering it with a module saves it: a tensor, a module, a holder or a container of such.
consteval bool can_be_registered(info type) {
  type = remove_cv(dealias(type));
  if (is_array_type(type)) return can_be_registered(remove_all_extents(type));
  if (is_pointer_type(type)) return can_be_registered(remove_pointer(type));
  if (!is_class_type(type)) return false;
  if (type == ^^at::Tensor || type == ^^torch::nn::AnyModule) return true;
  if (is_complete_type(type) && is_base_of_type(^^torch::nn::Module, type)) return true;
  if (can_substitute(^^ContainedModule, {type})) return true;
  return has_template_arguments(type) && std::ranges::any_of(template_arguments_of(type), [](info argument) {
    return is_type(argument) && can_be_registered(argument);
  });
}

/// Whether it was outside of T that T was described.
template <class T>
inline constexpr bool described_by_others = HasDescribeFor<T> && !Annotated<T>;

template <class A, class B>
consteval bool is_same_pointer(A a, B b) {
  if constexpr (std::is_same_v<A, B>) {
    return a == b;
  } else {
    return false;
  }
}

template <info Member, class... Listed>
consteval bool is_among_listed(Types<Listed...>) {
  return (detail::is_same_pointer(&[:Member:], Listed::pointer) || ...);
}

/// Member is one of Owner, which is T or a base of it.
template <class T, class Owner, info Member>
consteval bool is_accounted_for() {
  if constexpr (is_anonymous_union(Member)) {
    using Union = [:type_of(Member):];
    template for (constexpr info alternative : data_members<Union>) {
      if (detail::is_accounted_for<T, Owner, alternative>()) return true;
    }
    return false;
  } else if constexpr (is_reference_type(type_of(Member))) {
    return true;
  } else if constexpr (std::is_same_v<T, Owner> && !words_on(Member).empty()) {
    return true;
  } else if constexpr (described_by_others<T> && !is_public(Member)) {
    return true;
  } else if constexpr (std::is_base_of_v<torch::nn::Module, T> && can_be_registered(type_of(Member))) {
    return true;
  } else if constexpr (is_bit_field(Member)) {
    return false;
  } else {
    return detail::is_among_listed<Member>(listed_members<T>);
  }
}

// The answer ----------------------------------------------------------------------------------------------------------

/// What T forgot of Owner, which is T or a base of it: data members, or a base.
template <class T, class Owner>
consteval std::vector<info> find_forgotten() {
  std::vector<info> forgotten;
  if constexpr (std::is_same_v<T, Owner> || std::is_aggregate_v<Owner> || Component<Owner>) {
    template for (constexpr info member : data_members<Owner>) {
      if (!detail::is_accounted_for<T, Owner, member>()) forgotten.push_back(member);
    }
  } else if constexpr (std::is_aggregate_v<T> && !detail::lists_members_of<Owner>(listed_members<T>)) {
    forgotten.push_back(^^Owner);
  }
  template for (constexpr info base : bases<Owner>) {
    using B = [:type_of(base):];
    if constexpr (!std::is_empty_v<B> && !has_argument<T, Base<B>>) {
      forgotten.append_range(detail::find_forgotten<T, B>());
    }
  }
  return forgotten;
}

template <class B>
inline constexpr bool is_component = Component<B>;

template <class T>
consteval std::string text_of(info forgotten) {
  if (is_type(forgotten)) return "all of the base " + std::string(display_string_of(forgotten));
  const info owner = parent_of(forgotten);
  const std::string owner_name(display_string_of(owner));
  if (!has_identifier(forgotten)) return "an anonymous union of " + owner_name;
  const std::string name = owner_name + "::" + std::string(identifier_of(forgotten));
  if (^^T != owner && extract<bool>(substitute(^^is_component, {owner}))) {
    return name + " (of a described base: list ts::base<" + owner_name + ">)";
  }
  if (!is_bit_field(forgotten)) return name;
  return name + (Annotated<T> ? " (a bit-field: ts::transient)" : " (a bit-field, beyond pointers: ts::unchecked)");
}

template <class T>
consteval std::string forgotten_error() {
  std::string names;
  for (info member : detail::find_forgotten<T, T>()) names += (names.empty() ? "" : ", ") + detail::text_of<T>(member);
  if (names.empty()) return "";
  const std::string kind = std::is_aggregate_v<T> ? "aggregate" : "class";
  const std::string remedy = Annotated<T> ? "annotate it with [[=ts::hyper]], [[=ts::state]] or [[=ts::transient]]"
                                          : "list it with ts::hyper, ts::state or ts::transient";
  return "trainstate: a member of this " + kind + " is forgotten: " + remedy + ": " + names;
}

/// What reflection finds wrong with the description of T, as the text of a compile error; empty if nothing is.
template <class T>
consteval std::string reflection_error() {
  if constexpr (Annotated<T>) {
    const std::string error = detail::annotation_error<T>();
    if (!error.empty()) return error;
  }
  if constexpr (has_argument<T, Unchecked>) {
    return "";
  } else {
    return detail::forgotten_error<T>();
  }
}

}  // namespace trainstate::detail

// clang-format on

#endif
