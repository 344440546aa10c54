#include "trainstate/component/hana.hpp"

#include <doctest/doctest.h>

#include <boost/hana/at_key.hpp>
#include <boost/hana/concept/struct.hpp>
#include <boost/hana/contains.hpp>
#include <boost/hana/core/to.hpp>
#include <boost/hana/define_struct.hpp>
#include <boost/hana/equal.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/keys.hpp>
#include <boost/hana/map.hpp>
#include <boost/hana/members.hpp>
#include <boost/hana/not.hpp>
#include <boost/hana/string.hpp>
#include <boost/hana/tuple.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "trainstate/component.hpp"

namespace ts = trainstate;
namespace hana = boost::hana;

namespace {

constexpr auto lr_key = BOOST_HANA_STRING("lr");
constexpr auto step_key = BOOST_HANA_STRING("step");
constexpr auto name_key = BOOST_HANA_STRING("name");

class Adam {
 public:
  explicit Adam(double lr, std::string name = "adam") : lr_(lr), name_(std::move(name)) {}

  static constexpr auto describe() {
    return ts::component<Adam>("adam", ts::hyper("lr", &Adam::lr_), ts::state("step", &Adam::step_),
                               ts::state("name", &Adam::name_), ts::transient(&Adam::scratch_));
  }

 private:
  double lr_;
  int step_ = 0;
  std::string name_;
  int scratch_ = 0;
};

struct Owner {
  std::unique_ptr<int> value;
  static constexpr auto describe() { return ts::component<Owner>("owner", ts::state("value", &Owner::value)); }
};

struct Defined {
  BOOST_HANA_DEFINE_STRUCT(Defined, (int, x), (int, y));
  static constexpr auto describe() {
    return ts::component<Defined>("defined", ts::state("why", &Defined::y), ts::transient(&Defined::x));
  }
};

struct Extended : Defined {
  int z = 3;
  static constexpr auto describe() {
    return ts::component<Extended>("extended", ts::base<Defined>, ts::state("z", &Extended::z));
  }
};

}  // namespace

TEST_CASE("hana: keys are strings known at compile time") {
  Adam adam(0.1);
  static_assert(decltype(hana::keys(adam) == hana::make_tuple(lr_key, step_key, name_key))::value);
  static_assert(decltype(hana::contains(adam, step_key))::value);
  constexpr auto scratch = BOOST_HANA_STRING("scratch");
  static_assert(!decltype(hana::contains(adam, scratch))::value);
  CHECK(hana::Struct<Adam>::value);
}

TEST_CASE("hana: members are values") {
  CHECK(hana::equal(hana::members(Adam(0.1, "a")), hana::make_tuple(0.1, 0, std::string("a"))));
  CHECK(hana::to<hana::map_tag>(Adam(0.2))[lr_key] == 0.2);
  CHECK(hana::to_map(Adam(0.2, "b"))[name_key] == "b");
}

TEST_CASE("hana: at_key reaches the member itself") {
  Adam adam(0.1);
  hana::at_key(adam, lr_key) = 0.5;
  CHECK(hana::at_key(std::as_const(adam), lr_key) == 0.5);
  static_assert(std::is_same_v<decltype(hana::at_key(adam, step_key)), int&>);
  static_assert(std::is_same_v<decltype(hana::at_key(std::as_const(adam), step_key)), const int&>);

  Owner owner{std::make_unique<int>(4)};
  const std::unique_ptr<int> taken = hana::at_key(std::move(owner), BOOST_HANA_STRING("value"));
  CHECK(*taken == 4);
}

TEST_CASE("hana: for_each goes through pairs of key and value") {
  std::string seen;
  hana::for_each(Adam(0.1), [&](auto pair) { seen += std::string(hana::first(pair).c_str()) + ";"; });
  CHECK(seen == "lr;step;name;");
}

TEST_CASE("hana: what the user made a Struct stays that Struct") {
  Defined defined{1, 2};
  constexpr auto written = hana::make_tuple(BOOST_HANA_STRING("x"), BOOST_HANA_STRING("y"));
  static_assert(decltype(hana::keys(defined) == written)::value);
  CHECK(ts::component_name<Defined> == "defined");

  Extended extended;
  extended.y = 5;
  constexpr auto described = hana::make_tuple(BOOST_HANA_STRING("why"), BOOST_HANA_STRING("z"));
  static_assert(decltype(hana::keys(extended) == described)::value);
  CHECK(hana::at_key(extended, BOOST_HANA_STRING("why")) == 5);
}
