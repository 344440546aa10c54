// Fields by annotation, where the compiler has C++26 reflection (g++ 16: -std=c++26 -freflection). A class may then say
// with its members what describe() would say of them, and gives the same schema and the same files.
//
//   class [[=ts::component("warmup_cosine", ts::version<2>)]] WarmupCosine {  // what ts::component takes, but no fields
//    public:
//     …
//    private:
//     [[=ts::hyper]] double base_lr_;                         // key "base_lr": the name without a trailing underscore
//     [[=ts::state("step_num")]] std::int64_t steps_ = 0;     // or a key that outlives the name
//     [[=ts::transient]] std::vector<double> cache_;
//     [[=ts::state]] static constexpr auto step_count = &WarmupCosine::step_count_;  // a member that a base holds
//     [[=ts::migrate<1>]] static constexpr auto from_1 = [](auto& d) { d.rename("params/lr", "params/base_lr"); };
//   };
//
// Without ts::component the class goes by its own name, at version 1. Every member that is no reference needs one of the
// three words; a bit-field or a member of an anonymous union can be ts::transient, the latter also a field. A hook is a
// static member, a variable or a function; it cannot be written inside the class's own annotation, where each translation
// unit would have a lambda of its own. Reflection also makes the count of members exact: see reflection/completeness.hpp.
#pragma once

#include <version>

#if defined(__cpp_impl_reflection) && defined(__cpp_lib_reflection)
/// Defined where annotations and the exact check of completeness are available.
#define TRAINSTATE_REFLECTION

#include <algorithm>
#include <boost/hana/unpack.hpp>
#include <cstddef>
#include <meta>
#include <string_view>
#include <trainstate/component/description.hpp>
#include <trainstate/fixed_string.hpp>
#include <type_traits>
#include <utility>
#include <vector>

// clang-format off: it does not know the syntax

namespace trainstate {

template <class T>
struct describe_for;

/// The annotation of a class, `class [[=ts::component("name", ts::version<N>)]] T`: what ts::component<T> takes, but for
/// the fields, which annotate themselves.
template <std::size_t N, class... Arguments>
constexpr auto component(const char (&name)[N], Arguments... arguments) {
  return component<void>(name, arguments...);
}

namespace detail {

using std::meta::info;

// What stands in a class --------------------------------------------------------------------------------------------------

/// The annotations of an entity that are trainstate's words.
consteval std::vector<info> words_on(info entity) {
  std::vector<info> words = annotations_of(entity);
  std::erase_if(words, [](info word) {
    const info type = remove_cv(type_of(word));
    return !is_class_type(type) || !has_parent(type) || parent_of(type) != ^^trainstate::detail;
  });
  return words;
}

consteval std::vector<info> find_data_members(info type) {
  return nonstatic_data_members_of(type, std::meta::access_context::unchecked());
}

/// Also of an anonymous struct, which is an extension of the compilers.
consteval bool is_anonymous_union(info member) { return is_nonstatic_data_member(member) && !has_identifier(member); }

/// Whether a pointer to the data member can be had.
consteval bool can_be_pointed_to(info member) { return !is_bit_field(member) && !is_reference_type(type_of(member)); }

/// The members with a word on them, in declared order; those of an anonymous union in its place.
consteval std::vector<info> find_annotated_members(info type) {
  std::vector<info> annotated;
  for (info member : members_of(type, std::meta::access_context::unchecked())) {
    const bool is_padding = is_bit_field(member) && !has_identifier(member);
    if (!is_padding && is_anonymous_union(member)) {
      annotated.append_range(find_annotated_members(type_of(member)));
    } else if (is_nonstatic_data_member(member) || is_variable(member) || is_function(member)) {
      if (!words_on(member).empty()) annotated.push_back(member);
    }
  }
  return annotated;
}

template <class T>
consteval bool is_annotated() {
  if constexpr (std::is_class_v<T> && std::is_same_v<T, std::remove_cv_t<T>>) {
    return is_complete_type(^^T) && (!words_on(^^T).empty() || !find_annotated_members(^^T).empty());
  } else {
    return false;
  }
}

/// A class that describes itself by annotations.
template <class T>
concept Annotated = detail::is_annotated<T>();

/// A base of T is annotated, and so described, but T is not.
template <class T>
consteval bool inherits_annotations() {
  if constexpr (std::is_class_v<T>) {
    if (!is_complete_type(^^T)) return false;
    template for (constexpr info base : std::define_static_array(bases_of(^^T, std::meta::access_context::unchecked()))) {
      using B = [:type_of(base):];
      if (Annotated<B> || detail::inherits_annotations<B>()) return true;
    }
  }
  return false;
}

// From words to the arguments of ts::component<T> -------------------------------------------------------------------------

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

template <Role R, std::size_t N, class Subject>
consteval auto say(Declare<R> word, const FixedString<N>& key, Subject subject) {
  return word(key.data, subject);
}
template <Role R, std::size_t N, std::size_t M, class Subject>
consteval auto say(Keyed<R, N> word, const FixedString<M>&, Subject subject) {
  return Declare<R>{}(word.key.data, subject);
}
template <class Word, std::size_t N, class Subject>
consteval auto say(Word word, const FixedString<N>&, Subject subject) {
  static_assert(requires { word(subject); },
                "trainstate: a member is annotated with ts::hyper, ts::state or ts::transient, and a static member that "
                "is a hook with ts::migrate<K> or ts::migrate_from<Old>");
  return word(subject);
}

template <info Member>
consteval auto argument_of() {
  static_assert(words_on(Member).size() == 1,
                "trainstate: a member has two annotations: ts::hyper, ts::state and ts::transient exclude each other");
  return detail::say([:constant_of(words_on(Member)[0]):], detail::key_of<Member>(), detail::subject_of<Member>());
}

/// Whether nothing remains to be said in describe(): the word is ts::transient, and no pointer could repeat it.
consteval bool is_merely_passed_over(info member) {
  return is_nonstatic_data_member(member) && !can_be_pointed_to(member) &&
         std::ranges::all_of(words_on(member), [](info word) { return remove_cv(type_of(word)) == ^^DeclareTransient; });
}

/// The members of T that become arguments of ts::component<T>.
template <class T>
inline constexpr auto annotated_members = [] consteval {
  std::vector<info> members = find_annotated_members(^^T);
  std::erase_if(members, is_merely_passed_over);
  return std::define_static_array(members);
}();

/// What the annotation of the class says: a description without fields, for no type yet.
template <class T>
consteval auto describe_class() {
  if constexpr (words_on(^^T).empty()) {
    return component<void>(detail::name_of<has_identifier(^^T) ? ^^T : template_of(^^T)>().data);
  } else {
    constexpr auto description = [:constant_of(words_on(^^T)[0]):];
    static_assert(words_on(^^T).size() == 1 && requires { description.arguments; },
                  "trainstate: a class has one annotation, ts::component(name, ...), with ts::version<N>, ts::base<B>, "
                  "ts::flat and ts::unchecked inside it");
    return description;
  }
}

template <class T>
consteval auto describe_annotated() {
  static_assert(std::ranges::all_of(annotated_members<T>,
                                    [](info m) { return !is_nonstatic_data_member(m) || can_be_pointed_to(m); }),
                "trainstate: no pointer to member reaches a bit-field or a reference, so it cannot be a field: annotate "
                "it with ts::transient");
  constexpr auto head = detail::describe_class<T>();
  return boost::hana::unpack(head.arguments, [&](auto... arguments) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return component<T>(head.name.data, arguments..., detail::argument_of<annotated_members<T>[I]>()...);
    }(std::make_index_sequence<annotated_members<T>.size()>{});
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
