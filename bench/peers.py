"""peers.py FOLDER MIB TENSORS REPETITIONS: what Python takes for the same work, as JSON lines. Needs torch, and
compares with safetensors where it is installed. Leaves FOLDER/python.pt, the large state as torch.save writes it.

peers.py load FORMAT PATH COUNT SIZE cold|warm CALLS: loads a file into a model of COUNT parameters with SIZE bytes in
all; prints the seconds of each call. Programs that resume load once, so each load is a process of its own."""

import json
import os
import subprocess
import sys
import time

import torch

try:
    import safetensors.torch
except ImportError:
    safetensors = None


class Net(torch.nn.Module):
    """The flat module of measure.hpp."""

    def __init__(self, count, size):
        super().__init__()
        for i in range(count):
            self.register_parameter(f"p{i}", torch.nn.Parameter(torch.full((size // count // 4,), float(i))))


def settle(size):
    """As in measure.hpp."""
    os.sync()
    torch.ones(3 * size // 4)


def make_cold(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


READERS = {
    "pt": lambda path: torch.load(path),
    "mapped": lambda path: torch.load(path, mmap=True),
    "safetensors": lambda path: safetensors.torch.load_file(path),
}


def seconds_of(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def load(kind, path, count, size, cold, calls):
    net = Net(count, size)
    settle(size)
    if cold:
        make_cold(path)
    print(json.dumps([seconds_of(lambda: net.load_state_dict(READERS[kind](path))) for _ in range(calls)]))


def report(name, size, seconds):
    print(json.dumps({"name": name, "bytes": size, "seconds": seconds}), flush=True)


def measure_save(name, size, repetitions, call):
    seconds = []
    for _ in range(repetitions + 1):
        settle(size)
        seconds.append(seconds_of(call))
    report(name, size, seconds[1:])  # the first one makes the file


def measure_load(name, who, kind, path, count, size, repetitions):
    def run(cold, calls):
        arguments = [sys.executable, __file__, "load", kind, path, str(count), str(size), cold, str(calls)]
        return json.loads(subprocess.run(arguments, check=True, stdout=subprocess.PIPE).stdout)

    report(f"load/{name}/{who}", size, [run("warm", 1)[0] for _ in range(repetitions)])
    if name == "large":
        report(f"load_again/{name}/{who}", size, run("warm", repetitions + 1)[1:])
        report(f"load_cold/{name}/{who}", size, [run("cold", 1)[0] for _ in range(repetitions)])


def compare(folder, name, count, size, repetitions):
    net = Net(count, size)
    path = f"{folder}/python.pt"
    measure_save(f"save/{name}/python", size, repetitions, lambda: torch.save(net.state_dict(), path))
    measure_load(name, "python", "pt", path, count, size, repetitions)
    try:
        torch.load(path, mmap=True)
        measure_load(name, "python_mapped", "mapped", path, count, size, repetitions)
    except TypeError:  # before 2.1
        pass
    if safetensors:
        path = f"{folder}/python.safetensors"
        save = lambda: safetensors.torch.save_file(net.state_dict(), path)
        measure_save(f"save/{name}/safetensors", size, repetitions, save)
        measure_load(name, "safetensors", "safetensors", path, count, size, repetitions)
        os.remove(path)


if sys.argv[1] == "load":
    kind, path, count, size, cold, calls = sys.argv[2:]
    load(kind, path, int(count), int(size), cold == "cold", int(calls))
else:
    folder, mib, tensors, repetitions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    versions = {"python": sys.version.split()[0], "torch": torch.__version__}
    if safetensors:
        versions["safetensors"] = safetensors.__version__
    print(json.dumps({"versions": versions}))
    compare(folder, "many", tensors, tensors * 1024, repetitions)
    compare(folder, "large", 64, mib << 20, repetitions)
