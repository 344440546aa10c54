#include "trainstate/format/pickle/machine.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "trainstate/error.hpp"

namespace pickle = trainstate::format::pickle;
using trainstate::FormatError;
using namespace std::string_literals;

namespace {

// What a pickle makes, as Python would print it.
std::string shown(const pickle::Objects& objects, pickle::Id id) {
  const auto joined = [&](std::string_view open, std::string_view close) {
    std::string text(open);
    const char* separator = "";
    for (const pickle::Id item : objects.items(id)) text += std::exchange(separator, ", ") + shown(objects, item);
    return text + std::string(close);
  };
  switch (objects.kind(id)) {
    case pickle::Kind::none:
      return "None";
    case pickle::Kind::boolean:
      return objects.integer(id) != 0 ? "True" : "False";
    case pickle::Kind::integer:
      return std::to_string(objects.integer(id));
    case pickle::Kind::big_integer:
      return "big";
    case pickle::Kind::floating:
      return std::to_string(objects.floating(id));
    case pickle::Kind::text:
      return '\'' + std::string(objects.text(id)) + '\'';
    case pickle::Kind::bytes:
      return "b'" + std::string(objects.text(id)) + '\'';
    case pickle::Kind::list:
      return joined("[", "]");
    case pickle::Kind::tuple:
      return joined("(", ")");
    case pickle::Kind::set:
      return joined("{", "}");
    case pickle::Kind::dict:
      return joined("dict(", ")");
    case pickle::Kind::global:
      return objects.global(id).second;
    default:
      return std::string(name_of(objects.kind(id)));
  }
}

std::string run(const std::string& bytes) {
  pickle::Objects objects;
  pickle::Machine machine(std::as_bytes(std::span(bytes)), "p: ", objects);
  const pickle::Id root = machine.run();
  CHECK(machine.position() == bytes.size());
  return shown(objects, root);
}

std::string error_of(const std::string& bytes) {
  try {
    return "made " + run(bytes);
  } catch (const FormatError& e) {
    return e.what();
  }
}

}  // namespace

TEST_CASE("pickle: numbers of every spelling") {
  CHECK(run("N.") == "None");
  CHECK(run("\x88.") == "True");
  CHECK(run("I00\n.") == "False");
  CHECK(run("I-12\n.") == "-12");
  CHECK(run("L-9223372036854775808L\n.") == "-9223372036854775808");
  CHECK(run("L9223372036854775808L\n.") == "big");
  CHECK(run("K\xff.") == "255");
  CHECK(run("M\xff\xff.") == "65535");
  CHECK(run("J\xff\xff\xff\xff.") == "-1");
  CHECK(run("\x8a\x00."s) == "0");
  CHECK(run("\x8a\x01\xff.") == "-1");
  CHECK(run("\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\x00."s) == "9223372036854775807");
  CHECK(run("\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00."s) == "big");
  CHECK(run("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80."s) == "-9223372036854775808");
  CHECK(run("\x8b\x02\x00\x00\x00\x00\x01."s) == "256");
  CHECK(run("G\x3f\xf8\x00\x00\x00\x00\x00\x00."s) == "1.500000");
  CHECK(run("F-1.5e0\n.") == "-1.500000");
  CHECK(run("Finf\n.") == "inf");
}

TEST_CASE("pickle: texts and bytes of every protocol") {
  CHECK(run("X\x02\x00\x00\x00hi."s) == "'hi'");
  CHECK(run("\x8c\x02hi.") == "'hi'");
  CHECK(run("\x8d\x02\x00\x00\x00\x00\x00\x00\x00hi."s) == "'hi'");
  CHECK(run("U\x02hi.") == "'hi'");
  CHECK(run("T\x02\x00\x00\x00hi."s) == "'hi'");
  CHECK(run("S'a\\x41\\n\\''\n.") == "'aA\n''");
  CHECK(run("Va\\u00e9\\U0001f600\xe9\n.") == "'a\u00e9\U0001f600\u00e9'");
  CHECK(run("C\x01x.") == "b'x'");
  CHECK(run("B\x01\x00\x00\x00x."s) == "b'x'");
  CHECK(run("\x96\x01\x00\x00\x00\x00\x00\x00\x00x."s) == "b'x'");
  CHECK(run("c_codecs\nencode\nX\x03\x00\x00\x00z\xc3\xbfX\x06\x00\x00\x00latin1\x86R."s) == "b'z\xff'");
  CHECK(run("c__builtin__\nbytearray\n)R.") == "b''");
}

TEST_CASE("pickle: containers, the stack and the memo") {
  CHECK(run(").") == "()");
  CHECK(run("K\x01K\x02K\x03\x87.") == "(1, 2, 3)");
  CHECK(run("(K\x01K\x02t.") == "(1, 2)");
  CHECK(run("(lK\x01"
            "a(K\x02K\x03"
            "e.") == "[1, 2, 3]");
  CHECK(run("(K\x01K\x02"
            "d.") == "dict(1, 2)");
  CHECK(run("}K\x01K\x02s(K\x03K\x04u.") == "dict(1, 2, 3, 4)");
  CHECK(run("\x8f(K\x01\x90.") == "{1}");
  CHECK(run("(K\x01\x91.") == "{1}");
  CHECK(run("]q\x00K\x05"
            "a0h\x00."s) == "[5]");
  CHECK(run("\x80\x04\x95\x06\x00\x00\x00\x00\x00\x00\x00]\x94"
            "0h\x00."s) == "[]");
  CHECK(run("K\x01"
            "2\x86.") == "(1, 1)");
  CHECK(run("K\x01(K\x02"
            "1.") == "1");
  CHECK(run("Np7\n0g7\n.") == "None");
  CHECK(run("ccollections\nOrderedDict\n](]K\x01"
            "aK\x02"
            "ae\x85R.") == "dict(1, 2)");
  CHECK(run("ctorch\nSize\nK\x02\x85\x85R.") == "(2)");
  CHECK(run("ctorch\ndevice\nX\x04\x00\x00\x00"
            "cudaK\x01\x86R."s) == "'cuda:1'");
  CHECK(run("ctorch\nfloat32\n.") == "torch.float32");
}

TEST_CASE("pickle: a tensor is described, not built") {
  const std::string storage =
      "(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00"
      "0X\x03\x00\x00\x00"
      "cpuK\x06tQ"s;
  const std::string tensor = "ctorch._utils\n_rebuild_tensor_v2\n(" + storage +
                             "K\x01K\x02K\x02\x86K\x01K\x02\x86\x89N"
                             "tR.";
  pickle::Objects objects;
  const pickle::Id root = pickle::Machine(std::as_bytes(std::span(tensor)), "", objects).run();
  REQUIRE(objects.kind(root) == pickle::Kind::tensor);
  const auto& made = objects.tensor(root);
  CHECK(made.offset == 1);
  CHECK(shown(objects, made.shape) == "(2, 2)");
  CHECK(shown(objects, made.strides) == "(1, 2)");
  CHECK(made.dtype == trainstate::Dtype::f32);
  CHECK(objects.storages()[made.storage].key == "0");
  CHECK(objects.storages()[made.storage].size == 24);
}

TEST_CASE("pickle: refusals name what was refused and where") {
  CHECK(error_of("\x80\x02"
                 "cos\nsystem\nX\x02\x00\x00\x00ls\x85R."s) ==
        "p: byte 2: refers to 'os.system', which is not allowed in a checkpoint, and was not run");
  CHECK(error_of("c__builtin__\neval\n.").find("'builtins.eval'") != std::string::npos);
  CHECK(error_of("(ios\nsystem\n.").find("'os.system'") != std::string::npos);
  CHECK(error_of("ctorch._utils\n_rebuild_qtensor\n)R.").find("a quantized tensor") != std::string::npos);
  CHECK(error_of("ctorch._utils\n_rebuild_sparse_tensor\n)R.").find("a sparse tensor") != std::string::npos);
  CHECK(error_of("h\x07.") == "p: byte 0: recalls object 7, which was never put there");
  CHECK(error_of("NK\x01"
                 "b.")
            .find("expected an object with attributes") != std::string::npos);
  CHECK(error_of("\x80\x06N.") == "p: byte 0: expected a protocol up to 5, found 6");
  CHECK(error_of("X\xff\xff\xff\xffx.").find("expected 4294967295 bytes, found 2") != std::string::npos);
  CHECK(error_of("(t").find("found 0 until the end") != std::string::npos);
  CHECK(error_of("(0.").find("takes an object that is not there") != std::string::npos);
  CHECK(error_of("NN.").find("more than one object") != std::string::npos);
  CHECK(error_of("\xff.").find("expected an instruction of pickle") != std::string::npos);
}
