// Every mistake that a description can hold, as a compile error that names the component and the remedy.
#pragma once

#include <algorithm>
#include <array>
#include <boost/hana/at.hpp>
#include <boost/hana/unpack.hpp>
#include <string_view>
#include <trainstate/component/completeness.hpp>
#include <trainstate/component/concept.hpp>
#include <trainstate/component/field.hpp>
#include <trainstate/component/migration.hpp>
#include <trainstate/component/reflection/completeness.hpp>
#include <type_traits>

namespace trainstate::detail {

template <class T>
constexpr bool keys_differ() {
  return boost::hana::unpack(field_tuple<T>, []<class... Fields>(Fields...) {
    std::array<std::string_view, sizeof...(Fields)> keys{Fields::name()...};
    std::sort(keys.begin(), keys.end());
    return std::adjacent_find(keys.begin(), keys.end()) == keys.end();
  });
}

template <class T>
constexpr bool keys_are_written() {
  return boost::hana::unpack(field_tuple<T>, []<class... Fields>(Fields...) { return (!Fields::name().empty() && ...); });
}

template <class T>
constexpr bool check_description() {
  static_assert(detail::keys_are_written<T>(), "trainstate: a field's key is empty: give it the name that stands in files");
  static_assert(detail::keys_differ<T>(), "trainstate: two fields of this component have the same key: rename one of them");
  static_assert(declared_version<T> >= 1, "trainstate: versions start at 1: write ts::version<1> or leave it out");
#ifdef TRAINSTATE_REFLECTION
  static_assert(detail::completeness_error<T>().empty(), detail::completeness_error<T>());
#else
  static_assert(detail::is_complete<T>(),
                "trainstate: a member of this aggregate is not listed, or cannot be counted: list each with ts::hyper, "
                "ts::state or ts::transient, or pass ts::unchecked");
#endif
  return true;
}

template <class T>
constexpr bool assert_component() {
  static_assert(!inherits_describe<T>,
                "trainstate: this class only inherits describe(): give it a describe() of its own that lists ts::base<B> "
                "of the described base B, and the fields it adds");
  if constexpr (!inherits_describe<T>) {
    static_assert(Component<T>,
                  "trainstate: this type is not a component: give it a public static constexpr describe() that returns "
                  "ts::component<T>(...), or specialise ts::describe_for<T>");
    if constexpr (Described<T>) {
      return detail::check_description<T>();
    }
  }
  return true;
}

}  // namespace trainstate::detail
