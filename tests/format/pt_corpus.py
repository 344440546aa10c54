#!/usr/bin/env python3
"""pt_corpus.py FOLDER [--golden]: files of this PyTorch (1.13 to 2.14), each with what it holds.

Beside NAME.pt stands NAME.json, the tree that a reader must find, or NAME.refuse: the class of the error on its first
line and then texts of which one must be in its message, whatever the case of letters. `--golden` writes the few that
are kept in tests/golden/python. In the JSON

    null, true, false                None and bools
    {"i": "5"}, {"f": "3ff0…"}       an int, and a float by its IEEE bits
    {"s": "text"}, {"x": "eda080"}   a str, and one that is not UTF-8 by its bytes
    {"l": […]}, {"d": [[key, …]]}    a list, and a dict in its order
    {"t": {…}}                       a tensor: dtype, shape, device, its dense bytes, and `tie`, a number that those
                                     tensors share, and no others, that show the very same elements (null: any)

Every file is read again by torch.load, which must find what was saved.
"""

import collections
import ctypes
import io
import json
import math
import pickle
import random
import re
import struct
import sys
import warnings
import zipfile
from pathlib import Path

import torch
from torch import nn

warnings.filterwarnings("ignore")
torch.set_num_threads(1)

VERSION = tuple(int(part) for part in torch.__version__.split(".")[:2])
arguments = [argument for argument in sys.argv[1:] if argument != "--golden"]
FOLDER = Path(arguments[0])
FOLDER.mkdir(parents=True, exist_ok=True)
for old in FOLDER.iterdir():
    if old.suffix in (".pt", ".json", ".refuse"):
        old.unlink()
GOLDEN = "--golden" in sys.argv[1:]
GOLDEN_NAMES = set(
    "atoms strings containers bytes_and_complex torch_atoms dtypes views ties tensor_attributes old_views"
    " tutorial_AdamW scheduler_MultiStepLR cuda_saved uint16_by_v3 fp8_by_v3 conjugated huge_int function".split()
)

written, skipped = [], []


# The expected tree


class Canonical:
    """One object as canonical JSON; `device` replaces that of all tensors."""

    def __init__(self, device=None):
        self.device = device
        self.ties = {}

    def root(self, value):
        return self.of(value) if isinstance(value, dict) else {"d": [[{"s": ""}, self.of(value)]]}

    def of(self, value):
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            return {"i": str(value)}
        if isinstance(value, float):
            return {"f": struct.pack(">d", value).hex()}
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if isinstance(value, dict):
            assert all(isinstance(key, (int, str)) and not isinstance(key, bool) for key in value)
            return {"d": [[self.of(key), self.of(item)] for key, item in value.items()]}
        if isinstance(value, (list, tuple, set)):  # torch.Size is a tuple
            return {"l": [self.of(item) for item in value]}
        if isinstance(value, (bytes, bytearray)):
            return self.bytes("uint8", [len(value)], bytes(value))
        if isinstance(value, complex):
            return self.bytes("complex128", [], struct.pack("<dd", value.real, value.imag))
        if isinstance(value, (torch.device, torch.dtype)):
            return self.string(str(value))
        raise TypeError(f"no canonical form of {type(value)}")

    @staticmethod
    def string(value):
        try:
            value.encode()
            return {"s": value}
        except UnicodeEncodeError:
            return {"x": value.encode("utf-8", "surrogatepass").hex()}

    @staticmethod
    def bytes(dtype, shape, data):
        return {"t": {"dtype": dtype, "shape": shape, "device": "cpu", "data": data.hex(), "tie": None}}

    def tensor(self, tensor):
        tensor = tensor.detach()
        storage = tensor.untyped_storage() if hasattr(tensor, "untyped_storage") else tensor.storage()
        view = (storage.data_ptr(), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype)
        tie = None
        if tensor.numel() != 0 and not tensor.is_conj() and not tensor.is_neg():
            tie = self.ties.setdefault(view, len(self.ties))
        dense = tensor.resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
        data = ctypes.string_at(dense.data_ptr(), dense.numel() * dense.element_size()) if dense.numel() else b""
        return {
            "t": {
                "dtype": str(tensor.dtype).split(".")[-1],
                "shape": list(tensor.shape),
                "device": self.device or str(tensor.device),
                "data": data.hex(),
                "tie": tie,
            }
        }


def text_of(tree):
    """JSON, one line for each entry of the root."""
    lines = [json.dumps(entry, ensure_ascii=True, separators=(",", ":")) for entry in tree["d"]]
    return '{"d":[' + ("\n" + ",\n".join(lines) + "\n" if lines else "") + "]}\n"


# Writing


def wanted(name):
    if any(name == other for other, _ in written):
        raise ValueError(f"{name} is there twice")
    return not GOLDEN or name in GOLDEN_NAMES


def path_of(name):
    return FOLDER / (name + ".pt")


def load(path, **options):
    if VERSION >= (1, 13):
        options.setdefault("weights_only", False)
    return torch.load(str(path), **options)


def judge(name, value=None, device=None, as_saved=True):
    """Writes the expected tree of a file that is there, as torch.load sees it; `as_saved`: that is `value` again."""
    loaded = load(path_of(name), **({"map_location": "cpu"} if device else {}))
    expected = text_of(Canonical(device).root(loaded))
    if as_saved and expected != text_of(Canonical(device).root(value)):
        raise AssertionError(f"{name}: torch.load finds something else than was saved")
    (FOLDER / (name + ".json")).write_text(expected)
    written.append((name, "read"))


def case(name, make, buffer=False, device=None, as_saved=True, prepare=None, **options):
    """Saves what `make` returns. `buffer`: through memory, so that the root folder is `archive`. `prepare` may change
    the file."""
    if not wanted(name):
        return
    value = make() if callable(make) else make
    if buffer:
        memory = io.BytesIO()
        torch.save(value, memory, **options)
        path_of(name).write_bytes(memory.getvalue())
    else:
        torch.save(value, str(path_of(name)), **options)
    if prepare:
        prepare(path_of(name))
    judge(name, value, device, as_saved)


def case_if(possible, name, make, **options):
    """A case that only some versions can write."""
    if possible:
        case(name, make, **options)
    else:
        skipped.append(name)


def refuse(name, make, error, *texts, **options):
    if not wanted(name):
        return
    memory = io.BytesIO()  # so that the file's name is not in it, and not in the message
    try:
        torch.save(make(), memory, **options)
    except Exception as why:
        skipped.append(f"{name} ({why})")
        return
    path_of(name).write_bytes(memory.getvalue())
    refused(name, error, *texts)


def refused(name, error, *texts):
    (FOLDER / (name + ".refuse")).write_text("\n".join([error, *texts]) + "\n")
    written.append((name, "refused"))


def archive(name, records, root=None):
    """A zip of Python's own, whose payloads are not aligned."""
    with zipfile.ZipFile(path_of(name), "w", zipfile.ZIP_STORED) as file:
        for record, data in records.items():
            file.writestr(zipfile.ZipInfo(f"{root or name}/{record}"), data)


def records_of(value, **options):
    """The records of an archive, without the root folder."""
    memory = io.BytesIO()
    torch.save(value, memory, **options)
    with zipfile.ZipFile(memory) as file:
        return {name.split("/", 1)[1]: file.read(name) for name in file.namelist()}


def raw(name, data, value, **options):
    """A file of this very pickle."""
    if wanted(name):
        archive(name, {"data.pkl": data, "version": b"3\n"})
        judge(name, value, **options)


def located(location, save):
    """Calls `save` as if all tensors were elsewhere."""
    before = torch.serialization.location_tag
    torch.serialization.location_tag = lambda storage: location
    try:
        save()
    finally:
        torch.serialization.location_tag = before


def fill(*shape, dtype=torch.float32, start=0):
    count = math.prod(shape)
    return (torch.arange(start, start + count, dtype=torch.float32) / 8 - 1).reshape(shape).to(dtype)


def bits(dtype, count=4):
    """A tensor of any dtype, by its bytes."""
    size = torch.empty(0, dtype=dtype).element_size()
    data = bytearray((37 * i + 5) % (2 if dtype == torch.bool else 251) for i in range(count * size))
    return torch.frombuffer(data, dtype=torch.uint8).clone().view(dtype)


# Atoms and containers


def atoms():
    ints = [0, 1, -1, 127, 128, 255, 256, -128, -129, 65535, 65536, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**32]
    ints += [2**40, -(2**40), 2**53 + 1, 2**62, 2**63 - 1, -(2**63)]
    floats = [0.0, -0.0, 1.0, -1.5, 0.1, 1 / 3, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308]
    floats += [math.inf, -math.inf, math.nan, 1e22, 123456789012345680.0]
    return {"none": None, "true": True, "false": False, "ints": ints, "floats": floats}


def strings():
    texts = ["", "a", "tab\tnewline\nquote'\"\\", "nul\0nul", "Grüße", "日本語"]
    texts += ["\U0001f600", "\uffff", "\ufeffbom"]
    return {"texts": texts, "long": "x" * 256, "": "empty key", "ключ": 1, "\\u0041": "\\U00000041"}


def containers():
    return {
        "empty": [[], {}, (), set(), collections.OrderedDict(), torch.Size([])],
        "one": [[1], {"a": 1}, (1,), {1}, collections.OrderedDict(a=1), torch.Size([1])],
        "tuples": [(1, 2), (1, 2, 3), (1, 2, 3, 4), ((1,), ((2,),)), tuple(range(20))],
        "nested": [[[[]]], [{"a": [{"b": ({"c": [None]},)}]}]],
        "set": {3, 1, 2},
        "counter": collections.Counter({2: 3, 5: 1}),
        "size": fill(2, 3, 4).shape,
    }


def shared():
    inner = [1, "text"]
    entry = {"x": inner}
    word = "".join(["wo", "rd"])
    return {"a": inner, "b": inner, "c": [inner, inner], "d": entry, "e": (entry, entry), "f": word, "g": word}


def deep(levels):
    value = 7
    for i in range(levels):
        value = [value] if i % 3 == 0 else {"k": value} if i % 3 == 1 else (value,)
    return {"deep": value}


case("atoms", atoms)
case("strings", strings)
case("containers", containers)
case("shared_containers", shared)
case("one_row_a_hundred_times", {"confusion": [[0] * 20] * 100, "history": [{"lr": 0.1, "loss": None}] * 50})
case("deep", lambda: deep(150))
case("empty_dict", dict)
case("one_entry_dict", {"epoch": 3})
case("one_entry_list", {"list": [5]})
case("int_keys", {0: "zero", 1: "one", -5: "negative", 2**40: "large", "0": "text", 2**63 - 1: "most",
                  -(2**63): "least"})  # fmt: skip
case("keys_with_slashes", {"a/b": 1, "a.b": 2, "~": 3, "~1": 4, "/": {"a/b.c": [1]}, ".": 5, "a b": 6, "$t": 7})
case("all_bytes", {"bytes": bytes(range(256)), "array": bytearray(range(256))})
case("bytes_and_complex", {"bytes": bytes([0, 1, 10, 92, *range(125, 133), 255]), "empty": b"", "one": b"\xff",
                           "array": bytearray(b"\0abc\xfe"), "empty_array": bytearray(), "complex": 1.5 - 2.5j,
                           "zero": complex(-0.0, math.inf)})  # fmt: skip
case("torch_atoms", {"cpu": torch.device("cpu"), "cuda": torch.device("cuda:1"), "any": torch.device("cuda"),
                     "size": torch.Size([2, 3]), "dtypes": [torch.float32, torch.bfloat16, torch.bool, torch.int64,
                                                            torch.complex64, torch.uint8]})  # fmt: skip
case("long_lists", {"ints": list(range(3000)), "floats": [i / 7 for i in range(3000)], "mixed": [1, 2.0] * 600,
                    "dict": {f"k{i}": i for i in range(2500)}, "long": "ä" * 70000})  # fmt: skip
case("many_strings", {f"key {i}": f"value {i}" for i in range(300)})  # past the 256 entries of BINPUT
case("surrogates", {"lone": "a\ud800b"}, pickle_protocol=2)
case("root_list", [1, {"a": fill(2)}, "x"])
case("root_tuple", (fill(2), None))
case("root_number", 2.5)
case("root_none", lambda: None)
case("root_string", "text")
case("root_tensor", lambda: fill(2, 3))
case("root_parameter", lambda: nn.Parameter(fill(3)))
case("root_ordered_dict", lambda: collections.OrderedDict([("z", 1), ("a", 2)]))
case("random_state", lambda: {"python": random.Random(5).getstate(),
                              "torch": torch.Generator().manual_seed(1).get_state()})  # fmt: skip


# Tensors

DTYPES = "bool uint8 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64 complex128".split()
NEW_DTYPES = "complex32 uint16 uint32 uint64 float8_e5m2 float8_e4m3fn float8_e5m2fnuz float8_e4m3fnuz float8_e8m0fnu"


def saves(value):
    """Whether this version can write it and read it again."""
    try:
        memory = io.BytesIO()
        torch.save(value, memory)
        memory.seek(0)
        load_again = {"weights_only": False}
        torch.load(memory, **load_again)
        return True
    except Exception:
        return False


def special_floats():
    values = [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1e-40]
    dtypes = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    return {str(dtype): torch.tensor(values, dtype=dtype) for dtype in dtypes}


case("dtypes", lambda: {name: bits(getattr(torch, name)) for name in DTYPES})
case("zero_dim", lambda: {name: bits(getattr(torch, name), 1).reshape(()) for name in DTYPES})
case("empty_tensors", lambda: {f"{name} {shape}": torch.empty(shape, dtype=getattr(torch, name)) for name in DTYPES
                               for shape in ([0], [2, 0], [0, 3, 0])})  # fmt: skip
case("special_floats", special_floats)


def of_dtype(dtype):
    return {"x": bits(dtype), "zero_dim": bits(dtype, 1)[0], "empty": torch.empty(0, 2, dtype=dtype),
            "transposed": bits(dtype, 6).reshape(2, 3).t()}  # fmt: skip


for new in NEW_DTYPES.split():
    possible = hasattr(torch, new) and saves({"x": bits(getattr(torch, new))})
    case_if(possible, f"dtype_{new}", lambda: of_dtype(getattr(torch, new)))


def views():
    base = fill(4, 6)
    image = fill(2, 3, 4, 5)
    return {
        "transposed": base.t(), "row": base[1], "column": base[:, 2], "every_other": base[::2, 1::3],
        "expanded": fill(1, 3).expand(4, 3), "scalar": base[3, 5], "reshaped": base.view(2, 12),
        "narrow": base[1:3, 2:5],
        "channels_last": image.contiguous(memory_format=torch.channels_last), "permuted": image.permute(2, 0, 3, 1),
        "diagonal": base.diagonal(), "empty_slice": base[2:2], "ones": fill(1, 1, 1).expand(1, 1, 1),
        "overlapping": base.reshape(-1).as_strided((4, 3), (2, 1), 3),
        "zero_stride": base.as_strided((3, 2), (0, 0), 5),
    }  # fmt: skip


def ties():
    weight = nn.Parameter(fill(3, 2))
    base = fill(8)
    return {
        "encoder": weight, "decoder": weight, "data": weight.data, "view": weight.data.view(3, 2),
        "transposed": weight.t(), "first": base[:4], "second": base[4:], "again": base[:4], "whole": base,
        "copy": base.clone(), "list": [base, base],
    }  # fmt: skip


def model():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))


def tensor_attributes():
    with_attribute, parameter = fill(3), nn.Parameter(fill(2))
    with_attribute.note, parameter.labels = "hello", ["a", "b"]
    return {"tensor": with_attribute, "parameter": parameter, "plain": fill(2)}


def tied_model():
    net = nn.Module()
    net.embed, net.head = nn.Embedding(5, 3), nn.Linear(3, 5, bias=False)
    net.head.weight = net.embed.weight
    return net.state_dict()


case("views", views)
case("view_of_large", lambda: {"row": fill(1000, 100)[7]})
case("ties", ties)
case("requires_grad", lambda: {"leaf": fill(3).requires_grad_(),
                               "parameter": nn.Parameter(fill(2), requires_grad=False),
                               "list": nn.ParameterList([nn.Parameter(fill(2))]).state_dict()})  # fmt: skip
case("tensor_attributes", tensor_attributes)
case("state_dict", lambda: model().state_dict())
case("state_dict_in_buffer", lambda: {"model": model().state_dict()}, buffer=True)
case("state_dict_tied", tied_model)
case("state_dict_prefixed", lambda: {"model_state_dict": nn.ModuleDict({"a": model()}).state_dict()})
case("lstm", lambda: nn.LSTM(2, 3, bidirectional=True).state_dict())
case("buffers", lambda: nn.BatchNorm2d(3).state_dict())
case("many_tensors", lambda: {f"t{i}": torch.tensor([i, -i], dtype=torch.int32) for i in range(2000)})
case("large_tensor", lambda: {"big": fill(300, 301), "small": fill(1)})
case("conjugated", lambda: {"conj": bits(torch.complex64, 3).conj(), "negative": bits(torch.complex64, 3).conj().imag},
     as_saved=VERSION >= (2, 0))  # fmt: skip
case("name with space.and.dots v1", {"x": 1, "t": fill(2)})
case("имя", {"x": 1, "t": fill(2)})

# Only tensors of the newer dtypes name their storage as untyped, which may be shared with uint8.
if hasattr(torch, "uint16") and saves(bits(torch.uint16)):
    def mixed():
        base = bits(torch.uint8, 16)
        return {"bytes": base, "words": base.view(torch.uint16), "later": base[4:12].view(torch.uint32), "again": base,
                "words_again": base.view(torch.uint16)}  # fmt: skip

    case("uint16_by_v3", lambda: {"x": bits(torch.uint16, 6).reshape(2, 3),
                                  "parameter": nn.Parameter(bits(torch.uint64, 2), False)})  # fmt: skip
    case("mixed_dtypes_in_a_storage", mixed)
if hasattr(torch, "float8_e4m3fn") and saves(bits(torch.float8_e4m3fn)):
    case("fp8_by_v3", lambda: {"x": bits(torch.float8_e4m3fn), "y": bits(torch.float8_e5m2, 6).reshape(2, 3).t()})


# Containers and protocols


def plain():
    return {"atoms": atoms(), "strings": strings(), "containers": containers(), "shared": shared(),
            "bytes": b"\0\x7f\x80\xff", "array": bytearray(b"ab"), "complex": 1j, "dtype": torch.float16,
            "device": torch.device("cuda", 2)}  # fmt: skip


def with_tensors():
    return {"state": model().state_dict(), "views": views(), "ties": ties(), "plain": plain()}


def same_keys_always(path):
    """The older container has an address for the key of a storage; this writes another number."""
    key = b"X\x0e\0\0\0" + b"94560304927360"
    path.write_bytes(re.sub(rb"X.\0\0\0\d{6,}", lambda _: key, path.read_bytes(), flags=re.DOTALL))


def views_of_one():
    base = fill(4, 3)
    return {"base": base, "row": base[1], "transposed": base.t(), "again": base, "step": 3}


OLD = {"_use_new_zipfile_serialization": False}
for protocol in range(6):
    # In protocol 0 every NaN is "nan", and tensors have no place.
    options = {"pickle_protocol": protocol, "as_saved": protocol != 0}
    case(f"protocol{protocol}", with_tensors if protocol else plain, **options)
    case(f"old_protocol{protocol}", with_tensors if protocol else plain, **options, **OLD)
    case(f"long_protocol{protocol}", {"text": "ü" * 70000, "list": list(range(2000)), "bytes": bytes(1000),
                                      "short": "ü"}, **options)  # fmt: skip
case("old_container", with_tensors, **OLD)
case("old_dtypes", lambda: {name: bits(getattr(torch, name)) for name in DTYPES}, **OLD)
case("old_empty", lambda: {"none": torch.empty(0), "some": fill(2)}, **OLD)
case("old_root_number", 5, **OLD)
case("old_root_tensor", lambda: fill(2, 3).t(), **OLD)
case("old_views", views_of_one, prepare=same_keys_always, **OLD)
case("old_state_dict", lambda: model().state_dict(), **OLD)
case("old_ties", ties, **OLD)
case("old_in_buffer", ties, buffer=True, **OLD)


def old_view():
    """The older container with a view's place in its storage in the persistent id, as before torch 0.4."""
    storage = fill(8)

    class Place:
        def __init__(self, view):
            self.view = view

    class Rebuilt:
        def __init__(self, place, size):
            self.arguments = (place, 0, (size,), (1,))

        def __reduce__(self):
            return torch._utils._rebuild_tensor, self.arguments

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            if isinstance(value, Place):
                return ("storage", torch.FloatStorage, "the storage", "cpu", 8, value.view)
            return None

    memory = io.BytesIO()
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    for value in (0x1950A86A20F9469CFC6C, 1001, system):
        pickle.dump(value, memory, protocol=2)
    Pickler(memory, protocol=2).dump(
        {"whole": Rebuilt(Place(None), 8), "part": Rebuilt(Place(("part", 2, 3)), 3)}
    )
    pickle.dump(["the storage"], memory, protocol=2)
    memory.write(struct.pack("<q", 8) + ctypes.string_at(storage.data_ptr(), 32))
    path_of("old_view").write_bytes(memory.getvalue())
    judge("old_view", {"whole": storage, "part": storage[2:5]})


if wanted("old_view"):
    old_view()


def optimized():
    import pickletools

    records = records_of({"state": model().state_dict(), "ties": ties()})
    records["data.pkl"] = pickletools.optimize(records["data.pkl"])
    archive("fewer_memos", records)
    judge("fewer_memos", {"state": model().state_dict(), "ties": ties()})


if wanted("fewer_memos"):
    optimized()
if wanted("unaligned"):
    archive("unaligned", records_of(with_tensors()), root="some root")
    judge("unaligned", with_tensors())
if wanted("without_byteorder"):
    keep = records_of(ties())
    needed = [name for name in keep if name in ("data.pkl", "version") or name.startswith("data/")]
    archive("without_byteorder", {name: keep[name] for name in needed})
    judge("without_byteorder", ties())
if wanted("keys_of_torch_1.6"):  # which named storages by their address
    records = records_of({"x": fill(2), "y": fill(3)})
    data = records.pop("data.pkl")
    for key in "01":
        data = data.replace(b"X\1\0\0\0" + key.encode(), b"X\x0f\0\0\0" + b"94560304927360"[:14] + key.encode())
        records[f"data/94560304927360{key}"] = records.pop(f"data/{key}")
    archive("keys_of_torch_1.6", {"data.pkl": data, **records}, root="archive")
    judge("keys_of_torch_1.6", {"x": fill(2), "y": fill(3)})
if wanted("further_records"):  # as torch.package and others put beside
    archive("further_records", {**records_of({"x": fill(2)}), "extra/notes.txt": b"hello", "trainer.json": b"{}"})
    judge("further_records", {"x": fill(2)})
if wanted("storage_unused"):
    archive("storage_unused", {**records_of({"x": fill(2)}), "data/7": b"12345678"})
    judge("storage_unused", {"x": fill(2)})

# What no torch writes today, but Python 2 and others did.
raw("python2_strings", b"\x80\x02}(U\x01aU\x03xyzT\x01\x00\x00\x00bT\x02\0\0\0uvu.", {"a": "xyz", "b": "uv"})
raw("text_opcodes", b"(dVa\nI5\nsVb\nL-7L\nsVc\nF-1.5\nsVd\nI01\nsVe\nI00\nsVf\n(lp1\nI1\naI2\nas"
    b"Vg\ng1\nsVh\n(I1\nI2\ntsVi\nNs.",
    {"a": 5, "b": -7, "c": -1.5, "d": True, "e": False, "f": [1, 2], "g": [1, 2], "h": (1, 2), "i": None})  # fmt: skip
raw("text_strings", b"(S'a\\'\\x41\\n'\nVb\\u00e4\\U0001f600\\\\\xe9\nd.", {"a'A\n": "bä\U0001f600\\\\é"})
raw("dup_and_pop", b"\x80\x02}X\x01\0\0\0aK\x05K\x060sX\x01\0\0\0bK\x072\x86s(K\x01K\x021.", {"a": 5, "b": (7, 7)})
raw("long_integers", b"\x80\x02}(X\x01\0\0\0a\x8a\0X\x01\0\0\0b\x8a\x01\xff"
    b"X\x01\0\0\0c\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\0"
    b"X\x01\0\0\0d\x8b\x04\0\0\0\x01\0\0\x80X\x01\0\0\0e\x8a\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xffu.",
    {"a": 0, "b": -1, "c": 2**63 - 1, "d": -(2**31) + 1, "e": -1})  # fmt: skip
raw("key_twice", b"\x80\x02}(X\x01\0\0\0aK\x01X\x01\0\0\0bK\x02X\x01\0\0\0aK\x03u.", {"a": 3, "b": 2})
raw("frames", b"\x80\x04\x95\x09\0\0\0\0\0\0\0}\x94\x8c\x01a\x94K\x01s.", {"a": 1})
raw("list_grows_after_use", b"\x80\x02}q\0X\x01\0\0\0a]q\x01sX\x01\0\0\0bh\x01sh\x01K\x05a0.", {"a": [5], "b": [5]})
raw("dict_by_tuple_opcode", b"\x80\x02(X\x01\0\0\0aK\x01d.", {"a": 1})

for device in ("cuda:0", "cuda:3", "mps"):
    name = device.replace(":", "") if device != "cuda:0" else "cuda_saved"
    located(device, lambda: case(name, {"x": fill(2), "state": {0: {"step": fill(1)}}}, device=device))
    located(device, lambda: case(f"old_{name}", lambda: {"state": model().state_dict()}, device=device, **OLD))

try:
    from torch.utils.serialization import config

    before, config.save.storage_alignment = config.save.storage_alignment, 4096
    case("alignment_4096", ties)
    config.save.storage_alignment = before
except ImportError:
    skipped.append("alignment_4096")


if hasattr(torch.serialization, "set_crc32_options"):
    torch.serialization.set_crc32_options(False)
    case("without_crc", ties)
    torch.serialization.set_crc32_options(True)


# Whole checkpoints of the tutorials

OPTIMIZERS = {
    "SGD": dict(lr=0.1, momentum=0.9, nesterov=True), "Adam": dict(lr=0.01, amsgrad=True),
    "AdamW": dict(lr=0.01, weight_decay=0.05), "RMSprop": dict(lr=0.01, momentum=0.5, centered=True),
    "Adagrad": dict(lr=0.1, lr_decay=0.01), "LBFGS": dict(lr=0.5, history_size=3, line_search_fn="strong_wolfe"),
    "Adadelta": {}, "Adamax": {}, "NAdam": {}, "RAdam": {}, "ASGD": {}, "Rprop": {},
}  # fmt: skip


def trained(kind, options, groups=True):
    net = model()
    parameters = net.parameters()
    if groups and kind != "LBFGS":
        parameters = [{"params": net[0].parameters()}, {"params": net[3].parameters(), "lr": 0.02}]
    optimizer = getattr(torch.optim, kind)(parameters, **options)
    inputs, targets = fill(5, 3), fill(5, 2)

    def closure():
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(inputs), targets)
        loss.backward()
        return loss

    for _ in range(3):
        loss = optimizer.step(closure)
    return net, optimizer, loss


def tutorial(kind, options):
    net, optimizer, loss = trained(kind, options)
    return {
        "epoch": 3,
        "model_state_dict": net.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "loss": loss.detach() if kind == "SGD" else loss.item(),
        "best": float("-inf"),
        "args": {"lr": options.get("lr"), "layers": (3, 4, 2), "name": "run 1"},
    }


for kind, options in OPTIMIZERS.items():
    case(f"tutorial_{kind}", lambda: tutorial(kind, options))
case("loss_with_graph", lambda: {"loss": trained("SGD", OPTIMIZERS["SGD"])[2].detach().requires_grad_()})
case("optimizer_unused", lambda: torch.optim.Adam(model().parameters()).state_dict())

SCHEDULERS = {
    "StepLR": dict(step_size=2), "MultiStepLR": dict(milestones=[1, 3, 3]), "ConstantLR": dict(total_iters=2),
    "LinearLR": dict(total_iters=3), "ExponentialLR": dict(gamma=0.9), "PolynomialLR": dict(total_iters=4, power=2.0),
    "CosineAnnealingLR": dict(T_max=5), "CosineAnnealingWarmRestarts": dict(T_0=2, T_mult=2),
    "OneCycleLR": dict(max_lr=0.1, total_steps=10), "ReduceLROnPlateau": dict(patience=1),
    "LambdaLR": dict(lr_lambda=lambda epoch: 0.9**epoch),
}  # fmt: skip


def stepped(scheduler, optimizer):
    for i in range(3):
        optimizer.step()
        scheduler.step(*([1.0 + i] if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau) else []))
    return {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}


def scheduled(kind, options):
    groups = [{"params": [nn.Parameter(fill(2))]}, {"params": [nn.Parameter(fill(3))]}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    return stepped(getattr(torch.optim.lr_scheduler, kind)(optimizer, **options), optimizer)


def sequential():
    optimizer = torch.optim.SGD([nn.Parameter(fill(2))], lr=0.1)
    kinds = torch.optim.lr_scheduler
    parts = [kinds.LinearLR(optimizer, total_iters=2), kinds.ExponentialLR(optimizer, gamma=0.9)]
    return stepped(kinds.SequentialLR(optimizer, parts, milestones=[2]), optimizer)


def chained():
    optimizer = torch.optim.SGD([nn.Parameter(fill(2))], lr=0.1)
    kinds = torch.optim.lr_scheduler
    parts = [kinds.ConstantLR(optimizer, total_iters=2), kinds.StepLR(optimizer, step_size=2)]
    return stepped(kinds.ChainedScheduler(parts), optimizer)


for kind, options in SCHEDULERS.items():
    if kind == "OneCycleLR" and VERSION < (2, 0):  # its annealing function stands in the state
        refuse("scheduler_OneCycleLR", lambda: scheduled(kind, options), "FormatError", "getattr", "OneCycleLR")
    elif hasattr(torch.optim.lr_scheduler, kind):
        case(f"scheduler_{kind}", lambda: scheduled(kind, options))
case("scheduler_SequentialLR", sequential)
case("scheduler_ChainedScheduler", chained)


class Factor:
    """A callable with a state, as LambdaLR saves it."""

    def __init__(self):
        self.rate = 0.5

    def __call__(self, epoch):
        return self.rate**epoch


case("scheduler_LambdaLR_with_state", lambda: scheduled("LambdaLR", {"lr_lambda": [Factor(), Factor()]}))
case("averaged_model", lambda: torch.optim.swa_utils.AveragedModel(model()).state_dict())
case("custom_scheduler", {"version": 1, "params": {"base_lr": 0.1, "warmup_steps": 10}, "state": {"step_num": 4}})
case("learning_rate_as_tensor", lambda: {"param_groups": [{"lr": torch.tensor(0.1), "betas": (0.9, torch.tensor(0.99)),
                                                           "params": [0, 1]}]})  # fmt: skip
case("bfloat16_moments", lambda: {"state": {0: {"step": torch.tensor(2.0), "exp_avg": fill(3, dtype=torch.bfloat16)}}})


# What must be refused, by name


def function():
    """Pickled by its name."""


def huge(value):
    return lambda: {"a": {"b/c": [1, value]}}


refuse("huge_int", huge(2**70), "FormatError", "a/b~1c/1")
refuse("huge_int_negative", huge(-(2**63) - 1), "FormatError", "a/b~1c/1")
refuse("huge_int_by_one", huge(2**63), "FormatError", "a/b~1c/1")
refuse("huge_int_protocol0", huge(2**70), "FormatError", "a/b~1c/1", pickle_protocol=0)
refuse("huge_int_key", lambda: {"a": {2**64: 1}}, "FormatError", "a")
refuse("huge_int_of_3000_digits", huge(7**3000), "FormatError", "a/b~1c/1")
refuse("tuple_key", lambda: {"a": {(1, 2): 3}}, "FormatError", "a")
refuse("float_key", lambda: {"a": {1.5: 3}}, "FormatError", "a")
refuse("function", lambda: {"f": function}, "FormatError", "__main__.function")
refuse("torch_function", lambda: {"f": torch.relu}, "FormatError", "relu", "getattr")
refuse("function_of_torch", lambda: {"f": nn.functional.relu}, "FormatError", "torch.nn.functional.relu")
refuse("builtin_function", lambda: {"f": print}, "FormatError", "print")
refuse("module", lambda: nn.Linear(2, 1), "FormatError", "torch.nn.modules.linear.Linear")
refuse("old_module", lambda: nn.Linear(2, 1), "FormatError", "torch.nn.modules.linear.Linear", "module", **OLD)
refuse("old_module_within", lambda: {"net": model()}, "FormatError", "torch.nn.modules", "module", **OLD)
refuse("optimizer", lambda: torch.optim.SGD([fill(2).requires_grad_()], lr=0.1), "FormatError", "torch.optim.sgd.SGD")
refuse("defaultdict", lambda: collections.defaultdict(list), "FormatError", "collections.defaultdict")
refuse("namespace", lambda: {"args": __import__("argparse").Namespace(lr=1)}, "FormatError", "argparse.Namespace")
refuse("path", lambda: {"p": Path("/tmp")}, "FormatError", "pathlib")
refuse("datetime", lambda: {"t": __import__("datetime").date(2026, 1, 2)}, "FormatError", "datetime.date")
refuse("old_function", lambda: {"f": function}, "FormatError", "__main__.function", **OLD)
for protocol in (0, 1, 3, 4, 5):
    refuse(f"function_protocol{protocol}", lambda: {"f": function}, "FormatError", "__main__.function",
           pickle_protocol=protocol)  # fmt: skip
    refuse(f"module_protocol{protocol}", nn.ReLU, "FormatError", "torch.nn.modules.activation.ReLU",
           "copy_reg._reconstructor", "copyreg._reconstructor", pickle_protocol=protocol)  # fmt: skip
refuse("sparse", lambda: {"s": torch.eye(3).to_sparse()}, "FormatError", "sparse")
refuse("sparse_csr", lambda: {"s": torch.eye(3).to_sparse_csr()}, "FormatError", "sparse")
refuse("quantized", lambda: {"q": torch.quantize_per_tensor(fill(4), 0.1, 0, torch.qint8)}, "FormatError", "quantiz")
refuse("meta", lambda: {"m": torch.empty(3, device="meta")}, "FormatError", "meta")
refuse("nested", lambda: {"n": torch.nested.nested_tensor([fill(2), fill(3)])}, "FormatError", "nested")

try:
    import numpy

    refuse("numpy_scalar", lambda: {"loss": numpy.float64(0.5)}, "FormatError", "numpy")
    refuse("numpy_array", lambda: {"a": numpy.arange(3)}, "FormatError", "numpy")
    refuse("numpy_random_state", lambda: {"r": numpy.random.get_state()}, "FormatError", "numpy")
except ImportError:
    skipped.append("numpy_*")

if wanted("big_endian"):
    archive("big_endian", {**records_of({"x": fill(2)}), "byteorder": b"big"}, root="archive")
    refused("big_endian", "FormatError", "big-endian", "big endian")
if wanted("torchscript"):
    try:
        memory = io.BytesIO()
        torch.jit.save(torch.jit.trace(nn.Linear(2, 1), torch.ones(1, 2)), memory)
        path_of("torchscript").write_bytes(memory.getvalue())
        refused("torchscript", "FormatError", "TorchScript")
    except Exception as why:
        skipped.append(f"torchscript ({why})")
if wanted("missing_storage"):
    archive("missing_storage", {name: data for name, data in records_of({"x": fill(2)}).items() if name != "data/0"}, root="archive")
    refused("missing_storage", "FormatError", "data/0")
if wanted("short_storage"):
    archive("short_storage", {**records_of({"x": fill(2)}), "data/0": b"1234"}, root="archive")
    refused("short_storage", "FormatError", "x", "data/0")

kinds = collections.Counter(kind for _, kind in written)
print(f"torch {torch.__version__}: {kinds['read']} files to read, {kinds['refused']} to refuse; not written: {skipped}")
