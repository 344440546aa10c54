"""peers.py FOLDER MIB TENSORS REPETITIONS: what Python takes for the same work, as JSON lines. Needs torch, and
compares with safetensors where it is installed. Leaves FOLDER/python.pt, the large state as torch.save writes it."""

import json
import os
import sys
import time

import torch

try:
    import safetensors.torch
except ImportError:
    safetensors = None

folder, mib, tensors, repetitions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])


class Net(torch.nn.Module):
    """The flat module of measure.hpp."""

    def __init__(self, count, size):
        super().__init__()
        for i in range(count):
            self.register_parameter(f"p{i}", torch.nn.Parameter(torch.full((size // count // 4,), float(i))))


def make_cold(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure(name, size, call, prepare=lambda: None):
    call()  # files exist and memory is warm
    seconds = []
    for _ in range(repetitions):
        prepare()
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"name": name, "bytes": size, "seconds": seconds}), flush=True)


def compare(what, size, net):
    path = f"{folder}/python.pt"
    measure(f"save/{what}/python", size, lambda: torch.save(net.state_dict(), path), os.sync)
    measure(f"load/{what}/python", size, lambda: net.load_state_dict(torch.load(path)))
    if what == "large":
        cold = lambda: make_cold(path)
        measure(f"load_cold/{what}/python", size, lambda: net.load_state_dict(torch.load(path)), cold)
        try:
            torch.load(path, mmap=True)
            measure(f"load_mapped/{what}/python", size, lambda: net.load_state_dict(torch.load(path, mmap=True)))
        except TypeError:  # before 2.1
            pass
    if safetensors:
        path = f"{folder}/python.safetensors"
        measure(f"save/{what}/safetensors", size, lambda: safetensors.torch.save_file(net.state_dict(), path), os.sync)
        measure(f"load/{what}/safetensors", size, lambda: net.load_state_dict(safetensors.torch.load_file(path)))
        os.remove(path)


versions = {"python": sys.version.split()[0], "torch": torch.__version__}
if safetensors:
    versions["safetensors"] = safetensors.__version__
print(json.dumps({"versions": versions}))
compare("many", tensors * 1024, Net(tensors, tensors * 1024))
compare("large", mib << 20, Net(64, mib << 20))
