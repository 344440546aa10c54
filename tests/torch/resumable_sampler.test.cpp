#include "trainstate/torch/resumable_sampler.hpp"

#include <algorithm>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>
#include <vector>

#include "torch/training.hpp"

namespace ts = trainstate;
using namespace ts::literals;
using training::refused;
using training::restore;
using training::store;
using ts::ResumableSampler;
using Indices = std::vector<std::size_t>;

namespace {

/// What is left of the epoch, batch after batch.
Indices rest(ResumableSampler& sampler, std::size_t batch_size) {
  Indices all;
  while (const auto batch = sampler.next(batch_size)) all.insert(all.end(), batch->begin(), batch->end());
  return all;
}

/// The next epoch, as a DataLoader takes it.
Indices epoch(ResumableSampler& sampler, std::size_t batch_size) {
  sampler.reset();
  return rest(sampler, batch_size);
}

struct Numbers : torch::data::datasets::Dataset<Numbers, std::size_t> {
  explicit Numbers(std::size_t count) : n(count) {}
  std::size_t get(std::size_t index) override { return index; }
  torch::optional<std::size_t> size() const override { return n; }
  std::size_t n;
};

}  // namespace

TEST_CASE("every epoch visits everything once, in an order of its own") {
  ResumableSampler sampler(100, 42);
  std::set<Indices> orders;
  for (std::size_t e = 0; e < 5; ++e) {
    Indices all = epoch(sampler, 7);
    CHECK(sampler.epoch() == e);
    CHECK(sampler.position() == 100);
    orders.insert(all);
    std::sort(all.begin(), all.end());
    Indices expected(100);
    std::iota(expected.begin(), expected.end(), std::size_t{0});
    CHECK(all == expected);
  }
  ResumableSampler other_seed(100, 43);
  orders.insert(epoch(other_seed, 100));
  CHECK(orders.size() == 6);
}

TEST_CASE("the order is the same on every platform") {
  // From an implementation of its own in Python, of MT19937-64 too.
  ResumableSampler sampler(10, 42);
  CHECK(epoch(sampler, 4) == Indices{2, 9, 0, 7, 3, 6, 5, 4, 8, 1});
  CHECK(epoch(sampler, 3) == Indices{7, 3, 4, 1, 8, 5, 0, 9, 2, 6});
  ResumableSampler large_seed(10, ~std::uint64_t{0});
  for (int e = 0; e < 3; ++e) epoch(large_seed, 10);
  CHECK(epoch(large_seed, 10) == Indices{6, 8, 9, 2, 5, 0, 1, 4, 3, 7});
}

TEST_CASE("each of the orders is equally likely") {
  std::map<Indices, int> counts;
  ResumableSampler sampler(3, 5);
  for (int e = 0; e < 6000; ++e) ++counts[epoch(sampler, 3)];
  CHECK(counts.size() == 6);
  for (const auto& [order, count] : counts) CHECK(std::abs(count - 1000) < 150);
}

TEST_CASE("in order without shuffling; the last batch may be smaller") {
  ResumableSampler sampler(5, 0, /*shuffle=*/false);
  sampler.reset();
  CHECK(*sampler.next(3) == Indices{0, 1, 2});
  CHECK(*sampler.next(3) == Indices{3, 4});
  CHECK(!sampler.next(3).has_value());
  CHECK(epoch(sampler, 2) == Indices{0, 1, 2, 3, 4});
}

TEST_CASE("it goes on in the middle of an epoch, more than once") {
  ResumableSampler sampler(23, 9);
  epoch(sampler, 5);
  sampler.reset();
  sampler.next(5);
  ResumableSampler second(23, 9);
  restore(second, store(sampler));
  CHECK(second.epoch() == 1);
  CHECK(second.position() == 5);
  second.reset();
  CHECK(*second.next(5) == *sampler.next(5));

  ResumableSampler third(23, 9);
  restore(third, store(second));
  third.reset();
  CHECK(rest(third, 5) == rest(sampler, 5));
  for (int e = 0; e < 3; ++e) CHECK(epoch(third, 5) == epoch(sampler, 5));
}

TEST_CASE("without a reset in between it goes on as well") {
  ResumableSampler sampler(10, 3), other(10, 3);
  sampler.next(4);
  restore(other, store(sampler));
  CHECK(rest(other, 4) == rest(sampler, 4));
}

TEST_CASE("saved at the very end of an epoch it resumes with the next one") {
  ResumableSampler sampler(10, 3), other(10, 3);
  epoch(sampler, 4);
  const auto stored = store(sampler);
  CHECK(stored.tree.at("state/epoch") == ts::Value(1));
  CHECK(stored.tree.at("state/position") == ts::Value(0));
  restore(other, stored);
  CHECK(ts::state_dict(other) == stored.tree);
  CHECK(other.epoch() == 1);
  CHECK(epoch(other, 4) == epoch(sampler, 4));
  CHECK(other.epoch() == sampler.epoch());
}

TEST_CASE("one that is rolled back repeats itself") {
  ResumableSampler sampler(10, 3);
  sampler.reset();
  sampler.next(4);
  const auto stored = store(sampler);
  const auto first = rest(sampler, 4);
  epoch(sampler, 4);
  restore(sampler, stored);
  sampler.reset();
  CHECK(rest(sampler, 4) == first);
}

TEST_CASE("copies share one state") {
  ResumableSampler sampler(10, 3);
  ResumableSampler copy = sampler;
  sampler.reset();
  sampler.next(4);
  CHECK(copy.position() == 4);
  ResumableSampler other(10, 3), other_copy = other;
  restore(other, store(copy));
  CHECK(other_copy.position() == 4);
}

TEST_CASE("the record, and its hyperparameters by policy") {
  ResumableSampler sampler(10, ~std::uint64_t{0});
  sampler.reset();
  sampler.next(4);
  const auto stored = store(sampler);
  CHECK(stored.tree == ts::StateDict{{"version", 1},
                                     {"params", ts::StateDict{{"size", 10}, {"seed", -1}, {"shuffle", true}}},
                                     {"state", ts::StateDict{{"epoch", 0}, {"position", 4}}}});
  ResumableSampler other(12, 5);
  SUBCASE("file") {
    CHECK(restore(other, stored).hyper_changes.size() == 2);
    CHECK(other.size() == 10);
    CHECK(other.seed() == ~std::uint64_t{0});
    CHECK(rest(other, 4) == rest(sampler, 4));
  }
  SUBCASE("code") {
    restore(other, stored, {.hyper = ts::HyperPolicy::code});
    CHECK(other.size() == 12);
    CHECK(other.seed() == 5);
    CHECK(rest(other, 4).size() == 8);
  }
  SUBCASE("match") { CHECK(refused(other, stored, {.hyper = ts::HyperPolicy::match}).mismatched.size() == 2); }
}

TEST_CASE("a position beyond the end is refused") {
  ResumableSampler sampler(10), smaller(3);
  sampler.next(4);
  auto stored = store(sampler);
  CHECK(refused(smaller, stored, {.hyper = ts::HyperPolicy::code}).mismatched.at(0).path == "state/position");
  stored.tree.set("state/position", 11);
  CHECK(refused(sampler, stored).mismatched.at(0).path == "state/position");
  stored.tree.set("state/position", -1);
  CHECK(refused(sampler, stored).mismatched.size() == 1);
  CHECK(sampler.position() == 4);
}

TEST_CASE("a new size") {
  ResumableSampler sampler(10, 3, false);
  sampler.reset(4);
  CHECK(sampler.epoch() == 0);
  CHECK(rest(sampler, 3) == Indices{0, 1, 2, 3});
  sampler.reset(6);
  CHECK(sampler.epoch() == 1);
  CHECK(rest(sampler, 10).size() == 6);
  ResumableSampler cut(10, 3), saved(10, 3);
  saved.next(8);
  restore(cut, store(saved));
  cut.reset(8);
  CHECK(cut.epoch() == 1);
  CHECK(cut.position() == 0);
}

TEST_CASE("LibTorch's archives") {
  ResumableSampler sampler(10, 3), other(99);
  epoch(sampler, 4);
  sampler.reset();
  sampler.next(4);
  std::stringstream stream;
  torch::save(static_cast<const torch::data::samplers::Sampler<>&>(sampler), stream);
  torch::load(static_cast<torch::data::samplers::Sampler<>&>(other), stream);
  CHECK(other.size() == 10);
  CHECK(other.epoch() == 1);
  other.reset();
  CHECK(rest(other, 3) == rest(sampler, 3));

  torch::serialize::OutputArchive out;
  out.write("size", c10::IValue(3));
  std::stringstream bad;
  out.save_to(bad);
  torch::serialize::InputArchive in;
  in.load_from(bad);
  CHECK_THROWS_AS(other.load(in), ts::Error);
  CHECK(other.size() == 10);
}

namespace {

/// Trains (by noting what it saw) over a loader until `stop` batches, then saves as it would before a kill.
template <class Loader>
Indices consume(Loader& loader, ResumableSampler& sampler, bool says_so, std::size_t stop) {
  Indices seen;
  std::size_t batches = 0;
  if (says_so) sampler.consumed(0);
  for (auto& batch : loader) {
    seen.insert(seen.end(), batch.begin(), batch.end());
    if (says_so) sampler.consumed(batch.size());
    if (++batches == stop) break;
  }
  return seen;
}

}  // namespace

TEST_CASE("in a DataLoader, with and without workers") {
  for (const std::size_t workers : {0, 2}) {
    const auto options = torch::data::DataLoaderOptions(4).workers(workers).enforce_ordering(true);
    const bool says_so = workers != 0;

    ResumableSampler whole(30, 7);
    auto uninterrupted = torch::data::make_data_loader(Numbers(30), whole, options);
    Indices expected;
    for (int e = 0; e < 3; ++e) {
      const auto seen = consume(*uninterrupted, whole, says_so, 100);
      expected.insert(expected.end(), seen.begin(), seen.end());
    }

    // Killed in the third batch of the second epoch, and again two batches later.
    Indices seen;
    ResumableSampler first(30, 7);
    training::Stored stored;
    {
      auto loader = torch::data::make_data_loader(Numbers(30), first, options);
      seen = consume(*loader, first, says_so, 100);
      const auto more = consume(*loader, first, says_so, 3);
      seen.insert(seen.end(), more.begin(), more.end());
      stored = store(first);
    }
    CHECK(first.position() == 12);
    for (const std::size_t stop : {2, 100}) {
      ResumableSampler next(30, 7);
      restore(next, stored);
      auto loader = torch::data::make_data_loader(Numbers(30), next, options);
      const auto more = consume(*loader, next, says_so, stop);
      seen.insert(seen.end(), more.begin(), more.end());
      stored = store(next);
      if (stop == 100) {
        const auto last = consume(*loader, next, says_so, 100);
        seen.insert(seen.end(), last.begin(), last.end());
      }
    }
    CHECK(seen == expected);
  }
}

namespace {

/// Batches without end, epoch after epoch, as a training loop that feeds on several loaders takes them.
class Stream {
 public:
  Stream(std::size_t size, std::size_t batch, std::size_t workers)
      : sampler(size, size), loader_(torch::data::make_data_loader(Numbers(size), sampler, options(batch, workers))) {
    sampler.consumed(0);
  }

  Indices next() {
    if (!at_ || *at_ == loader_->end()) at_.emplace(loader_->begin());
    Indices batch = **at_;
    ++*at_;  // the loader fetches the batch after this one, and workers some more
    sampler.consumed(batch.size());
    return batch;
  }

  ResumableSampler sampler;

 private:
  static torch::data::DataLoaderOptions options(std::size_t batch, std::size_t workers) {
    return torch::data::DataLoaderOptions(batch).workers(workers).max_jobs(5 * workers).enforce_ordering(true);
  }

  std::unique_ptr<torch::data::StatelessDataLoader<Numbers, ResumableSampler>> loader_;
  std::optional<torch::data::Iterator<Indices>> at_;
};

}  // namespace

TEST_CASE("several loaders with epochs of their own, last batches that are smaller, and workers that fetch ahead") {
  for (const std::size_t workers : {0, 1, 3}) {
    CAPTURE(workers);
    struct Loaders {
      explicit Loaders(std::size_t n) : labelled(22, 4, n), unlabelled(13, 3, n) {}  // 6 and 5 batches an epoch
      void train(int from, int to, std::vector<Indices>& seen) {
        for (int step = from; step < to; ++step) {
          seen.push_back(labelled.next());
          seen.push_back(unlabelled.next());
        }
      }
      auto parts() { return ts::checkpoint("labelled"_key = labelled.sampler, "unlabelled"_key = unlabelled.sampler); }
      Stream labelled, unlabelled;
    };
    std::vector<Indices> expected, seen;
    Loaders whole(workers);
    whole.train(0, 40, expected);
    // Twice within one epoch of both, at the end of one epoch or the other, and much later.
    training::Stored stored;
    int from = 0;
    for (const int to : {2, 4, 5, 6, 29, 40}) {
      Loaders loaders(workers);
      if (from != 0) {
        auto parts = loaders.parts();
        restore(parts, stored);
      }
      loaders.train(from, to, seen);
      stored = store(loaders.parts());
      from = to;
    }
    CHECK(seen.size() == 80);
    CHECK((seen == expected));
  }
}

TEST_CASE("what was not handed out cannot be consumed") {
  ResumableSampler sampler(10);
  sampler.reset();
  sampler.next(4);
  sampler.next(4);
  sampler.consumed(4);
  CHECK(sampler.position() == 4);
  CHECK_THROWS_AS(sampler.consumed(5), ts::Error);
  sampler.consumed(4);
  sampler.next(4);
  sampler.consumed(2);
  CHECK(store(sampler).tree.at("state/epoch") == ts::Value(1));
}
