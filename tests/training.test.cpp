// What a training run keeps beside model, optimizer and scheduler: all of it in one checkpoint, and the laws.
#include "trainstate/training.hpp"

#include <deque>
#include <limits>

#include "laws/laws.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/checkpoint.hpp"

namespace ts = trainstate;

namespace {

ts::MetricHistory history_of(int length) {
  ts::MetricHistory history;
  for (int step = 0; step < length; ++step) history.add("loss", step, 1.0 / (step + 1));
  history.add("accuracy", length, std::numeric_limits<double>::quiet_NaN());
  return history;
}

/// Models that outlive what refers to them.
class Models {
 public:
  torch::nn::Module& add(double value, bool with_gradients) {
    torch::nn::Linear& layer = layers_.emplace_back(2, 1);
    {
      const torch::NoGradGuard no_grad;
      for (auto& parameter : layer->parameters()) parameter.fill_(value);
    }
    if (with_gradients) layer->forward(torch::ones({1, 2})).sum().backward();
    return *layer;
  }

 private:
  std::deque<torch::nn::Linear> layers_;
};

}  // namespace

TEST_CASE("early stopping keeps the laws") {
  laws::hold(
      [] {
        ts::EarlyStopping stopping({.patience = 2, .min_delta = 0.5, .mode = ts::Mode::max});
        for (const double metric : {1.0, 0.5}) stopping.step(metric);
        return stopping;
      },
      [] { return ts::EarlyStopping({.patience = 2, .min_delta = 0.5, .mode = ts::Mode::max}); });
}

TEST_CASE("a history keeps the laws, also where its lists have become tensors") {
  for (const int length : {3, 300}) {
    laws::hold([&] { return history_of(length); }, [] { return history_of(2); });
  }
}

TEST_CASE("an averaged model keeps the laws") {
  Models models;
  const auto make = [&](double value) {
    auto& model = models.add(value, false);
    ts::AveragedModel average(model, {.decay = 0.5});
    average.update_parameters(model);
    return average;
  };
  laws::hold([&] { return make(2); }, [&] { return make(3); });
}

TEST_CASE("gradient accumulation keeps the laws, whether or not there are gradients yet") {
  Models models;
  const auto make = [&](double value, bool with_gradients) {
    ts::GradientAccumulation accumulation(models.add(value, with_gradients), 4);
    if (with_gradients) accumulation.step();
    return accumulation;
  };
  laws::hold([&] { return make(2, true); }, [&] { return make(3, false); });
  laws::hold([&] { return make(2, false); }, [&] { return make(3, true); });
}

TEST_CASE("a long history is two tensors in a file") {
  const auto bytes = ts::to_bytes(history_of(1000));
  CHECK(bytes.size() < 1000 * 16 + 2000);
  ts::MetricHistory history;
  ts::from_bytes(history, bytes);
  REQUIRE(history.series().at("loss").steps.size() == 1000);
  CHECK(history.best("loss", ts::Mode::min) == ts::MetricHistory::Entry{999, 0.001});
}
