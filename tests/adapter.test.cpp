#include "trainstate/adapter.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "laws/laws.hpp"
#include "support/printing.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/checkpoint.hpp"

namespace ts = trainstate;
using namespace ts::literals;

namespace {

/// A type of someone else's, without a default constructor.
struct Money {
  explicit Money(std::int64_t c) : cents(c) {}
  std::int64_t cents;
  bool operator<(const Money& other) const { return cents < other.cents; }
  bool operator==(const Money&) const = default;
};

/// Can be committed only through its adapter: assignment is deleted.
struct Account {
  explicit Account(int n) : number(n) {}
  Account(Account&&) = default;
  Account& operator=(Account&&) = delete;
  int number;
  int commits = 0;
};

struct Held {
  at::Tensor tensor = torch::zeros({2});
};

/// Everything at once: each way of being saved leaves its own mark.
struct Everything {
  int x = 0;
  static constexpr auto describe() { return ts::component<Everything>("everything", ts::state("x", &Everything::x)); }
  [[nodiscard]] ts::StateDict state_dict() const { return {{"members", x}}; }
  void load_state_dict(const ts::StateDict& d) { x = static_cast<int>(d.at("members").as<std::int64_t>()); }
};

struct Described {
  int x = 0;
  static constexpr auto describe() { return ts::component<Described>("described", ts::state("x", &Described::x)); }
  [[nodiscard]] ts::StateDict state_dict() const { return {{"members", x}}; }
  void load_state_dict(const ts::StateDict&) {}
};

/// Throws what is no std::exception.
struct Rude {
  int x = 0;
};

struct SelfSavingNetImpl : torch::nn::Module {
  SelfSavingNetImpl() { register_parameter("w", torch::ones({1})); }
  [[nodiscard]] ts::StateDict state_dict() const { return {{"members", 1}}; }
  void load_state_dict(const ts::StateDict&) {}
};

/// A std container with members of its own.
struct Ranked : std::vector<int> {
  using std::vector<int>::vector;
  [[nodiscard]] ts::StateDict state_dict() const { return {{"size", size()}}; }
  void load_state_dict(const ts::StateDict& d) { resize(static_cast<std::size_t>(d.at("size").as<std::int64_t>())); }
};

}  // namespace

template <>
struct trainstate::adapter<Money> {
  static constexpr std::string_view type_name = "an amount in cents";
  static Value save(const Money& m) {
    if (m.cents < 0) throw std::domain_error("debts are not saved");
    return m.cents;
  }
  static Money decode(const Value& v) {
    const auto cents = v.as<std::int64_t>();
    if (cents < 0) throw std::domain_error("no debts");
    return Money(cents);
  }
};

template <>
struct trainstate::adapter<Rude> {
  static Value save(const Rude& r) {
    if (r.x < 0) throw 5;
    return r.x;
  }
  static Rude decode(const Value&) { throw "text"; }
};

template <>
struct trainstate::adapter<Account> {
  static Value save(const Account& a) { return StateDict{{"number", a.number}}; }
  static Account decode(const Value& v) {
    return Account(static_cast<int>(v.as<StateDict>().at("number").as<std::int64_t>()));
  }
  static void commit(Account& live, Account&& fresh) noexcept {
    live.number = fresh.number;
    ++live.commits;
  }
};

template <>
struct trainstate::adapter<Held> {
  static Value save(const Held& h) { return h.tensor; }
  static Held decode(const Value& v) { return Held{v.as<at::Tensor>()}; }
};

template <>
struct trainstate::adapter<Everything> {
  static Value save(const Everything& e) { return e.x; }
  static Everything decode(const Value& v) { return Everything{static_cast<int>(v.as<std::int64_t>())}; }
};

TEST_CASE("a type with an adapter obeys the laws, also inside containers") {
  laws::hold_for(Money(5), Money(0));
  laws::hold([] { return Held{torch::ones({2})}; }, [] { return Held(); });
  laws::hold([] { return Account(5); }, [] { return Account(0); });
  laws::hold_for(std::vector<Money>{Money(1), Money(2)}, {});
  laws::hold_for(std::optional<Money>(Money(1)), {});
  laws::hold_for(std::pair(Money(1), std::string("x")), std::pair(Money(0), std::string()));
  laws::hold_for(std::set<Money>{Money(2), Money(1)}, {});
  laws::hold_for(std::map<Money, Money>{{Money(2), Money(3)}}, {});
  laws::hold([] { return std::make_unique<Money>(5); }, [] { return std::unique_ptr<Money>(); });
}

TEST_CASE("commit is used where the adapter has one, and only when the load succeeds") {
  Account live(1);
  int bad = 0;
  auto checkpoint = ts::checkpoint("account"_key = live, "bad"_key = bad);
  const ts::StateDict wrong{{"account", ts::StateDict{{"number", 7}}}, {"bad", "x"}};
  CHECK_THROWS_AS(ts::load_state_dict(checkpoint, wrong), ts::MismatchError);
  CHECK(live.commits == 0);
  ts::load_state_dict(checkpoint, ts::StateDict{{"account", ts::StateDict{{"number", 7}}}, {"bad", 1}});
  CHECK(live.commits == 1);
  CHECK(live.number == 7);
}

TEST_CASE("what decode throws is a mismatch under the adapter's type_name") {
  std::map<std::string, std::vector<Money>> live{{"m", {Money(1)}}};
  try {
    ts::load_state_dict(live, ts::StateDict{{"m", ts::List{-5, "x"}}});
    FAIL("it was loaded");
  } catch (const ts::MismatchError& e) {
    REQUIRE(e.report().mismatched.size() == 2);
    CHECK(e.report().mismatched[0].path == "m/0");
    CHECK(e.report().mismatched[0].expected == "an amount in cents");
    CHECK(e.report().mismatched[0].found.find("no debts") != std::string::npos);
    CHECK(e.report().mismatched[1].path == "m/1");
  }
  CHECK((live.at("m") == std::vector{Money(1)}));
  Account account(1);
  CHECK_THROWS_AS(ts::load_state_dict(account, ts::StateDict{{"", ts::List{}}}), ts::MismatchError);
}

TEST_CASE("what save throws is an Error that names the path") {
  const std::map<std::string, std::vector<Money>> debts{{"m", {Money(1), Money(-1)}}};
  CHECK_THROWS_WITH_AS(ts::state_dict(debts), doctest::Contains("m/1: "), ts::Error);
  CHECK_THROWS_WITH_AS(ts::state_dict(debts), doctest::Contains("debts are not saved"), ts::Error);
}

TEST_CASE("what an adapter throws that is no std::exception does not escape") {
  CHECK_THROWS_WITH_AS(ts::state_dict(std::vector<Rude>{{1}, {-1}}), "1: an exception that is no std::exception",
                       ts::Error);
  Rude live{7};
  CHECK_THROWS_WITH_AS(ts::load_state_dict(live, ts::state_dict(Rude{1})),
                       doctest::Contains("(an exception that is no std::exception)"), ts::MismatchError);
  CHECK(live.x == 7);
}

TEST_CASE("a tensor that decode keeps is neither the caller's nor the file's") {
  const ts::StateDict tree{{"", torch::ones({2})}};
  Held live;
  ts::load_state_dict(live, tree);
  live.tensor.fill_(9);
  CHECK(tree.at("").as<at::Tensor>().sum().item<double>() == 2);
}

TEST_CASE("precedence: adapter, describe, LibTorch type, own members, std") {
  CHECK(ts::state_dict(Everything{5}) == ts::StateDict{{"", 5}});
  CHECK(ts::state_dict(Described{5}).at("state/x") == ts::Value(5));
  const auto net = ts::state_dict(SelfSavingNetImpl());
  CHECK(net.contains("w"));
  CHECK_FALSE(net.contains("members"));
  CHECK(ts::state_dict(Ranked{1, 2, 3}) == ts::StateDict{{"size", 3}});
}
