// The files that take most memory for each of their bytes, of every kind that is known, against the bound that the
// readers promise; and those that would take long if anything here were quadratic.
#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "format/hostile.hpp"
#include "format/samples.hpp"
#include "fuzz/fuzz.hpp"
#include "support/memory_use.hpp"
#include "trainstate/format/json_writer.hpp"
#include "trainstate/format/pt.hpp"
#include "trainstate/format/safetensors.hpp"

using namespace trainstate::tests;
namespace format = trainstate::format;
namespace fuzz = trainstate::fuzz;
using trainstate::Dtype;

namespace {

constexpr std::size_t large = 400'000;  // bytes; what is constant in the bound hardly counts

struct Measured {
  std::size_t peak, ever;
  bool read;
};

template <class Read>
Measured measured(Read&& read) {
  Measured result{};
  const std::size_t before = memory_ever();
  result.peak = peak_of([&] {
    try {
      static_cast<void>(read());
      result.read = true;
    } catch (const trainstate::Error&) {
    }
  });
  result.ever = memory_ever() - before;
  return result;
}

struct Kind {
  const char* name;
  std::function<std::string(std::size_t)> file;  // of about so many bytes
  bool is_read = true;                           // it is harmless, and must be
};

template <class Format>
void check(const std::vector<Kind>& kinds) {
  for (const Kind& kind : kinds) {
    const std::string file = kind.file(large);
    const auto image = storage_of(file);
    const Measured found = measured([&] { return Format::read_image(image); });
    const double factor = static_cast<double>(found.peak) / static_cast<double>(file.size());
    std::printf("%6.1f bytes of memory for each byte of %s\n", factor, kind.name);
    INFO(kind.name);
    CHECK(found.read == kind.is_read);
    CHECK(found.peak <= format::memory_bound(file.size()));
    // Whatever was allocated took time to fill. Containers that grow by doubling allocate twice as much as they hold.
    CHECK(found.ever <= 3 * format::memory_bound(file.size()));
  }
}

struct Safetensors {
  static format::Document read_image(std::shared_ptr<const trainstate::Storage> image) {
    return format::read_safetensors(std::move(image), "file");
  }
};
struct Pt {
  static format::Document read_image(std::shared_ptr<const trainstate::Storage> image) {
    return format::read_pt(std::move(image), "file");
  }
};

// `part(i)` for i from 0 on, with commas between, up to about `size` bytes.
template <class Part>
std::string joined(std::size_t size, Part&& part, std::string_view separator = ",") {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) {
    if (i != 0) text += separator;
    text += part(i);
  }
  return text;
}

// A file of ours with the tree {"x": value} and tensors.
std::string own_file(const std::string& value, const std::string& entries = "", std::size_t count = 0,
                     const std::string& data = "") {
  std::string header = R"({"__metadata__":{"format":"pt","trainstate.xxh3":")";
  header.append((count + 1) * trainstate::io::hex_digits, '0') += R"(","trainstate":)";
  format::append_json_string(header, R"({"format":1,"tree":{"x":)" + value + "}}");
  header += "}" + entries + "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  return fuzz::with_checksums(raw_file(header, data));
}
Kind list_of(const char* name, const std::string& item) {
  return {name,
          [=](std::size_t size) { return own_file("[" + joined(size, [&](std::size_t) { return item; }) + "]"); }};
}
std::string ones(std::size_t count) {
  return joined(2 * count - 1, [](std::size_t) { return "1"; });
}

// A tensor of one byte with many dimensions.
std::string entry_of(std::size_t rank) {
  return R"(,"t":{"dtype":"U8","shape":[)" + ones(rank) + R"(],"data_offsets":[0,1]})";
}
Kind references(const char* name, std::size_t rank, bool is_read) {
  return {name,
          [=](std::size_t size) {
            return own_file("[" + joined(size, [](std::size_t) { return R"({"$t":0})"; }) + "]", entry_of(rank), 1,
                            "x");
          },
          is_read};
}

// An archive whose pickle puts `first` into the memo, then has a list of as many `item` as fit.
Kind pickled(const char* name, const std::string& item, const std::string& first = "", bool is_read = true,
             const std::string& close = "l.") {
  return {name,
          [=](std::size_t size) {
            const std::string body = bytes("\x80\x02") + first + "(" +
                                     joined(
                                         size, [&](std::size_t) { return item; }, "") +
                                     close;
            return archive(body, {std::string(16, 'x')});
          },
          is_read};
}
std::string put(std::uint8_t at) { return std::string("q") + static_cast<char>(at) + "0"; }
std::string get(std::uint8_t at) { return std::string("h") + static_cast<char>(at); }

std::string tensor_of_rank(std::size_t rank) {
  Strings shape(rank, number(1));
  return tensor_of(storage_id(number(4)), number(0), tuple(shape), tuple(shape));
}

}  // namespace

TEST_CASE("bounds: a safetensors file takes memory in proportion to its size") {
  std::vector<Kind> kinds{
      list_of("a list of numbers", "1"),
      list_of("lists of one number", "[1]"),
      list_of("lists of three numbers", "[1,1,1]"),
      list_of("lists of five numbers", "[1,1,1,1,1]"),
      list_of("empty lists", "[]"),
      list_of("empty dicts", "{}"),
      list_of("dicts of one number", R"({"":1})"),
      list_of("empty texts", R"("")"),
      list_of("texts of 16 characters", R"("0123456789abcdef")"),
      list_of("texts with escapes", R"("\u00410123456789abcdef")"),
      references("tensors named again", 1, true),
      references("tensors of 8 dimensions named again", 8, true),
      references("tensors of 64 dimensions named again", 64, false),
      references("tensors of 10000 dimensions named again", 10000, false),
  };
  kinds.push_back({"a dict of numbers", [](std::size_t size) {
                     return own_file(
                         "{" + joined(size, [](std::size_t i) { return '"' + std::to_string(i) + "\":1"; }) + "}");
                   }});
  kinds.push_back({"nested dicts of twelve numbers", [](std::size_t size) {
                     const std::string dict =
                         R"({"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1,"l":1})";
                     return own_file("[" + joined(size, [&](std::size_t) { return dict; }) + "]");
                   }});
  kinds.push_back({"tensors on many devices", [](std::size_t size) {
                     const auto item = [](std::size_t i) {
                       return R"({"$t":0,"device":")" + std::to_string(i) + "\"}";
                     };
                     return own_file("[" + joined(size, item) + "]", entry_of(1), 1, "x");
                   }});
  kinds.push_back({"a list of bools kept as a tensor", [](std::size_t size) {
                     const std::string n = std::to_string(size);
                     return own_file(R"({"$l":0})",
                                     R"(,"t":{"dtype":"BOOL","shape":[)" + n + R"(],"data_offsets":[0,)" + n + "]}", 1,
                                     std::string(size, '\1'));
                   }});
  kinds.push_back({"a tensor of many dimensions",
                   [](std::size_t size) { return raw_file("{" + entry_of(size / 2).substr(1) + "}", "x"); }});
  kinds.push_back({"many empty tensors", [](std::size_t size) {
                     const auto item = [](std::size_t i) {
                       return '"' + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
                     };
                     return raw_file("{" + joined(size, item) + "}");
                   }});
  kinds.push_back({"much metadata", [](std::size_t size) {
                     const auto item = [](std::size_t i) { return '"' + std::to_string(i) + R"(":"")"; };
                     return raw_file(R"({"__metadata__":{)" + joined(size, item) + "}}");
                   }});
  kinds.push_back({"values that nobody asks for", [](std::size_t size) {
                     return raw_file(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":[)" + ones(size / 2) +
                                     "]}}");
                   }});
  check<Safetensors>(kinds);
}

TEST_CASE("bounds: a .pt file takes memory in proportion to its size") {
  const std::string complex = called(global("builtins", "complex"), {number(1), number(2)});
  const std::string make_complex = global("builtins", "complex") + put(0) + tuple({number(1), number(2)}) + put(1);
  const std::string make_tensor = global("torch._utils", "_rebuild_tensor_v2") + put(0) +
                                  tuple({storage_id(number(4)), number(0), tuple(Strings(64, number(1))),
                                         tuple(Strings(64, number(1))), "\x89", "N"}) +
                                  put(1);
  const std::string id = tuple({text("storage"), global("torch", "FloatStorage"), text("0"), text("cpu"), number(4)});
  const std::string encode = global("_codecs", "encode") + put(0) + tuple({text("x"), text("latin1")}) + put(1);
  const std::string one = number(1);
  std::vector<Kind> kinds{
      pickled("None", "N"),
      pickled("numbers", "K\1"),
      pickled("empty lists", "]"),
      pickled("empty dicts", "}"),
      pickled("empty tuples", ")"),
      pickled("lists of one", "]Na"),
      pickled("tuples of one", bytes("N\x85")),
      pickled("tuples of two", bytes("NN\x86")),
      pickled("tuples of five", "(NNNNNt"),
      pickled("dicts of one", "}K\1Ns"),
      pickled("empty bytes", bytes("C\0")),
      pickled("single bytes", bytes("C\1x")),
      pickled("empty texts", bytes("\x8c\0")),
      pickled("texts of 16 characters", bytes("\x8c\x10") + "0123456789abcdef"),
      pickled("one text of 15 characters, again", "2", "", false, text("0123456789abcde") + "l."),
      pickled("a text of 15 characters, again", get(0), text("0123456789abcde") + put(0)),
      pickled("a text of 16 characters, again", get(0), text("0123456789abcdef") + put(0)),
      pickled("a text of 120 characters, again", get(0), text(std::string(120, 'x')) + put(0)),
      pickled("complex numbers", get(0) + get(1) + "R", make_complex),
      pickled("a complex number, again", get(0), complex + put(0)),
      pickled("bytes of a text", get(0) + get(1) + "R", encode),
      pickled("bytes, again", get(0), bytes("C\1x") + put(0)),
      pickled("tensors of 64 dimensions", get(0) + get(1) + "R", make_tensor, false),
      pickled("tensors of 64 dimensions, dropped", get(0) + get(1) + "R0", make_tensor),
      pickled("storages", get(0) + "Q", id + put(0), false),
      pickled("storages, dropped", get(0) + "Q0", id + put(0)),
      pickled("marks", "(", "", false),
      pickled("tuples in tuples", bytes("\x85"), "N", false),
      pickled("globals", get(0) + get(1) + bytes("\x93"), text("torch") + put(0) + text("float32") + put(1)),
      pickled("a long tuple of arguments, again and again", get(0) + get(1) + "R",
              global("collections", "OrderedDict") + put(0) + tuple(Strings(50000, "N")) + put(1), false),
  };
  const auto duplicated = [](const char* name, const std::string& item, bool is_read) {
    return Kind{name,
                [=](std::size_t size) { return archive(bytes("\x80\x02(") + item + std::string(size, '2') + "l."); },
                is_read};
  };
  kinds.push_back(duplicated("a text of 15 characters, by DUP", text("0123456789abcde"), true));
  kinds.push_back(duplicated("a text of 16 characters, by DUP", text("0123456789abcdef"), false));
  kinds.push_back(duplicated("a text of 120 characters, by DUP", text(std::string(120, 'x')), false));
  kinds.push_back(duplicated("a complex number, by DUP", complex, true));
  kinds.push_back(duplicated("bytes, by DUP", bytes("C\1x"), false));
  kinds.push_back(duplicated("a list, by DUP", "]", true));
  for (const std::size_t rank : {0U, 1U, 4U, 5U, 8U, 64U}) {
    kinds.push_back(pickled("a tensor of some dimensions, again", get(0), tensor_of_rank(rank) + put(0), rank <= 4));
    kinds.push_back(duplicated("a tensor of some dimensions, by DUP", tensor_of_rank(rank), rank == 0));
  }
  kinds.push_back({"a small pickle that unfolds", [](std::size_t) {
                     std::string inner = "(", outer = "(";
                     for (int i = 0; i < 70; ++i) inner += get(0);
                     for (int i = 0; i < 70; ++i) outer += get(1);
                     return archive(pickle(text(std::string(100, 'x')) + put(0) + inner + "l" + put(1) + outer + "l"));
                   }});
  kinds.push_back({"a far memo", [](std::size_t size) {
                     std::string body = "]";
                     for (std::uint32_t i = 1; body.size() < size; ++i) body += "r" + le(i << 8);
                     return archive(pickle(body));
                   }});
  kinds.push_back({"numbers as keys", [](std::size_t size) {
                     std::string body = "}(";
                     for (std::uint16_t i = 0; body.size() < size && i < 65535; ++i) body += "M" + le(i) + "N";
                     return archive(pickle(body + "u"));
                   }});
  kinds.push_back({"texts as keys", [](std::size_t size) {
                     std::string body = "}(";
                     for (std::uint32_t i = 0; body.size() < size; ++i)
                       body += bytes("\x8c\3") + le(i).substr(0, 3) + "N";
                     return archive(pickle(body + "u"));
                   }});
  kinds.push_back({"a large storage, conjugated again and again",
                   [](std::size_t size) {
                     const auto count = static_cast<std::int64_t>(size / 8);
                     const std::string arguments =
                         tuple({storage_id(number(count), "ComplexFloatStorage"), number(0), numbers({count}),
                                numbers({1}), "\x89", "N", dict({entry("conj", "\x88")})});
                     std::string body =
                         global("torch._utils", "_rebuild_tensor_v2") + put(0) + arguments + put(1) + "(";
                     for (int i = 0; i < 5000; ++i) body += get(0) + get(1) + "R";
                     return archive(pickle(body + "l"), {std::string(static_cast<std::size_t>(count) * 8, 'x')});
                   },
                   false});
  kinds.push_back({"a large storage that is not aligned, on many devices",
                   [](std::size_t size) {
                     const auto count = static_cast<std::int64_t>(size / 4);
                     std::string body = "(";
                     for (int i = 0; i < 1000; ++i) {
                       body += tensor_of(storage_id(number(count), "FloatStorage", "0", std::to_string(i)), number(0),
                                         numbers({count}), numbers({1}));
                     }
                     // The name is as long as it must be for an odd place.
                     for (std::string pad;; pad += '\n') {
                       const std::string file =
                           zip_of({record("archive/data.pkl", pickle(body + "l")), record("archive/v", "3" + pad),
                                   record("archive/data/0", std::string(static_cast<std::size_t>(count) * 4, 'y'))});
                       if (file.find("yyyyyyyy") % 8 == 1) return file;
                     }
                   },
                   false});
  kinds.push_back({"entries of an archive", [](std::size_t size) {
                     std::vector<Record> records = records_of(good_pickle());
                     for (std::size_t i = 0; i < size / 100; ++i)
                       records.push_back(record("archive/" + std::to_string(i), ""));
                     return zip_of(records);
                   }});
  check<Pt>(kinds);
}

TEST_CASE("bounds: many views of one place are written in no more than n log n") {
  const auto base = tensor(Dtype::u8, {200'000});
  Tree tree;
  List views, empty;
  for (std::int64_t i = 1; i < 100'000; ++i) {
    views.push_back(trainstate::TensorInfo{Dtype::u8, {1, 1}, {i, 1}, base.storage, 0});
    empty.push_back(trainstate::TensorInfo{Dtype::u8, {0, i}, {i, 1}, base.storage, 0});
  }
  tree["views"] = views;
  tree["empty"] = empty;
  const format::Document document{tree, {}, {}, 0, {}, {}};
  CHECK(fuzz::Safetensors::read(fuzz::Safetensors::write(document), false).tree == tree);
  CHECK(fuzz::Pt::read(fuzz::Pt::write(document), false).tree == tree);
}
