#include "trainstate/schema.hpp"

#include <doctest/doctest.h>

#include <boost/hana/define_struct.hpp>

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace ts = trainstate;

namespace {

class WarmupCosine {
 public:
  explicit WarmupCosine(double base_lr) : base_lr_(base_lr) {}

  static constexpr auto describe() {
    return ts::component<WarmupCosine>("warmup_cosine", ts::version<3>, ts::hyper("base_lr", &WarmupCosine::base_lr_),
                                       ts::hyper("warmup_steps", &WarmupCosine::warmup_steps_),
                                       ts::state("step_num", &WarmupCosine::step_num_),
                                       ts::transient(&WarmupCosine::cache_));
  }

 private:
  double base_lr_;
  long warmup_steps_ = 0;
  std::int64_t step_num_ = 0;
  std::vector<double> cache_;
};

/// The same component after its author tidied it: other names, another order, wider words for the same widths.
class Tidied {
 public:
  explicit Tidied(double lr) : lr_(lr) {}

  static constexpr auto describe() {
    return ts::component<Tidied>("warmup_cosine", ts::state("step_num", &Tidied::steps_), ts::version<3>,
                                 ts::hyper("warmup_steps", &Tidied::warmup_), ts::hyper("base_lr", &Tidied::lr_),
                                 ts::migrate<2>([](auto&) {}));
  }

 private:
  long long steps_ = 0;
  const double lr_;
  std::int64_t warmup_ = 0;
};

/// What a lock has to notice: each number changes one thing.
template <int>
struct Changed {
  double lr = 0.1;
  int step = 0;

  static constexpr auto describe();
};

template <>
constexpr auto Changed<0>::describe() {
  return ts::component<Changed>("sgd", ts::hyper("lr", &Changed::lr), ts::state("step", &Changed::step));
}
template <>
constexpr auto Changed<1>::describe() {  // a key
  return ts::component<Changed>("sgd", ts::hyper("rate", &Changed::lr), ts::state("step", &Changed::step));
}
template <>
constexpr auto Changed<2>::describe() {  // a role
  return ts::component<Changed>("sgd", ts::state("lr", &Changed::lr), ts::state("step", &Changed::step));
}
template <>
constexpr auto Changed<3>::describe() {  // a field less
  return ts::component<Changed>("sgd", ts::hyper("lr", &Changed::lr), ts::transient(&Changed::step));
}
template <>
constexpr auto Changed<4>::describe() {  // the layout
  return ts::component<Changed>("sgd", ts::flat, ts::hyper("lr", &Changed::lr), ts::state("step", &Changed::step));
}
template <>
constexpr auto Changed<5>::describe() {  // the name
  return ts::component<Changed>("sgd2", ts::hyper("lr", &Changed::lr), ts::state("step", &Changed::step));
}
template <>
constexpr auto Changed<6>::describe() {  // the version
  return ts::component<Changed>("sgd", ts::version<2>, ts::hyper("lr", &Changed::lr),
                                ts::state("step", &Changed::step));
}
template <>
constexpr auto Changed<7>::describe() {  // a type, that is: which member has which key
  return ts::component<Changed>("sgd", ts::hyper("lr", &Changed::step), ts::state("step", &Changed::lr));
}

struct Empty {
  static constexpr auto describe() { return ts::component<Empty>("empty"); }
};

struct Plain {
  BOOST_HANA_DEFINE_STRUCT(Plain, (int, y), (float, x));
};

struct Holder {
  Plain plain{};
  Changed<0> sgd;

  static constexpr auto describe() {
    return ts::component<Holder>("holder", ts::state("plain", &Holder::plain), ts::state("sgd", &Holder::sgd));
  }
};
struct HolderOfNewer {
  Plain plain{};
  Changed<6> sgd;

  static constexpr auto describe() {
    return ts::component<HolderOfNewer>("holder", ts::state("plain", &HolderOfNewer::plain),
                                        ts::state("sgd", &HolderOfNewer::sgd));
  }
};

struct Tree {
  int value = 0;
  std::vector<Tree> branches;
  std::unique_ptr<Tree> next;

  static constexpr auto describe() {
    return ts::component<Tree>("tree", ts::state("value", &Tree::value), ts::state("branches", &Tree::branches),
                               ts::state("next", &Tree::next));
  }
};

// These numbers stand in other people's sources: they may never change.
static_assert(ts::locked<WarmupCosine, 0xcceea9d92606e403>);
static_assert(ts::locked<Changed<0>, 0x3436f3816bd07301>);
static_assert(ts::locked<Empty, 0x72777731cb6d1901>);
static_assert(ts::locked<Tree, 0x3b78297407d1e101>);

}  // namespace

TEST_CASE("schema: one line of name, version and fields by key") {
  CHECK(ts::schema<WarmupCosine>() ==
        "warmup_cosine v3 { base_lr: hyper f64; step_num: state i64; warmup_steps: hyper i64 }");
  CHECK(ts::schema<Changed<4>>() == "sgd v1 flat { lr: hyper f64; step: state i32 }");
  CHECK(ts::schema<Empty>() == "empty v1 {}");
  CHECK(ts::schema<Plain>() == "struct v1 { x: state f32; y: state i32 }");
}

TEST_CASE("schema: a nested component is spelled by name and fingerprint, a hana::Struct by its members") {
  const std::string sgd = "sgd#3436f3816bd07301";
  CHECK(ts::schema<Holder>() ==
        "holder v1 { plain: state struct { x: state f32; y: state i32 }; sgd: state " + sgd + " }");
  CHECK(ts::fingerprint<Holder>() != ts::fingerprint<HolderOfNewer>());
}

TEST_CASE("schema: a component inside itself is spelled by its name") {
  CHECK(ts::schema<Tree>() == "tree v1 { branches: state list<tree>; next: state pointer<tree>; value: state i32 }");
}

TEST_CASE("schema: a fingerprint ends in the version") {
  CHECK((ts::fingerprint<WarmupCosine>() & 0xff) == 3);
  CHECK((ts::fingerprint<Empty>() & 0xff) == 1);
}

TEST_CASE("schema: names of members, their order and the spelling of integers do not matter") {
  CHECK(ts::schema<Tidied>() == ts::schema<WarmupCosine>());
  CHECK(ts::fingerprint<Tidied>() == ts::fingerprint<WarmupCosine>());
}

TEST_CASE("schema: keys, roles, types, layout, name and version do") {
  const std::set<std::uint64_t> all{ts::fingerprint<Changed<0>>(), ts::fingerprint<Changed<1>>(),
                                    ts::fingerprint<Changed<2>>(), ts::fingerprint<Changed<3>>(),
                                    ts::fingerprint<Changed<4>>(), ts::fingerprint<Changed<5>>(),
                                    ts::fingerprint<Changed<6>>(), ts::fingerprint<Changed<7>>()};
  CHECK(all.size() == 8);
}
