// Which codec serves a type. A codec turns a live object into a Value, and plans how a Value enters a live object.
//
// Every codec has
//   static Value save(const T&, SaveContext&)
//   static void plan(T&, const Value&, LoadContext&)           reports what does not fit, touches nothing live
// and, where they make sense,
//   static std::optional<T> build(const Value&, LoadContext&)  a new object; tensors in it may be filled by the plan
//   static void collect(const T&, NamesContext&)               parameters' names and generators inside, beforehand
//   static void migrate(Value&, LoadContext&)                  brings components inside to today's versions
//   static void assemble(const T*, Value&, LoadContext&)       makes a record of what Python's files have of a module
//   static constexpr bool is_value                             replaced as a whole: nothing inside is worth keeping
//   static constexpr bool is_object                            stands as a part of its own in a checkpoint
//   static constexpr bool may_be_none                          what it saves may be None
#pragma once

#include <boost/hana/unpack.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "trainstate/codec/context.hpp"
#include "trainstate/codec/plain.hpp"
#include "trainstate/component.hpp"
#include "trainstate/component/types.hpp"
#include "trainstate/state_dict.hpp"

namespace trainstate {

/// The one customization point: how a type that cannot describe itself becomes a Value and back. Specialise it with
/// `static Value save(const T&)`, `static T decode(const Value&)` (throws what it likes if the value does not fit),
/// optionally `static void commit(T&, T&&) noexcept` (default: move assignment), and
/// `static constexpr std::string_view type_name`. A `commit` that is not declared noexcept is undone, if a load fails,
/// by a second one with what `save` gave before the first.
template <class T>
struct adapter;

namespace detail {

struct Unavailable {};

// Specialised for one class by constraint, `template <std::same_as<X> Only> struct TorchCodec<Only>`, so that a program
// compiles the members of those that it uses only.

template <class T>
struct TorchCodec : Unavailable {};  // torch/*.hpp
template <class T>
struct MembersCodec : Unavailable {};  // codec/members.hpp
template <class T>
struct StandardCodec : Unavailable {};  // codec/scalar.hpp, sequence.hpp, associative.hpp, alternative.hpp
template <class T>
struct ComponentCodec;  // codec/component.hpp
template <class T>
struct AdapterCodec;  // below

template <class T>
concept Adapted = requires(const T& x, const Value& v) {
  { adapter<T>::save(x) } -> std::convertible_to<Value>;
  { adapter<T>::decode(v) } -> std::convertible_to<T>;
};

template <template <class> class C, class T>
concept Offers = !std::derived_from<C<T>, Unavailable>;

/// A LibTorch module takes its description in its own way.
template <class T>
concept DescribedByTorchCodec = Offers<TorchCodec, T> && requires {
  requires TorchCodec<T>::takes_description;
};

/// Precedence: adapter, describe, LibTorch type, own members, std.
template <class T>
constexpr auto select_codec() {
  if constexpr (Adapted<T>) {
    return std::type_identity<AdapterCodec<T>>();
  } else if constexpr (DescribedByTorchCodec<T>) {
    return std::type_identity<TorchCodec<T>>();
  } else if constexpr (Component<T>) {
    return std::type_identity<ComponentCodec<T>>();
  } else if constexpr (Offers<TorchCodec, T>) {
    return std::type_identity<TorchCodec<T>>();
  } else if constexpr (Offers<MembersCodec, T>) {
    return std::type_identity<MembersCodec<T>>();
  } else if constexpr (Offers<StandardCodec, T>) {
    return std::type_identity<StandardCodec<T>>();
  } else {
    return std::type_identity<Unavailable>();
  }
}

template <class T>
constexpr auto checked_codec() {
  constexpr auto codec = select_codec<T>();
  static_assert(!inherits_describe<T>,
                "trainstate: this class inherits describe() from its base; give it a describe() of its own that lists "
                "ts::base<Base>");
  static_assert(!std::same_as<decltype(codec), const std::type_identity<Unavailable>> || inherits_describe<T>,
                "trainstate: nothing can serialize this type; give it a describe() or describe_for<T>, specialise "
                "ts::adapter<T>, or mark the field ts::transient");
  return codec;
}

/// The codec of `T`; a compile error with the remedy if there is none.
template <class T>
using Codec = typename decltype(checked_codec<std::remove_cv_t<T>>())::type;

/// What is inside a type of the standard library and saved with it.
template <class T>
constexpr Types<> types_inside(std::type_identity<T>) {
  return {};
}
template <class T>
requires std::is_array_v<T>
constexpr Types<std::remove_extent_t<T>> types_inside(std::type_identity<T>) { return {}; }
template <class T>
requires requires { typename T::value_type; }
constexpr Types<typename T::value_type> types_inside(std::type_identity<T>) { return {}; }
template <class T>
requires requires { typename T::element_type; }
constexpr Types<typename T::element_type> types_inside(std::type_identity<T>) { return {}; }
template <class... E>
constexpr Types<E...> types_inside(std::type_identity<std::variant<E...>>) {
  return {};
}
template <class... E>
constexpr Types<E...> types_inside(std::type_identity<std::tuple<E...>>) {
  return {};
}
template <class A, class B>
constexpr Types<A, B> types_inside(std::type_identity<std::pair<A, B>>) {
  return {};
}

template <class T>
constexpr auto find_unserializable();

/// The first of the types that `find_unserializable` finds something in.
template <class First, class... Rest>
constexpr auto find_unserializable_in(Types<First, Rest...>) {
  constexpr auto found = find_unserializable<std::remove_cv_t<First>>();
  if constexpr (sizeof...(Rest) != 0 && std::is_void_v<typename decltype(found)::type>) {
    return detail::find_unserializable_in(Types<Rest...>());
  } else {
    return found;
  }
}
inline constexpr std::type_identity<void> find_unserializable_in(Types<>) { return {}; }

/// The type that nothing can serialize: T, or what is inside it if that is the standard library's. void if there is
/// none. A class that inherits describe() has an error of its own.
template <class T>
constexpr auto find_unserializable() {
  constexpr auto codec = select_codec<T>();
  if constexpr (inherits_describe<T>) {
    return std::type_identity<void>();
  } else if constexpr (std::same_as<decltype(codec), const std::type_identity<Unavailable>>) {
    return std::type_identity<T>();
  } else if constexpr (std::same_as<decltype(codec), const std::type_identity<StandardCodec<T>>>) {
    return detail::find_unserializable_in(detail::types_inside(std::type_identity<T>()));
  } else {
    return std::type_identity<void>();
  }
}

/// Its name in the compiler's message shows the component, the key of the field and the type.
template <class Component, class Key, class Type>
constexpr bool assert_serializable_field() {
  static_assert(std::is_void_v<Type>,
                "trainstate: nothing can serialize this type of a component's field; give it a describe() or "
                "describe_for<T>, specialise ts::adapter<T>, or mark the field ts::transient");
  return true;
}

/// Refuses to compile unless every field of the component T has a codec, down to what containers hold.
template <class T>
constexpr bool assert_serializable_fields() {
  return boost::hana::unpack(fields<T>, []<class... F>(F...) {
    return (assert_serializable_field<
                T, std::remove_const_t<decltype(F::key)>,
                typename decltype(find_unserializable<std::remove_cv_t<typename F::value_type>>())::type>() &&
            ...);
  });
}

template <class T>
concept Buildable = requires(const Value& v, LoadContext& context) {
  { Codec<T>::build(v, context) } -> std::same_as<std::optional<T>>;
};

template <class T>
concept IsValue = requires {
  requires Codec<T>::is_value;
};

template <class T>
concept IsObject = requires {
  requires Codec<T>::is_object;
};

template <class T>
concept MayBeNone = requires {
  requires Codec<T>::may_be_none;
};

template <class T>
void collect_names(const T& x, NamesContext& context) {
  if constexpr (requires { Codec<T>::collect(x, context); }) Codec<T>::collect(x, context);
}

template <class T>
void migrate_value(const T* live, Value& value, LoadContext& context) {
  if constexpr (requires { Codec<T>::migrate(live, value, context); }) {
    Codec<T>::migrate(live, value, context);
  } else {
    restore_plain(value, context);
  }
}

/// Makes a record of what a file without a manifest has of a described module, before hooks of what it is part of run.
template <class T>
void assemble_value(const T* live, Value& value, LoadContext& context) {
  if constexpr (requires { Codec<T>::assemble(live, value, context); }) Codec<T>::assemble(live, value, context);
}

/// Calls code of the user's own types. What it throws becomes an Error that begins with `path`.
template <class F>
decltype(auto) call_foreign(const std::string& path, F&& f) {
  const std::string prefix = path.empty() ? "" : path + ": ";
  try {
    return f();
  } catch (const Error&) {
    rethrow_with_prefix(prefix);
  } catch (...) {
    throw Error(prefix + current_text());
  }
}

/// Whether an object can be replaced by another one without a chance to fail. (LibTorch before 2.0 does not say so of
/// its tensors.)
template <class T>
inline constexpr bool replaced_safely = std::is_nothrow_move_assignable_v<T> || std::same_as<T, at::Tensor>;

/// Plans that `fresh` becomes `live`. An assignment that may fail is attempted, and undone by another one.
template <class T>
void plan_replacement(T& live, T fresh, LoadContext& context) {
  if constexpr (replaced_safely<T>) {
    context.plan->assign([&live, next = std::move(fresh)]() mutable noexcept { live = std::move(next); });
  } else {
    auto old = std::make_shared<std::optional<T>>();
    context.plan->attempt(
        context.path,
        [&live, old, next = std::move(fresh), path = context.path]() mutable {
          call_foreign(path, [&] {
            old->emplace(std::move(live));
            live = std::move(next);
          });
        },
        [&live, old] {
          if (*old) live = *std::move(*old);
        });
  }
}

/// Builds a new value that is used at once: elsewhere its tensors get their values when the plan is applied.
template <class T>
std::optional<T> build_whole(const Value& value, LoadContext& context) {
  std::optional<T> whole;
  const bool fits = context.build_now([&] {
    if (auto built = Codec<T>::build(value, context)) whole.emplace(*std::move(built));
  });
  return fits ? std::move(whole) : std::nullopt;
}

/// Builds a new value and plans its assignment.
template <class T>
void plan_by_building(T& live, const Value& value, LoadContext& context) {
  if (auto built = Codec<T>::build(value, context)) plan_replacement(live, *std::move(built), context);
}

template <class T>
struct AdapterCodec {
  static constexpr bool is_value = true;

  static Value save(const T& x, SaveContext& context) {
    return call_foreign(context.path, [&]() -> Value { return adapter<T>::save(x); });
  }

  static std::optional<T> build(const Value& value, LoadContext& context) {
    try {
      return adapter<T>::decode(value.clone());  // it may keep a tensor, which must not be the file's or the caller's
    } catch (...) {
      context.mismatch(type_name(), value.describe() + " (" + current_text() + ")");
      return std::nullopt;
    }
  }

  static void plan(T& live, const Value& value, LoadContext& context) {
    auto built = build(value, context);
    if (!built) return;
    if constexpr (requires(T & to, T & from) {
                    { adapter<T>::commit(to, std::move(from)) }
                    noexcept;
                  }) {
      context.plan->assign([&live, next = *std::move(built)]() mutable noexcept {  //
        adapter<T>::commit(live, std::move(next));
      });
    } else if constexpr (requires(T & to, T & from) { adapter<T>::commit(to, std::move(from)); }) {
      plan_commit(live, *std::move(built), context);
    } else {
      plan_replacement(live, *std::move(built), context);
    }
  }

 private:
  /// One that is not declared noexcept is not relied on: what it did is undone by committing what the object was saved
  /// as just before.
  static void plan_commit(T& live, T fresh, LoadContext& context) {
    auto old = std::make_shared<std::optional<T>>();
    context.plan->attempt(
        context.path,
        [&live, old, next = std::move(fresh), path = context.path]() mutable {
          call_foreign(path, [&] {
            const T& now = live;
            old->emplace(adapter<T>::decode(Value(adapter<T>::save(now)).clone()));
            adapter<T>::commit(live, std::move(next));
          });
        },
        [&live, old] {
          if (*old) adapter<T>::commit(live, *std::move(*old));
        });
  }

  static std::string type_name() {
    if constexpr (requires { adapter<T>::type_name; }) {
      return std::string(adapter<T>::type_name);
    } else {
      return "a value that its adapter accepts";
    }
  }
};

}  // namespace detail
}  // namespace trainstate
