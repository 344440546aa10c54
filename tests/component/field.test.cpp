#include "trainstate/component/field.hpp"

#include <doctest/doctest.h>

#include <boost/hana/at.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/length.hpp>
#include <boost/hana/unpack.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "trainstate/component.hpp"

namespace ts = trainstate;
namespace hana = boost::hana;

namespace {

template <class T, std::size_t I>
using FieldAt = std::remove_cvref_t<decltype(hana::at_c<I>(ts::fields<T>))>;

template <class T>
std::vector<std::string_view> keys() {
  return hana::unpack(ts::fields<T>, [](auto... f) { return std::vector<std::string_view>{decltype(f)::name()...}; });
}

struct Kinds {
  const double gamma = 0.5;
  int counts[2][3] = {};
  std::unique_ptr<int> owned;
  mutable int hits = 0;

  static constexpr auto describe() {
    return ts::component<Kinds>("kinds", ts::hyper("gamma", &Kinds::gamma), ts::state("counts", &Kinds::counts),
                                ts::state("owned", &Kinds::owned), ts::state("hits", &Kinds::hits));
  }
};

/// As LibTorch's LRScheduler is: what derived classes need is protected.
class Scheduler {
 protected:
  explicit Scheduler(int step_count) : step_count_(step_count) {}
  int step_count_;
};

class StepLr : public Scheduler {
 public:
  StepLr() : Scheduler(4) {}
  int step_count() const { return step_count_; }

  static constexpr auto describe() {
    return ts::component<StepLr>("step_lr", ts::state("step_count", &StepLr::step_count_));
  }
};

class HiddenStepLr : private Scheduler {
 public:
  HiddenStepLr() : Scheduler(5) {}
  int step_count() const { return step_count_; }

  static constexpr auto describe() {
    return ts::component<HiddenStepLr>("step_lr", ts::state("step_count", &HiddenStepLr::step_count_));
  }
};

class Base {
 public:
  static constexpr auto describe() {
    return ts::component<Base>("base", ts::version<5>, ts::hyper("lr", &Base::lr_), ts::transient(&Base::cache_),
                               ts::migrate<4>([](auto&) {}));
  }
  double lr() const { return lr_; }

 private:
  double lr_ = 0.1;
  int cache_ = 0;
};

class Middle : public Base {
 public:
  static constexpr auto describe() {
    return ts::component<Middle>("middle", ts::hyper("momentum", &Middle::momentum_), ts::base<Base>);
  }

 private:
  double momentum_ = 0.9;
};

class Derived : private Middle {
 public:
  using Base::lr;

  static constexpr auto describe() {
    return ts::component<Derived>("derived", ts::version<2>, ts::state("before", &Derived::before_), ts::base<Middle>,
                                  ts::state("after", &Derived::after_));
  }

 private:
  int before_ = 1;
  int after_ = 2;
};

struct Pair {
  Derived first;
  Derived second;

  static constexpr auto describe() {
    return ts::component<Pair>("pair", ts::state("first", &Pair::first), ts::state("second", &Pair::second));
  }
};

}  // namespace

TEST_CASE("field: const members, arrays and move-only members keep their types") {
  static_assert(std::is_same_v<FieldAt<Kinds, 0>::value_type, const double>);
  static_assert(FieldAt<Kinds, 0>::is_const);
  static_assert(std::is_same_v<FieldAt<Kinds, 1>::value_type, int[2][3]>);
  static_assert(!FieldAt<Kinds, 1>::is_const);

  Kinds kinds;
  static_assert(std::is_same_v<decltype(FieldAt<Kinds, 0>::get(kinds)), const double&>);
  FieldAt<Kinds, 1>::get(kinds)[1][2] = 9;
  CHECK(kinds.counts[1][2] == 9);
  FieldAt<Kinds, 2>::get(kinds) = std::make_unique<int>(3);
  CHECK(*kinds.owned == 3);
  CHECK(&FieldAt<Kinds, 3>::get(kinds) == &kinds.hits);
}

TEST_CASE("field: protected members of a base, also of one inherited privately") {
  StepLr scheduler;
  FieldAt<StepLr, 0>::get(scheduler) = 7;
  CHECK(scheduler.step_count() == 7);

  HiddenStepLr hidden;
  const HiddenStepLr& fixed = hidden;
  FieldAt<HiddenStepLr, 0>::get(hidden) = 8;
  CHECK(hidden.step_count() == 8);
  static_assert(std::is_same_v<decltype(FieldAt<HiddenStepLr, 0>::get(fixed)), const int&>);
}

TEST_CASE("field: those of described bases stand in the place of ts::base, under the deriving component's version") {
  CHECK(keys<Derived>() == std::vector<std::string_view>{"before", "momentum", "lr", "after"});
  static_assert(ts::component_version<Derived> == 2);
  static_assert(decltype(hana::length(ts::transients<Derived>))::value == 1);

  Derived derived;
  FieldAt<Derived, 2>::get(derived) = 0.3;
  CHECK(derived.lr() == 0.3);
}

TEST_CASE("field: hooks of a base are the base's own") {
  static_assert(decltype(hana::length(ts::migrations<Middle>))::value == 0);
  static_assert(decltype(hana::length(ts::migrations<Base>))::value == 1);
  CHECK(keys<Middle>() == std::vector<std::string_view>{"momentum", "lr"});
}

TEST_CASE("field: components inside components") {
  Pair pair;
  FieldAt<Derived, 2>::get(FieldAt<Pair, 1>::get(pair)) = 0.7;
  CHECK(pair.first.lr() == 0.1);
  CHECK(pair.second.lr() == 0.7);
}

TEST_CASE("field: a hundred of them") {
  struct Hundred {
#define TEN(n) int n##0 = 0, n##1 = 0, n##2 = 0, n##3 = 0, n##4 = 0, n##5 = 0, n##6 = 0, n##7 = 0, n##8 = 0, n##9 = 9
    TEN(a);
    TEN(b);
    TEN(c);
    TEN(d);
    TEN(e);
    TEN(f);
    TEN(g);
    TEN(h);
    TEN(i);
    TEN(j);
#undef TEN
    static constexpr auto describe() {
#define ONE(m) ts::state(#m, &Hundred::m)
#define TEN(n) \
  ONE(n##0), ONE(n##1), ONE(n##2), ONE(n##3), ONE(n##4), ONE(n##5), ONE(n##6), ONE(n##7), ONE(n##8), ONE(n##9)
      return ts::component<Hundred>("hundred", TEN(j), TEN(b), TEN(c), TEN(d), TEN(e), TEN(f), TEN(g), TEN(h), TEN(i),
                                    TEN(a));
#undef TEN
#undef ONE
    }
  };
  static_assert(decltype(hana::length(ts::fields<Hundred>))::value == 100);
  Hundred hundred;
  int sum = 0;
  hana::for_each(ts::fields<Hundred>, [&](auto field) { sum += field.get(hundred); });
  CHECK(sum == 90);
  CHECK(keys<Hundred>()[99] == "a9");
}
