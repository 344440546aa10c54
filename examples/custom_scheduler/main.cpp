// A scheduler of one's own, saved, loaded and read by anyone: inverse_sqrt.hpp is all that its author writes.
#include "inverse_sqrt.hpp"

#include <trainstate/checkpoint.hpp>

#include "../support.hpp"

int main() {
  namespace ts = trainstate;
  using namespace ts::literals;
  const TemporaryFolder folder;

  InverseSqrt scheduler(1e-3, 100);
  for (int step = 0; step < 250; ++step) scheduler.next();
  ts::save(ts::checkpoint("scheduler"_key = scheduler), folder / "run.safetensors");

  // Another process builds it with its own arguments; the file decides, unless it is told otherwise.
  InverseSqrt resumed(5e-4, 10);
  auto checkpoint = ts::checkpoint("scheduler"_key = resumed);
  const ts::Report report = ts::load(checkpoint, folder / "run.safetensors");
  std::cout << report;
  claim(report.hyper_changes.size() == 2, "the report names both hyperparameters that the file changed");
  bool same = true;
  for (int step = 0; step < 250; ++step) same = same && resumed.next() == scheduler.next();
  claim(same, "the resumed scheduler goes on with the very same rates");

  InverseSqrt tuned(5e-4, 100);
  auto tuned_checkpoint = ts::checkpoint("scheduler"_key = tuned);
  ts::load(tuned_checkpoint, folder / "run.safetensors", {.hyper = ts::HyperPolicy::code});
  InverseSqrt reference(5e-4, 100);
  for (int step = 0; step < 250; ++step) reference.next();
  claim(tuned.next() == reference.next(), "HyperPolicy::code takes the step from the file and the peak from the code");

  // Without the class: the file as a tree.
  const ts::StateDict tree = ts::read(folder / "run.safetensors");
  std::cout << tree << '\n';
  claim(tree.at<std::int64_t>("scheduler/state/steps") == 250, "its state stands at scheduler/state");
  claim(tree.at<double>("scheduler/params/peak") == 1e-3, "its hyperparameters stand at scheduler/params");
}
