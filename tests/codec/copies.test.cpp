#include "trainstate/codec/copies.hpp"

#include <atomic>
#include <string>
#include <vector>

#include "support/temporary_folder.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/io/source_file.hpp"

namespace {

namespace io = trainstate::io;
using trainstate::detail::Copy;

/// Counts the bytes that are read.
struct Reads : io::Posix {
  std::atomic<std::size_t> bytes{0};
  ssize_t pread(int fd, void* to, std::size_t size, off_t at) override {
    bytes += size;
    return Posix::pread(fd, to, size, at);
  }
};

void copy_all(const std::vector<Copy>& copies, unsigned threads) {
  trainstate::detail::CopyRun run(copies);
  run.run_on_devices();
  run.run(threads);
}

TEST_CASE("copies of every layout arrive, in any number of threads") {
  for (const unsigned threads : {1U, 4U}) {
    CAPTURE(threads);
    std::vector<Copy> copies;
    std::vector<at::Tensor> expected;
    const auto add = [&](const at::Tensor& live, const at::Tensor& from) {
      copies.push_back({live, from, ""});
      expected.push_back(from.clone());
    };
    add(torch::zeros({1'500'000}), torch::rand({1'500'000}));
    for (int i = 0; i < 20; ++i) add(torch::zeros({i}), torch::rand({i}));
    add(torch::zeros({3, 4}).t(), torch::rand({4, 3}));      // other strides
    add(torch::zeros({3, 4}).t(), torch::rand({3, 4}).t());  // the same ones
    add(torch::zeros({2, 3, 4, 5}, at::MemoryFormat::ChannelsLast), torch::rand({2, 3, 4, 5}));
    add(torch::zeros({10}).slice(0, 0, 10, 2), torch::rand({5}));  // with holes
    add(torch::zeros({4}, torch::kComplexFloat), torch::rand({4}, torch::kComplexFloat).conj());
    add(torch::zeros({}), torch::tensor(2.5F));
    add(torch::zeros({6}, torch::kInt8), torch::ones({1}, torch::kInt8).expand({6}));
    for (const auto type : {torch::kInt8, torch::kInt16, torch::kFloat, torch::kDouble, torch::kComplexDouble}) {
      const auto from = torch::arange(120).to(type).reshape({5, 3, 2, 4});
      add(torch::zeros({2, 3, 4, 5}, type).permute({3, 1, 0, 2}), from);
      add(torch::zeros({5, 3, 2, 8}, type).slice(3, 0, 8, 2), from);  // rows and planes that join, with holes
      add(torch::zeros({5, 3, 2, 4}, type), from.flip(0).transpose(1, 2).contiguous().transpose(1, 2));
    }
    add(torch::zeros({4}, torch::kComplexFloat).conj(), torch::rand({4}, torch::kComplexFloat));
    add(torch::imag(torch::zeros({4}, torch::kComplexFloat).conj()), torch::rand({4}));  // a negative view
    const auto images = torch::rand({100, 64, 9, 9});  // 2 MB, in some pieces for threads
    add(torch::zeros({100, 64, 9, 9}, at::MemoryFormat::ChannelsLast), images);
    add(torch::zeros({100, 64, 9, 9}), images.contiguous(at::MemoryFormat::ChannelsLast));
    add(torch::zeros({900, 1000}).t(), torch::rand({1000, 900}));
    add(torch::zeros({3, 600'000}).slice(1, 0, 600'000, 2), torch::rand({3, 300'000}));  // rows longer than a piece
    const torch::NoGradGuard no_grad;
    copy_all(copies, threads);
    for (std::size_t i = 0; i < copies.size(); ++i) {
      CAPTURE(i);
      CHECK(copies[i].live.equal(expected[i]));
    }
  }
}

TEST_CASE("what is mapped is read from its file, other memory copied") {
  const trainstate::tests::TemporaryFolder folder;
  const auto content = torch::randint(255, {13 << 20}, torch::kUInt8);
  trainstate::tests::put(folder / "file", {static_cast<const char*>(content.data_ptr()), content.nbytes()});
  const torch::NoGradGuard no_grad;
  for (const bool may_be_written : {false, true}) {
    for (const unsigned threads : {1U, 4U}) {
      CAPTURE(threads);
      const io::MappedFile file(folder / "file");
      const auto all = at::from_blob(file.storage()->data, content.sizes(), torch::kUInt8);
      const auto part = [&](std::int64_t from, std::int64_t size) { return all.narrow(0, from, size); };
      const auto images = part(0, 1 << 20).view({16, 64, 32, 32});
      std::vector<Copy> copies;
      for (const auto& from : {part(0, 3'000'000), part(3'000'000, 300), part(3'000'400, 100), images.flatten(),
                               torch::full({2'000'000}, 7, torch::kUInt8)}) {
        copies.push_back({torch::zeros_like(from), from, ""});
      }
      copies.push_back({torch::zeros_like(images, at::MemoryFormat::ChannelsLast), images, ""});
      copies.push_back({torch::zeros({4000, 2000}, torch::kUInt8).t(), part(9, 8'000'000).view({2000, 4000}), ""});
      Reads reads;
      const io::PosixOverride replaced(reads);
      trainstate::detail::CopyRun run(copies, io::SourceFile(file, may_be_written));
      reads.bytes = 0;  // what showed that nothing was written to
      run.run(threads);
      for (const Copy& copy : copies) CHECK(copy.live.equal(copy.from));
      CHECK(reads.bytes == 3'000'000 + 500 + 2 * images.nbytes() + 8'000'000);
    }
  }
}

TEST_CASE("where somebody wrote to the mapping, that is what is copied") {
  const trainstate::tests::TemporaryFolder folder;
  trainstate::tests::put(folder / "file", std::string(3 << 20, 'x'));
  const io::MappedFile file(folder / "file");
  const auto all = at::from_blob(file.storage()->data, {3 << 20}, torch::kUInt8);
  all[2 << 20].fill_(7);
  const torch::NoGradGuard no_grad;
  std::vector<Copy> copies;
  for (int i = 0; i < 3; ++i) {
    const auto from = all.narrow(0, i << 20, 1 << 20);
    copies.push_back({torch::zeros_like(from), from, ""});
    copies.push_back({torch::zeros({1 << 10, 1 << 10}, torch::kUInt8).t(), from.view({1 << 10, 1 << 10}), ""});
  }
  trainstate::detail::CopyRun(copies, io::SourceFile(file, true)).run(2);
  for (const Copy& copy : copies) CHECK(copy.live.equal(copy.from));
  CHECK(copies[4].live[0].item<int>() == 7);
}

TEST_CASE("autograd sees that a tensor was written to") {
  const auto live = torch::zeros({3}, torch::requires_grad());
  const auto before = live._version();
  std::vector<Copy> copies{{live, torch::ones({3}), ""}};
  const torch::NoGradGuard no_grad;
  copy_all(copies, 0);
  CHECK(live._version() > before);
  CHECK(live.requires_grad());
}

TEST_CASE("live tensors that share memory in other orders") {
  const auto whole = torch::zeros({1000, 1000});
  const auto from = torch::rand({1000, 1000});
  const std::vector<Copy> copies{{whole.t(), from.t().contiguous(), ""},
                                 {whole.slice(0, 5, 900).t(), from.slice(0, 5, 900).t().contiguous(), ""},
                                 {whole.slice(1, 0, 1000, 2), from.slice(1, 0, 1000, 2).contiguous(), ""}};
  const torch::NoGradGuard no_grad;
  copy_all(copies, 3);
  CHECK(whole.equal(from));
}

TEST_CASE("live tensors that share memory, and one that is its own source") {
  const auto whole = torch::zeros({8});
  const auto from = torch::arange(8, torch::kFloat32);
  std::vector<Copy> copies{{whole, from, ""}, {whole.slice(0, 2, 6), from.slice(0, 2, 6), ""}, {whole, from, ""}};
  const auto own = torch::rand({4});
  const auto kept = own.clone();
  copies.push_back({own, own, ""});
  const torch::NoGradGuard no_grad;
  copy_all(copies, 3);
  CHECK(whole.equal(from));
  CHECK(own.equal(kept));
}

}  // namespace
