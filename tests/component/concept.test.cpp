#include "trainstate/component/concept.hpp"

#include <doctest/doctest.h>

#include <boost/hana/adapt_adt.hpp>
#include <boost/hana/adapt_struct.hpp>
#include <boost/hana/concept/struct.hpp>
#include <boost/hana/define_struct.hpp>

#include <optional>
#include <string>
#include <vector>

namespace ts = trainstate;
namespace hana = boost::hana;

namespace {

struct Described {
  int x = 0;
  static constexpr auto describe() { return ts::component<Described>("described", ts::state("x", &Described::x)); }
};

struct Adapted {
  int x = 0;
};

struct Getters {
  int x() const { return 0; }
};

struct Defined {
  BOOST_HANA_DEFINE_STRUCT(Defined, (int, x));
};

/// The description is what counts, but Hana goes on seeing what the macro says.
struct Both {
  BOOST_HANA_DEFINE_STRUCT(Both, (int, x), (int, y));
  static constexpr auto describe() {
    return ts::component<Both>("both", ts::state("y", &Both::y), ts::transient(&Both::x));
  }
};

struct Inherits : Described {
  int more = 0;
};
struct InheritsDefined : Defined {
  int more = 0;
};
struct Redescribes : Defined {
  int more = 0;
  static constexpr auto describe() {
    return ts::component<Redescribes>("redescribes", ts::base<Defined>, ts::state("more", &Redescribes::more));
  }
};
struct DescribesAnother {
  static constexpr auto describe() { return ts::component<Described>("described", ts::state("x", &Described::x)); }
};

// Other people's `describe`.
struct NotStatic {
  auto describe() const { return ts::component<NotStatic>("not_static"); }
};
struct ReturnsText {
  static std::string describe() { return "a struct"; }
};
struct TakesArgument {
  static constexpr auto describe(int) { return ts::component<TakesArgument>("takes_argument"); }
};
struct DataMember {
  int describe = 0;
};
struct StaticDataMember {
  static constexpr int describe = 0;
};
struct NestedType {
  struct describe {};
};
struct Undeduced {
  static auto describe();
};
class Private {
  static constexpr auto describe() { return ts::component<Private>("private"); }
};
struct Overloaded {
  static constexpr int describe(int) { return 0; }
  static constexpr int describe(double) { return 0; }
};
struct Declared;
union Union {
  int x;
};
enum class Enum { one };

template <class T>
struct Generic {
  T value{};
  static constexpr auto describe() { return ts::component<Generic>("generic", ts::state("value", &Generic::value)); }
};

template <class... T>
constexpr bool none_is_component = (!ts::Component<T> && ...);
template <class... T>
constexpr bool none_is_struct = (!hana::Struct<T>::value && ...);

}  // namespace

BOOST_HANA_ADAPT_STRUCT(Adapted, x);
BOOST_HANA_ADAPT_ADT(Getters, (x, [](const auto& g) { return g.x(); }));

TEST_CASE("concept: what says of itself what it saves is a component") {
  static_assert(ts::Component<Described>);
  static_assert(ts::Component<Generic<int>>);
  static_assert(ts::Component<Generic<std::vector<double>>>);
  static_assert(ts::Component<Adapted>);
  static_assert(ts::Component<Defined>);
  static_assert(ts::Component<Both>);
  static_assert(ts::Component<Redescribes>);
  CHECK(ts::Component<Described>);
}

TEST_CASE("concept: anything else is none, and asking does no harm") {
  static_assert(none_is_component<int, void, int*, int&, int[3], int(), Enum, Union, std::string, std::optional<int>>);
  static_assert(none_is_component<NotStatic, ReturnsText, TakesArgument, DataMember, StaticDataMember, NestedType,
                                  Undeduced, Private, Overloaded, Declared, DescribesAnother>);
  static_assert(none_is_component<const Described, Described&, const Described&, Described*, volatile Described>);
  static_assert(none_is_component<const Defined, Defined&>);
  static_assert(!ts::Component<Getters>);  // it gives copies, so there is nothing to load into
  CHECK_FALSE(ts::Component<Private>);
}

TEST_CASE("concept: a class that merely inherits a description is none, and can be told") {
  static_assert(none_is_component<Inherits, InheritsDefined>);
  static_assert(ts::detail::inherits_describe<Inherits>);
  static_assert(ts::detail::inherits_describe<InheritsDefined>);
  static_assert(!ts::detail::inherits_describe<Described>);
  static_assert(!ts::detail::inherits_describe<Defined>);
  static_assert(!ts::detail::inherits_describe<Both>);
  static_assert(!ts::detail::inherits_describe<Redescribes>);
  static_assert(!ts::detail::inherits_describe<DescribesAnother>);
  static_assert(!ts::detail::inherits_describe<int>);
  static_assert(!ts::detail::inherits_describe<Declared>);
  CHECK(ts::detail::inherits_describe<Inherits>);
}

TEST_CASE("concept: a component is a hana::Struct, and nothing else became one") {
  static_assert(hana::Struct<Described>::value);
  static_assert(hana::Struct<Generic<int>>::value);
  static_assert(hana::Struct<Redescribes>::value);
  static_assert(none_is_struct<int, std::string, std::vector<int>, Enum, Union, Declared>);
  static_assert(none_is_struct<NotStatic, ReturnsText, TakesArgument, DataMember, StaticDataMember, NestedType,
                               Undeduced, Private, Overloaded, Inherits, DescribesAnother>);
  CHECK(hana::Struct<Described>::value);
}
