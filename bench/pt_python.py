"""pt_python.py FILE REPETITIONS: Python's own loader on a .pt file, into the live parameters of a model.
pt_python.py FILE write MIB: writes such a file."""

import statistics
import sys
import time

import torch


def model_of(layers):
    return torch.nn.Sequential(*(torch.nn.Linear(2048, 2048, bias=False) for _ in range(layers)))


path = sys.argv[1]
if sys.argv[2] == "write":
    torch.save(model_of(int(sys.argv[3]) // 16).state_dict(), path)
    sys.exit()
repetitions = int(sys.argv[2])
model = model_of(len(torch.load(path)))
size = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())


def median_of(load):
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        model.load_state_dict(load())
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def show(name, load):
    seconds = median_of(load)
    print(f"{name:<42}{seconds * 1000:10.0f} ms {size / seconds / 2**30:8.2f} GiB/s")


print(f"Python, torch {torch.__version__}, median of {repetitions}:")
show("torch.load, load_state_dict", lambda: torch.load(path))
try:
    torch.load(path, mmap=True)
    show("torch.load(mmap=True), load_state_dict", lambda: torch.load(path, mmap=True))
except TypeError:  # before 2.1
    pass
