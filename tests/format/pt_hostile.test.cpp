// Pickles that were made to do harm: refused, nothing run, and no more memory taken than a file of their size may.
#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "format/hostile.hpp"

using namespace trainstate::tests;

namespace {

void check(const std::vector<Case>& cases) {
  for (const std::string& fault : faults_of(cases)) FAIL_CHECK(fault);
}

// A pickle as the only thing that is wrong with an archive.
Case refused(std::string name, const std::string& data, std::string part = "") {
  return {std::move(name), archive(data), std::move(part)};
}
Case bounded(std::string name, const std::string& data) { return {std::move(name), archive(data), "", true}; }

// {"x": body}
std::string in_dict(const std::string& body) { return pickle(dict({entry("x", body)})); }

std::string get(std::uint8_t at) { return std::string("h") + static_cast<char>(at); }
std::string put(std::uint8_t at) { return std::string("q") + static_cast<char>(at); }

}  // namespace

TEST_CASE("pt hostile: what the others are made of is good") {
  const Outcome found = outcome_of(archive(good_pickle()), true);
  CHECK(found.text == "");
  REQUIRE(found.document.has_value());
  CHECK(found.document->tree.at<trainstate::TensorInfo>("x").shape == Shape{4});
}

TEST_CASE("pt hostile: the judge sees crashes, memory and foreign exceptions") {
  const Strings faults = faults_of(5, [](std::size_t i) -> std::string {
    if (i == 1) ::abort();
    if (i == 2) return "known";
    if (i == 4) {
      try {
        // More than earlier tests can have left free.
        with_memory(std::size_t{1} << 20, [] { return std::string(std::size_t{1} << 30, 'x').size(); });
      } catch (const std::bad_alloc&) {
        return "memory";
      }
    }
    return "";
  });
  REQUIRE(faults.size() == (memory_is_limited ? 3 : 2));
  CHECK(faults[0].starts_with("number 1 ended the process"));
  CHECK(faults[1] == "known");
  if (memory_is_limited) CHECK(faults[2] == "memory");
  CHECK(fault_of(refused("a good file", good_pickle())) == "a good file: was read");
  CHECK(fault_of(refused("unnamed", pickle("R"), "this text")).find("does not say this text") != std::string::npos);
}

TEST_CASE("pt hostile: no callable of Python is ever called, whichever way it is named") {
  const std::pair<const char*, const char*> callables[] = {{"os", "system"},
                                                           {"posix", "system"},
                                                           {"nt", "system"},
                                                           {"builtins", "eval"},
                                                           {"__builtin__", "eval"},
                                                           {"builtins", "exec"},
                                                           {"builtins", "getattr"},
                                                           {"__builtin__", "getattr"},
                                                           {"builtins", "__import__"},
                                                           {"builtins", "open"},
                                                           {"subprocess", "Popen"},
                                                           {"subprocess", "call"},
                                                           {"pickle", "loads"},
                                                           {"_pickle", "loads"},
                                                           {"marshal", "loads"},
                                                           {"types", "CodeType"},
                                                           {"types", "FunctionType"},
                                                           {"importlib", "reload"},
                                                           {"runpy", "_run_code"},
                                                           {"functools", "partial"},
                                                           {"operator", "attrgetter"},
                                                           {"codecs", "decode"},
                                                           {"_codecs", "decode"},
                                                           {"torch", "load"},
                                                           {"torch.hub", "load"},
                                                           {"torch.jit", "load"},
                                                           {"torch", "os.system"},
                                                           {"torch.serialization", "load"},
                                                           {"torch._utils", "_import_dotted_name"},
                                                           {"collections", "OrderedDict.__init__"},
                                                           {"collections", "namedtuple"},
                                                           {"collections", "__builtins__"},
                                                           {"numpy", "load"},
                                                           {"numpy.core.multiarray", "_reconstruct"},
                                                           {"copyreg", "_reconstructor"},
                                                           {"copy_reg", "_reconstructor"},
                                                           {"", ""},
                                                           {"os\t", "system"},
                                                           {"torch.nn.modules.linear", "Linear"},
                                                           {"torch._utils", ""},
                                                           {"torch", ""}};
  std::vector<Case> cases;
  for (const auto& [module, name] : callables) {
    const std::string full = std::string(module) + "." + name, command = tuple({text("touch /tmp/harm")});
    const std::string by_stack = text(module) + text(name) + "\x93", by_line = global(module, name);
    for (const auto& [way, callable] : {std::pair("GLOBAL", by_line), std::pair("STACK_GLOBAL", by_stack)}) {
      const std::string label = full + " by " + way;
      cases.push_back(refused(label, in_dict(callable + command + "R"), name));
      cases.push_back(refused(label + ", not called", pickle(callable + "0}"), name));
      cases.push_back(refused(label + " as value", in_dict(callable), name));
      cases.push_back(refused(label + " by NEWOBJ", in_dict(callable + command + bytes("\x81")), name));
      cases.push_back(refused(label + " by NEWOBJ_EX", in_dict(callable + command + "}" + bytes("\x92")), name));
      cases.push_back(refused(label + " by OBJ", in_dict("(" + callable + text("touch") + "o"), name));
      cases.push_back(refused(
          label + " in BUILD",
          in_dict(called(global("collections", "OrderedDict"), {}) + "}" + text("__setstate__") + callable + "sb"),
          name));
    }
    cases.push_back(refused(full + " by INST",
                            in_dict(std::string("(") + text("touch") + "i" + module + "\n" + name + "\n"), name));
    cases.push_back({full + " in the older container's magic", "\x80\x02" + by_line + command + "R.", ""});
  }
  for (const char* opcode : {"\x82\x01", "\x83\x01\x01", "\x84\x01\x01\x01\x01"}) {
    cases.push_back(refused("EXT", in_dict(opcode)));
    cases.push_back(refused("EXT called", in_dict(opcode + tuple({text("id")}) + "R")));
  }
  CHECK(cases.size() > 400);
  check(cases);
  CHECK_FALSE(std::filesystem::exists("/tmp/harm"));
}

TEST_CASE("pt hostile: only what is known is called, with what it takes") {
  const std::string ordered = global("collections", "OrderedDict"), size = global("torch", "Size"),
                    device = global("torch", "device"), encode = global("_codecs", "encode"),
                    complex = global("builtins", "complex"), array = global("builtins", "bytearray"),
                    set = global("builtins", "set"), dtype = global("torch", "float32"),
                    parameter = global("torch._utils", "_rebuild_parameter"),
                    v2 = global("torch._utils", "_rebuild_tensor_v2"),
                    v3 = global("torch._utils", "_rebuild_tensor_v3"),
                    typed = global("torch._tensor", "_rebuild_from_type_v2"), tensor = global("torch", "Tensor");
  std::vector<Case> cases;
  for (const std::string& callee :
       {std::string("N"), bytes("\x88"), number(1), bytes("G\0\0\0\0\0\0\0\0"), text("eval"), bytes("C\1x"),
        std::string("]"), std::string(")"), std::string("}"), bytes("\x8f"), dtype, storage_id(number(4)),
        global("torch", "FloatStorage"), called(ordered, {}),
        tensor_of(storage_id(number(4)), number(0), numbers({4}), numbers({1}))}) {
    cases.push_back(refused("call of a value", in_dict(callee + ")R")));
    cases.push_back(refused("object of a value", in_dict(callee + bytes(")\x81"))));
  }
  for (const std::string& arguments : {std::string("N"), number(1), text("x"), std::string("]"), std::string("}")}) {
    cases.push_back(refused("arguments that are no tuple", in_dict(ordered + arguments + "R")));
  }
  for (const auto& [callee, arguments] : std::vector<std::pair<std::string, Strings>>{
           {ordered, {number(1)}},
           {ordered, {text("ab")}},
           {ordered, {tuple({tuple({number(1)})})}},
           {ordered, {tuple({tuple({number(1), number(2), number(3)})})}},
           {ordered, {tuple({number(1)})}},
           {size, {}},
           {size, {number(1)}},
           {device, {}},
           {device, {number(1)}},
           {device, {text("cuda"), text("0")}},
           {encode, {}},
           {encode, {text("x")}},
           {encode, {text("x"), text("rot13")}},
           {encode, {text("x"), text("zlib_codec")}},
           {encode, {text("\xe6\x97\xa5"), text("latin1")}},
           {encode, {text("\xff"), text("latin1")}},
           {encode, {number(1), text("latin1")}},
           {complex, {text("1"), text("2")}},
           {array, {text("x")}},
           {array, {number(std::int64_t{1} << 40)}},
           {array, {text("x"), text("utf-7")}},
           {set, {number(1)}},
           {dtype, {}},
           {parameter, {}},
           {parameter, {number(1), "\x89", "N"}},
           {v2, {}},
           {v2, {storage_id(number(4))}},
           {v2, {storage_id(number(4)), number(0)}},
           {v2, {number(1), number(0), numbers({4}), numbers({1}), "\x89", "N"}},
           {v2, {storage_id(number(4)), text("0"), numbers({4}), numbers({1}), "\x89", "N"}},
           {v2, {storage_id(number(4)), number(0), "]", numbers({1}), "\x89", "N"}},
           {v2, {storage_id(number(4)), number(0), tuple({text("4")}), numbers({1}), "\x89", "N"}},
           {v2, {storage_id(number(16), "UntypedStorage"), number(0), numbers({4}), numbers({1}), "\x89", "N"}},
           {v3, {storage_id(number(4)), number(0), numbers({4}), numbers({1}), "\x89", "N"}},
           {v3, {storage_id(number(4)), number(0), numbers({4}), numbers({1}), "\x89", "N", text("float32")}},
           {v3, {storage_id(number(4)), number(0), numbers({4}), numbers({1}), "\x89", "N", global("torch", "Size")}},
           {typed, {}},
           {typed, {ordered, tensor, ")", "}"}},
           {typed, {typed, tensor, tuple({typed, tensor, ")", "}"}), "}"}},
           {typed, {v2, ordered, ")", "}"}},
           {typed, {v2, tensor, ")", "}"}}}) {
    cases.push_back(refused("call of " + callee + "with odd arguments", in_dict(called(callee, arguments))));
  }
  for (const std::string& target :
       {std::string("N"), bytes("\x88"), number(1), text("x"), std::string("]"), std::string(")"), ordered}) {
    cases.push_back(refused("BUILD of a value", in_dict(target + "}b")));
  }
  const std::string made = called(ordered, {});
  for (const std::string& state : {std::string("N"), number(1), text("x"), std::string("]"), tuple({"}", "}"}),
                                   dict({entry("__setstate__", "N"), entry("__class__", text("os"))}),
                                   dict({entry("__dict__", "}"), entry("__reduce__", text("eval"))})}) {
    cases.push_back(bounded("BUILD of an OrderedDict with odd attributes", in_dict(made + state + "b")));
  }
  const std::string whole = tensor_of(storage_id(number(4)), number(0), numbers({4}), numbers({1}));
  cases.push_back(
      refused("BUILD of a tensor with another storage",
              in_dict(whole + tuple({storage_id(number(4)), number(0), numbers({4}), numbers({1})}) + "b")));
  check(cases);
  // Attributes of an OrderedDict are nowhere in the tree.
  const auto found = outcome_of(archive(in_dict(made + dict({entry("__class__", text("os"))}) + "b")), true);
  REQUIRE(found.document.has_value());
  CHECK(found.document->tree == Tree{{"x", Tree()}});
}

TEST_CASE("pt hostile: persistent ids are ids of storages") {
  const std::string type = global("torch", "FloatStorage"), n = number(4);
  std::vector<Case> cases;
  for (const std::string& id :
       {std::string("N"), number(1), text("storage"), tuple({}), tuple({text("storage")}),
        tuple({text("module"), type, text("0"), text("cpu"), n}), tuple({"N", type, text("0"), text("cpu"), n}),
        tuple({text("storage"), text("FloatStorage"), text("0"), text("cpu"), n}),
        tuple({text("storage"), global("collections", "OrderedDict"), text("0"), text("cpu"), n}),
        tuple({text("storage"), type, number(0), text("cpu"), n}),
        tuple({text("storage"), type, text("0"), number(0), n}),
        tuple({text("storage"), type, text("0"), text("cpu"), text("4")}),
        tuple({text("storage"), type, text("0"), text("cpu")}),
        tuple({text("storage"), type, text("0"), text("cpu"), n, n}),
        tuple({text("storage"), type, text("0"), text("cpu"), n, tuple({text("v"), number(1), number(4)})}),
        tuple({text("storage"), type, text("0"), text("cpu"), n, tuple({text("v"), number(-1), number(4)})}),
        tuple({text("storage"), type, text("0"), text("cpu"), n, tuple({text("v"), number(0), number(-1)})}),
        tuple({text("storage"), type, text("0"), text("cpu"), n, n, n}),
        tuple({text("storage"), global("torch", "QInt8Storage"), text("0"), text("cpu"), n})}) {
    cases.push_back(refused("id " + id, in_dict(tensor_of(id + "Q", number(0), numbers({4}), numbers({1})))));
  }
  cases.push_back(refused("PERSID", in_dict("Pstorage\n")));
  cases.push_back(refused("a bare storage", in_dict(storage_id(n))));
  for (const std::int64_t elements :
       {std::int64_t{5}, std::int64_t{3}, std::int64_t{-1}, std::int64_t{0}, std::int64_t{1} << 40,
        std::int64_t{1} << 62, (std::int64_t{1} << 62) + 4, std::numeric_limits<std::int64_t>::max(),
        std::numeric_limits<std::int64_t>::min()}) {
    cases.push_back(refused("a storage of " + std::to_string(elements) + " elements",
                            in_dict(tensor_of(storage_id(number(elements)), number(0), numbers({4}), numbers({1})))));
  }
  cases.push_back(refused(
      "a storage of 2**64 + 4 elements",
      in_dict(tensor_of(storage_id(bytes("\x8a\x09\4\0\0\0\0\0\0\0\1")), number(0), numbers({4}), numbers({1})))));
  for (const std::string& key :
       {std::string("1"), std::string(""), std::string("../../etc/passwd"), std::string("/etc/passwd"),
        std::string("../data.pkl"), std::string("0/../0"), bytes("0\0"), bytes("\0"), std::string("..\\0"),
        std::string("00"), std::string(" 0"), std::string(100000, '0')}) {
    cases.push_back(
        refused("a storage of key " + key.substr(0, 20),
                in_dict(tensor_of(storage_id(number(4), "FloatStorage", key), number(0), numbers({4}), numbers({1})))));
  }
  for (const std::string& location :
       {std::string(""), std::string("cuda:99999999999999999999"), std::string("cuda:-1"), std::string("nowhere"),
        bytes("cpu\0"), std::string("\xff"), std::string("meta"), std::string(100000, 'c')}) {
    cases.push_back(bounded("a storage in " + location.substr(0, 20),
                            in_dict(tensor_of(storage_id(number(4), "FloatStorage", "0", location), number(0),
                                              numbers({4}), numbers({1})))));
  }
  cases.push_back(refused(
      "two types of one storage, of two sizes",
      pickle(
          dict({entry("x", tensor_of(storage_id(number(4)), number(0), numbers({4}), numbers({1}))),
                entry("y", tensor_of(storage_id(number(4), "LongStorage"), number(0), numbers({4}), numbers({1})))}))));
  check(cases);
}

TEST_CASE("pt hostile: tensors show only what their storage has") {
  constexpr auto most = std::numeric_limits<std::int64_t>::max(), least = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t half = std::int64_t{1} << 32;
  struct View {
    std::int64_t offset;
    std::vector<std::int64_t> shape, strides;
  };
  std::vector<Case> cases;
  const auto list = [](const std::vector<std::int64_t>& values) {
    Strings items;
    for (const auto value : values) items.push_back(number(value));
    return tuple(items);
  };
  for (const View& view : std::vector<View>{{0, {5}, {1}},
                                            {1, {4}, {1}},
                                            {5, {}, {}},
                                            {4, {}, {}},
                                            {4, {1}, {1}},
                                            {0, {2}, {4}},
                                            {0, {2, 2}, {3, 1}},
                                            {-1, {4}, {1}},
                                            {least, {4}, {1}},
                                            {most, {1}, {1}},
                                            {most / 4 + 1, {1}, {1}},
                                            {std::int64_t{1} << 62, {1}, {1}},
                                            {0, {-1}, {1}},
                                            {0, {-4, -1}, {1, 1}},
                                            {0, {least}, {1}},
                                            {0, {most}, {1}},
                                            {0, {most}, {0}},
                                            {0, {most, most}, {0, 0}},
                                            {0, {half, half}, {0, 0}},
                                            {0, {half, half}, {1, 1}},
                                            {0, {4}, {-1}},
                                            {3, {4}, {-1}},
                                            {3, {2, 2}, {-2, -1}},
                                            {0, {2}, {most}},
                                            {0, {3}, {most}},
                                            {0, {3, 3}, {most / 2, most / 2}},
                                            {0, {2}, {least}},
                                            {0, {4}, {}},
                                            {0, {}, {1}},
                                            {0, {4}, {1, 1}},
                                            {0, {4, 1}, {1}}}) {
    cases.push_back(
        refused("offset " + std::to_string(view.offset) + " with " + std::to_string(view.shape.size()) + " dimensions",
                in_dict(tensor_of(storage_id(number(4)), number(view.offset), list(view.shape), list(view.strides)))));
  }
  cases.push_back(
      refused("a size of 2**64", in_dict(tensor_of(storage_id(number(4)), number(0),
                                                   tuple({bytes("\x8a\x09\0\0\0\0\0\0\0\0\1")}), numbers({1})))));
  const std::vector<std::int64_t> long_shape(100000, 1);
  cases.push_back(refused("100000 dimensions",
                          in_dict(tensor_of(storage_id(number(4)), number(0), list(long_shape), list(long_shape)))));
  // Impossible in PyTorch or not, nothing of these is read outside the storage.
  for (const View& view : std::vector<View>{{0, {0, most}, {1, 1}},
                                            {0, {0, half, half, half}, {1, 1, 1, 1}},
                                            {9, {0}, {1}},
                                            {0, {0}, {-1}},
                                            {0, {1}, {most}},
                                            {0, {std::int64_t{1} << 40}, {0}}}) {
    cases.push_back(bounded("a strange view", in_dict(tensor_of(storage_id(number(4)), number(view.offset),
                                                                list(view.shape), list(view.strides)))));
  }
  check(cases);
}

TEST_CASE("pt hostile: the memo gives only what was put there") {
  std::vector<Case> cases;
  for (const std::string& body :
       {get(0), bytes("j\xff\xff\xff\xff"), bytes("j\0\0\0\0"), std::string("g0\n"), std::string("g-1\n"),
        std::string("g99999999999999999999\n"), std::string("g\n"), std::string("gx\n"), std::string("g0x\n"),
        "]" + put(0) + get(1), "]" + put(1) + get(0), "]" + bytes("\x94") + get(1), std::string("]p-1\n"),
        std::string("]px\n"), std::string("]p\n"), std::string("]p99999999999999999999\n")}) {
    cases.push_back(refused("memo: " + body, in_dict(body)));
  }
  for (const std::string& body :
       {put(0), bytes("\x94"), std::string("p0\n"), bytes("r\0\0\0\0"), "(" + put(0), bytes("(\x94")}) {
    cases.push_back(refused("memo of nothing: " + body, pickle(body)));
  }
  for (const std::uint32_t at : {0xFFFFFFFFU, 0x80000000U, 0x7FFFFFFFU, 1000000U}) {
    cases.push_back(bounded("index " + std::to_string(at), in_dict("]r" + le(at) + "0j" + le(at))));
  }
  cases.push_back(bounded("index 2**62", in_dict("]p4611686018427387904\n0g4611686018427387904\n")));
  std::string far = "]";
  for (std::uint32_t i = 1; i < 5000; ++i) far += "r" + le(i * 800000U);
  cases.push_back(bounded("far memo", in_dict(far)));
  check(cases);
}

TEST_CASE("pt hostile: lengths and texts end inside the file") {
  constexpr auto huge = std::numeric_limits<std::uint64_t>::max();
  std::vector<Case> cases;
  for (const std::uint64_t length :
       {huge, huge - 7, std::uint64_t{1} << 63, std::uint64_t{1} << 40, std::uint64_t{5000}}) {
    for (const char* opcode : {"\x8d", "\x8e", "\x96", "\x95"}) {
      cases.push_back(refused("a length of 8 bytes", pickle(opcode + le(length) + "x}")));
      cases.push_back(refused("a length of 8 bytes at the end", bytes("\x80\x05") + opcode + le(length)));
    }
  }
  for (const std::uint32_t length : {0xFFFFFFFFU, 0x80000000U, 0x7FFFFFFFU, 5000U}) {
    for (const char* opcode : {"X", "B", "T", "\x8b"}) {
      cases.push_back(refused("a length of 4 bytes", in_dict(opcode + le(length) + "x")));
    }
  }
  for (const char* opcode : {"\x8c", "C", "U", "\x8a"}) {
    cases.push_back(refused("a length of 1 byte", in_dict(opcode + bytes("\xff") + "x")));
  }
  for (const char* body : {"I\n",
                           "Ix\n",
                           "I1",
                           "I1 2\n",
                           "I--1\n",
                           "I0x10\n",
                           "L\n",
                           "LL\n",
                           "L1x\n",
                           "F\n",
                           "Fabc\n",
                           "F1.0.0\n",
                           "F1,5\n",
                           "F0x1p3x\n",
                           "S\n",
                           "S'\n",
                           "Sabc\n",
                           "S'abc\n",
                           "S\"abc'\n",
                           "S'\\x4\n",
                           "V\\u00\n",
                           "V\\uzzzz\n",
                           "V\\U00110000\n",
                           "Vabc",
                           "S'abc'",
                           "cos",
                           "cos\nsystem",
                           "ios\nsystem",
                           "g",
                           "p",
                           "P"}) {
    cases.push_back(refused(std::string("text: ") + body, in_dict(body)));
  }
  for (const char* body :
       {"J\1\1", "M\1", "K", "G\1\1\1\1\1\1\1", "h", "q", "j\1\1", "r\1", "\x80", "\x82", "X\1\1\1", "\x8d\1"}) {
    cases.push_back(refused(std::string("cut off: ") + body, bytes("\x80\x02}") + body));
  }
  for (const char* body : {"\xff", "\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\xaf"}) {
    cases.push_back(bounded("text that is not UTF-8", in_dict(text(body))));
    cases.push_back(bounded("key that is not UTF-8", pickle(dict({entry(body, "N")}))));
  }
  for (const char* protocol : {"\x06", "\x7f", "\xff"})
    cases.push_back(refused("protocol", std::string("\x80") + protocol + "}."));
  cases.push_back(refused("no pickle at all", ""));
  cases.push_back(refused("no STOP", bytes("\x80\x02}")));
  cases.push_back(refused("a pickle of zeros", std::string(1000, '\0')));
  cases.push_back(refused("an unknown instruction", bytes("\x80\x02}\x99.")));
  check(cases);
}

TEST_CASE("pt hostile: the stack is never short, and marks match") {
  std::vector<Case> cases;
  for (const char* body :
       {"",     "0",   "1",  "2",     "a",     "b",     "d",    "e",    "l",     "o",     "s",      "t",
        "u",    "R",   "Q",  "\x81",  "\x85",  "\x86",  "\x87", "\x90", "\x91",  "\x92",  "\x93",   "(",
        "((((", "(0",  "]a", "]]a0a", "}s",    "}Ns",   "NR",   "Nb",   "N\x81", "N\x86", "NN\x87", "](0a",
        "(]a",  "((1", "]1", "}(u(",  "](N(e", "(NNt1", "](e1", "\x93", "N\x93", "NN\x93"}) {
    cases.push_back(refused(std::string("stack: ") + body, bytes("\x80\x02") + body + "."));
  }
  for (const char* body : {")(Ne", ")Na", "}Na", "}(NNe", "](NNu", "]NNs", ")NNs", "}(Nu", "}(NNNu", "(Nd", "(NNNd",
                           "\x8f(Ne", "](N\x90", "}(N\x90", "NNa", "K\1Na", "N(Ne", "N(NNu", "NNNs"}) {
    cases.push_back(refused(std::string("container: ") + body, in_dict(body)));
  }
  for (const std::string& key :
       {std::string("N"), bytes("\x88"), bytes("G\0\0\0\0\0\0\0\0"), std::string("]"), std::string("}"),
        std::string(")"), bytes("C\1x"), bytes("\x8a\x09\0\0\0\0\0\0\0\0\1"), storage_id(number(4)),
        tensor_of(storage_id(number(4)), number(0), numbers({4}), numbers({1}))}) {
    cases.push_back(refused("a key that is neither text nor integer", pickle("}" + key + "Ns")));
  }
  cases.push_back(refused("a million marks", pickle(std::string(1000000, '('))));
  cases.push_back(refused("a million marks and pops", pickle(repeated(1000000, "(1"))));
  cases.push_back(bounded("a million values", pickle("](" + std::string(1000000, 'N') + "e")));
  cases.push_back(bounded("a million lists", pickle("](" + std::string(1000000, ']') + "e")));
  cases.push_back(bounded("a million dicts", pickle("](" + std::string(1000000, '}') + "e")));
  cases.push_back(bounded("a million sets", pickle("](" + std::string(1000000, '\x8f') + "e")));
  cases.push_back(bounded("a million lists, dropped", pickle(repeated(1000000, "]0") + "}")));
  cases.push_back(bounded("a million entries", pickle([] {
                            std::string made = "}(";
                            for (int i = 0; i < 1000000; ++i) made += "J" + le(i) + "N";
                            return made + "u";
                          }())));
  cases.push_back(bounded("a million entries of one key", pickle("}(" + repeated(1000000, bytes("K\1N")) + "u")));
  cases.push_back(bounded("300000 globals", pickle(repeated(300000, "ctorch\nSize\n0") + "}")));
  check(cases);
}

TEST_CASE("pt hostile: neither depth nor cycles exhaust the stack") {
  constexpr std::size_t million = 1000000;
  const std::string parameter = global("torch._utils", "_rebuild_parameter");
  std::vector<Case> cases{
      refused("a million nested lists", pickle(repeated(million, "]") + repeated(million - 1, "a"))),
      refused("a million nested lists by MARK", pickle(repeated(million, "(") + repeated(million, "l"))),
      refused("a million nested tuples", pickle(")" + repeated(million, "\x85"))),
      refused("a million nested tuples by MARK", pickle(repeated(million, "(") + repeated(million, "t"))),
      refused("a million nested dicts", pickle(repeated(million, bytes("}K\0")) + "N" + repeated(million, "s"))),
      refused("a million nested dicts by MARK",
              pickle(repeated(million, bytes("(K\0")) + "N" + repeated(million, "d"))),
      refused("a million nested frozensets", pickle(repeated(million, "(") + repeated(million, "\x91"))),
      refused("a million nested sets", pickle(repeated(million, bytes("\x8f(")) + repeated(million, "\x90"))),
      refused("100000 nested OrderedDicts",
              pickle(repeated(100000, global("collections", "OrderedDict") + ")R" + text("a")) + "N" +
                     repeated(100000, "s"))),
      refused("600 nested lists", in_dict(repeated(600, "]") + repeated(599, "a"))),
      refused("a list in itself", in_dict("]" + put(0) + get(0) + "a")),
      refused("a dict in itself", pickle("}" + put(0) + text("a") + get(0) + "s")),
      refused("a set in itself", in_dict(bytes("\x8f") + put(0) + "(" + get(0) + bytes("\x90"))),
      refused("a list in a tuple in itself", in_dict("]" + put(0) + get(0) + bytes("\x85") + "a")),
      refused("two lists in each other", in_dict("]" + put(0) + "]" + put(1) + get(0) + "a" + "a")),
      refused("a dict that is its own key", pickle("}" + put(0) + get(0) + "Ns")),
      refused("a list in itself, twice", in_dict("]" + put(0) + "(" + get(0) + get(0) + "e")),
      bounded("a dict that is its own attributes",
              in_dict(called(global("collections", "OrderedDict"), {}) + put(0) + get(0) + "b")),
      refused("a dict of itself, by OrderedDict",
              pickle("}" + put(0) + text("a") + called(global("collections", "OrderedDict"), {get(0)}) + "s" + get(0) +
                     text("b") + get(0) + "s0")),
  };
  check(cases);
  const Outcome deep = outcome_of(archive(in_dict(repeated(500, "]") + repeated(499, "a"))), true);
  CHECK(deep.type == "read");
}

TEST_CASE("pt hostile: nothing small unfolds into something large") {
  std::vector<Case> cases;
  const auto laughs = [](const std::string& seed, const std::string& open, const std::string& close,
                         std::uint8_t levels) {
    std::string body = seed + put(0);
    for (std::uint8_t i = 0; i < levels; ++i)
      body += "0" + open + repeated(10, get(i)) + close + put(static_cast<std::uint8_t>(i + 1));
    return in_dict(body);
  };
  cases.push_back(refused("a billion laughs in lists", laughs(text("lol"), "](", "e", 12)));
  cases.push_back(refused("a billion laughs in tuples", laughs(text("lol"), "(", "t", 12)));
  cases.push_back(refused("a billion laughs in sets", laughs(text("lol"), "\x8f(", "\x90", 12)));
  cases.push_back(refused("a billion empty laughs", laughs("]", "](", "e", 12)));
  std::string body = "}" + put(0);
  for (std::uint8_t i = 0; i < 40; ++i) {
    body += "0}" + put(static_cast<std::uint8_t>(i + 1)) + "(" + text("a") + get(i) + text("b") + get(i) + "u";
  }
  cases.push_back(refused("2**40 dicts", in_dict(body)));
  body = "N" + put(0);
  for (int i = 0; i < 64; ++i) body += "0" + get(0) + get(0) + bytes("\x86") + put(0);
  cases.push_back(refused("2**64 tuples", in_dict(body)));

  const std::string long_text(60000, 'x');
  cases.push_back(
      bounded("one long text, 30000 times", in_dict(text(long_text) + put(0) + "0](" + repeated(30000, get(0)) + "e")));
  cases.push_back(bounded("one long key, 30000 times",
                          in_dict(text(long_text) + put(0) + "0](" + repeated(30000, "}" + get(0) + "Ns") + "e")));
  cases.push_back(bounded("long bytes, 30000 times",
                          in_dict("B" + le(60000U) + long_text + put(0) + "0](" + repeated(30000, get(0)) + "e")));
  const std::string encode = global("_codecs", "encode");
  cases.push_back(bounded("one long text, encoded 10000 times",
                          in_dict(text(long_text) + put(0) + "0" + text("latin1") + put(1) + "0" + encode + put(2) +
                                  "0](" + repeated(10000, get(2) + get(0) + get(1) + bytes("\x86R")) + "e")));
  cases.push_back(bounded("one long text, encoded 10000 times and dropped",
                          in_dict(text(long_text) + put(0) + "0" + text("latin1") + put(1) + "0" + encode + put(2) +
                                  "0" + repeated(10000, get(2) + get(0) + get(1) + bytes("\x86R0")) + "N")));
  for (const auto& [name, open] : {std::pair("builtins", "set"), std::pair("collections", "OrderedDict")}) {
    const std::string source =
        std::string(open) == "set" ? "](" + std::string(60000, 'N') + "e" : "}(" + repeated(20000, bytes("K\1N")) + "u";
    cases.push_back(bounded(std::string("10000 copies by ") + open,
                            in_dict(source + put(0) + "0" + global(name, open) + put(1) + "0" +
                                    repeated(10000, get(1) + get(0) + bytes("\x85R0")) + "N")));
  }
  Strings ones(64, bytes("K\1"));
  const std::string shape = tuple(ones);
  cases.push_back(bounded("a tensor of 64 dimensions, 100000 times",
                          in_dict(tensor_of(storage_id(number(4)), number(0), shape, shape) + put(0) + "0](" +
                                  repeated(100000, get(0)) + "e")));
  cases.push_back(bounded(
      "100000 tensors of 64 dimensions",
      in_dict(shape + put(0) + "0" + storage_id(number(4)) + put(1) + "0" +
              global("torch._utils", "_rebuild_tensor_v2") + put(2) + "0](" +
              repeated(100000, get(2) + "(" + get(1) + bytes("K\0") + get(0) + get(0) + "\x89Nt" + "R") + "e")));
  cases.push_back(
      bounded("a complex number, 300000 times",
              in_dict(called(global("builtins", "complex"), {bytes("G\0\0\0\0\0\0\0\0"), bytes("G\0\0\0\0\0\0\0\0")}) +
                      put(0) + "0](" + repeated(300000, get(0)) + "e")));
  cases.push_back(
      bounded("empty bytes, 300000 times", in_dict(bytes("C\0") + put(0) + "0](" + repeated(300000, get(0)) + "e")));
  cases.push_back(
      bounded("100000 devices", in_dict(text("cuda") + bytes("K\1\x86") + put(0) + "0" + global("torch", "device") +
                                        put(1) + "0](" + repeated(100000, get(1) + get(0) + "R") + "e")));
  cases.push_back(bounded("an OrderedDict, emptied and filled",
                          in_dict("}" + put(0) + repeated(100000, "(" + get(0) + "1") + "0N")));
  check(cases);
}

TEST_CASE("pt hostile: any row of instructions is read or refused") {
  // Each single instruction, each pair, then rows of those that make something, put together at random.
  std::vector<std::string> files;
  for (int i = 0; i < 256; ++i) {
    for (const char* before : {"", "N", "](", "}(N", "]K\1", "X\1\1\1\1"}) {
      files.push_back(bytes("\x80\x02") + before + static_cast<char>(i) + "1\n1\n.");
    }
    for (int j = 0; j < 256; ++j)
      files.push_back(bytes("\x80\x02}") + static_cast<char>(i) + static_cast<char>(j) + ".");
  }
  const Strings parts{"N",
                      "]",
                      "}",
                      ")",
                      "(",
                      "t",
                      "l",
                      "d",
                      "e",
                      "u",
                      "a",
                      "s",
                      "0",
                      "1",
                      "2",
                      "b",
                      "R",
                      "Q",
                      ".",
                      put(0),
                      put(1),
                      get(0),
                      get(1),
                      bytes("\x85"),
                      bytes("\x86"),
                      bytes("\x8f"),
                      bytes("\x90"),
                      bytes("\x81"),
                      bytes("\x93"),
                      bytes("\x94"),
                      number(4),
                      bytes("K\0"),
                      bytes("K\4"),
                      text("a"),
                      text("cpu"),
                      text("storage"),
                      text("0"),
                      global("torch", "FloatStorage"),
                      global("collections", "OrderedDict"),
                      global("torch._utils", "_rebuild_tensor_v2"),
                      storage_id(number(4)),
                      numbers({4}),
                      numbers({1}),
                      tensor_of(storage_id(number(4)), number(0), numbers({4}), numbers({1}))};
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) {
    std::string body = bytes("\x80\x02");
    for (auto length = random() % 20; length-- > 0;) body += parts[random() % parts.size()];
    files.push_back(body + "." + (i % 2 == 0 ? "" : "}."));
  }
  std::size_t read = 0;
  for (const std::string& fault : faults_of(
           files.size(), [&](std::size_t i) { return fault_of(bounded("row " + std::to_string(i), files[i])); })) {
    FAIL_CHECK(fault);
    if (++read == 20) break;
  }
}
