#include "trainstate/component/completeness.hpp"

#include <doctest/doctest.h>

#include <any>
#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "trainstate/component.hpp"

namespace ts = trainstate;

// Every struct below stands for two: one whose members are all listed, and one of which something was forgotten.
#define LISTED(T, ...)                                                              \
  template <>                                                                       \
  struct ts::describe_for<T> {                                                      \
    using X = T;                                                                    \
    static constexpr auto describe() { return ts::component<X>("x", __VA_ARGS__); } \
  }

namespace {

enum class Listing { whole, forgetful };
constexpr auto whole = Listing::whole;
constexpr auto forgetful = Listing::forgetful;

template <class T>
constexpr bool is_complete = ts::detail::is_complete<T>();

struct NoDefault {
  explicit NoDefault(int) {}
};
struct ExplicitDefault {
  explicit ExplicitDefault() = default;
};
struct Immovable {
  explicit Immovable(int) {}
  Immovable(Immovable&&) = delete;
};
struct Nothing {};
struct Inner {
  int a = 0;
  struct {
    double b = 0, c = 0;
  } innermost;
};

/// Takes whatever converts to T, in a body that is a hard error for what converts to anything: LibTorch 1.13's
/// c10::optional, in short.
template <class T>
struct GreedyStorage {
  constexpr GreedyStorage() = default;
  explicit constexpr GreedyStorage(const T&) {}
  explicit constexpr GreedyStorage(T&&) {}
  template <class... A>
  explicit constexpr GreedyStorage(std::in_place_t, A&&...) {}
};
template <class T>
class GreedyOptional : GreedyStorage<T> {
 public:
  constexpr GreedyOptional() = default;
  template <class U, std::enable_if_t<std::is_constructible_v<T, U&&> && std::is_convertible_v<U&&, T>, int> = 0>
  constexpr GreedyOptional(U&& value) : GreedyStorage<T>(std::forward<U>(value)) {}
};

/// Takes anything at all.
struct Greediest {
  Greediest() = default;
  template <class U>
  Greediest(U&&) {}
};

/// A class, so nobody counts its members; what it shows of itself is protected.
class Countless {
 protected:
  Countless() = default;
  int shown_ = 0;

 private:
  [[maybe_unused]] int hidden_ = 0;
};

}  // namespace

// Arrays, nested aggregates

namespace {
template <Listing>
struct Arrays {
  int before = 0;
  int window[3] = {};
  double grid[2][4] = {};
  Inner inner[2];
  NoDefault pair[2] = {NoDefault(1), NoDefault(2)};
  std::array<int, 3> fixed{};
  int after = 0;
};
template <Listing>
struct LongArrays {
  char name[1000] = {};
  float table[300][300] = {};
  int after = 0;
};
template <Listing>
struct Nested {
  Inner inner;
  int after = 0;
};
}  // namespace
LISTED(Arrays<whole>, ts::transient(&X::before, &X::window, &X::grid, &X::inner, &X::pair, &X::fixed, &X::after));
LISTED(Arrays<forgetful>, ts::transient(&X::before, &X::grid, &X::inner, &X::pair, &X::fixed, &X::after));
LISTED(LongArrays<whole>, ts::transient(&X::name, &X::table, &X::after));
LISTED(LongArrays<forgetful>, ts::transient(&X::name, &X::after));
LISTED(Nested<whole>, ts::transient(&X::inner, &X::after));
LISTED(Nested<forgetful>, ts::transient(&X::after));

TEST_CASE("completeness: an array or a nested aggregate counts as one member") {
  CHECK(is_complete<Arrays<whole>>);
  CHECK_FALSE(is_complete<Arrays<forgetful>>);
  CHECK(is_complete<LongArrays<whole>>);
  CHECK_FALSE(is_complete<LongArrays<forgetful>>);
  CHECK(is_complete<Nested<whole>>);
  CHECK_FALSE(is_complete<Nested<forgetful>>);
}

// Place and order

namespace {
template <int>
struct Three {
  int first = 0;
  std::string second;
  double third = 0;
};
}  // namespace
LISTED(Three<0>, ts::state("third", &X::third), ts::hyper("first", &X::first), ts::transient(&X::second));
LISTED(Three<1>, ts::state("third", &X::third), ts::transient(&X::second));
LISTED(Three<2>, ts::hyper("first", &X::first), ts::state("third", &X::third));
LISTED(Three<3>, ts::hyper("first", &X::first), ts::transient(&X::second));
LISTED(Three<4>, ts::version<1>);
LISTED(Three<5>, ts::unchecked);

TEST_CASE("completeness: whichever was forgotten, in whatever order the others are listed") {
  CHECK(is_complete<Three<0>>);
  CHECK_FALSE(is_complete<Three<1>>);
  CHECK_FALSE(is_complete<Three<2>>);
  CHECK_FALSE(is_complete<Three<3>>);
  CHECK_FALSE(is_complete<Three<4>>);
  CHECK(is_complete<Three<5>>);
}

// Awkward members

namespace {
template <Listing>
struct Awkward {
  const double gamma = 0.1;
  std::unique_ptr<int> move_only;
  Immovable immovable;
  const NoDefault const_no_default;
  ExplicitDefault explicit_default;
  std::atomic<int> counter = 0;
  std::mutex mutex;
  std::any any;
  std::function<void(int)> function;
  std::optional<int> optional;
  std::variant<int, std::string> variant;
  std::vector<std::any> anys;
  GreedyOptional<int> greedy;
  Greediest greediest;
  bool last = false;
};
template <Listing>
struct ForgottenDefault {
  int first = 0;
  NoDefault last = NoDefault(3);
};
template <Listing>
struct ForgottenGreedy {
  std::any any;
  Greediest greediest;
  GreedyOptional<int> optional;
  int last = 0;
};
}  // namespace
LISTED(Awkward<whole>, ts::transient(&X::gamma, &X::move_only, &X::immovable, &X::const_no_default,
                                     &X::explicit_default, &X::counter, &X::mutex, &X::any, &X::function, &X::optional,
                                     &X::variant, &X::anys, &X::greedy, &X::greediest, &X::last));
LISTED(Awkward<forgetful>, ts::transient(&X::gamma, &X::move_only, &X::immovable, &X::const_no_default,
                                         &X::explicit_default, &X::counter, &X::mutex, &X::function, &X::optional,
                                         &X::variant, &X::anys, &X::greedy, &X::greediest, &X::last));
LISTED(ForgottenDefault<whole>, ts::transient(&X::first, &X::last));
LISTED(ForgottenDefault<forgetful>, ts::transient(&X::first));
LISTED(ForgottenGreedy<whole>, ts::transient(&X::any, &X::greediest, &X::optional, &X::last));
LISTED(ForgottenGreedy<forgetful>, ts::transient(&X::last));

TEST_CASE("completeness: members that cannot be defaulted, moved or converted to") {
  CHECK(is_complete<Awkward<whole>>);
  CHECK_FALSE(is_complete<Awkward<forgetful>>);
  CHECK(is_complete<ForgottenDefault<whole>>);
  CHECK_FALSE(is_complete<ForgottenDefault<forgetful>>);
  CHECK(is_complete<ForgottenGreedy<whole>>);
  CHECK_FALSE(is_complete<ForgottenGreedy<forgetful>>);
}

// References

namespace {
int global = 0;

template <Listing>
struct OneReference {
  int first;
  std::string& name;
  double last;
};
template <Listing>
struct DefaultedReference {
  int first = 0;
  int& global_one = global;
};
template <Listing>
struct References {
  std::vector<int>& model;
  const double& rate;
  int step;
  std::optional<int> best;
  GreedyOptional<int> greedy;
  std::optional<std::string> note;
  std::string name;
  int (&table)[3];
  int window[2];
  bool& stop;
};
struct OnlyReferences {
  int& a;
  int& b;
};
template <Listing>
struct ManyReferences {
  int &a, &b, &c, &d, &e, &f;
  double first;
  int &g, &h, &i, &j, &k;
  double last;
};
}  // namespace
LISTED(OneReference<whole>, ts::transient(&X::last, &X::first));
LISTED(OneReference<forgetful>, ts::transient(&X::first));
LISTED(DefaultedReference<whole>, ts::transient(&X::first));
LISTED(DefaultedReference<forgetful>, ts::version<1>);
LISTED(References<whole>, ts::transient(&X::step, &X::best, &X::greedy, &X::note, &X::name, &X::window));
LISTED(References<forgetful>, ts::transient(&X::step, &X::best, &X::greedy, &X::note, &X::name));
LISTED(OnlyReferences, ts::version<1>);
LISTED(ManyReferences<whole>, ts::transient(&X::first, &X::last));
LISTED(ManyReferences<forgetful>, ts::transient(&X::first));

TEST_CASE("completeness: references are not counted") {
  CHECK(is_complete<OneReference<whole>>);
  CHECK_FALSE(is_complete<OneReference<forgetful>>);
  CHECK(is_complete<DefaultedReference<whole>>);
  CHECK_FALSE(is_complete<DefaultedReference<forgetful>>);
  CHECK(is_complete<References<whole>>);
  CHECK_FALSE(is_complete<References<forgetful>>);
  CHECK(is_complete<OnlyReferences>);
  CHECK(is_complete<ManyReferences<whole>>);
  CHECK_FALSE(is_complete<ManyReferences<forgetful>>);
}

// Bases

namespace {
struct Numbers {
  int a = 0;
  double b = 0;
};
struct Described {
  int x = 0;
  static constexpr auto describe() { return ts::component<Described>("described", ts::state("x", &Described::x)); }
};
struct Between : Nothing, Numbers {};

template <int>
struct EmptyBase : Nothing {
  int own = 0;
};
template <int>
struct WithBases : Nothing, Numbers, Described {
  int own = 0;
};
template <int>
struct Deep : Between {
  int own = 0;
};
template <int>
struct ClassBase : Countless {
  int own = 0;
  using Countless::shown_;
};
template <int>
struct BaseAndReference : Described {
  int own = 0;
  int& other;
};
struct SameTypeInside : Described {
  Described own;
};
template <int>
struct Tag {};
template <int>
struct ManyBases : Tag<0>, Tag<1>, Tag<2>, Tag<3>, Numbers, Tag<4>, Tag<5>, Tag<6> {
  int own = 0;
};
}  // namespace
LISTED(EmptyBase<0>, ts::transient(&X::own));
LISTED(EmptyBase<1>, ts::version<1>);
LISTED(WithBases<0>, ts::transient(&X::own, &X::a, &X::b), ts::base<Described>);
LISTED(WithBases<1>, ts::transient(&X::own, &X::a, &X::b, &X::x));
LISTED(WithBases<2>, ts::transient(&X::own, &X::a), ts::base<Described>);
LISTED(WithBases<3>, ts::transient(&X::own), ts::base<Described>);
LISTED(WithBases<4>, ts::transient(&X::own, &X::a, &X::b));
LISTED(WithBases<5>, ts::transient(&X::a, &X::b), ts::base<Described>);
LISTED(Deep<0>, ts::transient(&X::own, &X::a, &X::b));
LISTED(Deep<1>, ts::transient(&X::own, &X::a));
LISTED(Deep<2>, ts::transient(&X::own));
LISTED(ClassBase<0>, ts::transient(&X::own, &X::shown_));
LISTED(ClassBase<1>, ts::transient(&X::own));
LISTED(BaseAndReference<0>, ts::transient(&X::own), ts::base<Described>);
LISTED(BaseAndReference<1>, ts::base<Described>);
LISTED(SameTypeInside, ts::transient(&X::own), ts::base<Described>);
LISTED(ManyBases<0>, ts::transient(&X::own, &X::a, &X::b));
LISTED(ManyBases<1>, ts::transient(&X::own, &X::a));
LISTED(ManyBases<2>, ts::transient(&X::a, &X::b));

TEST_CASE("completeness: an empty base holds nothing to forget") {
  CHECK(is_complete<EmptyBase<0>>);
  CHECK_FALSE(is_complete<EmptyBase<1>>);
}

TEST_CASE("completeness: a base is accounted for by ts::base or by all of its members") {
  CHECK(is_complete<WithBases<0>>);
  CHECK(is_complete<WithBases<1>>);
  CHECK_FALSE(is_complete<WithBases<2>>);
  CHECK_FALSE(is_complete<WithBases<3>>);
  CHECK_FALSE(is_complete<WithBases<4>>);
  CHECK_FALSE(is_complete<WithBases<5>>);
  CHECK(is_complete<Deep<0>>);
  CHECK_FALSE(is_complete<Deep<1>>);
  CHECK_FALSE(is_complete<Deep<2>>);
  CHECK(is_complete<BaseAndReference<0>>);
  CHECK_FALSE(is_complete<BaseAndReference<1>>);
  CHECK(is_complete<SameTypeInside>);
  CHECK(is_complete<ManyBases<0>>);
  CHECK_FALSE(is_complete<ManyBases<1>>);
  CHECK_FALSE(is_complete<ManyBases<2>>);
}

TEST_CASE("completeness: of a base that is a class, one member has to be listed, as nobody can count the others") {
  CHECK(is_complete<ClassBase<0>>);
  CHECK_FALSE(is_complete<ClassBase<1>>);
}

// Members that share an address

namespace {
template <int>
struct EmptyFirst {
  [[no_unique_address]] Nothing nothing;
  int own = 0;
};
template <int>
struct EmptyBetween {
  int first = 0;
  [[no_unique_address]] Nothing nothing;
  int last = 0;
};
template <int>
struct EmptyLast {
  int first = 0, second = 0;
  [[no_unique_address]] Nothing nothing;
};
template <int>
struct TwoEmpty : Described {
  int first = 0;
  [[no_unique_address]] Tag<0> a;
  double second[2] = {};
  [[no_unique_address]] Tag<1> b;
  bool last = false;
};
}  // namespace
LISTED(EmptyFirst<0>, ts::transient(&X::own, &X::nothing));
LISTED(EmptyFirst<1>, ts::transient(&X::nothing, &X::own));
LISTED(EmptyFirst<2>, ts::transient(&X::own));
LISTED(EmptyFirst<3>, ts::transient(&X::nothing));
LISTED(EmptyBetween<0>, ts::transient(&X::nothing, &X::last, &X::first));
LISTED(EmptyBetween<1>, ts::transient(&X::nothing, &X::first));
LISTED(EmptyBetween<2>, ts::transient(&X::first, &X::last));
LISTED(EmptyLast<0>, ts::transient(&X::nothing, &X::second, &X::first));
LISTED(EmptyLast<1>, ts::transient(&X::nothing, &X::first));
LISTED(TwoEmpty<0>, ts::transient(&X::b, &X::a, &X::last, &X::second, &X::first), ts::base<Described>);
LISTED(TwoEmpty<1>, ts::transient(&X::b, &X::a, &X::last, &X::first), ts::base<Described>);

TEST_CASE("completeness: an empty member counts wherever it is declared, though it shares another's address") {
  CHECK(is_complete<EmptyFirst<0>>);
  CHECK(is_complete<EmptyFirst<1>>);
  CHECK_FALSE(is_complete<EmptyFirst<2>>);
  CHECK_FALSE(is_complete<EmptyFirst<3>>);
  CHECK(is_complete<EmptyBetween<0>>);
  CHECK_FALSE(is_complete<EmptyBetween<1>>);
  CHECK_FALSE(is_complete<EmptyBetween<2>>);
  CHECK(is_complete<EmptyLast<0>>);
  CHECK_FALSE(is_complete<EmptyLast<1>>);
  CHECK(is_complete<TwoEmpty<0>>);
  CHECK_FALSE(is_complete<TwoEmpty<1>>);
}

// What is not counted

namespace {
class Private {
 public:
  static constexpr auto describe() { return ts::component<Private>("private", ts::state("listed", &Private::listed_)); }

 private:
  int listed_ = 0;
  [[maybe_unused]] int forgotten_ = 0;
};
struct WithConstructor {
  explicit WithConstructor(int n) : listed(n), forgotten(n) {}
  int listed;
  int forgotten;
};
template <int>
struct Flags {
  int whole = 0;
  unsigned bit : 1;
};
}  // namespace
LISTED(WithConstructor, ts::transient(&X::listed));
LISTED(Flags<0>, ts::transient(&X::whole), ts::unchecked);
LISTED(Flags<1>, ts::transient(&X::whole));

TEST_CASE("completeness: only aggregates are counted, and only those that do not say ts::unchecked") {
  CHECK(is_complete<Private>);
  CHECK(is_complete<WithConstructor>);
  CHECK(is_complete<Flags<0>>);
  CHECK_FALSE(is_complete<Flags<1>>);
}
