#include "trainstate/torch/tensor.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "laws/laws.hpp"
#include "support/printing.hpp"
#include "support/torch_doctest.hpp"
#include "trainstate/checkpoint.hpp"

namespace ts = trainstate;
using namespace ts::literals;

namespace {

at::Tensor sequence(at::IntArrayRef sizes, at::ScalarType type) {
  return torch::arange(1, c10::multiply_integers(sizes) + 1).to(type).reshape(sizes);
}

ts::StateDict root(ts::Value value) { return {{"", std::move(value)}}; }

/// The one mismatch that loading `value` into `live` gives; the live tensor must be as it was.
ts::Report::Mismatch refused(at::Tensor live, const ts::Value& value) {
  std::map<std::string, at::Tensor> objects{{"t", live}};
  const auto version = live._version();
  const at::Tensor before = live.is_meta() ? live : live.detach().clone();
  try {
    ts::load_state_dict(objects, ts::StateDict{{"t", value}});
  } catch (const ts::MismatchError& e) {
    CHECK(live._version() == version);
    if (!live.is_meta()) CHECK(ts::Value(live) == ts::Value(before));
    REQUIRE(e.report().mismatched.size() == 1);
    CHECK(e.report().mismatched[0].path == "t");
    return e.report().mismatched[0];
  }
  FAIL("it was loaded");
  return {};
}

}  // namespace

TEST_CASE("tensors of every dtype and many shapes obey the laws") {
  for (const auto type : {at::kBool, at::kByte, at::kChar, at::kShort, at::kInt, at::kLong, at::kHalf, at::kBFloat16,
                          at::kFloat, at::kDouble, at::kComplexFloat, at::kComplexDouble}) {
    CAPTURE(type);
    laws::hold([&] { return sequence({2, 3}, type); }, [&] { return torch::zeros({2, 3}, type); });
  }
  laws::hold([] { return torch::full({}, 2.5); }, [] { return torch::zeros({}); });
  laws::hold([] { return torch::ones({1, 1, 1, 1, 1, 1}); }, [] { return torch::zeros({1, 1, 1, 1, 1, 1}); });
  laws::hold([] { return torch::full({2}, std::numeric_limits<double>::quiet_NaN()); },
             [] { return torch::full({2}, -0.0); });
}

TEST_CASE("undefined and empty tensors") {
  laws::hold([] { return at::Tensor(); }, [] { return torch::ones({2}); });
  laws::hold([] { return torch::ones({2}); }, [] { return at::Tensor(); });
  laws::hold([] { return torch::ones({0, 3}); }, [] { return at::Tensor(); });
  at::Tensor empty = torch::ones({0, 3});
  CHECK(laws::is_clean(ts::load_state_dict(empty, root(torch::ones({0, 3})))));
  CHECK(refused(empty, torch::ones({3, 0})).found == "float32[3, 0]");
}

TEST_CASE("loading is in place: memory, requires_grad and views stay, the autograd version advances") {
  at::Tensor live = torch::zeros({2, 3}, torch::requires_grad());
  const at::Tensor alias = live.detach();
  const at::Tensor row = alias[1];
  const auto* const memory = live.data_ptr();
  const auto version = live._version();
  const auto report = ts::load_state_dict(live, root(sequence({2, 3}, at::kFloat)));
  CHECK(live.data_ptr() == memory);
  CHECK(live.requires_grad());
  CHECK(live.is_leaf());
  CHECK(live._version() > version);
  CHECK(row[0].item<double>() == 4);
  CHECK(report.bytes == 24);
}

TEST_CASE("a graph that saved the old values notices that they are gone") {
  at::Tensor live = torch::ones({2}, torch::requires_grad());
  const at::Tensor loss = (live * live).sum();
  ts::load_state_dict(live, root(torch::zeros({2})));
  CHECK_THROWS_AS(loss.backward(), c10::Error);
}

TEST_CASE("strides stay the live tensor's, channels_last or any other") {
  for (const bool live_last : {false, true}) {
    for (const bool saved_last : {false, true}) {
      const auto format = [](bool last) {
        return last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
      };
      at::Tensor live = torch::zeros({2, 3, 4, 5}).contiguous(format(live_last));
      const at::Tensor saved = sequence({2, 3, 4, 5}, at::kFloat).contiguous(format(saved_last));
      const auto strides = live.strides().vec();
      ts::from_bytes(live, ts::to_bytes(saved));
      CHECK(live.strides().vec() == strides);
      CHECK(live.equal(saved));
    }
  }
  at::Tensor columns = torch::zeros({3, 2}).t();
  ts::from_bytes(columns, ts::to_bytes(sequence({2, 3}, at::kFloat)));
  CHECK(columns.equal(sequence({2, 3}, at::kFloat)));
}

TEST_CASE("a view is saved as what it shows, and loaded as what it shows") {
  const at::Tensor big = sequence({1000, 4}, at::kFloat);
  CHECK(ts::to_bytes(big[3]).size() < 2000);
  CHECK(laws::image_of(big[3]) == laws::image_of(big[3].clone()));
  CHECK(laws::image_of(big.select(1, 2)) == laws::image_of(big.select(1, 2).contiguous()));
  CHECK(laws::image_of(big.narrow(0, 2, 2).expand({2, 4})) == laws::image_of(big.narrow(0, 2, 2).clone()));
  at::Tensor target = torch::zeros({4, 4});
  at::Tensor column = target.select(1, 2);
  ts::load_state_dict(column, root(sequence({4}, at::kFloat)));
  CHECK(target.sum().item<double>() == 10);
  CHECK(target[3][2].item<double>() == 4);
}

TEST_CASE("expanded tensors can be saved") {
  const at::Tensor expanded = torch::ones({1, 3}).expand({4, 3});
  CHECK(laws::image_of(expanded) == laws::image_of(torch::ones({4, 3})));
}

TEST_CASE("conj and neg bits are resolved") {
  const at::Tensor x = torch::complex(sequence({2}, at::kFloat), sequence({2}, at::kFloat));
  const at::Tensor conj = x.conj();
  REQUIRE(conj.is_conj());
  CHECK(laws::image_of(conj) == laws::image_of(conj.resolve_conj()));
  CHECK_FALSE(laws::image_of(conj) == laws::image_of(x));
  const at::Tensor neg = torch::imag(conj);
  REQUIRE(neg.is_neg());
  CHECK(laws::image_of(neg) == laws::image_of(neg.resolve_neg().clone()));
}

TEST_CASE("conjugates and negations are loaded as what they show") {
  const at::Tensor x = torch::complex(sequence({6}, at::kFloat), sequence({6}, at::kFloat)).view({2, 3});
  for (const at::Tensor& saved : {x, x.conj(), x.t().conj().t(), torch::_neg_view(x.conj())}) {
    for (const at::Tensor& live : {torch::zeros_like(x), torch::zeros_like(x).conj(), torch::zeros_like(x.t()).t(),
                                   torch::_neg_view(torch::zeros({3, 2}, at::kComplexFloat).t().conj())}) {
      at::Tensor target = live;
      ts::from_bytes(target, ts::to_bytes(saved));
      CHECK(live.equal(saved));
      live.zero_();
      ts::load_state_dict(target, root(saved));
      CHECK(live.equal(saved));
    }
  }
  at::Tensor own = x.clone();
  const at::Tensor conj = own.conj();
  ts::load_state_dict(own, root(conj));  // its own source
  CHECK(own.equal(x.conj()));
}

TEST_CASE("shape and dtype must agree exactly") {
  CHECK(refused(torch::zeros({2, 3}), torch::zeros({3, 2})) ==
        ts::Report::Mismatch{"t", "float32[2, 3]", "float32[3, 2]"});
  CHECK(refused(torch::zeros({2}), torch::zeros({2}, at::kDouble)) ==
        ts::Report::Mismatch{"t", "float32[2]", "float64[2]"});
  CHECK(refused(torch::zeros({1}), torch::zeros({})).found == "float32[]");
  CHECK(refused(torch::zeros({}), torch::zeros({1})).found == "float32[1]");
  CHECK(refused(torch::zeros({2}), torch::zeros({2}, at::kBool)).found == "bool[2]");
  refused(torch::zeros({2}), ts::List{0.0, 0.0});
  refused(torch::zeros({2}), "text");
  refused(torch::zeros({2}), ts::StateDict{});
}

TEST_CASE("numbers and zero-dim tensors interchange, exactly or not at all; bool never mixes") {
  const auto loaded = [](at::Tensor live, const ts::Value& value) {
    ts::load_state_dict(live, root(value));
    return live.item();
  };
  CHECK(loaded(torch::zeros({}), 2.5).toDouble() == 2.5);
  CHECK(loaded(torch::zeros({}), 3).toDouble() == 3);
  CHECK(loaded(torch::zeros({}, at::kLong), 3).toLong() == 3);
  CHECK(loaded(torch::zeros({}, at::kBool), true).toBool());
  CHECK(loaded(torch::zeros({}, at::kDouble), 0.1).toDouble() == 0.1);
  CHECK(loaded(torch::zeros({}), 0.1).toDouble() == static_cast<double>(0.1F));
  CHECK(loaded(torch::zeros({}, at::kLong), std::numeric_limits<std::int64_t>::min()).toLong() ==
        std::numeric_limits<std::int64_t>::min());

  refused(torch::zeros({}), true);
  refused(torch::zeros({}, at::kLong), true);
  refused(torch::zeros({}, at::kBool), 1);
  refused(torch::zeros({}, at::kBool), 1.0);
  refused(torch::zeros({}, at::kLong), 2.5);
  refused(torch::zeros({}, at::kLong), 2.0);
  refused(torch::zeros({}, at::kByte), 256);
  refused(torch::zeros({}, at::kByte), -1);
  refused(torch::zeros({}, at::kChar), 128);
  refused(torch::zeros({}), (std::int64_t{1} << 24) + 1);
  refused(torch::zeros({}, at::kHalf), 2049);
  refused(torch::zeros({}), 1e300);
  refused(torch::zeros({}, at::kHalf), 1e6);
  refused(torch::zeros({}, at::kHalf), 100000);
  refused(torch::zeros({1}), 2.5);
  CHECK(std::isnan(loaded(torch::zeros({}), std::numeric_limits<double>::quiet_NaN()).toDouble()));
  CHECK(std::isinf(loaded(torch::zeros({}), std::numeric_limits<double>::infinity()).toDouble()));
}

TEST_CASE("what cannot be written in place is refused while planning") {
  CHECK(refused(torch::zeros({1, 3}).expand({4, 3}), torch::ones({4, 3})).found.find("expanded") != std::string::npos);
  CHECK(refused(torch::zeros({2}, at::kMeta), torch::ones({2})).found.find("meta") != std::string::npos);
  at::Tensor inference;
  {
    const c10::InferenceMode mode;
    inference = torch::zeros({2});
  }
  std::map<std::string, at::Tensor> live{{"t", inference}};
  CHECK_THROWS_WITH_AS(ts::load_state_dict(live, ts::StateDict{{"t", torch::ones({2})}}),
                       doctest::Contains("inference"), ts::MismatchError);
  CHECK(inference.sum().item<double>() == 0);

  // Overlapping rows: more elements than memory.
  CHECK(refused(torch::zeros({4}).as_strided({3, 2}, {1, 1}), torch::arange(6).to(at::kFloat).reshape({3, 2})).path ==
        "t");
}

TEST_CASE("what no format stores is refused on save, by path") {
  const auto saving = [](at::Tensor t) { ts::to_bytes(ts::StateDict{{"a", ts::List{1, std::move(t)}}}); };
  CHECK_THROWS_WITH_AS(saving(torch::zeros({2}, at::kMeta)), doctest::Contains("a/1: "), ts::Error);
  CHECK_THROWS_WITH_AS(saving(torch::eye(2).to_sparse()), doctest::Contains("sparse"), ts::Error);
  CHECK_THROWS_WITH_AS(saving(at::quantize_per_tensor(torch::ones({2}), 0.1, 0, at::kQInt8)),
                       doctest::Contains("quantized"), ts::Error);
}

TEST_CASE("the tree aliases the live tensor, without its graph; a clone does not") {
  at::Tensor live = torch::ones({2}, torch::requires_grad());
  const auto tree = ts::state_dict(live);
  const auto snapshot = tree.clone();
  const at::Tensor seen = tree.at("").as<at::Tensor>();
  CHECK(seen.data_ptr() == live.data_ptr());
  CHECK_FALSE(seen.requires_grad());
  {
    const c10::NoGradGuard no_grad;
    live.fill_(5);
  }
  CHECK(seen.sum().item<double>() == 10);
  CHECK(snapshot.at("").as<at::Tensor>().sum().item<double>() == 2);
}

TEST_CASE("a newly built tensor is neither the tree's nor the file's") {
  const auto tree = root(torch::ones({2}));
  at::Tensor live;
  ts::load_state_dict(live, tree);
  live.fill_(5);
  CHECK(tree.at("").as<at::Tensor>().sum().item<double>() == 2);
}

TEST_CASE("a newly built tensor of elements that are shown more than once takes the memory of those") {
  const at::Tensor one = torch::full({1}, 3.F);
  const ts::StateDict tree{{"wide", one.expand({1 << 20})},
                           {"rows", torch::arange(3).expand({1000, 3})},
                           {"windows", torch::arange(1000).unfold(0, 100, 1)}};
  ts::StateDict live;
  ts::load_state_dict(live, tree);
  CHECK(live == tree);
  CHECK(live.at<at::Tensor>("wide").storage().nbytes() == sizeof(float));
  CHECK(live.at<at::Tensor>("rows").storage().nbytes() == 3 * sizeof(std::int64_t));
  CHECK(live.at<at::Tensor>("windows").storage().nbytes() == 1000 * sizeof(std::int64_t));
  one.fill_(4);
  CHECK(live.at<at::Tensor>("wide")[7].item<float>() == 3);

  // A few hundred bytes of PyTorch's, which show more elements than there is memory for.
  const std::vector<char> file = torch::pickle_save(torch::full({1}, 5.F).expand({std::int64_t{1} << 45}));
  at::Tensor built;
  const auto report = ts::from_bytes(built, std::as_bytes(std::span(file)));
  CHECK(report.bytes == sizeof(float));
  CHECK(built.size(0) == std::int64_t{1} << 45);
  CHECK(built[12'345].item<float>() == 5);
}

TEST_CASE("StateDict and Value are free-form extras that take whatever comes") {
  const auto make = [] {
    return ts::StateDict{{"note", "x"},
                         {7, ts::List{ts::None(), true, 1, 0.5, torch::ones({2}), ts::StateDict{}}},
                         {"a/b", ts::StateDict{{"deep", -0.0}}}};
  };
  laws::hold(make, [] { return ts::StateDict(); });
  laws::hold(make, [] { return ts::StateDict{{"other", torch::zeros({5})}}; });
  laws::hold([&] { return ts::Value(make()); }, [] { return ts::Value(5); });
  laws::hold([&] { return ts::Value(); }, [] { return ts::Value("x"); });
  laws::hold([] { return ts::Value(ts::List{1, "x"}); }, [] { return ts::Value(ts::StateDict{{"a", 1}}); });
  laws::hold([] { return ts::Value(3.5); }, [] { return ts::Value(ts::StateDict{{"a", 1}}); });
  laws::hold([] { return ts::List{1, ts::None()}; }, [] { return ts::List{}; });

  ts::StateDict live;
  std::map<std::string, ts::StateDict> one{{"extra", {}}};
  CHECK_THROWS_AS(ts::load_state_dict(one, ts::StateDict{{"extra", 5}}), ts::MismatchError);
}

TEST_CASE("tensors of extras that are tied stay tied, and are not the file's") {
  const at::Tensor t = torch::ones({2});
  const ts::StateDict saved{{"a", t}, {"b", ts::List{t, t.clone()}}};
  ts::StateDict live;
  ts::from_bytes(live, ts::to_bytes(saved));
  CHECK(live.at("a").as<at::Tensor>().data_ptr() == live.at("b/0").as<at::Tensor>().data_ptr());
  CHECK(live.at("a").as<at::Tensor>().data_ptr() != live.at("b/1").as<at::Tensor>().data_ptr());
  CHECK(laws::image_of(live) == laws::image_of(saved));
  CHECK(laws::image_of(saved.clone()) == laws::image_of(saved));
  ts::StateDict other;
  ts::load_state_dict(other, saved);
  other.at("a").as<at::Tensor>().fill_(3);
  CHECK(t.sum().item<double>() == 2);
}
