#!/usr/bin/env python3
"""The reference reader and writer of safetensors against ours: safetensors_python.py PATH/TO/safetensors_tool

Our files open there and hold the same tensors; its files open here; and the two agree on which raw files are valid, but
for the cases in STRICTER, which only the reference takes. Exits with 77 where Python's safetensors is not installed, or
older than 0.8: earlier ones know fewer dtypes.
"""

import ctypes
import json
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

try:
    import safetensors
    from safetensors import deserialize, serialize_file
except ImportError:
    print("skipped: Python's safetensors is not installed")
    sys.exit(77)
if tuple(int(part) for part in safetensors.__version__.split(".")[:2]) < (0, 8):
    print("skipped: Python's safetensors", safetensors.__version__, "knows fewer dtypes than the format has")
    sys.exit(77)

TOOL = sys.argv[1]
failures = 0


def check(what, condition):
    global failures
    if not condition:
        failures += 1
        print("FAILED:", what)


def dump(paths):
    """What our reader says of each file."""
    lines = []
    paths = [str(path) for path in paths]
    for at in range(0, len(paths), 500):
        run = subprocess.run([TOOL, "dump", *paths[at : at + 500]], check=True, capture_output=True)
        lines += run.stdout.decode().splitlines()
    return [json.loads(line) for line in lines]


def reference(data):
    """What the reference reader says of the bytes of a file; None if it refuses them."""
    try:
        return {name: info for name, info in deserialize(data)}
    except Exception:  # its own error type has moved between versions
        return None


def our_files(folder):
    subprocess.run([TOOL, "write", folder], check=True)
    paths = sorted(Path(folder).glob("*.safetensors"))
    check("five samples", len(paths) == 5)
    for path, ours in zip(paths, dump(paths)):
        check(f"{path.name} opens here", "error" not in ours)
        theirs = reference(path.read_bytes())
        check(f"{path.name} opens in the reference", theirs is not None)
        if theirs is None or "error" in ours:
            continue
        check(f"{path.name}: names", set(theirs) == set(ours["tensors"]))
        for name, info in theirs.items():
            tag, shape, _ = ours["tensors"][name]
            check(f"{path.name}: {name}: shape", list(info["shape"]) == shape)
            check(f"{path.name}: {name}: dtype", same_dtype(info["dtype"], tag))
        check(f"{path.name}: format", ours["metadata"].get("format") == "pt")
        check(f"{path.name}: metadata", ours["metadata"].get("key") == 'value " \\ ä')
        tree = json.loads(ours["metadata"]["trainstate"])  # any JSON parser can read the tree
        check(f"{path.name}: tree", tree["format"] == 1 and "manifest" in tree)


def same_dtype(theirs, tag):
    return str(theirs).replace("_", "").upper() == tag.replace("_", "").upper()


DTYPES = {
    "bool": 1, "uint8": 1, "int8": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2, "int32": 4, "uint32": 4,
    "float32": 4, "float64": 8, "int64": 8, "uint64": 8, "float8_e4m3fn": 1, "float8_e5m2": 1, "complex64": 8,
}  # fmt: skip


def spec(info, keep_alive):
    """A tensor as the reference writer wants it: by address since 0.8, as bytes before."""
    if not hasattr(safetensors, "TensorSpec"):
        return info
    keep_alive.append(ctypes.create_string_buffer(info["data"], max(1, len(info["data"]))))
    address = ctypes.addressof(keep_alive[-1])
    return safetensors.TensorSpec(
        dtype=info["dtype"], shape=info["shape"], data_ptr=address, data_len=len(info["data"])
    )


def their_files(folder):
    path = Path(folder) / "theirs.safetensors"
    generator = random.Random(1)
    tensors = {}
    for dtype, size in DTYPES.items():
        for shape in ([], [3], [2, 0], [2, 3]):
            count = 1
            for d in shape:
                count *= d
            data = bytes(generator.randrange(2) for _ in range(count * size))
            tensors[f"{dtype}.{len(shape)}.{count}"] = {"dtype": dtype, "shape": shape, "data": data}
    written, keep_alive = {}, []
    for name, info in tensors.items():  # leaves out what this version of it does not know
        try:
            serialize_file({name: spec(info, keep_alive)}, str(path), None)
            written[name] = info
        except Exception as error:
            print("the reference does not write", name, error)
    check("the reference writes most dtypes", len(written) >= 40)
    specs = {name: spec(info, keep_alive) for name, info in written.items()}
    serialize_file(specs, str(path), {"format": "pt", "author": "ä\n"})
    (ours,) = dump([path])
    check("a file of the reference opens here", "error" not in ours)
    check("names of the reference", set(ours.get("tensors", {})) == set(written))
    for name, (_, shape, _) in ours.get("tensors", {}).items():
        check(f"{name}: shape", shape == list(written[name]["shape"]))
    check("metadata of the reference", ours.get("metadata") == {"format": "pt", "author": "ä\n"})


def raw(header, data=b""):
    if isinstance(header, str):
        header = header.encode()
    return struct.pack("<Q", len(header)) + header + data


def entry(dtype="U8", shape="1", offsets="0,1", more=""):
    return '{"dtype":"%s","shape":[%s],"data_offsets":[%s]%s}' % (dtype, shape, offsets, more)


def one(dtype, shape, offsets, more=""):
    end = offsets.split(",")[-1]
    return raw('{"x":%s}' % entry(dtype, shape, offsets, more), b"d" * int(end if end.isdigit() else 1))


# Only the reference takes these: names and keys that are not unique, an entry that is an array or whose dtype is an
# object, and empty tensors whose other dimensions leave 63 bits.
STRICTER = {
    "duplicate in metadata": raw('{"__metadata__":{"a":"1","a":"2"}}'),
    "duplicate tensor": raw('{"x":%s,"x":%s}' % (entry(), entry()), b"d"),
    "entry as array": raw('{"x":["U8",[1],[0,1]]}', b"d"),
    "dtype as object": raw('{"x":{"dtype":{"U8":null},"shape":[1],"data_offsets":[0,1]}}', b"d"),
    "empty and huge": one("U8", "0,18446744073709551615", "0,0"),
    "empty and very huge": one("U8", "0,4611686018427387904,4611686018427387904", "0,0"),
}


def corpus():
    two = '{"x":%s,"y":%s}'
    yield from (raw(h) for h in ("", "{}", "{}      ", " \n\t\r{}", "[]", "null", "{", "{}{}", "{}\0", "\ufeff{}", "{},"))
    yield from (raw('{"__metadata__":%s}' % m) for m in ("null", "{}", '{"a":"b"}', '{"a":1}', "[]", '{"a":null}'))
    yield raw('{"__metadata__":{},"__metadata__":{}}')
    for shape, offsets in (("", "0,1"), ("1", "0,1"), ("0", "0,0"), ("2", "0,1"), ("1", "0,2"), ("-1", "0,1"),
                           ("1.0", "0,1"), ("1e0", "0,1"), ("-0", "0,0"), ("01", "0,1"), ("1", "0,-1"), ("1", "0"),
                           ("1", "0,1,1"), ("1", "1,2"), ("1", "1,0"), ("18446744073709551616", "0,1"),
                           ("2,9223372036854775807", "0,1"), ("2,18446744073709551614", "0,1"),
                           ("4611686018427387904,4611686018427387904,0", "0,0"), ("1,1,1,1,1,1,1,1,1,1", "0,1")):  # fmt: skip
        yield one("U8", shape, offsets)
    for dtype in ("BOOL", "F4", "F6_E2M3", "F6_E3M2", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ",
                  "F8_E5M2FNUZ", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64", "F64", "I64", "U64", "C32",
                  "C128", "u8", "nonsense", ""):  # fmt: skip
        for shape in ("8", "1,3", "3"):
            for size in (1, 3, 4, 6, 8, 16, 32, 64, 24):
                yield one(dtype, shape, "0,%d" % size)
    for a, b in (("0,1", "1,2"), ("1,2", "0,1"), ("0,1", "0,1"), ("0,1", "2,3"), ("0,2", "1,2")):
        for size in (1, 2, 3):
            yield raw(two % (entry(offsets=a), entry(offsets=b)), b"d" * size)
    for more in (',"e":null', ',"e":{"a":[1,{}]}', ',"e":1,"e":2', ',"dtype":"U8"', ',"shape":[1]', ",", ',"e"'):
        yield one("U8", "1", "0,1", more=more)
    for depth in (1, 100, 125, 126, 127, 200, 100000):
        yield one("U8", "1", "0,1", more=',"e":' + "[" * depth + "]" * depth)
    for text in ('"\\ud800"', '"\\ud83d\\ude00"', '"\\x"', '"\x01"', '"\\u0000"', "'a'", '"a'):
        yield raw('{"__metadata__":{"a":%s}}' % text)
    yield raw(b'{"__metadata__":{"a":"\xff"}}')
    yield raw(b'{"__metadata__":{"a":"\xed\xa0\x80"}}')
    yield struct.pack("<Q", 0xFFFFFF000000003C)
    yield b""
    yield b"\x01\0\0\0\0\0\0\0"
    yield b"\x01\0\0\0\0\0\0\0{"
    yield struct.pack("<Q", 100_000_001) + b"{}".ljust(100_000_001)
    yield struct.pack("<Q", 100_000_000) + b"{}".ljust(100_000_000)
    generator = random.Random(2)
    valid = raw('{"__metadata__":{"k":"v"},"ab":%s,"cd":%s}' % (entry("F32", "2", "0,8"), entry("U8", "3", "8,11")), b"d" * 11)
    for i in range(3000):
        damaged = bytearray(valid)
        for _ in range(generator.randrange(1, 4)):
            at = generator.randrange(len(damaged))
            damaged[at : at + generator.randrange(2)] = bytes([generator.choice(b'{}[]",:0123456789 \\-.eE\x00\xffabcd')])
        yield bytes(damaged)
    for size in range(len(valid)):
        yield valid[:size]


def verdicts(folder):
    files = list(corpus())
    paths = []
    for i, data in enumerate(files):
        paths.append(Path(folder) / f"{i}.raw")
        paths[-1].write_bytes(data)
    accepted = differences = 0
    for data, ours in zip(files, dump(paths)):
        theirs = reference(data)
        accepted += theirs is not None
        if (theirs is not None) == ("error" not in ours):
            continue
        # Random damage can make two names one, which only we refuse.
        twice = any(text in ours.get("error", "") for text in ("found it twice", "no second key"))
        if theirs is not None and twice:
            continue
        differences += 1
        check(f"{data[:200]!r}: reference {'takes' if theirs is not None else 'refuses'} it, here {ours}"[:400], False)
    print(f"{len(files)} raw files, of which the reference takes {accepted}; {differences} differences")
    check("some are valid", 40 < accepted < len(files) - 40)
    for name, data in STRICTER.items():
        path = Path(folder) / "stricter.raw"
        path.write_bytes(data)
        check(f"{name}: refused here", "error" in dump([path])[0])


with tempfile.TemporaryDirectory() as folder:
    print("safetensors", safetensors.__version__)
    our_files(folder)
    their_files(folder)
    verdicts(folder)
print("failures:", failures)
sys.exit(failures != 0)
