// Archives and pickles of any content, and a place where reading them cannot do harm.
#pragma once

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "format/samples.hpp"
#include "trainstate/error.hpp"
#include "trainstate/format/pt.hpp"
#include "trainstate/format/zip/crc.hpp"

namespace trainstate::tests {

using Strings = std::vector<std::string>;

/// An integer's bytes, little-endian.
template <class Integer>
std::string le(Integer value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

inline std::string repeated(std::size_t count, std::string_view part) {
  std::string text;
  text.reserve(count * part.size());
  for (std::size_t i = 0; i < count; ++i) text += part;
  return text;
}

/// A literal with all its NULs.
template <std::size_t N>
std::string bytes(const char (&literal)[N]) {
  return std::string(literal, N - 1);
}

// Pickles

inline std::string text(std::string_view value) {
  return std::string("X").append(le(static_cast<std::uint32_t>(value.size()))).append(value);
}
inline std::string number(std::int64_t value) { return bytes("\x8a\x08") + le(value); }
inline std::string global(std::string_view module, std::string_view name) {
  return std::string("c").append(module).append("\n").append(name).append("\n");
}
inline std::string tuple(const Strings& items) {
  std::string made = "(";
  for (const auto& item : items) made += item;
  return made + "t";
}
inline std::string numbers(std::initializer_list<std::int64_t> values) {
  Strings items;
  for (const auto value : values) items.push_back(number(value));
  return tuple(items);
}
inline std::string storage_id(const std::string& elements, std::string_view type = "FloatStorage",
                              std::string_view key = "0", std::string_view location = "cpu") {
  return tuple({text("storage"), global("torch", type), text(key), text(location), elements}) + "Q";
}
inline std::string called(const std::string& callable, const Strings& arguments) {
  return callable + tuple(arguments) + "R";
}
inline std::string tensor_of(const std::string& storage, const std::string& offset, const std::string& shape,
                             const std::string& strides) {
  return called(global("torch._utils", "_rebuild_tensor_v2"),
                {storage, offset, shape, strides, "\x89", called(global("collections", "OrderedDict"), {})});
}
inline std::string entry(std::string_view key, const std::string& value) { return text(key) + value; }
inline std::string dict(const Strings& entries) {
  std::string made = "}(";
  for (const auto& each : entries) made += each;
  return made + "u";
}
inline std::string pickle(const std::string& body) { return bytes("\x80\x02") + body + "."; }

// Zip archives

/// What a local header and the central directory say of an entry.
struct Header {
  std::string name;
  std::uint16_t flags = 0, method = 0;
  std::uint32_t crc = 0, stored = 0, size = 0;
  std::string extra = {};
};

struct Record {
  std::string data;
  Header local, central;
  std::optional<std::uint32_t> offset = std::nullopt;  // of the local header, as the directory says
  bool absent = false;                                 // only in the directory
  bool unlisted = false;                               // only in the file
  std::uint16_t disk = 0;
};

inline Record record(std::string name, std::string data) {
  Header header{std::move(name),
                0,
                0,
                format::zip::crc32(std::as_bytes(std::span(data))),
                static_cast<std::uint32_t>(data.size()),
                static_cast<std::uint32_t>(data.size())};
  return {std::move(data), header, header};
}

/// The end of an archive; what is not given is true.
struct End {
  std::uint16_t disk = 0, directory_disk = 0;
  std::optional<std::uint16_t> here = std::nullopt, total = std::nullopt;
  std::optional<std::uint32_t> size = std::nullopt, offset = std::nullopt;
  std::string comment = {};
  std::string before = {};  // between the directory and its end: zip64 records
};

inline std::string header_fields(const Header& header) {
  return le(std::uint16_t{20}) + le(header.flags) + le(header.method) + le(std::uint16_t{0}) + le(std::uint16_t{33}) +
         le(header.crc) + le(header.stored) + le(header.size) + le(static_cast<std::uint16_t>(header.name.size())) +
         le(static_cast<std::uint16_t>(header.extra.size()));
}

inline std::string zip_of(const std::vector<Record>& records, const End& end = {}, const std::string& prefix = "") {
  std::string file = prefix, directory;
  std::uint16_t count = 0;
  for (const Record& each : records) {
    const auto offset = static_cast<std::uint32_t>(file.size());
    if (!each.absent) {
      file += bytes("PK\3\4") + header_fields(each.local) + each.local.name + each.local.extra + each.data;
    }
    if (each.unlisted) continue;
    directory += bytes("PK\1\2") + le(std::uint16_t{20}) + header_fields(each.central) + le(std::uint16_t{0}) +
                 le(each.disk) + le(std::uint16_t{0}) + le(std::uint32_t{0}) + le(each.offset.value_or(offset)) +
                 each.central.name + each.central.extra;
    ++count;
  }
  const auto at = static_cast<std::uint32_t>(file.size());
  return file + directory + end.before + bytes("PK\5\6") + le(end.disk) + le(end.directory_disk) +
         le(end.here.value_or(count)) + le(end.total.value_or(count)) +
         le(end.size.value_or(static_cast<std::uint32_t>(directory.size()))) + le(end.offset.value_or(at)) +
         le(static_cast<std::uint16_t>(end.comment.size())) + end.comment;
}

/// An archive of a pickle and of storages.
inline std::vector<Record> records_of(const std::string& data, const Strings& storages = {std::string(16, 'x')}) {
  std::vector<Record> records{record("archive/data.pkl", data), record("archive/version", "3\n")};
  for (std::size_t i = 0; i < storages.size(); ++i) {
    records.push_back(record(std::string("archive/data/") + std::to_string(i), storages[i]));
  }
  return records;
}
inline std::string archive(const std::string& data, const Strings& storages = {std::string(16, 'x')}) {
  return zip_of(records_of(data, storages));
}

/// {"x": float32[4]} of the storage "0".
inline std::string good_pickle() {
  return pickle(dict({entry("x", tensor_of(storage_id(number(4)), number(0), numbers({4}), numbers({1})))}));
}

// Judging

inline std::size_t address_space() {
  char line[64] = {};
  const int file = ::open("/proc/self/statm", O_RDONLY);
  const auto n = ::read(file, line, sizeof line - 1);
  ::close(file);
  return n <= 0 ? 0 : std::strtoull(line, nullptr, 10) * static_cast<std::size_t>(::getpagesize());
}

/// False under sanitizers, which take address space as they like.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool memory_is_limited = false;
#else
inline constexpr bool memory_is_limited = true;
#endif

/// Runs `work` with at most `more` bytes of memory in addition to what the process has, if memory can be limited.
template <class Work>
auto with_memory(std::size_t more, Work&& work) {
  if constexpr (!memory_is_limited) return work();
  struct Limit {
    rlimit before{};
    explicit Limit(std::size_t bytes) {
      ::getrlimit(RLIMIT_AS, &before);
      rlimit now = before;
      now.rlim_cur = bytes;
      ::setrlimit(RLIMIT_AS, &now);
    }
    ~Limit() { ::setrlimit(RLIMIT_AS, &before); }
  };
  ::malloc_trim(0);
  const Limit limit(address_space() + more);
  return work();
}

/// What became of a file: `read`, or the error's class and text.
struct Outcome {
  std::string type, text;
  std::optional<format::Document> document;
};

inline Outcome outcome_of(const std::string& file, bool verify) {
  const auto image = storage_of(file);
  return with_memory(static_cast<std::size_t>(format::memory_bound(file.size())), [&]() -> Outcome {
    try {
      return {"read", "", format::read_pt(image, "file", {.verify = verify, .threads = 1, .progress = {}})};
    } catch (const FormatError& e) {
      return {"FormatError", e.what(), std::nullopt};
    } catch (const IntegrityError& e) {
      return {"IntegrityError", e.what(), std::nullopt};
    } catch (const std::exception& e) {
      return {"another exception", e.what(), std::nullopt};
    } catch (...) {
      return {"another exception", "of no known class", std::nullopt};
    }
  });
}

/// Calls `fault(i)` for i below `count` in another process, for which a crash is a fault, too. The faults: those texts
/// that are not empty.
inline Strings faults_of(std::size_t count, const std::function<std::string(std::size_t)>& fault) {
  Strings faults;
  for (std::size_t next = 0; next < count;) {
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("pipe failed");
    const pid_t child = ::fork();
    if (child < 0) throw std::runtime_error("fork failed");
    if (child == 0) {
      ::close(ends[0]);
      for (const int crash : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) ::signal(crash, SIG_DFL);  // not doctest's
      const auto say = [&](std::size_t i, const std::string& what) {
        const std::string line = le(i) + le(what.size()) + what;
        for (std::size_t at = 0; at < line.size();) {
          const auto n = ::write(ends[1], line.data() + at, line.size() - at);
          if (n <= 0) ::_exit(1);
          at += static_cast<std::size_t>(n);
        }
      };
      for (std::size_t i = next; i < count; ++i) {
        say(i, "");
        const std::string what = fault(i).substr(0, 1000);
        if (!what.empty()) say(i, what);
      }
      ::_exit(0);
    }
    ::close(ends[1]);
    std::string said;
    char part[4096];
    for (;;) {
      const auto n = ::read(ends[0], part, sizeof part);
      if (n <= 0) break;
      said.append(part, static_cast<std::size_t>(n));
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    std::size_t last = next;
    for (std::size_t at = 0; at + 16 <= said.size();) {
      std::size_t i = 0, size = 0;
      std::memcpy(&i, said.data() + at, 8);
      std::memcpy(&size, said.data() + at + 8, 8);
      if (size != 0) faults.push_back(said.substr(at + 16, size));
      last = i;
      at += 16 + size;
    }
    if (status != 0) {
      faults.push_back("number " + std::to_string(last) + " ended the process with status " + std::to_string(status));
    }
    next = status == 0 ? count : last + 1;
  }
  return faults;
}

/// One hostile file.
struct Case {
  std::string name, file;
  std::string part = {};  // of the error's text
  bool may_read = false;  // harmless: it may be read, within the memory allowed
  bool verify = true;
};

/// What is wrong with how a file is taken; nothing if it is as it should be.
inline std::string fault_of(const Case& each) {
  const Outcome found = outcome_of(each.file, each.verify);
  const std::string head = each.name + ": ";
  if (found.type == "read") return each.may_read ? "" : head + "was read";
  if (found.type != "FormatError" && found.type != "IntegrityError") return head + found.type + ", " + found.text;
  if (!found.text.starts_with("file: ")) return head + "does not name the file: " + found.text;
  if (found.text.find(each.part) == std::string::npos) return head + "does not say " + each.part + ": " + found.text;
  return "";
}

inline Strings faults_of(const std::vector<Case>& cases) {
  return faults_of(cases.size(), [&](std::size_t i) { return fault_of(cases[i]); });
}

}  // namespace trainstate::tests
