"""digits.py DIGITS: Python's safetensors must read the digits checkpoint, with the live program's tensors in it."""

import subprocess
import sys
import tempfile

import torch
from safetensors import safe_open


def fnv1a(data):
    digest = 0xCBF29CE484222325
    for byte in data:
        digest = ((digest ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{digest:016x}"


def tensor_bytes(tensor):
    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).tolist())


with tempfile.TemporaryDirectory() as folder:
    path = folder + "/digits.safetensors"
    command = [sys.argv[1], "--steps", "30", "--list-tensors", "--save-as", path]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    live = dict(line.split()[1:] for line in lines if line.startswith("tensor "))
    with safe_open(path, framework="pt") as file:
        assert file.metadata()["format"] == "pt"
        found = {name: fnv1a(tensor_bytes(file.get_tensor(name))) for name in file.keys()}

found = {name: digest for name, digest in found.items() if name.startswith(("model.", "optimizer."))}
assert any(name.startswith("model.") for name in live) and any(name.startswith("optimizer.") for name in live)
assert found == live, {name: (live.get(name), found.get(name)) for name in live.keys() | found.keys()}
print(len(found), "tensors are equal")
