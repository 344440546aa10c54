// The typed checkpoint: objects of any kind under names known at compile time.
#pragma once

#include <boost/hana/accessors.hpp>
#include <boost/hana/basic_tuple.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/string.hpp>
#include <boost/hana/tuple.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "trainstate/codec/component.hpp"
#include "trainstate/component.hpp"
#include "trainstate/fixed_string.hpp"
#include "trainstate/migrate.hpp"

namespace trainstate {

/// One part of a checkpoint: an object under a name. `T` is `X&` for an lvalue, `X` for an rvalue, which is owned.
template <FixedString Name, class T>
struct Part {
  using type = std::remove_reference_t<T>;
  static constexpr std::string_view name() { return Name; }
  T object;
};

/// The name of a part, `"model"_key`; assigning an object to it makes a Part.
template <FixedString Name>
struct PartKey {
  template <class T>
  constexpr Part<Name, T> operator=(T&& object) const {
    return {std::forward<T>(object)};
  }
};

namespace literals {

/// `"model"_key`, see PartKey.
template <FixedString Name>
constexpr PartKey<Name> operator""_key() {
  return {};
}

}  // namespace literals

namespace detail {

template <class P>
inline constexpr bool is_part = false;
template <FixedString Name, class T>
inline constexpr bool is_part<Part<Name, T>> = true;

template <class A>
inline constexpr bool is_checkpoint_argument = is_part<A>;
template <int N>
inline constexpr bool is_checkpoint_argument<Version<N>> = true;
template <int From, class Hook, class Old>
inline constexpr bool is_checkpoint_argument<Migration<From, Hook, Old>> = true;

template <class P>
inline constexpr bool refers = false;
template <FixedString Name, class T>
inline constexpr bool refers<Part<Name, T>> = std::is_reference_v<T> || std::is_empty_v<T>;

template <class... Parts>
constexpr bool names_differ() {
  constexpr std::string_view names[] = {Parts::name()..., ""};
  for (std::size_t i = 0; i < sizeof...(Parts); ++i) {
    for (std::size_t j = i + 1; j < sizeof...(Parts); ++j) {
      if (names[i] == names[j]) return false;
    }
  }
  return true;
}

}  // namespace detail

/// Objects under names, with their types: made by `checkpoint`. Copies refer to the same lvalues.
template <int V, class Migrations, class... Parts>
class Checkpoint {
 public:
  static constexpr int version = V;
  static constexpr std::string_view name = "checkpoint";

  constexpr Checkpoint(Migrations hooks, Parts... parts)
      : migrations_(std::move(hooks)), parts_{std::forward<Parts>(parts)...} {}

  /// The part of this name, the live object itself. Another name does not compile.
  template <FixedString Name>
  constexpr auto& operator[](PartKey<Name>) {
    return get<index_of<Name>()>();
  }
  template <FixedString Name>
  constexpr auto& operator[](PartKey<Name>) const {
    return get<index_of<Name>()>();
  }

  /// The I-th part. Parts that are references stay mutable in a const checkpoint, as references do.
  template <std::size_t I>
  constexpr auto& get() {
    return boost::hana::at_c<I>(parts_).object;
  }
  template <std::size_t I>
  constexpr auto& get() const {
    return boost::hana::at_c<I>(parts_).object;
  }

  constexpr const Migrations& migrations() const { return migrations_; }

  /// Calls `f(name, object)` for every part.
  template <class F>
  constexpr void for_each(F&& f) const {
    [&]<std::size_t... I>(std::index_sequence<I...>) { (f(Parts::name(), this->template get<I>()), ...); }
    (std::index_sequence_for<Parts...>());
  }
  template <class F>
  constexpr void for_each(F&& f) {
    [&]<std::size_t... I>(std::index_sequence<I...>) { (f(Parts::name(), this->template get<I>()), ...); }
    (std::index_sequence_for<Parts...>());
  }

 private:
  template <FixedString Name>
  static constexpr std::size_t index_of() {
    constexpr bool known = ((Parts::name() == Name.view()) || ...);
    static_assert(known,
                  "trainstate: this checkpoint has no part of that name; the names are those given to checkpoint()");
    std::size_t index = 0;
    const bool found = ((Parts::name() == Name.view() || (++index, false)) || ...);
    return found ? index : 0;
  }

  Migrations migrations_;
  boost::hana::basic_tuple<Parts...> parts_;
};

namespace detail {

template <class T>
inline constexpr bool is_checkpoint = false;
template <int V, class M, class... Parts>
inline constexpr bool is_checkpoint<Checkpoint<V, M, Parts...>> = true;

/// Sorts the leading arguments of `checkpoint` from its parts.
template <int V, class... Migrations>
struct CheckpointMaker {
  boost::hana::tuple<Migrations...> migrations;

  template <int N, class... Rest>
  constexpr auto operator()(const Version<N>&, Rest&&... rest) const {
    return CheckpointMaker<N, Migrations...>{migrations}(std::forward<Rest>(rest)...);
  }
  template <int From, class Hook, class Old, class... Rest>
  constexpr auto operator()(const Migration<From, Hook, Old>& hook, Rest&&... rest) const {
    return boost::hana::unpack(migrations, [&](const auto&... earlier) {
      return CheckpointMaker<V, Migrations..., Migration<From, Hook, Old>>{{earlier..., hook}}(
          std::forward<Rest>(rest)...);
    });
  }
  template <FixedString... Names, class... Ts>
  constexpr auto operator()(Part<Names, Ts>... parts) const {
    static_assert(((Names.size() != 0) && ...),
                  "trainstate: the name of a part of this checkpoint is empty; write \"name\"_key = object");
    static_assert(names_differ<Part<Names, Ts>...>(), "trainstate: two parts of this checkpoint have the same name");
    static_assert(V >= 1, "trainstate: versions start at 1");
    static_assert(
        chain_reaches<V, Migrations...>(),
        "trainstate: the migration hooks of this checkpoint must be given in order, one for each version, the last "
        "one leading to ts::version");
    return Checkpoint<V, boost::hana::tuple<Migrations...>, Part<Names, Ts>...>(
        migrations, std::forward<Part<Names, Ts>>(parts)...);
  }

 private:
  template <int Today, class... Ms>
  static constexpr bool chain_reaches() {
    constexpr int from[] = {Ms::from_version..., Today};
    for (std::size_t i = 0; i < sizeof...(Ms); ++i) {
      if (from[i] + 1 != from[i + 1] || from[i] < 1) return false;
    }
    return true;
  }
};

}  // namespace detail

/// Combines objects into one typed checkpoint: `checkpoint("model"_key = net, "optimizer"_key = optimizer)`. An lvalue
/// is held by reference and must outlive the checkpoint; an rvalue is owned. `version<N>` and `migrate<K>(hook)` may
/// come first: they are those of the checkpoint as a whole, its hooks see all parts.
template <class... Arguments>
constexpr auto checkpoint(Arguments&&... arguments) {
  static_assert(
      (detail::is_checkpoint_argument<std::remove_cvref_t<Arguments>> && ...),
      "trainstate: checkpoint() takes parts, \"name\"_key = object (with using namespace ts::literals), after "
      "ts::version<N> and ts::migrate<K>(hook) if there are any");
  return detail::CheckpointMaker<1>{}(std::forward<Arguments>(arguments)...);
}

namespace detail {

template <std::size_t I>
struct PartAccessor {
  template <class C>
  constexpr auto& operator()(C&& checkpoint) const {
    return checkpoint.template get<I>();
  }
};

template <class P>
struct PartName;
template <FixedString Name, class T>
struct PartName<Part<Name, T>> {
  static constexpr auto key = []<std::size_t... I>(std::index_sequence<I...>) {
    return boost::hana::string_c<Name.data[I]...>;
  }
  (std::make_index_sequence<Name.size()>());
};

}  // namespace detail
}  // namespace trainstate

namespace boost::hana {

/// A checkpoint is a Struct of its parts, as every component is one of its fields.
template <int V, class M, class... Parts>
struct accessors_impl<trainstate::Checkpoint<V, M, Parts...>> {
  static constexpr auto apply() {
    return []<std::size_t... I>(std::index_sequence<I...>) {
      return make_tuple(make_pair(trainstate::detail::PartName<Parts>::key, trainstate::detail::PartAccessor<I>())...);
    }
    (std::index_sequence_for<Parts...>());
  }
};

}  // namespace boost::hana

namespace trainstate {
namespace detail {

/// A checkpoint is one dict of its parts. Its version stands in the manifest.
template <int V, class M, class... Parts>
struct TorchCodec<Checkpoint<V, M, Parts...>> {
  using T = Checkpoint<V, M, Parts...>;
  static constexpr bool is_object = true;
  static constexpr bool takes_description = true;
  /// Whether loading writes nothing inside the checkpoint itself: its parts are references, or have nothing in them.
  static constexpr bool refers_only = (refers<Parts> && ...);

  static Value save(const T& x, SaveContext& context) {
    context.note_component(T::name, V, "checkpoint");
    StateDict dict;
    x.for_each([&]<class P>(std::string_view name, P& part) {
      const Key key = std::string(name);
      const auto scope = context.enter(key);
      dict[key] = Codec<P>::save(part, context);
    });
    return dict;
  }

  static void migrate(const T* live, Value& value, LoadContext& context) {
    auto* dict = value.get_if<StateDict>();
    if (!dict) return;
    if (!context.has_manifest) split_flat(*dict);
    for_each_selected(live, *dict, context,
                      [&]<class P>(const P& part, Value& item) { assemble_value<P>(&part, item, context); });
    context.note_component(T::name, V, "checkpoint");
    const bool today = (dict->find_key(std::string(Parts::name())) && ...);
    const int version = take_version(*dict, today, T::name, V, context);
    own_tensors(*dict, version, V, context);
    static const boost::hana::tuple<> none;
    if (live) {
      run_migrations<T>(live->migrations(), T::name, version, V, *dict, context);
    } else {
      run_migrations<T>(none, T::name, version, V, *dict, context);
    }
    for_each_selected(live, *dict, context,
                      [&]<class P>(const P& part, Value& item) { migrate_value<P>(&part, item, context); });
  }

  static void plan(T& live, const Value& value, LoadContext& context) {
    const auto* dict = value.get_if<StateDict>();
    if (!dict) return context.mismatch("a checkpoint: a dict of parts", value.describe());
    if (context.path.empty()) check_choice(*dict, context);
    live.for_each([&]<class P>(std::string_view name, P& part) {
      static_assert(!std::is_const_v<P>, "trainstate: a const part can be saved but not loaded; pass a mutable object");
      const std::string key(name);
      if (!context.selects(key)) return;
      const auto scope = context.enter(key);
      if (const Value* item = dict->find_key(key)) {
        Codec<P>::plan(part, *item, context);
      } else {
        context.missing();
      }
    });
    if (context.path.empty() && !context.options.only.empty()) return;
    for (const auto& [key, item] : *dict) {
      const auto* name = std::get_if<std::string>(&key);
      if (!name || (((*name != Parts::name()) && ...) && context.selects(*name))) context.unexpected(key);
    }
  }

  static void collect(const T& x, NamesContext& context) {
    x.for_each([&]<class P>(std::string_view name, P& part) {
      const auto scope = context.enter(std::string(name));
      collect_names<std::remove_const_t<P>>(part, context);
    });
  }

 private:
  /// Calls f(part, what the file has of it) at the part's path.
  template <class F>
  static void for_each_selected(const T* live, StateDict& dict, LoadContext& context, const F& f) {
    if (!live) return;
    live->for_each([&]<class P>(std::string_view name, const P& part) {
      const std::string key(name);
      Value* item = context.selects(key) ? dict.find_key(key) : nullptr;
      if (!item) return;
      const auto scope = context.enter(key);
      f.template operator()<P>(part, *item);
    });
  }

  /// A name in `only` or `except` that neither the checkpoint nor the file knows is a slip of the pen.
  static void check_choice(const StateDict& dict, const LoadContext& context) {
    for (const auto* names : {&context.options.only, &context.options.except}) {
      for (const std::string& name : *names) {
        const bool part = ((name == Parts::name()) || ...);
        if (part || (names == &context.options.except && dict.find_key(name))) continue;
        std::string known;
        ((known += (known.empty() ? "" : ", ") + std::string(Parts::name())), ...);
        throw Error("LoadOptions names the part '" + name + "', which this checkpoint does not have; it has " + known);
      }
    }
  }

  /// A foreign file is flat: `model.conv1.weight` belongs to the part `model`, unless that stands there as a whole.
  static void split_flat(StateDict& dict) {
    StateDict split;
    for (auto& [key, value] : dict) {
      const auto* text = std::get_if<std::string>(&key);
      std::string_view part;  // the longest that fits: `model.ema.weight` belongs to `model.ema` before `model`
      const auto consider = [&](const std::string& name, std::string_view lasting) {
        if (name.size() > part.size() && text->starts_with(name + '.') && !dict.find_key(name)) part = lasting;
      };
      const bool whole = !text || ((*text == Parts::name()) || ...);
      if (!whole) (consider(std::string(Parts::name()), Parts::name()), ...);
      if (part.empty()) {
        split[key] = std::move(value);
      } else {
        Value& into = split[std::string(part)];
        if (into.is<None>()) into = StateDict();
        into.as<StateDict>()[text->substr(part.size() + 1)] = std::move(value);
      }
    }
    dict = std::move(split);
  }
};

}  // namespace detail
}  // namespace trainstate
