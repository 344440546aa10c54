#include "trainstate/codec/shared_memory.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "support/temporary_folder.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/io/mapped_file.hpp"

namespace {

namespace ts = trainstate;
namespace io = trainstate::io;

/// The numbers of the copies whose memory others would fill with other values.
std::vector<int> refused(const std::vector<std::pair<at::Tensor, at::Tensor>>& copies,
                         const io::MappedFile* file = nullptr) {
  ts::Report report;
  ts::detail::Plan plan;
  const ts::LoadOptions options;
  const ts::detail::ParameterNames names;
  ts::detail::LoadContext context(options, names, report, plan);
  context.file = file;
  for (std::size_t i = 0; i < copies.size(); ++i) plan.copy(copies[i].first, copies[i].second, std::to_string(i));
  ts::detail::check_shared_memory(context);
  std::vector<int> paths;
  for (const auto& mismatch : report.mismatched) paths.push_back(std::stoi(mismatch.path));
  return paths;
}

using Paths = std::vector<int>;

TEST_CASE("shared memory: each storage alone, tied tensors with one source, and parts that only touch") {
  const auto whole = torch::zeros({10}), from = torch::rand({10}), other = torch::rand({10});
  CHECK(refused({{whole, from}, {torch::zeros({10}), other}}).empty());
  CHECK(refused({{whole, from}, {whole, from}, {whole.view({2, 5}), from.view({2, 5})}}).empty());
  CHECK(refused({{whole.slice(0, 0, 4), from.slice(0, 0, 4)}, {whole.slice(0, 4), other.slice(0, 4)}}).empty());
  CHECK(refused({{whole.slice(0, 0, 10, 2), from.slice(0, 0, 5)}, {whole.slice(0, 1, 10, 2), other.slice(0, 0, 5)}})
            .empty());
  CHECK(refused({{torch::zeros({0}), from.slice(0, 0, 0)}, {whole, from}}).empty());
}

TEST_CASE("shared memory: values that agree may come from different places, others are refused in the plan's order") {
  const auto whole = torch::zeros({10}), from = torch::rand({10});
  const auto part = [](const at::Tensor& t) { return t.slice(0, 3, 7); };
  CHECK(refused({{whole, from}, {part(whole), part(from).clone()}, {whole, from.clone()}}).empty());
  auto wrong = from.clone();
  wrong[6] += 1;
  CHECK(refused({{whole, from}, {part(whole), part(wrong)}}) == Paths{0});
  CHECK(refused({{part(whole), part(wrong)}, {whole, from}}) == Paths{0});
  CHECK(refused({{part(whole), part(wrong)}, {whole, from}, {part(whole), part(from)}}) == Paths{0});
  wrong = from.clone();
  wrong[7] += 1;
  CHECK(refused({{whole, wrong}, {part(whole), part(from)}}).empty());
  CHECK(refused({{whole, from}, {whole, wrong}}) == Paths{0});
}

TEST_CASE("shared memory: it is the memory that counts, not the storage") {
  const auto whole = torch::zeros({4});
  const auto again = torch::from_blob(whole.data_ptr(), {4});
  CHECK(refused({{whole, torch::ones({4})}, {again, torch::zeros({4})}}) == Paths{0});
  CHECK(refused({{whole, torch::ones({4})}, {again, torch::ones({4})}}).empty());
  const auto middle = torch::from_blob(static_cast<char*>(whole.data_ptr()) + 3, {6}, torch::kUInt8);
  CHECK(refused({{whole, torch::zeros({4})}, {middle, torch::zeros({6}, torch::kUInt8)}}).empty());
  auto last = torch::zeros({6}, torch::kUInt8);
  last[5] = 1;
  CHECK(refused({{whole, torch::zeros({4})}, {middle, last}}) == Paths{0});
}

TEST_CASE("shared memory: any order of elements, over more than one piece of scratch memory") {
  const auto whole = torch::zeros({1000, 700});  // 2.8 MB
  const auto from = torch::rand({1000, 700});
  const auto views = [](const at::Tensor& t) {
    return std::vector<at::Tensor>{t,
                                   t.t(),
                                   t.slice(0, 300, 800).t(),
                                   t.slice(1, 3, 699, 2),
                                   t.view({10, 100, 700}).permute({2, 0, 1}),
                                   t[999],
                                   t.select(1, 5),
                                   t.view({-1}).slice(0, 262'143, 262'145)};
  };
  const auto live = views(whole);
  std::vector<std::pair<at::Tensor, at::Tensor>> copies;
  for (std::size_t i = 0; i < live.size(); ++i) copies.emplace_back(live[i], views(from)[i].clone());
  CHECK(refused(copies).empty());
  for (std::size_t i = 0; i < copies.size(); ++i) {
    CAPTURE(i);
    auto other = copies;
    other[i].second = other[i].second.clone(at::MemoryFormat::Contiguous);
    other[i].second.view({-1})[-1] += 1;
    const auto found = refused(other);
    CHECK_FALSE(found.empty());
    // Up to the fifth, later ones have the right value in the place of its last element.
    CHECK((found == Paths{static_cast<int>(i)}) == (i < 5));
  }
}

TEST_CASE("shared memory: a conjugate agrees with what is the same in memory") {
  const auto whole = torch::zeros({5}, torch::kComplexFloat), from = torch::rand({5}, torch::kComplexFloat);
  CHECK(refused({{whole, from}, {whole.conj(), from.conj()}}).empty());
  CHECK(refused({{whole, from}, {whole.conj(), from.conj().resolve_conj()}}).empty());
  CHECK(refused({{whole, from}, {whole.conj(), from}}) == Paths{0});
}

TEST_CASE("shared memory: sources are read from their file") {
  const ts::tests::TemporaryFolder folder;
  const auto content = torch::randint(255, {3 << 20}, torch::kUInt8);
  ts::tests::put(folder / "file", {static_cast<const char*>(content.data_ptr()), content.nbytes()});
  const io::MappedFile file(folder / "file");
  const auto mapped = at::from_blob(file.storage()->data, content.sizes(), torch::kUInt8);
  const auto whole = torch::zeros({3 << 20}, torch::kUInt8);
  const auto view = [](const at::Tensor& t) { return t.view({3 << 10, 1 << 10}).slice(1, 0, 700); };
  CHECK(refused({{whole, mapped}, {whole, content}, {view(whole), view(mapped)}}, &file).empty());
  auto wrong = content.clone();
  wrong[-1] += 1;
  CHECK(refused({{whole, mapped}, {whole, wrong}}, &file) == Paths{0});
}

TEST_CASE("shared memory: many views of one storage cost no more than as many tensors") {
  const auto whole = torch::zeros({40'000}), from = torch::rand({40'000});
  std::vector<std::pair<at::Tensor, at::Tensor>> copies{{whole, from}};
  for (int i = 0; i < 20'000; ++i) copies.emplace_back(whole.narrow(0, 2 * i, 2), from.narrow(0, 2 * i, 2));
  for (int i = 0; i < 20'000; ++i) copies.emplace_back(whole, from);
  const auto start = std::chrono::steady_clock::now();
  CHECK(refused(copies).empty());
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));  // pair by pair it takes minutes
}

}  // namespace
