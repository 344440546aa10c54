"""Exported modules in Python: torch.jit.load gives the same names, and outputs within 1e-6."""

import glob
import os
import subprocess
import sys
import tempfile
import warnings

import torch


def tensors_of(value):
    return [value] if isinstance(value, torch.Tensor) else [t for element in value for t in tensors_of(element)]


def check(path):
    expected = torch.load(path.replace(".pt", ".expected.pt"))
    module = torch.jit.load(path)
    state = module.state_dict()
    assert set(state) == set(expected["state"]), (path, set(state) ^ set(expected["state"]))
    for name, tensor in state.items():
        assert torch.equal(tensor, expected["state"][name]), (path, name)
    assert {name for name, _ in module.named_parameters()} == set(expected["parameters"]), path
    module.train()
    module.eval()
    for case in expected["cases"]:
        with torch.no_grad():
            outputs = tensors_of(module(case["input"]))
        assert len(outputs) == len(case["outputs"]), path
        for output, wanted in zip(outputs, case["outputs"]):
            torch.testing.assert_close(output, wanted, rtol=1e-6, atol=1e-6)
    print(os.path.basename(path), len(state), "tensors,", len(expected["cases"]), "batches: as in C++")


def main():
    for category in (DeprecationWarning, FutureWarning):  # newer versions call torch.jit.load old
        warnings.filterwarnings("ignore", category=category)
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["--source-file=*/tests/export/torchscript.test.cpp", "--test-case=four networks*"]
        subprocess.run([sys.argv[1], *arguments], check=True, env={**os.environ, "TRAINSTATE_EXPORT_FOLDER": folder})
        files = [path for path in sorted(glob.glob(folder + "/*.pt")) if not path.endswith(".expected.pt")]
        assert len(files) == 4, files
        for path in files:
            check(path)


main()
