// Classes that say in annotations what others say in describe(), and the exact check that nothing was forgotten. Needs
// C++26 reflection; see CMakeLists.txt.
// Version 14 does not know C++26.
// clang-format off
#include <trainstate/component.hpp>
#include <trainstate/schema.hpp>

#include <doctest/doctest.h>

#include <boost/hana/adapt_struct.hpp>
#include <boost/hana/at_key.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/map.hpp>
#include <boost/hana/string.hpp>
#include <boost/hana/unpack.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#ifndef TRAINSTATE_REFLECTION
#error "compiled without reflection"
#endif

// clang-format off: it does not know the syntax

namespace ts = trainstate;
namespace hana = boost::hana;

// LibTorch's classes, as far as the check looks at them.
namespace at {
class Tensor {
  std::shared_ptr<int> impl_;
};
}  // namespace at
namespace torch::nn {
class Module {
 public:
  virtual ~Module() = default;

 protected:
  std::map<std::string, at::Tensor> parameters_;

 private:
  std::string name_;
};
template <class Contained>
class ModuleHolder {
 public:
  using ContainedType = Contained;

 protected:
  std::shared_ptr<Contained> impl_;
};
class AnyModule {
  std::shared_ptr<int> content_;
};
}  // namespace torch::nn

namespace {

using Strings = std::vector<std::string>;

// Without the namespaces, by which the twins differ.
std::string without_namespaces(std::string text) {
  for (const std::string_view space : {"{anonymous}::", "annotated::", "described::"}) {
    for (auto at = text.find(space); at != text.npos; at = text.find(space)) text.erase(at, space.size());
  }
  return text;
}

// What stands in every file, hence what must be equal: name, version, and key, role and type of each field in order.
template <class T>
Strings contract() {
  Strings lines{std::string(ts::component_name<T>), std::to_string(ts::component_version<T>),
                ts::is_flat<T> ? "flat" : "record"};
  hana::for_each(ts::fields<T>, [&]<class F>(F) {
    const char* role = F::role == ts::Role::hyper ? " hyper " : " state ";
    lines.push_back(std::string(F::name()) + role +
                    without_namespaces(std::string(display_string_of(dealias(^^typename F::value_type)))));
  });
  hana::unpack(ts::migrations<T>, [&]<class... M>(const M&...) {
    (lines.push_back("from " + std::to_string(M::from_version)), ...);
  });
  return lines;
}

// Twins ---------------------------------------------------------------------------------------------------------------

class Counter {  // stands for LibTorch's LRScheduler: not described, its member protected
 public:
  virtual ~Counter() = default;

 protected:
  unsigned step_count_ = 7;
};

struct Record {  // stands for a state dict
  Strings done;
};

namespace described {

struct Warmup {
  std::int64_t steps = 100;
  static constexpr auto describe() { return ts::component<Warmup>("warmup", ts::state("steps", &Warmup::steps)); }
};

class WarmupCosine : public Counter, public Warmup {
 public:
  static constexpr auto describe() {
    return ts::component<WarmupCosine>("warmup_cosine", ts::version<3>, ts::base<Warmup>,
        ts::hyper("base_lr", &WarmupCosine::base_lr_),
        ts::hyper("max_step", &WarmupCosine::last_),
        ts::state("step_num", &WarmupCosine::step_num_),
        ts::state("inner", &WarmupCosine::inner_),
        ts::transient(&WarmupCosine::cache_),
        ts::state("step_count", &WarmupCosine::step_count_),
        ts::migrate<1>([](auto& record) { record.done.push_back("1 to 2"); }),
        ts::migrate<2>([](auto& record) { record.done.push_back("2 to 3"); }));
  }

 private:
  double base_lr_ = 0.5;
  const int last_ = 9;
  std::int64_t step_num_ = 3;
  std::optional<Warmup> inner_;
  std::vector<double> cache_;
};

}  // namespace described

namespace annotated {

struct [[=ts::component("warmup")]] Warmup {
  [[=ts::state]] std::int64_t steps = 100;
};

class [[=ts::component("warmup_cosine", ts::version<3>, ts::base<Warmup>)]] WarmupCosine : public Counter,
                                                                                          public Warmup {
 public:
  WarmupCosine() = default;

 private:
  [[=ts::hyper]] double base_lr_ = 0.5;
  [[=ts::hyper("max_step")]] const int last_ = 9;
  [[=ts::state]] std::int64_t step_num_ = 3;
  [[=ts::state]] std::optional<Warmup> inner_;
  [[=ts::transient]] std::vector<double> cache_;
  [[=ts::state]] static constexpr auto step_count = &WarmupCosine::step_count_;

  [[=ts::migrate<1>]] static constexpr auto from_1 = [](auto& record) { record.done.push_back("1 to 2"); };
  [[=ts::migrate<2>]] static void from_2(Record& record) { record.done.push_back("2 to 3"); }

  static inline int instances = 0;
};

}  // namespace annotated

template <class T>
Strings run_hooks() {
  Record record;
  hana::for_each(ts::migrations<T>, [&](const auto& migration) { migration.hook(record); });
  return record.done;
}

// Other annotated classes ---------------------------------------------------------------------------------------------

struct Nameless {
  [[=ts::state]] int epoch_ = 1;
  [[=ts::state]] int _ = 2;
};

template <class X>
class [[=ts::component("pair_of", ts::flat)]] PairOf {
  [[=ts::hyper]] X first_{};
  [[=ts::state]] X second_{};
};

template <class X>
struct Box {
  [[=ts::state]] X content{};
};

struct [[=ts::component("new", ts::version<2>)]] New {
  [[=ts::state]] int sum = 0;
  [[=ts::migrate_from<Nameless>]] static New from_old(const Nameless& old) { return {old.epoch_ + old._}; }
};

class Awkward {
 public:
  explicit Awkward(int& target) : target_(target) {}

 private:
  int& target_;
  [[=ts::transient]] unsigned flag_ : 3 = 0;
  unsigned : 5;
  union {
    [[=ts::state]] int number_ = 4;
    float real_;
  };
};

struct MerelyDerived : annotated::WarmupCosine {};
struct NotAnnotated {
  [[deprecated]] int x;
  [[=42]] int y;
};
struct Incomplete;

static_assert(ts::Component<annotated::Warmup> && ts::Component<annotated::WarmupCosine> && ts::Component<Nameless>);
static_assert(ts::Component<PairOf<int>> && ts::Component<Box<int>> && ts::Component<New> && ts::Component<Awkward>);
static_assert(!ts::Component<NotAnnotated> && !ts::Component<Incomplete> && !ts::Component<int>);
static_assert(!ts::Component<Counter>);
static_assert(!ts::Component<const Nameless> && !ts::Component<Nameless&> && !ts::Component<Nameless[2]>);
static_assert(!ts::Component<MerelyDerived> && ts::detail::inherits_describe<MerelyDerived>);
static_assert(!ts::detail::inherits_describe<NotAnnotated> && !ts::detail::inherits_describe<Counter>);

// Forgotten members ---------------------------------------------------------------------------------------------------

struct Sum {
  int a, b;
};

class Forgets {
 public:
  Forgets(int& r) : r_(r) {}
  static constexpr auto describe() { return ts::component<Forgets>("forgets", ts::hyper("a", &Forgets::a_)); }

 private:
  int a_ = 0, b_ = 0;
  const std::string c_;
  int& r_;
  unsigned bits_ : 3 = 0;
  unsigned : 2;
  union {
    int u_ = 0;
    float f_;
  };
  static inline int shared = 0;
};

struct Complete {
  int a = 0, array[3] = {};
  Sum nested;
  std::unique_ptr<int> cache;
  union {
    int u = 0;
    float f;
  };
  static constexpr auto describe() {
    return ts::component<Complete>("complete", ts::hyper("a", &Complete::a), ts::state("array", &Complete::array),
        ts::state("nested", &Complete::nested), ts::transient(&Complete::cache), ts::state("u", &Complete::u));
  }
};

struct Derived : Sum {
  int c;
  static constexpr auto describe() {
    return ts::component<Derived>("derived", ts::state("a", &Derived::a), ts::state("c", &Derived::c));
  }
};

class OfDescribed : public described::Warmup {
 public:
  static constexpr auto describe() {
    return ts::component<OfDescribed>("of_described", ts::state("x", &OfDescribed::x_));
  }

 private:
  int x_ = 0;
};

class LikeScheduler : public Counter {
 public:
  static constexpr auto describe() { return ts::component<LikeScheduler>("like", ts::state("x", &LikeScheduler::x_)); }

 private:
  int x_ = 0;
};

class Hidden {
 protected:
  int h_ = 0;
};
struct OfHidden : Hidden {
  int x;
  static constexpr auto describe() { return ts::component<OfHidden>("of_hidden", ts::state("x", &OfHidden::x)); }
};
struct ListsHidden : Hidden {
  int x;
  static constexpr auto describe() {
    return ts::component<ListsHidden>("lists_hidden", ts::state("x", &ListsHidden::x),
        ts::state("h", &ListsHidden::h_));
  }
};

class Switched {
 public:
  static constexpr auto describe() {
    return ts::component<Switched>("switched", ts::unchecked, ts::state("a", &Switched::a_));
  }

 private:
  int a_ = 0, b_ = 0;
};

class Foreign {
 public:
  int a = 0, b = 0;

 private:
  int hidden_ = 0;
};

struct [[=ts::component("half")]] Half : Sum, described::Warmup {
  [[=ts::state]] int x = 0;
  int y = 0;
  unsigned bits : 3 = 0;
  int& r = y;
};
struct [[=ts::component("half", ts::unchecked)]] UncheckedHalf {
  [[=ts::state]] int x = 0;
  int y = 0;
};

struct [[=ts::component("rest")]] Rest : Sum {
  [[=ts::state]] static constexpr auto first = &Sum::a;
  [[=ts::transient]] static constexpr auto second = &Sum::b;
};

struct Adapted {
  int a, b;
};

struct OfAnnotated : annotated::Warmup {
  int x;
  static constexpr auto describe() {
    return ts::component<OfAnnotated>("of_annotated", ts::state("x", &OfAnnotated::x));
  }
};

// Mistakes ------------------------------------------------------------------------------------------------------------

struct TwoWords {
  [[=ts::hyper]] [[=ts::state]] int twice;
};
struct FieldOfBits {
  [[=ts::state]] int bits : 3;
};
struct FieldOfReference {
  [[=ts::hyper]] int& reference;
};
struct FieldOfFunction {
  [[=ts::state]] int function() { return 0; }
};
struct FieldOfStatic {
  [[=ts::state]] static inline int shared = 0;
};
struct HookOfData {
  [[=ts::migrate<1>]] int data;
};
struct HookOfMember {
  [[=ts::migrate<1>]] void hook(int&) {}
};
struct FlatMember {
  [[=ts::flat]] int data;
};
struct [[=ts::version<2>]] BareVersion {
  [[=ts::state]] int x;
};
struct [[=ts::component("two")]] [[=ts::flat]] TwoOnClass {
  [[=ts::state]] int x;
};
struct Both {
  [[=ts::state]] int x;
  static constexpr auto describe() { return ts::component<Both>("both", ts::state("x", &Both::x)); }
};

struct LinearImpl : torch::nn::Module {};
struct Linear : torch::nn::ModuleHolder<LinearImpl> {};
class NetImpl : public torch::nn::Module {
 public:
  static constexpr auto describe() { return ts::component<NetImpl>("net", ts::hyper("width", &NetImpl::width_)); }

 private:
  int width_ = 0;
  Linear first_, second_[2];
  std::shared_ptr<LinearImpl> third_;
  std::vector<Linear> layers_;
  std::map<std::string, at::Tensor> buffers_;
  at::Tensor weight_, pair_[2];
  std::optional<at::Tensor> bias_;
  torch::nn::AnyModule any_;
  LinearImpl* alias_ = nullptr;
  double dropout_ = 0;
  std::vector<int> widths_;
};
class KeepsTensor {
 public:
  static constexpr auto describe() { return ts::component<KeepsTensor>("keeps", ts::hyper("x", &KeepsTensor::x_)); }

 private:
  int x_ = 0;
  at::Tensor tensor_;
};

}  // namespace

template <>
struct trainstate::describe_for<Foreign> {
  static constexpr auto describe() { return component<Foreign>("foreign", state("a", &Foreign::a)); }
};

BOOST_HANA_ADAPT_STRUCT(Adapted, a);

namespace {

template <class T>
std::string mistake() {
  return without_namespaces(std::define_static_string(ts::detail::reflection_error<T>()));
}

// The members that the compile error names.
template <class T>
std::string forgotten() {
  const std::string text = mistake<T>();
  for (const std::string remedy : {": list it with ts::hyper, ts::state or ts::transient: ",
                                   ": annotate it with [[=ts::hyper]], [[=ts::state]] or [[=ts::transient]]: "}) {
    if (const auto at = text.find(remedy); at != text.npos) return text.substr(at + remedy.size());
  }
  return text;
}

TEST_CASE("annotations and describe() say the same") {
  CHECK(contract<annotated::WarmupCosine>() == contract<described::WarmupCosine>());
  CHECK(contract<annotated::Warmup>() == Strings{"warmup", "1", "record", "steps state long int"});
}

TEST_CASE("their schemas and fingerprints are the same, and one lock fits both") {
  CHECK(ts::schema<annotated::WarmupCosine>() == ts::schema<described::WarmupCosine>());
  CHECK(ts::schema<annotated::Warmup>() == "warmup v1 { steps: state i64 }");
  constexpr std::uint64_t fingerprint = ts::fingerprint<described::WarmupCosine>();
  static_assert(ts::locked<annotated::WarmupCosine, fingerprint>);
  CHECK(ts::fingerprint<annotated::Warmup>() != fingerprint);
}

TEST_CASE("fields reach private, const, inherited and optional members") {
  annotated::WarmupCosine x;
  auto hypers = hana::to_map(ts::hyperparameters(x));
  CHECK(hypers[BOOST_HANA_STRING("base_lr")] == 0.5);
  CHECK(hypers[BOOST_HANA_STRING("max_step")] == 9);
  auto state = hana::to_map(ts::state_of(x));
  CHECK(state[BOOST_HANA_STRING("steps")] == 100);
  CHECK(state[BOOST_HANA_STRING("step_count")] == 7);
  state[BOOST_HANA_STRING("step_num")] = 4;
  CHECK(hana::at_key(x, BOOST_HANA_STRING("step_num")) == 4);
}

TEST_CASE("hooks are static members of any kind, in the order of their versions") {
  CHECK(run_hooks<annotated::WarmupCosine>() == Strings{"1 to 2", "2 to 3"});
  CHECK(run_hooks<annotated::WarmupCosine>() == run_hooks<described::WarmupCosine>());
  hana::unpack(ts::migrations<New>, []<class M>(const M& migration) {
    CHECK(M::from_version == 1);
    CHECK(M::kind == ts::MigrationKind::old_struct);
    CHECK(migration.hook(Nameless{}).sum == 3);
  });
}

TEST_CASE("what is not written is the name of the class or the member") {
  CHECK(contract<Nameless>() == Strings{"Nameless", "1", "record", "epoch state int", "_ state int"});
  CHECK(contract<Box<double>>() == Strings{"Box", "1", "record", "content state double"});
  CHECK(contract<Rest>() == Strings{"rest", "1", "record", "first state int"});
  CHECK(contract<PairOf<float>>() == Strings{"pair_of", "1", "flat", "first hyper float", "second state float"});
}

TEST_CASE("bit-fields are passed over, anonymous unions looked into") {
  CHECK(contract<Awkward>() == Strings{"Awkward", "1", "record", "number state int"});
  int target = 0;
  Awkward x(target);
  CHECK(hana::at_key(x, BOOST_HANA_STRING("number")) == 4);
}

TEST_CASE("a forgotten member is named, private or not") {
  CHECK(forgotten<Forgets>() ==
        "Forgets::b_, Forgets::c_, Forgets::bits_ (a bit-field, beyond pointers: ts::unchecked), "
        "an anonymous union of Forgets");
  CHECK(forgotten<Half>() ==
        "Half::y, Half::bits (a bit-field: ts::transient), Sum::a, Sum::b, "
        "Warmup::steps (of a described base: list ts::base<Warmup>)");
  CHECK(forgotten<Complete>() == "");
  CHECK(forgotten<described::WarmupCosine>() == "");
  CHECK(forgotten<annotated::WarmupCosine>() == "");
  CHECK(forgotten<Awkward>() == "");
  CHECK(forgotten<Rest>() == "");
}

TEST_CASE("the text is that of C++20, and goes on") {
  CHECK(mistake<Derived>() == "trainstate: a member of this aggregate is forgotten: "
                              "list it with ts::hyper, ts::state or ts::transient: Sum::b");
  CHECK(mistake<OfDescribed>().starts_with("trainstate: a member of this class is forgotten: list it with ts::hyper"));
  CHECK(mistake<Half>().starts_with("trainstate: a member of this aggregate is forgotten: annotate it with "));
}

TEST_CASE("an annotation where it cannot stand names the member and what can stand there") {
  CHECK(mistake<TwoWords>().contains("twice of "));
  CHECK(mistake<TwoWords>().contains("TwoWords cannot be annotated so: a data member takes one of ts::hyper"));
  CHECK(mistake<FieldOfBits>().contains("bits of "));
  CHECK(mistake<FieldOfReference>().contains("reference of "));
  CHECK(mistake<FieldOfFunction>().contains("function of "));
  CHECK(mistake<FieldOfStatic>().contains("shared of "));
  CHECK(mistake<HookOfData>().contains("data of "));
  CHECK(mistake<HookOfMember>().contains("hook of "));
  CHECK(mistake<FlatMember>().contains("data of "));
  CHECK(mistake<BareVersion>().contains("BareVersion should be one ts::component(name, ...)"));
  CHECK(mistake<TwoOnClass>().contains("TwoOnClass should be one ts::component(name, ...)"));
  CHECK(mistake<Both>().contains("Both has both a describe() and annotations: keep one of them"));
  CHECK(mistake<annotated::WarmupCosine>() == "");
}

TEST_CASE("members of bases count where they can be known") {
  CHECK(forgotten<OfDescribed>() == "Warmup::steps (of a described base: list ts::base<Warmup>)");
  CHECK(forgotten<OfAnnotated>() == "Warmup::steps (of a described base: list ts::base<Warmup>)");
  CHECK(forgotten<OfHidden>() == "all of the base Hidden");
  CHECK(forgotten<ListsHidden>() == "");
  CHECK(forgotten<LikeScheduler>() == "");
}

TEST_CASE("ts::unchecked switches it off, and what cannot be named is not asked for") {
  CHECK(forgotten<Switched>() == "");
  CHECK(forgotten<UncheckedHalf>() == "");
  CHECK(forgotten<Foreign>() == "Foreign::b");
  CHECK(ts::component_version<Adapted> == 1);
}

TEST_CASE("registering saves a module's tensors and submodules, and nothing else") {
  CHECK(forgotten<NetImpl>() == "NetImpl::dropout_, NetImpl::widths_");
  CHECK(forgotten<KeepsTensor>() == "KeepsTensor::tensor_");
}

}  // namespace
