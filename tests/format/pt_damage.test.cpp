// Archives that lie about themselves, and good files that were cut off or changed: refused, or read as what they were.
#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "format/hostile.hpp"
#include "support/temporary_folder.hpp"
#include "trainstate/format/container.hpp"
#include "trainstate/io/checksum.hpp"
#include "trainstate/io/mapped_file.hpp"

using namespace trainstate::tests;
using trainstate::TensorInfo;

namespace {

void check(const std::vector<Case>& cases) {
  for (const std::string& fault : faults_of(cases)) FAIL_CHECK(fault);
}

// The good archive with one thing changed in it.
template <class Change>
Case changed(std::string name, Change&& change) {
  auto records = records_of(good_pickle());
  End end;
  change(records, end);
  return {std::move(name), zip_of(records, end)};
}

template <class Change>
Case records_changed(std::string name, Change&& change) {
  return changed(std::move(name), [&](std::vector<Record>& records, End&) { change(records); });
}

template <class Change>
Case end_changed(std::string name, Change&& change) {
  return changed(std::move(name), [&](std::vector<Record>& records, End& end) {
    const std::string bare = zip_of(records);
    change(end, bare);
  });
}

// Sizes in a zip64 extra field.
std::string extra64(std::initializer_list<std::uint64_t> values) {
  std::string field = bytes("\1\0") + le(static_cast<std::uint16_t>(values.size() * 8));
  for (const auto value : values) field += le(value);
  return field;
}

// The zip64 end of a directory, and its locator.
std::string end64(std::uint64_t at, std::uint64_t count, std::uint64_t size, std::uint64_t offset,
                  std::uint32_t disks = 1, std::uint64_t length = 44) {
  return bytes("PK\6\6") + le(length) + le(std::uint16_t{45}) + le(std::uint16_t{45}) + le(std::uint32_t{0}) +
         le(std::uint32_t{0}) + le(count) + le(count) + le(size) + le(offset) + bytes("PK\6\7") + le(std::uint32_t{0}) +
         le(at) + le(disks);
}

std::uint32_t u32_at(const std::string& file, std::size_t at) {
  std::uint32_t value = 0;
  std::memcpy(&value, file.data() + at, sizeof value);
  return value;
}

// Where the directory of an archive without a comment begins, and its size.
std::uint32_t directory_at(const std::string& file) { return u32_at(file, file.size() - 6); }
std::uint32_t directory_size(const std::string& file) { return u32_at(file, file.size() - 10); }

std::string golden(const char* name) {
  return contents(std::filesystem::path(TRAINSTATE_SOURCE_DIR) / "tests" / "golden" / "python" / name);
}

// A tree with its order, its devices and what is tied.
void describe(std::ostream& os, const Value& value, std::vector<TensorInfo>& seen) {
  if (const auto* dict = value.get_if<Tree>()) {
    os << '{';
    for (const auto& [key, item] : *dict) {
      os << (key.index() == 0 ? "i" : "s") << trainstate::detail::to_string(key) << ':';
      describe(os, item, seen);
      os << ',';
    }
    os << '}';
  } else if (const auto* list = value.get_if<List>()) {
    os << '[';
    for (const auto& item : *list) {
      describe(os, item, seen);
      os << ',';
    }
    os << ']';
  } else if (const auto* tensor = value.get_if<TensorInfo>()) {
    os << value.describe() << tensor->storage->device << '#';
    for (const auto stride : tensor->strides) os << stride << ' ';
    std::size_t tie = 0;
    while (tie < seen.size() && !seen[tie].same_view(*tensor)) ++tie;
    if (tie == seen.size()) seen.push_back(*tensor);
    const TensorInfo dense = trainstate::detail::dense_copy(*tensor);
    os << tie << '=' << text_of(dense.bytes());
  } else {
    os << value.describe();
  }
}

std::string described(const trainstate::format::Document& document) {
  std::ostringstream os;
  std::vector<TensorInfo> seen;
  describe(os, document.tree, seen);
  if (document.manifest) describe(os << "manifest", *document.manifest, seen);
  for (const auto& [key, value] : document.metadata) os << key << '=' << value << ';';
  return os.str();
}

// A file of this library's own.
std::string own() {
  trainstate::format::Document document;
  document.tree = {
      {"w", tensor(trainstate::Dtype::f32, {3, 2})}, {"step", 5}, {"b", tensor(trainstate::Dtype::i64, {2}, 2)}};
  document.manifest = Tree{{"version", 3}, {"names", List{"w", "b"}}};
  document.metadata = {{"author", "me"}};
  return text_of(trainstate::format::write_pt(document));
}

// The older container: a pickle of `object`, the keys of storages, and what stands behind them.
std::string older(const std::string& object, const std::string& keys, const std::string& data) {
  const std::string magic = pickle(bytes("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"));
  const std::string machine = dict({entry("protocol_version", "M\xe9\x03"), entry("little_endian", "\x88")});
  return magic + pickle("M\xe9\x03") + pickle(machine) + pickle(object) + pickle(keys) + data;
}

std::string good_object() {
  return dict({entry("x", tensor_of(storage_id(number(4)), number(0), numbers({4}), numbers({1})))});
}

std::string good_data() { return le(std::int64_t{4}) + std::string(16, 'x'); }

}  // namespace

TEST_CASE("pt damage: names that lead elsewhere, or twice to the same, are refused") {
  std::vector<Case> cases;
  for (const std::string& name : {std::string("archive/../data.pkl"),
                                  std::string("../archive/x"),
                                  std::string("archive/.."),
                                  std::string("archive/./x"),
                                  std::string("archive//x"),
                                  std::string("/archive/x"),
                                  std::string("//archive/x"),
                                  std::string("archive\\x"),
                                  std::string("archive/a\\..\\..\\x"),
                                  std::string("C:\\archive\\x"),
                                  bytes("archive/x\0y"),
                                  bytes("archive/x\0"),
                                  std::string(""),
                                  std::string("archive/"),
                                  std::string("archive"),
                                  std::string("x"),
                                  std::string("other/x"),
                                  std::string("other/data.pkl"),
                                  std::string("Archive/x"),
                                  std::string("archive/\xff"),
                                  std::string("archive/data/0"),
                                  std::string("archive/data.pkl"),
                                  std::string("archive/version")}) {
    cases.push_back(
        records_changed("a record named " + name, [&](auto& records) { records.push_back(record(name, "data")); }));
    cases.push_back(records_changed("a first record named " + name,
                                    [&](auto& records) { records.insert(records.begin(), record(name, "data")); }));
  }
  cases.push_back(records_changed("a very long name",
                                  [](auto& records) { records.push_back(record(std::string(65535, 'n'), "")); }));
  cases.push_back(records_changed("no data.pkl", [](auto& records) { records.erase(records.begin()); }));
  cases.push_back(records_changed("data.pkl one folder deeper", [](auto& records) {
    records[0].local.name = records[0].central.name = "archive/archive/data.pkl";
  }));
  cases.push_back(records_changed("no record at all", [](auto& records) { records.clear(); }));
  cases.push_back(records_changed("no storage", [](auto& records) { records.pop_back(); }));
  check(cases);
}

TEST_CASE("pt damage: local and central headers agree, and only stored entries are read") {
  std::vector<Case> cases;
  const auto both = [&](const std::string& name, auto change) {
    for (std::size_t i = 0; i < 3; ++i) {
      const std::string of = name + " of record " + std::to_string(i);
      cases.push_back(records_changed(of + ", local", [&](auto& records) { change(records[i].local); }));
      cases.push_back(records_changed(of + ", central", [&](auto& records) { change(records[i].central); }));
    }
  };
  const auto each = [&](const std::string& name, auto change) {
    for (std::size_t i = 0; i < 3; ++i) {
      cases.push_back(records_changed(name + " of record " + std::to_string(i), [&](auto& records) {
        change(records[i].local);
        change(records[i].central);
      }));
    }
  };
  both("another name", [](Header& header) { header.name.back() = '~'; });
  both("a longer name", [](Header& header) { header.name += "0"; });
  both("a shorter name", [](Header& header) { header.name.pop_back(); });
  both("another size", [](Header& header) { ++header.size; });
  both("another stored size", [](Header& header) { ++header.stored; });
  both("two larger sizes", [](Header& header) { header.size = header.stored = header.size + 1; });
  both("two smaller sizes", [](Header& header) { header.size = header.stored = header.size - 1; });
  both("another CRC", [](Header& header) { header.crc ^= 0x100; });
  both("the method deflate", [](Header& header) { header.method = 8; });
  both("an encrypted flag", [](Header& header) { header.flags = 1; });
  both("a descriptor that is not there", [](Header& header) { header.flags = 8; });
  both("an unfinished extra field", [](Header& header) { header.extra = bytes("FB\x09\0x"); });
  both("half an extra field", [](Header& header) { header.extra = "FB"; });
  each("the method deflate", [](Header& header) { header.method = 8; });
  each("an unknown method", [](Header& header) { header.method = 99; });
  each("an encrypted flag", [](Header& header) { header.flags = 1; });
  each("strong encryption", [](Header& header) { header.flags = 0x41; });
  each("masked headers", [](Header& header) { header.flags = 0x2000; });
  each("patched data", [](Header& header) { header.flags = 0x20; });
  each("a descriptor that is not there", [](Header& header) { header.flags = 8; });
  each("a larger size", [](Header& header) { header.size = header.stored = header.size + 1; });
  each("a smaller size", [](Header& header) { header.size = header.stored = header.size - 1; });
  each("a size beyond the file", [](Header& header) { header.size = header.stored = 0x7FFFFFFF; });
  each("two different sizes", [](Header& header) { header.size += 10; });
  each("a bomb of 4 GiB", [](Header& header) {
    header.method = 8;
    header.size = 0xFFFFFFFE;
  });
  each("a bomb of 10 GiB", [](Header& header) {
    header.method = 8;
    header.size = 0xFFFFFFFF;
    header.extra = extra64({std::uint64_t{10} << 30});
  });
  each("zip64 sizes of 10 GiB", [](Header& header) {
    header.size = header.stored = 0xFFFFFFFF;
    header.extra = extra64({std::uint64_t{10} << 30, std::uint64_t{10} << 30});
  });
  each("zip64 sizes of 2**64 - 1", [](Header& header) {
    header.size = header.stored = 0xFFFFFFFF;
    header.extra = extra64({~std::uint64_t{0}, ~std::uint64_t{0}});
  });
  each("two different zip64 sizes", [](Header& header) {
    header.extra = extra64({header.size + 1U, header.stored});
    header.size = header.stored = 0xFFFFFFFF;
  });
  each("zip64 without its field", [](Header& header) { header.size = header.stored = 0xFFFFFFFF; });
  each("zip64 with half its field", [](Header& header) {
    header.extra = extra64({header.size});
    header.size = header.stored = 0xFFFFFFFF;
  });
  each("zip64 twice", [](Header& header) {
    header.extra = extra64({header.size, header.stored}) + extra64({header.size, header.stored});
    header.size = header.stored = 0xFFFFFFFF;
  });
  each("a wrong CRC", [](Header& header) { header.crc ^= 1; });
  for (const std::uint32_t offset : {0U, 1U, 5U, 0x7FFFFFFFU, 0xFFFFFFFEU, 0xFFFFFFFFU}) {
    cases.push_back(records_changed("a header at byte " + std::to_string(offset),
                                    [&](auto& records) { records[1].offset = offset; }));
  }
  cases.push_back(records_changed("another disk", [](auto& records) { records[1].disk = 1; }));
  cases.push_back(records_changed("an entry that is not listed", [](auto& records) {
    records.push_back(record("archive/hidden", "data"));
    records.back().unlisted = true;
  }));
  cases.push_back(records_changed("an entry listed twice", [](auto& records) {
    records.push_back(records[2]);
    records.back().absent = true;
    records.back().offset = static_cast<std::uint32_t>(zip_of({records[0], records[1]}).size() - 22 -
                                                       directory_size(zip_of({records[0], records[1]})));
  }));
  // An entry inside another one's data, as in bombs that reuse their kernel.
  cases.push_back(records_changed("an entry inside another", [](auto& records) {
    Record inner = record("archive/inner", "data");
    const std::string hidden = zip_of({inner});
    const std::string local = hidden.substr(0, directory_at(hidden));
    const auto before = static_cast<std::uint32_t>(directory_at(zip_of(records)));
    records.push_back(record("archive/outer", local));
    inner.absent = true;
    inner.offset = before + 30 + 13;
    records.push_back(inner);
  }));
  cases.push_back(records_changed("data that reaches into the next entry", [](auto& records) {
    const std::string next = zip_of({records[1]});
    records[0].local.size = records[0].local.stored += 40;
    records[0].central.size = records[0].central.stored += 40;
  }));
  check(cases);
}

TEST_CASE("pt damage: the end of an archive tells the truth") {
  std::vector<Case> cases;
  const auto add = [&](const std::string& name, auto change) { cases.push_back(end_changed(name, change)); };
  add("disk 1", [](End& end, const std::string&) { end.disk = 1; });
  add("the directory on disk 1", [](End& end, const std::string&) { end.directory_disk = 1; });
  add("one entry fewer here", [](End& end, const std::string&) { end.here = std::uint16_t{2}; });
  add("one entry fewer in all", [](End& end, const std::string&) { end.total = std::uint16_t{2}; });
  for (const int entries : {0, 1, 2, 4, 1000, 65534, 65535}) {
    const auto count = static_cast<std::uint16_t>(entries);
    add(std::to_string(count) + " entries", [&](End& end, const std::string&) { end.here = end.total = count; });
  }
  for (const std::int32_t change : {-1, 1, -46, 46, 1000000, -1000000}) {
    add("a directory at another place", [&](End& end, const std::string& bare) {
      end.offset = directory_at(bare) + static_cast<std::uint32_t>(change);
    });
    add("a directory of another size", [&](End& end, const std::string& bare) {
      end.size = directory_size(bare) + static_cast<std::uint32_t>(change);
    });
  }
  add("a directory at 2**32 - 1", [](End& end, const std::string&) { end.offset = 0xFFFFFFFF; });
  add("a directory of 2**32 - 1 bytes", [](End& end, const std::string&) { end.size = 0xFFFFFFFF; });
  add("a directory before another",
      [](End& end, const std::string& bare) { end.before = bare.substr(directory_at(bare), directory_size(bare)); });
  add("bytes behind the directory", [](End& end, const std::string&) { end.before = "garbage"; });
  add("an end in its comment", [](End& end, const std::string& bare) { end.comment = bare.substr(bare.size() - 22); });
  add("an archive in its comment", [](End& end, const std::string& bare) { end.comment = bare; });
  add("a directory and an end in its comment",
      [](End& end, const std::string& bare) { end.comment = bare.substr(directory_at(bare)); });
  const auto wide = [&](const std::string& name, auto make) {
    add(name, [&](End& end, const std::string& bare) {
      end.here = end.total = std::uint16_t{0xFFFF};
      end.size = end.offset = 0xFFFFFFFF;
      end.before = make(std::uint64_t{directory_at(bare)}, std::uint64_t{directory_size(bare)});
    });
  };
  wide("zip64 without its records", [](std::uint64_t, std::uint64_t) { return std::string(); });
  wide("zip64 at another place",
       [](std::uint64_t at, std::uint64_t size) { return end64(at + size + 1, 3, size, at); });
  wide("zip64 before the file",
       [](std::uint64_t at, std::uint64_t size) { return end64(~std::uint64_t{0}, 3, size, at); });
  wide("zip64 behind the file",
       [](std::uint64_t at, std::uint64_t size) { return end64(std::uint64_t{1} << 40, 3, size, at); });
  wide("zip64 with 2**64 - 1 entries",
       [](std::uint64_t at, std::uint64_t size) { return end64(at + size, ~std::uint64_t{0}, size, at); });
  wide("zip64 with 2**40 entries",
       [](std::uint64_t at, std::uint64_t size) { return end64(at + size, std::uint64_t{1} << 40, size, at); });
  wide("zip64 with 2 entries", [](std::uint64_t at, std::uint64_t size) { return end64(at + size, 2, size, at); });
  wide("zip64 of another size", [](std::uint64_t at, std::uint64_t size) { return end64(at + size, 3, size + 1, at); });
  wide("zip64 of a huge size",
       [](std::uint64_t at, std::uint64_t size) { return end64(at + size, 3, ~std::uint64_t{0} - at + 1, at); });
  wide("zip64 elsewhere", [](std::uint64_t at, std::uint64_t size) { return end64(at + size, 3, size, at - 1); });
  wide("zip64 with wraparound",
       [](std::uint64_t at, std::uint64_t size) { return end64(at + size, 3, size + 8, ~std::uint64_t{0} - 7 + at); });
  wide("zip64 on two disks", [](std::uint64_t at, std::uint64_t size) { return end64(at + size, 3, size, at, 2); });
  wide("zip64 of another length",
       [](std::uint64_t at, std::uint64_t size) { return end64(at + size, 3, size, at, 1, 4000); });
  wide("zip64 of a length below its own",
       [](std::uint64_t at, std::uint64_t size) { return end64(at + size, 3, size, at, 1, 0); });
  add("zip64 that disagrees", [](End& end, const std::string& bare) {
    end.before =
        end64(std::uint64_t{directory_at(bare)} + directory_size(bare), 2, directory_size(bare), directory_at(bare));
  });

  const auto records = records_of(good_pickle());
  const std::string good = zip_of(records);
  cases.push_back({"garbage before the archive", "garbage" + good});
  cases.push_back({"garbage before the archive, and true offsets", zip_of(records, {}, "garbage")});
  cases.push_back({"a script before the archive", zip_of(records, {}, "#!/bin/sh\nexit 1\n")});
  cases.push_back({"garbage behind the archive", good + "x"});
  cases.push_back({"two archives", good + good});
  cases.push_back({"an empty file", ""});
  cases.push_back({"a zip of nothing", zip_of({})});
  cases.push_back({"only an end", good.substr(good.size() - 22)});
  cases.push_back({"no end", good.substr(0, good.size() - 22)});
  cases.push_back({"zeros", std::string(4096, '\0')});
  cases.push_back({"text", std::string(4096, 'P')});
  cases.push_back({"a bare pickle", good_pickle()});
  check(cases);

  // The same with the truth in them is read.
  for (const std::string& file : {good,
                                  [&] {
                                    End end;
                                    end.here = end.total = std::uint16_t{0xFFFF};
                                    end.size = end.offset = 0xFFFFFFFF;
                                    end.before = end64(std::uint64_t{directory_at(good)} + directory_size(good), 3,
                                                       directory_size(good), directory_at(good));
                                    return zip_of(records, end);
                                  }(),
                                  [&] {
                                    auto wider = records;
                                    for (Record& each : wider) {
                                      for (Header* header : {&each.local, &each.central}) {
                                        header->extra = extra64({header->size, header->stored});
                                        header->size = header->stored = 0xFFFFFFFF;
                                      }
                                    }
                                    return zip_of(wider);
                                  }(),
                                  [&] {
                                    auto later = records;  // sizes and CRC behind the data
                                    for (Record& each : later) {
                                      each.data += bytes("PK\7\10") + le(each.local.crc) + le(each.local.size) +
                                                   le(each.local.size);
                                      each.local.flags = each.central.flags = 8;
                                      each.local.crc = each.local.size = each.local.stored = 0;
                                    }
                                    return zip_of(later);
                                  }()}) {
    const Outcome found = outcome_of(file, true);
    CHECK(found.text == "");
    CHECK(found.type == "read");
  }
}

TEST_CASE("pt damage: CRCs of records are checked, of storages on request") {
  for (std::size_t i = 0; i < 3; ++i) {
    auto records = records_of(good_pickle());
    records[i].data[0] ^= 1;
    const std::string file = zip_of(records);
    CAPTURE(i);
    CHECK(outcome_of(file, true).type == "IntegrityError");
    CHECK(outcome_of(file, false).type == (i == 2 ? "read" : "IntegrityError"));
  }
}

TEST_CASE("pt damage: CRCs of storages are checked in large files, too, which are read instead of mapped") {
  namespace format = trainstate::format;
  const TemporaryFolder folder;
  Strings storages{std::string(16, 'x'), std::string(trainstate::io::mapped_whole, 'l')};
  for (std::size_t i = 0; i < 300; ++i) storages.push_back(std::string(5000 + i, static_cast<char>('a' + i % 26)));
  storages.insert(storages.begin() + 100, "");
  const auto records = records_of(good_pickle(), storages);
  put(folder / "good.pt", zip_of(records));
  const auto read = [&](const char* name) { return format::read_document(folder / name, {.verify = true}); };
  CHECK(read("good.pt").tree.contains("x"));
  for (const std::size_t i : {0, 1, 2, 99, 101, 250, 302}) {
    CAPTURE(i);
    auto damaged = records;
    auto& record = damaged[2 + i];
    record.data[record.data.size() / 2] ^= 1;
    put(folder / "bad.pt", zip_of(damaged));
    try {
      read("bad.pt");
      FAIL_CHECK("nothing was thrown");
    } catch (const trainstate::IntegrityError& e) {
      CHECK(std::string(e.what()).starts_with((folder / "bad.pt").string() + ": '" + record.local.name + "': "));
    }
  }
}

TEST_CASE("pt damage: a file that was cut off anywhere is refused") {
  for (const std::string& file :
       {archive(good_pickle()), golden("1.13/ties.pt"), golden("2.14/ties.pt"), golden("2.14/old_views.pt"),
        golden("2.6/atoms.pt"), older(good_object(), "]" + text("0") + "a", good_data()), own()}) {
    REQUIRE(outcome_of(file, true).type == "read");
    const Strings faults = faults_of(file.size(), [&](std::size_t size) {
      return fault_of({"the first " + std::to_string(size) + " bytes", file.substr(0, size), "", false, size % 2 == 0});
    });
    for (const std::string& fault : faults) FAIL_CHECK(fault);
  }
}

TEST_CASE("pt damage: a bit that flips anywhere is found, or changes nothing") {
  for (const std::string& file : {archive(good_pickle()), golden("1.13/ties.pt"), golden("2.14/uint16_by_v3.pt"),
                                  golden("2.14/atoms.pt"), own()}) {
    const Outcome before = outcome_of(file, true);
    REQUIRE(before.document.has_value());
    const std::string tree = described(*before.document);
    const Strings faults = faults_of(file.size() * 8, [&](std::size_t i) -> std::string {
      std::string copy = file;
      copy[i / 8] = static_cast<char>(copy[i / 8] ^ (1 << i % 8));
      const Case each{"bit " + std::to_string(i % 8) + " of byte " + std::to_string(i / 8), copy, "", true};
      const std::string fault = fault_of(each);
      if (!fault.empty()) return fault;
      const Outcome after = outcome_of(copy, true);
      if (after.document && described(*after.document) != tree) return each.name + " changes the tree silently";
      return "";
    });
    std::size_t shown = 0;
    for (const std::string& fault : faults) {
      if (++shown <= 10) FAIL_CHECK(fault);
    }
    CHECK(faults.empty());
  }
}

TEST_CASE("pt damage: without verification no flipped bit does harm, in either container") {
  for (const std::string& file : {golden("2.14/ties.pt"), golden("1.13/old_views.pt"), golden("2.14/old_views.pt"),
                                  older(good_object(), "]" + text("0") + "a", good_data())}) {
    const Strings faults = faults_of(file.size() * 8, [&](std::size_t i) {
      std::string copy = file;
      copy[i / 8] = static_cast<char>(copy[i / 8] ^ (1 << i % 8));
      return fault_of({"bit " + std::to_string(i), copy, "", true, false});
    });
    std::size_t shown = 0;
    for (const std::string& fault : faults) {
      if (++shown <= 10) FAIL_CHECK(fault);
    }
  }
}

TEST_CASE("pt damage: the records of this library's own are strict") {
  const std::string digest = trainstate::io::hex_text(
      trainstate::io::checksum(std::as_bytes(std::span(std::string_view("xxxxxxxxxxxxxxxx")))));
  const auto with = [](const std::string& manifest, const std::string& digests) {
    auto records = records_of(good_pickle());
    records.push_back(record("archive/trainstate.pkl", manifest));
    records.push_back(record("archive/trainstate.xxh3", digests));
    return zip_of(records);
  };
  const std::string format = entry("format", number(1)), empty = dict({}), some = dict({entry("a", number(1))});
  const auto own = [](const Strings& entries) { return pickle(dict(entries)); };
  CHECK(outcome_of(with(own({format}), digest), true).text == "");
  CHECK(
      outcome_of(with(own({format, entry("manifest", some), entry("metadata", dict({entry("b", text("c"))}))}), digest),
                 true)
          .text == "");
  std::vector<Case> cases;
  for (const std::string& digests :
       Strings{"", digest.substr(1), digest + "0", digest + digest, "zzzzzzzzzzzzzzzz", "0000000000000000"}) {
    cases.push_back({"own digests " + digests, with(own({format}), digests)});
  }
  const Strings manifests{"",
                          empty,
                          own({}),
                          pickle("]"),
                          pickle("N"),
                          own({entry("format", number(0))}),
                          own({entry("format", number(-1))}),
                          own({entry("format", text("1"))}),
                          own({entry("format", "\x88")}),
                          own({entry("manifest", some)}),
                          own({format, entry("more", number(1))}),
                          own({format, entry("manifest", "N")}),
                          own({format, entry("manifest", "]")}),
                          own({format, entry("metadata", "]")}),
                          own({format, entry("metadata", dict({entry("a", number(1))}))}),
                          own({format, entry("metadata", dict({number(1) + text("a")}))}),
                          own({format}) + "x",
                          own({format, entry("manifest", global("os", "system"))}),
                          own({format, entry("manifest", repeated(1000000, "]") + repeated(999999, "a"))})};
  for (std::size_t i = 0; i < manifests.size(); ++i) {
    cases.push_back({"own manifest " + std::to_string(i), with(manifests[i], digest)});
  }
  auto half = records_of(good_pickle());
  half.push_back(record("archive/trainstate.xxh3", digest));
  cases.push_back({"digests without a manifest", zip_of(half)});
  half.back() = record("archive/trainstate.pkl", own({format}));
  cases.push_back({"a manifest without digests", zip_of(half)});
  check(cases);
  try {
    const auto later = own({entry("format", number(2)), entry("new", text("things"))});
    static_cast<void>(trainstate::format::read_pt(storage_of(with(later, digest)), "file"));
    FAIL_CHECK("a later format was read");
  } catch (const trainstate::VersionError& e) {
    CHECK(std::string(e.what()).starts_with("file: "));
  }
}

TEST_CASE("pt damage: the older container keeps its own word") {
  const std::string keys = "]" + text("0") + "a", object = good_object(), data = good_data();
  CHECK(outcome_of(older(object, keys, data), true).text == "");
  const std::string magic = pickle(bytes("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")),
                    version = pickle("M\xe9\x03");
  const std::string machine = pickle(dict({entry("little_endian", "\x88")}));
  const auto of_size = [](std::int64_t elements) { return le(elements) + std::string(16, 'x'); };
  const auto view = [&](const Strings& parts) {
    const std::string id =
        tuple({text("storage"), global("torch", "FloatStorage"), text("0"), text("cpu"), number(4), tuple(parts)});
    return dict({entry("x", tensor_of(id + "Q", number(0), numbers({2}), numbers({1})))});
  };
  CHECK(outcome_of(older(view({text("v"), number(1), number(2)}), keys, data), true).text == "");
  std::vector<Case> cases{
      {"another magic number", pickle(bytes("\x8a\x0a\x6d\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")) + version + machine +
                                   pickle(object) + pickle(keys) + data},
      {"a call instead of the magic number", pickle(global("os", "system") + tuple({text("id")}) + "R") + version +
                                                 machine + pickle(object) + pickle(keys) + data},
      {"version 1002", magic + pickle("M\xea\x03") + machine + pickle(object) + pickle(keys) + data, "1001"},
      {"a version that is text", magic + pickle(text("1001")) + machine + pickle(object) + pickle(keys) + data},
      {"a big-endian machine",
       magic + version + pickle(dict({entry("little_endian", "\x89")})) + pickle(object) + pickle(keys) + data, "big"},
      {"a machine that is a list", magic + version + pickle("]") + pickle(object) + pickle(keys) + data},
      {"a call in the machine's facts",
       magic + version + pickle(global("os", "system") + ")R") + pickle(object) + pickle(keys) + data, "os.system"},
      {"a call in the object", older(global("os", "system") + tuple({text("id")}) + "R", keys, data), "os.system"},
      {"a call in the keys", older(object, global("posix", "system") + ")R", data), "posix.system"},
      {"keys that are a dict", older(object, "}", data)},
      {"keys that are no texts", older(object, "](K" + std::string(1, '\0') + "e", data)},
      {"no keys", older(object, "]", "")},
      {"an unknown key", older(object, "]" + text("1") + "a", data)},
      {"a key too many", older(object, "](" + text("0") + text("1") + "e", data + data)},
      {"a key twice", older(object, "](" + text("0") + text("0") + "e", data + data)},
      {"no data", older(object, keys, "")},
      {"half a size", older(object, keys, "1234")},
      {"half the data", older(object, keys, data.substr(0, 16))},
      {"data too many", older(object, keys, data + "x")},
      {"keys that name themselves", older(object, "]" + std::string("q") + '\0' + "h" + '\0' + "a", data)},
      {"a view past the end", older(view({text("v"), number(3), number(2)}), keys, data)},
      {"a view before the beginning", older(view({text("v"), number(-1), number(2)}), keys, data)},
      {"a view of a negative size", older(view({text("v"), number(0), number(-2)}), keys, data)},
      {"a view of too few elements", older(view({text("v"), number(0), number(1)}), keys, data)},
      {"a view that overflows", older(view({text("v"), number(std::int64_t{1} << 62), number(2)}), keys, data)},
      {"a view of two parts", older(view({text("v"), number(0)}), keys, data)},
      {"a module",
       older(tuple({text("module"), global("collections", "OrderedDict"), text("file"), text("source")}) + "Q", "]",
             "")},
      {"a huge storage", older(dict({entry("x", tensor_of(storage_id(number(std::int64_t{1} << 60)), number(0),
                                                          numbers({4}), numbers({1})))}),
                               keys, of_size(std::int64_t{1} << 60))},
      {"deep keys", older(object, repeated(100000, "]") + repeated(99999, "a"), data)},
  };
  for (const std::int64_t elements :
       {std::int64_t{0}, std::int64_t{3}, std::int64_t{5}, std::int64_t{-1}, std::int64_t{1} << 62,
        (std::int64_t{1} << 62) + 4, std::numeric_limits<std::int64_t>::min()}) {
    cases.push_back(
        {"a storage that claims " + std::to_string(elements) + " elements", older(object, keys, of_size(elements))});
  }
  check(cases);
}
