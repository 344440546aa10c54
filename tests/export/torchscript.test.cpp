// Modules as TorchScript files, read by LibTorch's own loader. What Python reads in them is in torchscript.py.
#include "support/torch_doctest.hpp"

#include "trainstate/export/torchscript.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/networks.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/files.hpp"

namespace {

namespace nn = torch::nn;
namespace ts = trainstate;
using at::Tensor;
using ts::tests::TemporaryFolder;
using Tensors = std::vector<Tensor>;
using TwoTensors = std::tuple<Tensor, Tensor>;
using Tagged = std::tuple<Tensor, TwoTensors>;

template <class Net>
Net in_eval(Net net) {
  net->eval();
  return net;
}

bool is_close(const Tensor& a, const Tensor& b) { return a.sizes() == b.sizes() && a.allclose(b, 1e-6, 1e-6); }

/// Parameters, or buffers, by name.
template <class List>
std::map<std::string, Tensor> by_name(const List& list) {
  std::map<std::string, Tensor> tensors;
  for (const auto& item : list) {
    if constexpr (requires { item.key(); }) {
      tensors.emplace(item.key(), item.value());
    } else {
      tensors.emplace(item.name, item.value);
    }
  }
  return tensors;
}

void check_same_tensors(const std::map<std::string, Tensor>& ours, const std::map<std::string, Tensor>& file) {
  CHECK(ours.size() == file.size());
  for (const auto& [name, tensor] : ours) {
    CAPTURE(name);
    REQUIRE(file.contains(name));
    CHECK(file.at(name).equal(tensor));
    CHECK(file.at(name).requires_grad() == tensor.requires_grad());
  }
}

std::vector<Tensor> tensors_of(const c10::IValue& value) {
  if (value.isTensor()) return {value.toTensor()};
  std::vector<Tensor> all;
  const auto add = [&](const auto& elements) {
    for (const c10::IValue& element : elements) {
      for (const Tensor& tensor : tensors_of(element)) all.push_back(tensor);
    }
  };
  if (value.isTuple()) add(value.toTuple()->elements());
  if (value.isList()) add(value.toListRef());
  return all;
}

/// Exports, loads with LibTorch's loader and with a typed signature, and compares on all inputs; the first are the
/// examples. Leaves what Python needs to do the same beside the file.
template <class Result, class Net>
void check_export(Net net, const std::vector<Tensor>& inputs, const std::filesystem::path& path) {
  CAPTURE(path);
  const torch::NoGradGuard no_grad;
  ts::export_torchscript(net, {inputs.front()}, path);
  auto raw = torch::jit::load(path.string());
  check_same_tensors(by_name(net->named_parameters()), by_name(raw.named_parameters()));
  check_same_tensors(by_name(net->named_buffers()), by_name(raw.named_buffers()));
  CHECK_FALSE(raw.is_training());
  const ts::ScriptedModule<Result(Tensor)> typed(path);
  ts::List cases;
  for (const Tensor& input : inputs) {
    const auto expected = tensors_of(ts::detail::ScriptValue<Result>::to(net->forward(input)));
    for (const auto& found : {raw.forward({input}), ts::detail::ScriptValue<Result>::to(typed(input))}) {
      const auto outputs = tensors_of(found);
      REQUIRE(outputs.size() == expected.size());
      for (std::size_t i = 0; i < expected.size(); ++i) CHECK(is_close(outputs[i], expected[i]));
    }
    cases.push_back(ts::StateDict{{"input", input}, {"outputs", ts::List(expected.begin(), expected.end())}});
  }
  ts::List parameters;
  for (const auto& item : net->named_parameters()) parameters.push_back(item.key());
  ts::write(ts::StateDict{{"state", ts::state_dict(net)}, {"parameters", parameters}, {"cases", cases}},
            std::filesystem::path(path).replace_extension(".expected.pt"));
}

/// Whatever a test wants of a module.
struct FunctionImpl : nn::Module {
  using F = std::function<Tensor(FunctionImpl&, Tensor)>;
  explicit FunctionImpl(F f) : function(std::move(f)) { eval(); }
  Tensor forward(const Tensor& x) { return function(*this, x); }

  F function;
  nn::Linear linear = register_module("linear", nn::Linear(3, 3));
  nn::Dropout dropout = register_module("dropout", nn::Dropout(0.5));
  Tensor calls = register_buffer("calls", torch::zeros({2}));
  Tensor unregistered = torch::ones({3}, torch::requires_grad());
};
TORCH_MODULE(Function);

/// The text of the Error with which an export is refused. The module, the random numbers and the file that stood there
/// are as before, and there is nothing beside it.
template <class Net>
std::string refusal(const Net& net, const std::vector<Tensor>& examples, const ts::TorchScriptOptions& options = {}) {
  const TemporaryFolder folder;
  const auto path = folder / "net.pt";
  ts::write({{"old", 1}}, path);
  const auto old = ts::tests::contents(path);
  const auto tree = ts::state_dict(net).clone();
  torch::manual_seed(3);
  const auto drawn = torch::rand({2});
  torch::manual_seed(3);
  std::string text;
  try {
    ts::export_torchscript(net, examples, path, options);
    FAIL_CHECK("was not refused");
  } catch (const ts::Error& e) {
    text = e.what();
  }
  CHECK(torch::rand({2}).equal(drawn));
  CHECK(ts::state_dict(net) == tree);
  CHECK(ts::tests::contents(path) == old);
  CHECK(folder.names() == std::set<std::string>{"net.pt"});
  CHECK_FALSE(torch::jit::tracer::isTracing());
  const std::string head = path.string() + ": " + net->name() + ": ";
  CHECK(text.substr(0, head.size()) == head);
  return text.substr(std::min(text.size(), head.size()));
}

std::string refusal_of(const FunctionImpl::F& f, const ts::TorchScriptOptions& options = {}) {
  return refusal(Function(f), {torch::rand({4, 3})}, options);
}

bool has(const std::string& text, const std::string& part) {
  const bool found = text.find(part) != std::string::npos;
  if (!found) MESSAGE(text);
  return found;
}

TEST_CASE("four networks: same names, same outputs, at every batch size") {
  // torchscript.py asks for the files.
  const TemporaryFolder temporary;
  const char* const asked = std::getenv("TRAINSTATE_EXPORT_FOLDER");
  const std::filesystem::path folder = asked ? asked : temporary.path();
  torch::manual_seed(1);
  at::set_num_threads(1);  // threads that wait for one another on a busy machine take most of the time
  const auto tokens = [](std::int64_t n) { return torch::randint(0, 50, {n, 7}, torch::kLong); };
  check_export<Tensor>(in_eval(ts::tests::DigitsNet()),
                       {torch::randn({4, 64}), torch::randn({1, 64}), torch::randn({9, 64})}, folder / "digits.pt");
  check_export<Tensor>(in_eval(ts::tests::ResNet18()), {torch::randn({1, 3, 32, 32}), torch::randn({3, 3, 40, 40})},
                       folder / "resnet.pt");
  check_export<Tagged>(in_eval(ts::tests::LstmTagger()), {tokens(3), tokens(1), tokens(8)}, folder / "lstm.pt");
  check_export<Tensor>(in_eval(ts::tests::TransformerClassifier()), {tokens(3), tokens(1), tokens(8)},
                       folder / "transformer.pt");
}

TEST_CASE("the same module gives the same bytes, however it is held") {
  const TemporaryFolder folder;
  const auto net = in_eval(ts::tests::TransformerClassifier());
  const auto tokens = torch::randint(0, 50, {2, 5}, torch::kLong);
  const auto bytes = [&](const auto& module) {
    ts::export_torchscript(module, {tokens}, folder / "net.pt", {.sync = false});
    return ts::tests::contents(folder / "net.pt");
  };
  const auto first = bytes(net);
  CHECK(bytes(net) == first);
  CHECK(bytes(*net) == first);
  CHECK(bytes(std::as_const(*net)) == first);
  CHECK(bytes(net.ptr()) == first);
  CHECK(bytes(nn::AnyModule(net)) == first);
}

TEST_CASE("attention: three inputs whose batch is not the first dimension, two outputs, one of them None") {
  const TemporaryFolder folder;
  const torch::NoGradGuard no_grad;
  auto net = in_eval(nn::MultiheadAttention(8, 2));
  const auto input = [](std::int64_t length, std::int64_t batch) { return torch::randn({length, batch, 8}); };
  const Tensors examples{input(5, 3), input(6, 3), input(6, 3)};
  ts::export_torchscript(net, {examples[0], examples[1], examples[2]}, folder / "net.pt", {.batch_dims = {1, 1, -2}});
  const ts::ScriptedModule<TwoTensors(Tensor, Tensor, Tensor)> loaded(folder / "net.pt");
  for (const std::int64_t batch : {1, 3, 7}) {
    const Tensor q = input(5, batch), k = input(6, batch), v = input(6, batch);
    const auto [expected, weights] = net->forward(q, k, v);
    const auto [found, found_weights] = loaded(q, k, v);
    CHECK(is_close(found, expected));
    CHECK(is_close(found_weights, weights));
  }
  ts::export_torchscript(nn::AnyModule(in_eval(nn::LSTM(8, 4))), {examples[0]}, folder / "lstm.pt",
                         {.batch_dims = {1}});
  const ts::ScriptedModule<Tagged(Tensor)> lstm(folder / "lstm.pt");
  CHECK(std::get<0>(lstm(input(5, 2))).sizes() == at::IntArrayRef({5, 2, 4}));
}

/// As many kinds of outputs as inputs.
struct ManyImpl : nn::Module {
  using Result =
      std::tuple<std::pair<Tensor, Tensor>, std::array<Tensor, 2>, Tensors, Tensor, std::map<std::string, Tensor>>;
  Result forward(Tensor x, const Tensor& table, const Tensor& unused = {}) {
    static_cast<void>(unused);
    x.mul_(2);  // its own, or the caller's?
    return {{x, x + table}, {x - 1, x.sum()}, {x, x.neg(), x + x.size(0)}, Tensor(), {{"b", x.exp()}, {"a", x}}};
  }
};
TORCH_MODULE(Many);

TEST_CASE("outputs of every kind; inputs are not written to; an input without a batch") {
  const TemporaryFolder folder;
  auto net = in_eval(Many());
  const Tensor x = torch::randn({2, 3}), before = x.clone(), table = torch::randn({3});
  ts::export_torchscript(net, {x, table}, folder / "net.pt");
  CHECK(x.equal(before));
  const ts::ScriptedModule<ManyImpl::Result(Tensor, const Tensor&)> loaded(folder / "net.pt");
  const Tensor y = torch::randn({5, 3});
  const auto expected = net->forward(y.clone(), table), found = loaded(y.clone(), table);
  CHECK(std::get<0>(found).second.equal(std::get<0>(expected).second));
  CHECK(std::get<1>(found)[1].equal(std::get<1>(expected)[1]));
  REQUIRE(std::get<2>(found).size() == 3);
  CHECK(std::get<2>(found)[2].equal(std::get<2>(expected)[2]));
  CHECK_FALSE(std::get<3>(found).defined());
  CHECK(std::get<4>(found).at("b").equal(std::get<4>(expected).at("b")));
  // Optional inputs are inputs when an example is given.
  ts::export_torchscript(net, {x, table, table}, folder / "three.pt");
  CHECK_THROWS_WITH_AS(ts::ScriptedModule<ManyImpl::Result(Tensor, Tensor)>(folder / "three.pt"),
                       doctest::Contains("forward: expected 2 arguments, found 3"), ts::Error);
}

TEST_CASE("tied parameters and submodules stay tied, and keep both names") {
  struct TiedImpl : nn::Module {
    nn::Embedding embedding = register_module("embedding", nn::Embedding(5, 3));
    Tensor head = register_parameter("head", embedding->weight);
    nn::Linear a = register_module("a", nn::Linear(3, 3)), b = register_module("b", a);
    Tensor forward(const Tensor& tokens) { return torch::matmul(b(a(embedding(tokens))), head.t()); }
  };
  const TemporaryFolder folder;
  const auto net = in_eval(std::make_shared<TiedImpl>());
  net->head.set_requires_grad(false);
  const Tensor tokens = torch::arange(4).view({2, 2});
  ts::export_torchscript(net, {tokens}, folder / "net.pt");
  auto raw = torch::jit::load((folder / "net.pt").string());
  const auto parameters = by_name(raw.named_parameters());
  check_same_tensors(by_name(net->named_parameters()), parameters);
  CHECK(parameters.at("head").data_ptr() == parameters.at("embedding.weight").data_ptr());
  CHECK(parameters.at("a.weight").data_ptr() == parameters.at("b.weight").data_ptr());
  CHECK(is_close(raw.forward({tokens}).toTensor(), net->forward(tokens)));
}

TEST_CASE("names: all that TorchScript can read are kept, others get an underscore") {
  struct NamedImpl : nn::Module {
    explicit NamedImpl(const std::string& name)
        : weight(register_parameter(name, torch::randn({3}))),
          linear(register_module(name == "0" ? "1" : "l", nn::Linear(3, 3))) {}
    Tensor forward(const Tensor& x) { return linear(x) * weight; }
    Tensor weight;
    nn::Linear linear;
  };
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::string>> names{{"0", "0"},
                                                               {"a-b", "a-b"},
                                                               {"a b's", "a b's"},
                                                               {"self", "self"},
                                                               {"input", "input"},
                                                               {"in", "in_"},
                                                               {"None", "None_"},
                                                               {"lambda", "lambda_"},
                                                               {"torch", "torch_"},
                                                               {"a\"b", "a_b"},
                                                               {"a\\b\n", "a_b_"},
                                                               {"gr\xc3\xb6", "gr__"},
                                                               {"training", "training_"},
                                                               {"forward", "forward_"},
                                                               {"l", "l"}};
  const Tensor x = torch::randn({2, 3});
  for (const auto& [name, expected] : names) {
    CAPTURE(name);
    const auto net = in_eval(std::make_shared<NamedImpl>(name));
    ts::export_torchscript(net, {x}, folder / "net.pt", {.sync = false});
    auto raw = torch::jit::load((folder / "net.pt").string());
    const auto parameters = by_name(raw.named_parameters());
    CHECK(parameters.contains(expected));
    CHECK(parameters.contains(name == "0" ? "1.weight" : name == "l" ? "l_.weight" : "l.weight"));
    CHECK(is_close(raw.forward({x}).toTensor(), net->forward(x)));
  }
}

TEST_CASE("the module is as before: gradients, flags, versions, random numbers") {
  const TemporaryFolder folder;
  const auto net = in_eval(Function([](FunctionImpl& m, const Tensor& x) { return m.dropout(m.linear(x)); }));
  net->linear->bias.set_requires_grad(false);
  net->linear->weight.mutable_grad() = torch::ones({3, 3});
  const auto version = net->linear->weight._version();
  const Tensor x = torch::randn({4, 3}, torch::requires_grad());
  torch::manual_seed(5);
  const auto drawn = torch::rand({2});
  torch::manual_seed(5);
  ts::export_torchscript(net, {x}, folder / "net.pt");
  CHECK(torch::rand({2}).equal(drawn));
  CHECK(net->linear->weight._version() == version);
  CHECK(net->linear->weight.requires_grad());
  CHECK(net->linear->weight.is_leaf());
  CHECK(net->linear->weight.grad().equal(torch::ones({3, 3})));
  CHECK_FALSE(net->linear->bias.requires_grad());
  CHECK(torch::GradMode::is_enabled());
  const c10::InferenceMode inference;
  ts::export_torchscript(net, {torch::randn({4, 3})}, folder / "net.pt");
  CHECK_FALSE(torch::jit::tracer::isTracing());
}

TEST_CASE("a module in training mode whose forward does the same in eval mode") {
  const TemporaryFolder folder;
  const torch::NoGradGuard no_grad;
  nn::Linear linear(3, 2);
  nn::LSTM lstm(nn::LSTMOptions(3, 4).batch_first(true));
  REQUIRE(lstm->is_training());
  const Tensor x = torch::randn({4, 3}), sequence = torch::randn({2, 5, 3});
  ts::export_torchscript(linear, {x}, folder / "linear.pt");
  CHECK(is_close(ts::ScriptedModule<Tensor(Tensor)>(folder / "linear.pt")(x), linear->forward(x)));
  ts::export_torchscript(nn::AnyModule(lstm), {sequence}, folder / "lstm.pt");
  const Tensor other = torch::randn({7, 5, 3});
  CHECK(is_close(std::get<0>(ts::ScriptedModule<Tagged(Tensor)>(folder / "lstm.pt")(other)),
                 std::get<0>(lstm->forward(other))));
  CHECK(linear->is_training());
}

TEST_CASE("refused: what forward does in training mode only, with the advice to leave it") {
  const Tensors examples{torch::rand({4, 3})};
  const std::string advice = " is in training mode: call eval() on the module before it is exported";
  Function dropout([](FunctionImpl& m, const Tensor& x) { return m.dropout(m.linear(x)); });
  dropout->dropout->train();
  const auto text = refusal(dropout, examples);
  CHECK(has(text, "forward draws random numbers"));
  CHECK(has(text, "; its submodule dropout" + advice));
  for (const auto momentum : {c10::optional<double>(0.1), c10::optional<double>()}) {
    nn::Sequential norm(nn::Linear(3, 3), nn::BatchNorm1d(nn::BatchNorm1dOptions(3).momentum(momentum)));
    CHECK(has(refusal(norm, examples), "forward changes 1.running_mean of the module; the module" + advice));
  }
}

TEST_CASE("refused: random numbers") {
  CHECK(has(refusal_of([](auto&, Tensor x) { return x + torch::rand_like(x); }),
            "draws random numbers (aten::rand_like)"));
  CHECK(has(refusal_of([](auto&, Tensor x) { return torch::dropout(x, 0.5, true); }), "draws random numbers"));
  CHECK(has(refusal_of([](auto&, Tensor x) { return x + torch::randn({1}).template item<float>(); }),
            "draws random numbers"));
}

TEST_CASE("refused: what depends on the values of the inputs") {
  const FunctionImpl::F branch = [](FunctionImpl& m, const Tensor& x) {
    return x.sum().item<float>() > 0 ? m.linear(x) : x;
  };
  CHECK(has(refusal_of(branch), "reads values of its inputs (item())"));
  CHECK(has(refusal_of(branch, {.allow_value_reads = true}), "does not do what the module does for other values"));
  CHECK(has(refusal_of([](FunctionImpl& m, const Tensor& x) { return m.linear(x) * x.data_ptr<float>()[0]; }),
            "for the examples' values in another order: output has other values"));
}

TEST_CASE("refused: what a batch size decides in C++") {
  CHECK(has(refusal_of([](FunctionImpl& m, const Tensor& x) { return x.size(0) > 4 ? m.linear(x) : x; }),
            "what forward does depends on the batch size: it differs between 4 and 5"));
  CHECK(has(refusal_of([](auto&, const Tensor& x) { return x / (0.5 + static_cast<double>(x.size(0))); }),
            "no integer follows the batch size"));
  CHECK(has(refusal_of([](auto&, const Tensor& x) { return x + x.size(0) * x.size(0); }), "output has other values"));
  CHECK(has(refusal_of([](auto&, const Tensor& x) {
              return x.view({2, 6});
            }),
            "forward fails at batch size 5 (the examples' is 4; if it takes no other, see "));
  CHECK(has(refusal_of([](auto&, const Tensor& x) {
              if (x.size(0) > 6) throw std::domain_error("too many");
              return x + 1;
            }),
            "too many"));
}

TEST_CASE("refused: a forward that changes the module, that throws, that uses what is not registered") {
  CHECK(has(refusal_of([](FunctionImpl& m, const Tensor& x) { return x + m.calls.add_(1)[0]; }),
            "changes calls of the module"));
  CHECK(has(refusal_of([](FunctionImpl& m, const Tensor& x) {
              m.linear->weight.mul_(2);
              return m.linear(x);
            }),
            "changes linear.weight"));
  CHECK(has(refusal_of([](FunctionImpl& m, const Tensor&) -> Tensor {
              m.calls.fill_(std::numeric_limits<float>::quiet_NaN());
              throw std::domain_error("not today");
            }),
            "forward cannot be traced with the examples: not today"));
  CHECK(has(refusal_of([](FunctionImpl& m, const Tensor& x) { return x + m.unregistered; }), "requires grad"));
}

TEST_CASE("refused: examples that do not fit") {
  const Function net([](FunctionImpl& m, const Tensor& x) { return m.linear(x); });
  const Tensor x = torch::rand({4, 3});
  CHECK(has(refusal(net, {}), "there are no examples"));
  CHECK(has(refusal(net, {Tensor()}), "example 0 is an undefined tensor"));
  CHECK(has(refusal(net, {x, x}), "forward takes 1 tensors, found 2 examples"));
  CHECK(has(refusal(in_eval(Many()), {x}), "forward takes 2 or 3 tensors, found 1 examples"));
  CHECK(has(refusal(net, {torch::rand({4, 2})}), "forward cannot be traced with the examples"));
  CHECK(has(refusal(net, {torch::rand({0, 3})}), "the batch size of the examples is 0"));
  CHECK(has(refusal(net, {x}, {.batch_dims = {0, 1}}), "batch_dims has 2 entries for 1 examples"));
  CHECK(has(refusal(net, {x}, {.batch_dims = {2}}), "batch_dims: example 0 has no such dimension"));
  CHECK(has(refusal(in_eval(Many()), {x, torch::rand({3})}, {.batch_dims = {0, 0}}), "batch sizes 4 and 3"));
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(ts::export_torchscript(nn::Linear(nullptr), {x}, folder / "net.pt"),
                       doctest::Contains("net.pt: the module to export is empty"), ts::Error);
  CHECK_THROWS_AS(ts::export_torchscript(nn::AnyModule(), {x}, folder / "net.pt"), ts::Error);
  CHECK(folder.names().empty());
}

TEST_CASE("options: a fixed batch size, reads that decide nothing, tolerance, overwrite") {
  const TemporaryFolder folder;
  const auto path = folder / "net.pt";
  const Tensor x = torch::rand({4, 3});
  Function fixed([](auto&, const Tensor& input) { return input.view({2, 6}) * 2; });
  ts::export_torchscript(fixed, {x}, path, {.fixed_batch_size = true});
  const ts::ScriptedModule<Tensor(Tensor)> loaded(path);
  CHECK(loaded(x).equal(fixed->forward(x)));

  Function checks([](FunctionImpl& m, const Tensor& input) {
    if (input.isnan().any().item<bool>()) throw std::domain_error("NaN");
    return m.linear(input);
  });
  ts::export_torchscript(checks, {x}, path, {.allow_value_reads = true});
  CHECK(ts::ScriptedModule<Tensor(Tensor)>(path)(x).equal(checks->forward(x)));
  // Reading what the module knows by itself is no read of the inputs.
  ts::export_torchscript(Function([](FunctionImpl& m, const Tensor& input) { return input * m.calls[0].item(); }), {x},
                         path);

  Function rough([](auto&, const Tensor& input) { return input + 1e-3 * static_cast<double>(input.size(0)); });
  CHECK_THROWS_AS(ts::export_torchscript(rough, {x}, path), ts::Error);

  try {
    ts::export_torchscript(fixed, {x}, path, {.fixed_batch_size = true, .overwrite = false});
    FAIL_CHECK("should have thrown");
  } catch (const ts::IoError& e) {
    CHECK(e.code() == EEXIST);
  }
  CHECK_THROWS_AS(ts::export_torchscript(checks, {x}, folder / "none" / "net.pt", {.allow_value_reads = true}),
                  ts::IoError);
}

TEST_CASE("a forward that no tensors can be given to") {
  struct NoTensors : nn::Module {
    Tensor forward(const std::string&) { return {}; }
  };
  CHECK_FALSE(ts::detail::takes_any<NoTensors>);
  CHECK_FALSE(ts::detail::takes_any<nn::Module>);
  CHECK(ts::detail::takes<nn::TransformerImpl, 2>);
  CHECK(ts::detail::takes_any<nn::SequentialImpl>);
}

TEST_CASE("scripted modules of others: arguments and results of every type, defaults, frozen ones") {
  const TemporaryFolder folder;
  const auto path = (folder / "script.pt").string();
  torch::jit::Module script("Script");
  script.register_attribute("training", c10::BoolType::get(), true);
  script.define(R"(
def forward(self, x: Tensor, n: int, name: str, scale: Optional[float], more: List[Tensor], last: bool = True):
    assert not self.training
    y = x * n
    if scale is not None:
        y = y * scale
    for m in more:
        y = y + m
    found: Optional[int] = None
    return {name: y}, last, [n, n + 1], found
)");
  script.save(path);
  using Result =
      std::tuple<std::map<std::string, Tensor>, bool, std::vector<std::int64_t>, std::optional<std::int64_t>>;
  using Signature = Result(Tensor, std::int64_t, std::string, std::optional<double>, Tensors);
  const ts::ScriptedModule<Signature> net(path);
  const Tensor x = torch::ones({2});
  const auto [dict, last, numbers, none] = net(x, 2, "y", 3.0, {x, x});
  CHECK(dict.at("y").equal(x * 8));
  CHECK(last);
  CHECK(numbers == std::vector<std::int64_t>{2, 3});
  CHECK_FALSE(none);
  CHECK(std::get<0>(net(x, 2, "z", std::nullopt, {})).at("z").equal(x * 2));
  CHECK_THROWS_WITH_AS(net(x, 2, "y", 3.0, {torch::ones({3})}), doctest::Contains("script.pt: forward: "), ts::Error);

  const auto difference = [&]<class S>(std::type_identity<S>) {
    try {
      ts::ScriptedModule<S> other{path};
      return std::string("none");
    } catch (const ts::Error& e) {
      return std::string(e.what());
    }
  };
  CHECK(has(difference(std::type_identity<Result(Tensor)>()), path + ": forward: expected 1 arguments, found 6"));
  CHECK(has(difference(std::type_identity<Result(Tensor, double, std::string, std::optional<double>, Tensors)>()),
            "argument n: expected float, found int"));
  CHECK(has(
      difference(std::type_identity<Tensor(Tensor, std::int64_t, std::string, std::optional<double>, Tensors, bool)>()),
      "result: expected Tensor, found "));

  torch::jit::Module frozen("Frozen");
  frozen.register_attribute("training", c10::BoolType::get(), false);
  frozen.register_parameter("weight", torch::ones({2}, torch::requires_grad()), false);
  frozen.define("def forward(self, x: Tensor):\n    return x * self.weight\n");
  torch::jit::freeze(frozen).save(path);
  CHECK(ts::ScriptedModule<Tensor(Tensor)>(path, torch::kCPU)(x).equal(x));
  frozen.save(path);
  ts::ScriptedModule<Tensor(Tensor)> learned(path);
  CHECK_FALSE(learned(x).requires_grad());
  CHECK_THROWS_WITH_AS(ts::ScriptedModule<Tensor(Tensor)>(path, c10::Device("cuda:77")),
                       doctest::Contains("script.pt: is to be loaded to cuda:77"), ts::Error);
  CHECK(learned.module().attr("weight").toTensor().requires_grad());
}

TEST_CASE("files that are none") {
  const TemporaryFolder folder;
  using Net = ts::ScriptedModule<Tensor(Tensor)>;
  CHECK_THROWS_AS(Net(folder / "none.pt"), ts::IoError);
  CHECK_THROWS_AS(Net(folder.path()), ts::IoError);
  ts::write({{"weight", torch::ones({2})}}, folder / "tree.pt");
  CHECK_THROWS_WITH_AS(Net(folder / "tree.pt"), doctest::Contains("tree.pt: cannot be read as TorchScript: "),
                       ts::FormatError);
  torch::jit::Module empty("Empty");
  empty.save((folder / "empty.pt").string());
  CHECK_THROWS_WITH_AS(Net(folder / "empty.pt"), doctest::Contains("with a forward, found none"), ts::Error);
}

}  // namespace
