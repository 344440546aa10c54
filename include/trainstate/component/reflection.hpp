// Fields by annotation, where the compiler has C++26 reflection (g++ 16: -std=c++26 -freflection). A class may then say
// with its members what describe() would say of them, and gives the same schema and the same files.
//
//   class [[=ts::component("warmup_cosine", ts::version<2>)]] WarmupCosine {  // ts::component without the fields
//    public:
//     ...
//    private:
//     [[=ts::hyper]] double base_lr_;                      // key "base_lr": the name without a trailing underscore
//     [[=ts::state("step_num")]] std::int64_t steps_ = 0;  // or a key that outlives the name
//     [[=ts::transient]] std::vector<double> cache_;
//     [[=ts::state]] static constexpr auto step_count = &WarmupCosine::step_count_;  // a member that a base holds
//     [[=ts::migrate<1>]] static constexpr auto from_1 = [](auto& d) { d.rename("params/lr", "params/base_lr"); };
//   };
//
// Without ts::component(...) the class goes by its own name, at version 1. Every data member needs one of the three
// words, but for references, which are transient by nature; a bit-field can only be ts::transient; one member answers
// for an anonymous union. A hook is a static member, a variable or a function, but no function template (annotations of
// templates cannot be read); it does not stand in the class's own annotation, where each translation unit would have a
// lambda of its own. What else reflection gives, the exact check that no member is forgotten, is in
// reflection/completeness.hpp.
#pragma once

// Version 14 does not know C++26.
// clang-format off

#include <version>

#if defined(__cpp_impl_reflection) && defined(__cpp_lib_reflection)
/// Defined where annotations and the exact check of completeness are available.
#define TRAINSTATE_REFLECTION

#include <boost/hana/unpack.hpp>

#include <algorithm>
#include <cstddef>
#include <meta>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "trainstate/component/description.hpp"
#include "trainstate/component/types.hpp"
#include "trainstate/fixed_string.hpp"

// clang-format off: it does not know the syntax

namespace trainstate {

template <class T>
struct describe_for;

/// The annotation of a class, `class [[=ts::component("name", ts::version<N>)]] T`: what ts::component<T> takes, less
/// the fields and the hooks, which are annotated themselves.
template <std::size_t N, class... Arguments>
constexpr auto component(const char (&name)[N], Arguments... arguments) {
  static_assert(!(requires { typename Arguments::hook_type; } || ...),
                "trainstate: the hooks of an annotated class are static members of it: write "
                "[[=ts::migrate<K>]] static constexpr auto hook = [](auto& d) {...}");
  return component<void>(name, arguments...);
}

namespace detail {

using std::meta::info;

template <class Old>
struct MigrateFrom;

// What stands in a class ----------------------------------------------------------------------------------------------

inline constexpr auto all_access = std::meta::access_context::unchecked();

/// The annotations of an entity that are trainstate's words.
consteval std::vector<info> words_on(info entity) {
  std::vector<info> words = annotations_of(entity);
  std::erase_if(words, [](info word) {
    const info type = remove_cv(type_of(word));
    return !is_class_type(type) || !has_parent(type) || parent_of(type) != ^^trainstate::detail;
  });
  return words;
}

/// Also of an anonymous struct, which some compilers have.
consteval bool is_anonymous_union(info member) {
  return is_nonstatic_data_member(member) && !is_bit_field(member) && !has_identifier(member);
}

/// Whether a pointer to the data member can be had.
consteval bool can_be_pointed_to(info member) { return !is_bit_field(member) && !is_reference_type(type_of(member)); }

/// The members with a word on them, in declared order; those of an anonymous union in its place.
consteval std::vector<info> find_annotated_members(info type) {
  std::vector<info> annotated;
  for (info member : members_of(type, all_access)) {
    if (is_anonymous_union(member)) {
      annotated.append_range(find_annotated_members(type_of(member)));
    } else if (is_nonstatic_data_member(member) || is_variable(member) || is_function(member)) {
      if (!words_on(member).empty()) annotated.push_back(member);
    }
  }
  return annotated;
}

template <class T>
consteval bool is_annotated() {
  if constexpr (std::is_class_v<T> && !std::is_const_v<T> && !std::is_volatile_v<T>) {
    return is_complete_type(^^T) && (!words_on(^^T).empty() || !find_annotated_members(^^T).empty());
  } else {
    return false;
  }
}

/// A class that describes itself by annotations.
template <class T>
concept Annotated = detail::is_annotated<T>();

/// A base of T is described by annotations; T, if it is not, has only inherited them.
template <class T>
consteval bool inherits_annotations() {
  if constexpr (is_class_type(^^T) && is_complete_type(^^T)) {
    template for (constexpr info base : std::define_static_array(bases_of(^^T, all_access))) {
      using B = [:type_of(base):];
      if (Annotated<B> || detail::inherits_annotations<B>()) return true;
    }
  }
  return false;
}

// What can be wrong with annotations ----------------------------------------------------------------------------------

consteval bool is_made_by(info type, info a_template) {
  return has_template_arguments(type) && template_of(type) == a_template;
}

/// Whether this word can stand on this member.
consteval bool is_well_placed(info word, info member) {
  const info type = remove_cv(type_of(word));
  const bool is_hook = is_made_by(type, ^^Migrate) || is_made_by(type, ^^MigrateFrom);
  const bool is_field = is_made_by(type, ^^Declare) || is_made_by(type, ^^Keyed);
  const bool is_transient = type == ^^DeclareTransient;
  if (is_nonstatic_data_member(member)) return is_transient || (is_field && can_be_pointed_to(member));
  if (!is_static_member(member)) return false;
  return is_member_object_pointer_type(remove_cv(type_of(member))) ? is_transient || is_field : is_hook;
}

/// Whether a member has one word on it and the right one.
consteval bool is_well_annotated(info member) {
  return words_on(member).size() == 1 && is_well_placed(words_on(member)[0], member);
}

/// Whether a class has no word on it, or one and the right one.
consteval bool is_class_well_annotated(info type) {
  const std::vector<info> words = words_on(type);
  return words.empty() || (words.size() == 1 && is_made_by(remove_cv(type_of(words[0])), ^^Description));
}

/// What is wrong with the annotations of T, as the text of a compile error; empty if nothing is.
template <Annotated T>
consteval std::string annotation_error() {
  const std::string name(display_string_of(^^T));
  if (requires { requires std::is_same_v<typename decltype(T::describe())::component_type, T>; }) {
    return "trainstate: " + name + " has both a describe() and annotations: keep one of them";
  }
  if (!is_class_well_annotated(^^T)) {
    return "trainstate: the annotation of class " + name + " should be one ts::component(name, ...), with "
           "ts::version<N>, ts::base<B>, ts::flat and ts::unchecked inside it";
  }
  for (info member : find_annotated_members(^^T)) {
    if (is_well_annotated(member)) continue;
    return "trainstate: " + std::string(identifier_of(member)) + " of " + name + " cannot be annotated so: a data "
           "member takes one of ts::hyper, ts::state and ts::transient (a bit-field or a reference the last alone), a "
           "static member that is a hook takes ts::migrate<K> or ts::migrate_from<Old>";
  }
  return "";
}

// From words to the arguments of ts::component<T> ---------------------------------------------------------------------

template <info Entity>
consteval auto name_of() {
  constexpr std::string_view name = identifier_of(Entity);
  FixedString<name.size()> copy;
  std::ranges::copy(name, copy.data);
  return copy;
}

template <info Member>
consteval auto key_of() {
  constexpr std::string_view name = identifier_of(Member);
  FixedString<name.size() - (name.size() > 1 && name.ends_with('_'))> key;
  std::ranges::copy_n(name.data(), key.size(), key.data);
  return key;
}

/// What a word is said of: a pointer to a data member, or the value of a static one.
template <info Member>
consteval auto subject_of() {
  if constexpr (is_nonstatic_data_member(Member)) {
    return &[:Member:];
  } else {
    return [:Member:];
  }
}

template <Role R, std::size_t N, class Pointer>
consteval auto say(Declare<R> word, const FixedString<N>& key, Pointer pointer) {
  return word(key.data, pointer);
}
template <Role R, std::size_t N, std::size_t M, class Pointer>
consteval auto say(Keyed<R, N> word, const FixedString<M>&, Pointer pointer) {
  return Declare<R>{}(word.key.data, pointer);
}
template <class Word, std::size_t N, class Subject>
consteval auto say(Word word, const FixedString<N>&, Subject subject) {
  return word(subject);
}

template <info Member>
consteval auto argument_of() {
  return detail::say([:constant_of(words_on(Member)[0]):], detail::key_of<Member>(), detail::subject_of<Member>());
}

/// Whether a member becomes an argument: not if it is annotated in a wrong way, nor if it can be nothing but transient,
/// being out of reach for pointers.
consteval bool becomes_argument(info member) {
  return is_well_annotated(member) && !(is_nonstatic_data_member(member) && !can_be_pointed_to(member));
}

template <class T>
consteval std::vector<info> find_arguments() {
  std::vector<info> members = find_annotated_members(^^T);
  std::erase_if(members, [](info member) { return !becomes_argument(member); });
  return members;
}

/// What the class's own annotation says: a description without fields, for no type yet.
template <class T>
consteval auto describe_class() {
  if constexpr (!words_on(^^T).empty() && is_class_well_annotated(^^T)) {
    return [:constant_of(words_on(^^T)[0]):];
  } else {
    return component<void>(detail::name_of<has_identifier(^^T) ? ^^T : template_of(^^T)>().data);
  }
}

template <class T>
consteval auto describe_annotated() {
  constexpr auto members = std::define_static_array(detail::find_arguments<T>());
  constexpr auto head = detail::describe_class<T>();
  return boost::hana::unpack(head.arguments, [&](auto... arguments) {
    return detail::with_indices<members.size()>([&]<std::size_t... I>(std::index_sequence<I...>) {
      return component<T>(head.name.data, arguments..., detail::argument_of<members[I]>()...);
    });
  });
}

}  // namespace detail

/// The description that the annotations of T give.
template <class T>
requires detail::Annotated<T>
struct describe_for<T> {
  static constexpr auto describe() { return detail::describe_annotated<T>(); }
};

}  // namespace trainstate

// clang-format on

#endif
