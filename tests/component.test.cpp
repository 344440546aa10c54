#include "trainstate/component.hpp"

#include <doctest/doctest.h>

#include <boost/hana/at.hpp>
#include <boost/hana/back.hpp>
#include <boost/hana/define_struct.hpp>
#include <boost/hana/equal.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/front.hpp>
#include <boost/hana/length.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/unpack.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace ts = trainstate;
namespace hana = boost::hana;

namespace {

class WarmupCosine {
 public:
  WarmupCosine(double base_lr, std::int64_t warmup_steps) : base_lr_(base_lr), warmup_steps_(warmup_steps) {}

  void step() { cache_.push_back(static_cast<double>(++step_num_)); }
  std::int64_t step_num() const { return step_num_; }

  static constexpr auto describe() {
    return ts::component<WarmupCosine>(
        "warmup_cosine", ts::version<3>, ts::hyper("base_lr", &WarmupCosine::base_lr_),
        ts::hyper("warmup_steps", &WarmupCosine::warmup_steps_), ts::state("step_num", &WarmupCosine::step_num_),
        ts::transient(&WarmupCosine::cache_), ts::migrate<1>([](auto& d) { d.rename("params/lr", "params/base_lr"); }),
        ts::migrate<2>([](auto& d) { d.set_default("params/warmup_steps", 0); }));
  }

 private:
  double base_lr_;
  std::int64_t warmup_steps_;
  std::int64_t step_num_ = 0;
  std::vector<double> cache_;
};

/// The same, said in another order.
struct Shuffled {
  double lr = 0.1;
  int step = 0;
  int scratch = 0;

  static constexpr auto describe() {
    return ts::component<Shuffled>("shuffled", ts::migrate<2>([](auto&) {}), ts::state("step", &Shuffled::step),
                                   ts::flat, ts::transient(&Shuffled::scratch), ts::hyper("lr", &Shuffled::lr),
                                   ts::migrate<1>([](auto&) {}), ts::version<3>);
  }
};

struct Plain {
  BOOST_HANA_DEFINE_STRUCT(Plain, (int, epoch), (std::string, note));
};

struct Foreign {
  double weight = 1;
};

struct Empty {
  static constexpr auto describe() { return ts::component<Empty>("empty"); }
};

template <class T>
std::vector<std::string_view> names_of_fields() {
  return hana::unpack(ts::fields<T>, [](auto... f) { return std::vector<std::string_view>{decltype(f)::name()...}; });
}

template <class T, std::size_t I>
using FieldAt = std::remove_cvref_t<decltype(hana::at_c<I>(ts::fields<T>))>;

}  // namespace

template <>
struct ts::describe_for<Foreign> {
  static constexpr auto describe() { return ts::component<Foreign>("foreign", ts::state("weight", &Foreign::weight)); }
};

TEST_CASE("component: name, version and layout") {
  static_assert(ts::component_name<WarmupCosine> == "warmup_cosine");
  static_assert(ts::component_version<WarmupCosine> == 3);
  static_assert(!ts::is_flat<WarmupCosine>);
  static_assert(ts::component_version<Shuffled> == 3);
  static_assert(ts::is_flat<Shuffled>);
  static_assert(ts::component_version<Empty> == 1);
  CHECK(std::string(ts::component_name<Foreign>) == "foreign");
}

TEST_CASE("component: fields stand in declared order and know what they are") {
  CHECK(names_of_fields<WarmupCosine>() == std::vector<std::string_view>{"base_lr", "warmup_steps", "step_num"});
  CHECK(names_of_fields<Shuffled>() == std::vector<std::string_view>{"step", "lr"});
  CHECK(names_of_fields<Empty>().empty());

  using Lr = FieldAt<WarmupCosine, 0>;
  static_assert(std::is_empty_v<Lr>);
  static_assert(Lr::key == BOOST_HANA_STRING("base_lr"));
  static_assert(Lr::role == ts::Role::hyper);
  static_assert(std::is_same_v<Lr::value_type, double>);
  static_assert(FieldAt<WarmupCosine, 2>::role == ts::Role::state);
}

TEST_CASE("component: a field gives the live member") {
  WarmupCosine scheduler(0.1, 10);
  FieldAt<WarmupCosine, 2>::get(scheduler) = 41;
  scheduler.step();
  CHECK(scheduler.step_num() == 42);
  const WarmupCosine& fixed = scheduler;
  static_assert(std::is_same_v<decltype(FieldAt<WarmupCosine, 2>::get(fixed)), const std::int64_t&>);
  CHECK(FieldAt<WarmupCosine, 2>::get(fixed) == 42);
}

TEST_CASE("component: transient members are listed apart") {
  static_assert(decltype(hana::length(ts::transients<WarmupCosine>))::value == 1);
  WarmupCosine scheduler(0.1, 10);
  scheduler.step();
  hana::for_each(ts::transients<WarmupCosine>, [&](auto member) { CHECK(member.get(scheduler).size() == 1); });
}

TEST_CASE("component: hooks are sorted by version and kept uncalled") {
  static_assert(hana::unpack(ts::migrations<Shuffled>, []<class... M>(const M&...) {
    return std::is_same_v<std::integer_sequence<int, M::from_version...>, std::integer_sequence<int, 1, 2>>;
  }));
  static_assert(decltype(hana::length(ts::migrations<Empty>))::value == 0);

  struct Record {
    std::vector<std::string> done;
    void rename(std::string from, const std::string& to) { done.push_back(std::move(from) + " -> " + to); }
    void set_default(std::string path, int value) { done.push_back(std::move(path) + " = " + std::to_string(value)); }
  } record;
  hana::for_each(ts::migrations<WarmupCosine>, [&](const auto& migration) { migration.hook(record); });
  CHECK(record.done == std::vector<std::string>{"params/lr -> params/base_lr", "params/warmup_steps = 0"});
}

TEST_CASE("component: hyperparameters and state are references under their keys") {
  WarmupCosine scheduler(0.1, 10);
  auto hyper = ts::hyperparameters(scheduler);
  static_assert(decltype(hana::length(hyper))::value == 2);
  constexpr auto warmup_steps = BOOST_HANA_STRING("warmup_steps");
  static_assert(decltype(hana::first(hyper[hana::size_c<1>]) == warmup_steps)::value);
  CHECK(hana::second(hana::front(hyper)) == 0.1);

  auto state = ts::state_of(scheduler);
  hana::second(hana::front(state)) = 7;
  CHECK(scheduler.step_num() == 7);
  const auto copy = state;
  hana::second(hana::front(copy)) = 8;  // a reference stays one
  CHECK(scheduler.step_num() == 8);

  const WarmupCosine fixed(0.2, 20);
  static_assert(std::is_same_v<decltype(hana::second(hana::front(ts::hyperparameters(fixed)))), const double&>);
  CHECK(hana::second(hana::front(ts::hyperparameters(fixed))) == 0.2);
}

TEST_CASE("component: a hana::Struct is one of version 1, all of it state") {
  static_assert(ts::component_name<Plain> == "struct");
  static_assert(ts::component_version<Plain> == 1);
  CHECK(names_of_fields<Plain>() == std::vector<std::string_view>{"epoch", "note"});
  Plain plain{3, "x"};
  hana::second(hana::back(ts::state_of(plain))) = "y";
  CHECK(plain.note == "y");
  static_assert(decltype(hana::length(ts::hyperparameters(plain)))::value == 0);
}

TEST_CASE("component: a class that cannot be edited is described from outside") {
  Foreign foreign;
  FieldAt<Foreign, 0>::get(foreign) = 2;
  CHECK(foreign.weight == 2);
}

// An old release's struct, kept to read its files.
namespace {
namespace v1 {

struct Scheduler {
  float rate = 0;

  static constexpr auto describe() {
    return ts::component<Scheduler>("scheduler", ts::hyper("rate", &Scheduler::rate));
  }
};

}  // namespace v1

struct Scheduler {
  double lr = 0;

  static constexpr auto describe() {
    return ts::component<Scheduler>("scheduler", ts::version<3>, ts::hyper("lr", &Scheduler::lr),
                                    ts::migrate<2>([](auto& d) { d.erase("state"); }),
                                    ts::migrate_from<v1::Scheduler>([](const v1::Scheduler& old) {
                                      return Scheduler{static_cast<double>(old.rate)};
                                    }));
  }
};

}  // namespace

TEST_CASE("component: a hook from an old struct starts where that struct was") {
  const auto& from_struct = hana::at_c<0>(ts::migrations<Scheduler>);
  using M = std::remove_cvref_t<decltype(from_struct)>;
  static_assert(M::from_version == 1);
  static_assert(M::kind == ts::MigrationKind::old_struct);
  static_assert(std::is_same_v<M::old_type, v1::Scheduler>);
  CHECK(from_struct.hook(v1::Scheduler{0.5f}).lr == 0.5);

  using Next = std::remove_cvref_t<decltype(hana::at_c<1>(ts::migrations<Scheduler>))>;
  static_assert(Next::from_version == 2);
  static_assert(Next::kind == ts::MigrationKind::dict);
}
