// Types that one cannot edit: describe_for says their fields from outside, adapter says how a closed one becomes a
// value.
#include <cstdint>
#include <string>
#include <trainstate/checkpoint.hpp>

#include "../support.hpp"

namespace vendor {

// A library's struct with public members: its fields can be listed.
struct RunningMean {
  double decay = 0.9;
  double value = 0;
  std::int64_t count = 0;

  void add(double x) {
    value = decay * value + (1 - decay) * x;
    ++count;
  }
};

// A library's class that only gives and takes text: it has no fields to list.
class RunId {
 public:
  static RunId parse(const std::string& text) { return RunId(std::stoull(text, nullptr, 16)); }
  [[nodiscard]] std::string text() const {
    std::string hex;
    for (auto rest = id_; rest != 0; rest >>= 4) hex.insert(hex.begin(), "0123456789abcdef"[rest & 15]);
    return hex;
  }
  bool operator==(const RunId&) const = default;

 private:
  explicit RunId(std::uint64_t id) : id_(id) {}
  std::uint64_t id_;
};

}  // namespace vendor

template <>
struct trainstate::describe_for<vendor::RunningMean> {
  static constexpr auto describe() {
    using vendor::RunningMean;
    return component<RunningMean>("running_mean", version<1>, hyper("decay", &RunningMean::decay),
                                  state("value", &RunningMean::value), state("count", &RunningMean::count));
  }
};

template <>
struct trainstate::adapter<vendor::RunId> {
  static constexpr std::string_view type_name = "vendor::RunId";
  static Value save(const vendor::RunId& id) { return id.text(); }
  static vendor::RunId decode(const Value& value) { return vendor::RunId::parse(value.as<std::string>()); }
};

int main() {
  namespace ts = trainstate;
  using namespace ts::literals;
  const TemporaryFolder folder;

  vendor::RunningMean loss;
  for (int step = 0; step < 10; ++step) loss.add(1.0 / (1 + step));
  const vendor::RunId id = vendor::RunId::parse("c0ffee");
  ts::save(ts::checkpoint("loss"_key = loss, "id"_key = id), folder / "run.safetensors");

  vendor::RunningMean loaded_loss;
  vendor::RunId loaded_id = vendor::RunId::parse("1");
  auto checkpoint = ts::checkpoint("loss"_key = loaded_loss, "id"_key = loaded_id);
  ts::load(checkpoint, folder / "run.safetensors");
  claim(loaded_loss.value == loss.value && loaded_loss.count == 10, "the described struct came back, bit for bit");
  claim(loaded_id == id, "the adapted class came back");
  std::cout << ts::read(folder / "run.safetensors") << '\n';
  claim(ts::read(folder / "run.safetensors").at<std::string>("id") == "c0ffee", "the file holds what save() gave");
}
