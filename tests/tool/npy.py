"""Reads with NumPy what `trainstate extract --tensor` writes. Arguments: the program, the folder of golden files."""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy

tool, golden = sys.argv[1], pathlib.Path(sys.argv[2])


def extract(file, name, folder):
    path = pathlib.Path(folder) / "x.npy"
    subprocess.run([tool, "extract", "--force", "--tensor", name, file, path], check=True, capture_output=True)
    return numpy.load(path, allow_pickle=False)


with tempfile.TemporaryDirectory() as folder:
    dtypes = {
        "Bool": "bool",
        "Byte": "uint8",
        "Char": "int8",
        "Short": "int16",
        "Int": "int32",
        "Long": "int64",
        "Half": "float16",
        "BFloat16": "float32",
        "Float": "float32",
        "Double": "float64",
        "ComplexFloat": "complex64",
        "ComplexDouble": "complex128",
    }
    for file in (golden / "safetensors_1" / "values.safetensors", golden / "pt_1" / "values.pt"):
        for name, dtype in dtypes.items():
            found = extract(file, f"tensors/{name}", folder)
            assert found.dtype == dtype, (name, found.dtype)
            assert found.flags["C_CONTIGUOUS"]
            assert (found == numpy.arange(6).reshape(2, 3).astype(dtype)).all(), (name, found)
        assert (extract(file, "tensors.transposed", folder) == numpy.arange(6).reshape(2, 3).T).all()
        assert extract(file, "tensors.empty", folder).shape == (2, 0, 3)
        scalar = extract(file, "tensors.scalar", folder)
        assert scalar.shape == () and scalar == 3.5

    # Views of Python's own files: every element, in C order.
    file = golden / "python" / "2.14" / "views"
    types = {"float32": "<f4", "float64": "<f8", "int64": "<i8", "int32": "<i4", "uint8": "|u1"}
    compared = 0
    for (key, value) in json.loads(file.with_suffix(".json").read_text())["d"]:
        if "t" not in value or value["t"]["dtype"] not in types:
            continue
        tensor = value["t"]
        expected = numpy.frombuffer(bytes.fromhex(tensor["data"]), types[tensor["dtype"]]).reshape(tensor["shape"])
        assert (extract(file.with_suffix(".pt"), key["s"], folder) == expected).all(), key
        compared += 1
    assert compared >= 3, compared
print("ok")
