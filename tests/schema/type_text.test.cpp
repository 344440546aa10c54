#include "trainstate/schema/type_text.hpp"

#include <doctest/doctest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "trainstate/schema.hpp"

namespace ts = trainstate;

namespace {

template <class M>
std::string spelled() {
  return std::string(ts::detail::spell_type<M>().view());
}

enum class Wide : std::int64_t { one };
enum Narrow : unsigned char { two };
enum class Usual { three };

struct Unknown {
  int x;
};
struct Incomplete;

/// Converts to what it holds, and is a container of its own kind, as JSON libraries have them.
struct Json {
  using value_type = Json;
  operator std::string() const { return ""; }
  Json* begin() const { return nullptr; }
  Json* end() const { return nullptr; }
};

struct Leaf {
  static constexpr auto describe() { return ts::component<Leaf>("leaf", ts::version<2>); }
};

/// A LibTorch ModuleHolder, to those who do not see LibTorch.
template <class Contained>
struct ModuleHolder {
  using ContainedType = Contained;
  const std::shared_ptr<Contained>& ptr() const { return module_; }
  std::shared_ptr<Contained> module_;
};

}  // namespace

namespace at {
class Tensor {};
}  // namespace at
namespace torch::nn {
class Module {};
}  // namespace torch::nn
namespace torch::optim {
class Optimizer {};
}  // namespace torch::optim

namespace {

struct LinearImpl : torch::nn::Module {};
struct Sgd : torch::optim::Optimizer {};
struct NetImpl : torch::nn::Module {
  static constexpr auto describe() { return ts::component<NetImpl>("net"); }
};

}  // namespace

TEST_CASE("type_text: numbers by width and kind") {
  CHECK(spelled<bool>() == "bool");
  CHECK(spelled<short>() == "i16");
  CHECK(spelled<int>() == "i32");
  CHECK(spelled<long>() == "i64");
  CHECK(spelled<long long>() == "i64");
  CHECK(spelled<std::int8_t>() == "i8");
  CHECK(spelled<std::uint8_t>() == "u8");
  CHECK(spelled<unsigned>() == "u32");
  CHECK(spelled<std::size_t>() == "u64");
  CHECK(spelled<float>() == "f32");
  CHECK(spelled<double>() == "f64");
  CHECK(spelled<const double>() == "f64");
  CHECK(spelled<char>() == "char");
  CHECK(spelled<char8_t>() == "char8");
  CHECK(spelled<char32_t>() == "char32");
}

TEST_CASE("type_text: enums as their integer") {
  CHECK(spelled<Wide>() == "i64");
  CHECK(spelled<Narrow>() == "u8");
  CHECK(spelled<Usual>() == "i32");
}

TEST_CASE("type_text: strings, paths and durations") {
  CHECK(spelled<std::string>() == "string");
  CHECK(spelled<std::string_view>() == "string");
  CHECK(spelled<std::filesystem::path>() == "string");
  CHECK(spelled<std::chrono::milliseconds>() == "nanoseconds");
  CHECK(spelled<std::chrono::hours>() == "nanoseconds");
  CHECK(spelled<std::chrono::duration<float>>() == "seconds");
}

TEST_CASE("type_text: one of many, or none") {
  CHECK(spelled<std::optional<int>>() == "optional<i32>");
  CHECK(spelled<std::unique_ptr<double>>() == "pointer<f64>");
  CHECK(spelled<std::shared_ptr<Leaf>>() == spelled<std::unique_ptr<Leaf>>());
  CHECK(spelled<std::variant<int, std::string>>() == "variant<i32, string>");
  CHECK(spelled<std::variant<std::monostate, const float>>() == "variant<opaque, f32>");
}

TEST_CASE("type_text: many") {
  CHECK(spelled<std::pair<int, std::string>>() == "tuple<i32, string>");
  CHECK(spelled<std::tuple<>>() == "tuple<>");
  CHECK(spelled<std::tuple<bool>>() == "tuple<bool>");
  CHECK(spelled<std::array<float, 4>>() == "array<f32, 4>");
  CHECK(spelled<float[4]>() == "array<f32, 4>");
  CHECK(spelled<const int[2][12]>() == "array<array<i32, 12>, 2>");
  CHECK(spelled<std::vector<bool>>() == "list<bool>");
  CHECK(spelled<std::deque<std::vector<int>>>() == "list<list<i32>>");
  CHECK(spelled<std::list<int>>() == "list<i32>");
  CHECK(spelled<std::map<std::string, double>>() == "map<string, f64>");
  CHECK(spelled<std::unordered_map<int, std::optional<int>>>() == "map<i32, optional<i32>>");
  CHECK(spelled<std::set<int>>() == "set<i32>");
  CHECK(spelled<std::unordered_set<std::string>>() == "set<string>");
}

TEST_CASE("type_text: what LibTorch has, by declarations alone") {
  CHECK(spelled<at::Tensor>() == "tensor");
  CHECK(spelled<std::vector<at::Tensor>>() == "list<tensor>");
  CHECK(spelled<LinearImpl>() == "module");
  CHECK(spelled<ModuleHolder<LinearImpl>>() == "module");
  CHECK(spelled<Sgd>() == "optimizer");
  CHECK(spelled<std::shared_ptr<torch::optim::Optimizer>>() == "pointer<optimizer>");
  CHECK(spelled<ModuleHolder<NetImpl>>() == spelled<NetImpl>());
  CHECK(spelled<NetImpl>().starts_with("net#"));
}

TEST_CASE("type_text: components by name and fingerprint") {
  CHECK(spelled<Leaf>() == "leaf#" + std::string(ts::detail::hexadecimal(ts::fingerprint<Leaf>()).view()));
  CHECK(spelled<std::vector<Leaf>>() == "list<" + spelled<Leaf>() + ">");
}

TEST_CASE("type_text: anything else answers for itself") {
  CHECK(spelled<Unknown>() == "opaque");
  CHECK(spelled<std::unique_ptr<Incomplete>>() == "pointer<opaque>");
  CHECK(spelled<Json>() == "opaque");
  CHECK(spelled<std::mt19937>() == "opaque");
  CHECK(spelled<void*>() == "opaque");
  CHECK(spelled<void (*)()>() == "opaque");
}
