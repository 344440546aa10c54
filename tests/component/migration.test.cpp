#include "trainstate/component/migration.hpp"

#include <doctest/doctest.h>

#include <boost/hana/for_each.hpp>
#include <boost/hana/unpack.hpp>

#include <string>
#include <type_traits>
#include <utility>

#include "trainstate/component.hpp"

namespace ts = trainstate;
namespace hana = boost::hana;

namespace {

constexpr auto nothing = [](auto&) {};

struct Unversioned {
  static constexpr auto describe() { return ts::component<Unversioned>("unversioned"); }
};
/// No file older than this is left.
struct StartsAnew {
  static constexpr auto describe() { return ts::component<StartsAnew>("starts_anew", ts::version<9>); }
};
struct StartsLate {
  static constexpr auto describe() {
    return ts::component<StartsLate>("starts_late", ts::migrate<6>(nothing), ts::version<7>, ts::migrate<5>(nothing));
  }
};

void erase_all(std::string& record) { record.clear(); }

/// A hook may be any callable that is known at compile time; a plain lambda is the usual one.
struct KindsOfHooks {
  struct Appends {
    char what;
    void operator()(std::string& record) const { record += what; }
  };

  static constexpr auto describe() {
    return ts::component<KindsOfHooks>("kinds_of_hooks", ts::version<4>, ts::migrate<1>(&erase_all),
                                       ts::migrate<2>(Appends{'a'}),
                                       ts::migrate<3>([](auto& record) { record += 'b'; }));
  }
};

template <class T>
constexpr auto starts = hana::unpack(ts::migrations<T>, []<class... M>(const M&...) {
  return std::integer_sequence<int, M::from_version...>{};
});

template <class T, int... Expected>
constexpr bool starts_are = std::is_same_v<decltype(starts<T>), const std::integer_sequence<int, Expected...>>;

}  // namespace

TEST_CASE("migration: a chain may be absent, or start late") {
  static_assert(ts::component_version<Unversioned> == 1);
  static_assert(starts_are<Unversioned>);
  static_assert(ts::component_version<StartsAnew> == 9);
  static_assert(starts_are<StartsAnew>);
  static_assert(ts::component_version<StartsLate> == 7);
  static_assert(starts_are<StartsLate, 5, 6>);
  CHECK(starts_are<KindsOfHooks, 1, 2, 3>);
}

TEST_CASE("migration: hooks keep what they were made of") {
  std::string record = "old";
  hana::for_each(ts::migrations<KindsOfHooks>, [&](const auto& migration) { migration.hook(record); });
  CHECK(record == "ab");
}
