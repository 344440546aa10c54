// Damaged files into live objects: every flipped bit, every length that a file may be cut to. A load throws and nothing
// live has changed; or it does exactly what the whole file would have made it do.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "support/torch_doctest.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "faults/subject.hpp"
#include "support/temporary_folder.hpp"

namespace {

namespace fs = std::filesystem;
namespace ts = trainstate;
using faults::Run;
using Bytes = std::vector<std::byte>;

/// Live objects, and whether a load has changed any of them: all at once, and quickly.
class Live {
 public:
  Live(ts::Format format, std::int64_t floats)
      : format_(format), run_(3, floats), image_(run_.bytes(format)), tensors_(faults::live_tensors(run_)) {
    note_versions();
  }

  Run& run() { return run_; }

  /// Makes them again what they were.
  void restore() {
    ts::from_bytes(run_.parts(), image_);
    note_versions();
  }

  /// Every bit of every object, and where they are.
  bool unchanged() {
    const auto tensors = faults::live_tensors(run_);
    const auto same_memory = [](const torch::Tensor& a, const torch::Tensor& b) {
      return a.data_ptr() == b.data_ptr();
    };
    return run_.bytes(format_) == image_ && seems_unchanged() &&
           std::equal(tensors.begin(), tensors.end(), tensors_.begin(), tensors_.end(), same_memory);
  }

  /// What a write to a tensor advances, and the numbers. For after each of many loads: what it overlooks stays for
  /// `unchanged` to find.
  [[nodiscard]] bool seems_unchanged() const {
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      if (tensors_[i]._version() != versions_[i]) return false;
    }
    return run_.best == 1.5 && run_.net->seen == 3 && run_.schedule.steps == 3 && run_.schedule.base_lr == 0.1 / 3;
  }

 private:
  void note_versions() {
    versions_.clear();
    for (const auto& tensor : tensors_) versions_.push_back(tensor._version());
  }

  ts::Format format_;
  Run run_;
  Bytes image_;
  std::vector<torch::Tensor> tensors_;
  std::vector<std::int64_t> versions_;
};

/// Loads damaged files, and counts what came of it.
class Trial {
 public:
  Trial(ts::Format format, std::int64_t floats) : format_(format), live_(format, floats) {
    Run saved(2, floats);
    whole_ = saved.bytes(format);
    live_.restore();  // the generators, which both share
  }

  [[nodiscard]] const Bytes& whole() const { return whole_; }
  [[nodiscard]] std::size_t refused() const { return refused_; }
  [[nodiscard]] std::size_t harmless() const { return harmless_; }

  /// True if the damage was found. `load` loads it into the run that it is given.
  template <class Load>
  bool found(const Load& load) {
    try {
      load(live_.run());
    } catch (const ts::Error&) {
      ++refused_;
      CHECK(live_.seems_unchanged());
      if (refused_ % 2000 == 0) check_all();
      return true;
    }
    ++harmless_;
    CHECK((live_.run().bytes(format_) == whole_));
    live_.restore();
    return false;
  }

  void check_all() { CHECK(live_.unchanged()); }

 private:
  ts::Format format_;
  Live live_;
  Bytes whole_;
  std::size_t refused_ = 0, harmless_ = 0;
};

template <class T>
T number_at(const Bytes& bytes, std::size_t at) {
  T value;
  std::memcpy(&value, &bytes.at(at), sizeof value);
  return value;
}

/// Where a zip archive of ours, without a comment, has bytes that say nothing of its content, and what they are.
std::map<std::size_t, std::string> idle_bytes(const Bytes& zip) {
  std::map<std::size_t, std::string> idle;
  const auto add = [&](std::size_t at, std::size_t size, const char* what) {
    for (std::size_t i = 0; i < size; ++i) idle[at + i] = what;
  };
  const std::size_t end = zip.size() - 22, count = number_at<std::uint16_t>(zip, end + 10);
  std::size_t central = number_at<std::uint32_t>(zip, end + 16);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t local = number_at<std::uint32_t>(zip, central + 42);
    const std::size_t name = number_at<std::uint16_t>(zip, local + 26),
                      extra = number_at<std::uint16_t>(zip, local + 28);
    add(local + 4, 2, "version needed");
    add(local + 10, 4, "time");
    add(local + 30 + name, extra, "padding");
    add(central + 4, 4, "versions");
    add(central + 12, 4, "time");
    add(central + 36, 6, "attributes");
    central += 46 + name;
  }
  REQUIRE(central == end);
  return idle;
}

void flip_every_bit(ts::Format format) {
  Trial trial(format, 4);
  Bytes bytes = trial.whole();
  REQUIRE(bytes.size() > 8000);
  std::map<std::string, std::size_t> overlooked;
  const auto idle = format == ts::Format::pt ? idle_bytes(bytes) : std::map<std::size_t, std::string>();
  for (std::size_t i = 0; i < bytes.size() * 8; ++i) {
    CAPTURE(i);
    bytes[i / 8] ^= std::byte{1} << i % 8;
    if (!trial.found([&](Run& run) { ts::from_bytes(run.parts(), bytes); })) {
      const auto at = idle.find(i / 8);
      CHECK(at != idle.end());
      if (at != idle.end()) ++overlooked[at->second];
    }
    bytes[i / 8] ^= std::byte{1} << i % 8;
  }
  trial.check_all();
  std::string text;
  for (const auto& [what, count] : overlooked) text += ", " + std::to_string(count) + " of " + what;
  MESSAGE(trial.refused() << " flipped bits refused, " << trial.harmless() << " without effect" << text);
}

void cut_everywhere(ts::Format format) {
  Trial trial(format, 4);
  for (std::size_t size = 0; size < trial.whole().size(); ++size) {
    CAPTURE(size);
    CHECK(trial.found([&](Run& run) { ts::from_bytes(run.parts(), std::span(trial.whole()).first(size)); }));
  }
  trial.check_all();
}

/// A file that is changed in place, by this process alone.
class Patient {
 public:
  explicit Patient(const Bytes& bytes) : path_(folder_ / "run") {
    ts::tests::put(path_, faults::text_of(bytes));
    file_ = ::open(path_.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(file_ >= 0);
  }
  Patient(const Patient&) = delete;
  Patient& operator=(const Patient&) = delete;
  ~Patient() { ::close(file_); }

  void put(std::size_t at, std::byte value) const { REQUIRE(::pwrite(file_, &value, 1, static_cast<off_t>(at)) == 1); }
  void cut(std::size_t size) const { REQUIRE(::ftruncate(file_, static_cast<off_t>(size)) == 0); }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  ts::tests::TemporaryFolder folder_;
  fs::path path_;
  int file_ = -1;
};

void flip_and_cut_files(ts::Format format) {
  Trial trial(format, 4);
  const Bytes& bytes = trial.whole();
  const Patient patient(bytes);
  const auto load = [&](Run& run) { ts::load(run.parts(), patient.path()); };
  for (std::size_t i = 0; i < bytes.size() * 8; i += 101) {
    CAPTURE(i);
    patient.put(i / 8, bytes[i / 8] ^ std::byte{1} << i % 8);
    trial.found(load);
    patient.put(i / 8, bytes[i / 8]);
  }
  for (std::size_t size = bytes.size(); size-- > 0;) {
    if (size % 13 != 0 && bytes.size() - size > 30) continue;
    CAPTURE(size);
    patient.cut(size);
    CHECK(trial.found(load));
  }
  trial.check_all();
}

void flip_in_large_file(ts::Format format) {
  Trial trial(format, 10 << 18);
  const Bytes& bytes = trial.whole();
  const Patient patient(bytes);
  const auto idle = format == ts::Format::pt ? idle_bytes(bytes) : std::map<std::size_t, std::string>();
  std::mt19937_64 random(20);  // so that a failure can be seen again
  for (int i = 0; i < 10'000; ++i) {
    const std::size_t bit = random() % (bytes.size() * 8);
    CAPTURE(bit);
    patient.put(bit / 8, bytes[bit / 8] ^ std::byte{1} << bit % 8);
    const bool found = trial.found([&](Run& run) { ts::load(run.parts(), patient.path()); });
    CHECK((found || idle.contains(bit / 8)));
    patient.put(bit / 8, bytes[bit / 8]);
  }
  trial.check_all();
  CHECK(trial.refused() + trial.harmless() == 10'000);
}

TEST_CASE("damage of safetensors: a bit that flips anywhere is found") { flip_every_bit(ts::Format::safetensors); }

TEST_CASE("damage of pt: a bit that flips anywhere is found, or is one that says nothing of the content") {
  flip_every_bit(ts::Format::pt);
}

TEST_CASE("damage of safetensors: a file that is cut off anywhere") { cut_everywhere(ts::Format::safetensors); }

TEST_CASE("damage of pt: a file that is cut off anywhere") { cut_everywhere(ts::Format::pt); }

TEST_CASE("damage of safetensors: the same through files") { flip_and_cut_files(ts::Format::safetensors); }

TEST_CASE("damage of pt: the same through files") { flip_and_cut_files(ts::Format::pt); }

TEST_CASE("damage of safetensors: 10,000 flips in 10 MiB") { flip_in_large_file(ts::Format::safetensors); }

TEST_CASE("damage of pt: 10,000 flips in 10 MiB") { flip_in_large_file(ts::Format::pt); }

}  // namespace
