// Runs schedulers for schedulers.py: a JSON list of requests on the standard input, the results on the standard output.
// A request has "case" and "optimizer", how many steps to make ("before" and "after" the states that are returned), and
// optionally the states to load first, into a scheduler with other hyperparameters.
//
// Doubles travel as {"f": hexadecimal text}, dicts as {"d": [[key, value], ...]}.
#include <torch/optim/adam.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "trainstate/checkpoint.hpp"
#include "trainstate/schedulers.hpp"

namespace {

namespace ts = trainstate;
namespace optim = torch::optim;
using namespace ts::literals;
using nlohmann::json;

json to_json(const ts::Value& value) {
  if (const auto* b = value.get_if<bool>()) return *b;
  if (const auto* i = value.get_if<std::int64_t>()) return *i;
  if (const auto* s = value.get_if<std::string>()) return *s;
  if (const auto* d = value.get_if<double>()) {
    char text[40];
    std::snprintf(text, sizeof text, "%a", *d);
    return {{"f", text}};
  }
  if (const auto* list = value.get_if<ts::List>()) {
    json array = json::array();
    for (const auto& item : *list) array.push_back(to_json(item));
    return array;
  }
  if (const auto* dict = value.get_if<ts::StateDict>()) {
    json entries = json::array();
    for (const auto& [key, item] : *dict) {
      json pair = json::array();
      pair.push_back(std::visit([](const auto& k) { return json(k); }, key));
      pair.push_back(to_json(item));
      entries.push_back(std::move(pair));
    }
    return {{"d", std::move(entries)}};
  }
  return nullptr;
}

ts::Value from_json(const json& j) {
  if (j.is_null()) return ts::None();
  if (j.is_boolean()) return j.get<bool>();
  if (j.is_number_integer()) return j.get<std::int64_t>();
  if (j.is_string()) return j.get<std::string>();
  if (j.is_array()) {
    ts::List list;
    for (const auto& item : j) list.push_back(from_json(item));
    return list;
  }
  if (j.contains("f")) return std::strtod(j["f"].get<std::string>().c_str(), nullptr);
  ts::StateDict dict;
  for (const auto& pair : j.at("d")) {
    const ts::Key key =
        pair[0].is_string() ? ts::Key(pair[0].get<std::string>()) : ts::Key(pair[0].get<std::int64_t>());
    dict[key] = from_json(pair[1]);
  }
  return dict;
}

/// What has to be done with a scheduler, whatever its type is.
struct Driver {
  std::function<void(double metric)> step;
  std::function<ts::StateDict()> save;
  std::function<void(const ts::StateDict&)> load;
  std::function<std::vector<double>()> last_lr;
};

/// `ByMetric`: whether a step takes a number.
template <bool ByMetric = false, class T>
Driver drive(optim::Optimizer& optimizer, T made) {
  auto scheduler = std::make_shared<T>(std::move(made));
  return {
      .step =
          [scheduler]([[maybe_unused]] double metric) {
            if constexpr (ByMetric) {
              scheduler->step(metric);
            } else {
              scheduler->step();
            }
          },
      .save =
          [scheduler, &optimizer] {
            return ts::state_dict(ts::checkpoint("optimizer"_key = optimizer, "scheduler"_key = *scheduler));
          },
      .load =
          [scheduler, &optimizer](const ts::StateDict& dict) {
            ts::load_state_dict(ts::checkpoint("optimizer"_key = optimizer, "scheduler"_key = *scheduler), dict);
          },
      .last_lr = [scheduler] { return scheduler->get_last_lr(); },
  };
}

/// Makes the scheduler of a case, or one of the same class with `other` hyperparameters.
using Maker = Driver (*)(optim::Optimizer& optimizer, bool other);

const std::map<std::string, Maker>& makers() {
  static const std::map<std::string, Maker> all{
      {"step",
       [](auto& o, bool other) { return other ? drive(o, ts::StepLR(o, 2, 0.5)) : drive(o, ts::StepLR(o, 3)); }},
      {"multi_step",
       [](auto& o, bool other) {
         return drive(o, other ? ts::MultiStepLR(o, {1}, 0.5) : ts::MultiStepLR(o, {5, 2, 17, 17, 30}, 0.3));
       }},
      {"constant",
       [](auto& o, bool other) { return drive(o, other ? ts::ConstantLR(o, 0.5, 3) : ts::ConstantLR(o, 0.3, 20)); }},
      {"constant_default", [](auto& o, bool) { return drive(o, ts::ConstantLR(o)); }},
      {"linear", [](auto& o, bool other) { return drive(o, other ? ts::LinearLR(o) : ts::LinearLR(o, 0.1, 0.7, 25)); }},
      {"linear_default", [](auto& o, bool) { return drive(o, ts::LinearLR(o)); }},
      {"exponential", [](auto& o, bool other) { return drive(o, ts::ExponentialLR(o, other ? 0.5 : 0.93)); }},
      {"polynomial",
       [](auto& o, bool other) { return drive(o, other ? ts::PolynomialLR(o) : ts::PolynomialLR(o, 33, 0.9)); }},
      {"cosine",
       [](auto& o, bool other) {
         return drive(o, other ? ts::CosineAnnealingLR(o, 100) : ts::CosineAnnealingLR(o, 7, 0.001));
       }},
      {"warm_restarts",
       [](auto& o, bool other) {
         return drive(o,
                      other ? ts::CosineAnnealingWarmRestarts(o, 50) : ts::CosineAnnealingWarmRestarts(o, 4, 2, 0.002));
       }},
      {"restarts_by_batch", [](auto& o, bool) { return drive<true>(o, ts::CosineAnnealingWarmRestarts(o, 3, 2)); }},
      {"restarts_by_batch_of_one_length",
       [](auto& o, bool) { return drive<true>(o, ts::CosineAnnealingWarmRestarts(o, 4)); }},
      {"one_cycle",
       [](auto& o, bool other) {
         return drive(o, other ? ts::OneCycleLR(o, 0.7, {.total_steps = 90, .max_momentum = 0.8})
                               : ts::OneCycleLR(o, {0.5, 0.25}, {.total_steps = 60}));
       }},
      {"one_cycle_linear",
       [](auto& o, bool other) {
         if (other) {
           return drive(o, ts::OneCycleLR(o, 0.7, {.total_steps = 90, .anneal_strategy = "linear"}));
         }
         return drive(o, ts::OneCycleLR(o, 0.3,
                                        {.epochs = 5,
                                         .steps_per_epoch = 9,
                                         .pct_start = 0.4,
                                         .anneal_strategy = "linear",
                                         .base_momentum = {0.8, 0.7},
                                         .max_momentum = 0.9,
                                         .div_factor = 10,
                                         .final_div_factor = 100,
                                         .three_phase = true}));
       }},
      {"one_cycle_rates_only",
       [](auto& o, bool other) {
         return drive(o, ts::OneCycleLR(o, other ? 0.1 : 0.5, {.total_steps = 41, .cycle_momentum = false}));
       }},
      {"plateau",
       [](auto& o, bool other) {
         if (other) return drive<true>(o, ts::ReduceLROnPlateau(o));
         return drive<true>(o, ts::ReduceLROnPlateau(o, {.mode = "max",
                                                         .factor = 0.6,
                                                         .patience = 2,
                                                         .threshold = 0.01,
                                                         .threshold_mode = "abs",
                                                         .cooldown = 1,
                                                         .min_lr = {0.001, 0.01}}));
       }},
      {"plateau_default", [](auto& o, bool) { return drive<true>(o, ts::ReduceLROnPlateau(o, {.patience = 3})); }},
      {"lambda",
       [](auto& o, bool) {
         return drive(o, ts::LambdaLR(o, {[](std::int64_t epoch) { return 1.0 / static_cast<double>(epoch + 1); },
                                          [](std::int64_t epoch) { return epoch < 10 ? 1.0 : 0.25; }}));
       }},
      {"sequential",
       [](auto& o, bool other) {
         if (other) {
           return drive(o,
                        ts::SequentialLR(o, {ts::LinearLR(o), ts::CosineAnnealingLR(o, 9), ts::StepLR(o, 8)}, {1, 2}));
         }
         auto cosine = std::make_shared<ts::CosineAnnealingLR>(o, 20, 0.001);
         return drive(o, ts::SequentialLR(o, {ts::LinearLR(o, 0.1, 1.0, 5), cosine, ts::StepLR(o, 4)}, {5, 22}));
       }},
      {"sequential_restarts",
       [](auto& o, bool) {
         return drive(o, ts::SequentialLR(o,
                                          {ts::ConstantLR(o, 0.1, 4), ts::CosineAnnealingWarmRestarts(o, 6),
                                           ts::PolynomialLR(o, 9, 2.0), ts::ExponentialLR(o, 0.9), ts::LinearLR(o)},
                                          {4, 15, 24, 31}));
       }},
      {"chained",
       [](auto& o, bool other) {
         return drive(o, ts::ChainedScheduler({ts::ConstantLR(o, other ? 0.5 : 0.1, 4), ts::ExponentialLR(o, 0.95),
                                               ts::StepLR(o, other ? 3 : 6)}));
       }},
      {"chained_sequential",
       [](auto& o, bool) {
         std::vector<ts::ChainedScheduler::Part> parts;
         parts.emplace_back(ts::SequentialLR(o, {ts::ConstantLR(o, 0.1, 4), ts::ExponentialLR(o, 0.9)}, {4}));
         parts.emplace_back(ts::ExponentialLR(o, 0.97));
         return drive(o, ts::ChainedScheduler(std::move(parts)));
       }},
  };
  return all;
}

template <class O, class Options>
std::unique_ptr<optim::Optimizer> make(const Options& defaults) {
  std::vector<optim::OptimizerParamGroup> groups;
  for (const double lr : {0.1, 0.025}) {
    auto options = std::make_unique<Options>(defaults);
    options->lr(lr);
    groups.emplace_back(std::vector<torch::Tensor>{torch::zeros({1}, torch::requires_grad())}, std::move(options));
  }
  return std::make_unique<O>(std::move(groups), defaults);
}

std::unique_ptr<optim::Optimizer> make_optimizer(const std::string& name) {
  if (name == "adam") return make<optim::Adam>(optim::AdamOptions(0.1));
  if (name == "rmsprop") return make<optim::RMSprop>(optim::RMSpropOptions(0.1).momentum(0.9));
  return make<optim::SGD>(optim::SGDOptions(0.1).momentum(0.9));
}

/// What a scheduler sets in each group: the rate and the momentum.
ts::Value settings(const optim::Optimizer& optimizer) {
  ts::List all;
  for (const auto& group : optimizer.param_groups()) {
    const auto& options = group.options();
    double momentum = 0;
    if (const auto* sgd = dynamic_cast<const optim::SGDOptions*>(&options)) momentum = sgd->momentum();
    if (const auto* rms = dynamic_cast<const optim::RMSpropOptions*>(&options)) momentum = rms->momentum();
    if (const auto* adam = dynamic_cast<const optim::AdamOptions*>(&options)) momentum = std::get<0>(adam->betas());
    all.push_back(ts::List{options.get_lr(), momentum});
  }
  return all;
}

json run(const json& request) {
  const auto optimizer = make_optimizer(request["optimizer"]);
  const bool loads = request.contains("load");
  const Driver driver = makers().at(request["case"])(*optimizer, loads);
  if (loads) driver.load(from_json(request["load"]).as<ts::StateDict>());
  json result;
  auto& seen = result["settings"] = json::array({to_json(settings(*optimizer))});
  const auto steps = [&](const char* which) {
    for (const auto& metric : request[which]) {
      driver.step(std::strtod(metric["f"].get<std::string>().c_str(), nullptr));
      seen.push_back(to_json(settings(*optimizer)));
    }
  };
  steps("before");
  result["states"] = to_json(driver.save());
  const auto rates = driver.last_lr();
  result["last_lr"] = to_json(ts::List(rates.begin(), rates.end()));
  steps("after");
  return result;
}

}  // namespace

int main() {
  try {
    json results = json::array();
    for (const auto& request : json::parse(std::cin)) {
      try {
        results.push_back(run(request));
      } catch (const std::exception& e) {
        results.push_back({{"error", e.what()}});
      }
    }
    std::cout << results << '\n';
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
