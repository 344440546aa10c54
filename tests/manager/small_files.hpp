// Small checkpoints without LibTorch, written into a manager's folder.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "format/samples.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/format/container.hpp"
#include "trainstate/manager/engine.hpp"

namespace trainstate::tests {

/// A document that is known by its number.
inline format::Document small_document(std::int64_t number, std::map<std::string, std::string> metadata = {}) {
  format::Document document;
  document.tree["number"] = number;
  document.tree["weight"] = tensor(Dtype::f32, {64}, static_cast<unsigned>(number));
  document.metadata = std::move(metadata);
  document.manifest.emplace();
  return document;
}

/// The number of the document in a file. Throws as a load of it would.
inline std::int64_t number_in(const std::filesystem::path& path) {
  return format::read_document(path, {.verify = true}).tree.at("number").as<std::int64_t>();
}

/// A write that goes on on a thread of its own.
class WriteBehind {
 public:
  template <class F>
  explicit WriteBehind(F f)
      : thread_([this, f = std::move(f)] {
          try {
            f();
          } catch (...) {
            error_ = std::current_exception();
          }
        }) {}
  WriteBehind(const WriteBehind&) = delete;
  WriteBehind& operator=(const WriteBehind&) = delete;
  ~WriteBehind() {
    if (thread_.joinable()) thread_.join();
  }
  void wait() {
    if (thread_.joinable()) thread_.join();
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
  std::thread thread_;
};

/// Saves the document of number `step`, as the options want it.
inline std::filesystem::path save_small(manager::Engine& engine, std::int64_t step, const Metrics& metrics = {},
                                        const std::map<std::string, std::string>& metadata = {}) {
  return engine.save(step, metrics, metadata, [&](const std::filesystem::path& path, const auto& texts) {
    const auto write = [path, document = small_document(step, texts), format = engine.options().format] {
      format::write_document(document, path, format, {.sync = true, .overwrite = false});
    };
    if (!engine.options().async) {
      write();
      return manager::Completion();
    }
    auto behind = std::make_shared<WriteBehind>(write);
    return manager::Completion([behind] { behind->wait(); });
  });
}

/// Restores from the newest file, and checks that its number is its step.
inline std::optional<RestoredEntry> restore_small(manager::Engine& engine, std::optional<std::int64_t> step = {}) {
  std::int64_t number = -1;
  auto restored = engine.restore(step, [&](const std::filesystem::path& path) {
    number = number_in(path);
    return Report{};
  });
  if (restored && restored->step != number) throw std::runtime_error("restored another checkpoint than it says");
  return restored;
}

/// The steps of all whole checkpoints.
inline std::vector<std::int64_t> steps_in(manager::Engine& engine) {
  std::vector<std::int64_t> steps;
  for (const auto& file : engine.whole()) steps.push_back(file.record.step);
  return steps;
}

/// Changes a byte of a file where it stands, `from_end` bytes before its end.
inline void flip_byte(const std::filesystem::path& path, std::size_t from_end = 5) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-static_cast<std::streamoff>(from_end), std::ios::end);
  const auto at = file.tellg();
  const char byte = static_cast<char>(file.get() ^ 0x40);
  file.seekp(at);
  file.put(byte);
  if (!file.flush()) throw std::runtime_error("cannot damage " + path.string());
}

/// A time, so many seconds after some beginning.
inline std::chrono::system_clock::time_point seconds_on(std::int64_t seconds) {
  return std::chrono::system_clock::time_point(std::chrono::seconds(1'763'800'000 + seconds));
}

}  // namespace trainstate::tests
