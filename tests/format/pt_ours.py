#!/usr/bin/env python3
"""pt_ours.py CORPUS REWRITTEN: torch.load must find in our files what it found in its own.

CORPUS is a folder of pt_corpus.py's, REWRITTEN one of the same files read and written again by this library. Where
PyTorch can, they are loaded with weights_only=True (that of 1.13 knows no floats, not even in its own files).
"""

import ctypes
import json
import struct
import sys
from pathlib import Path

import torch

corpus, rewritten = Path(sys.argv[1]), Path(sys.argv[2])
OPTIONS = {} if torch.__version__.startswith("1.") else {"weights_only": True}


def canonical(value, ties):
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return {"i": str(value)}
    if isinstance(value, float):
        return {"f": struct.pack(">d", value).hex()}
    if isinstance(value, str):
        return {"s": value}
    if isinstance(value, dict):
        return {"d": [[canonical(key, ties), canonical(item, ties)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"l": [canonical(item, ties) for item in value]}
    assert isinstance(value, torch.Tensor), type(value)
    assert value.is_contiguous()
    data = ctypes.string_at(value.data_ptr(), value.numel() * value.element_size()) if value.numel() else b""
    tie = ties.setdefault((value.data_ptr(), value.shape, value.dtype), len(ties)) if value.numel() else None
    return {"t": {"dtype": str(value.dtype)[6:], "shape": list(value.shape), "data": data.hex(), "tie": tie}}


def without(value, *keys):
    """Canonical JSON without these facts of its tensors."""
    if isinstance(value, list):
        return [without(item, *keys) for item in value]
    if not isinstance(value, dict):
        return value
    if "t" in value:
        return {"t": {key: fact for key, fact in value["t"].items() if key not in keys}}
    return {key: without(item, *keys) for key, item in value.items()}


def ties_of(value, found):
    """The tensors that show the same elements as one before them: their numbers in the tree, and of the first one."""
    if isinstance(value, list):
        for item in value:
            ties_of(item, found)
    elif isinstance(value, dict) and "t" in value:
        found.append(value["t"]["tie"])
    elif isinstance(value, dict):
        for item in value.values():
            ties_of(item, found)
    return [found.index(tie) if tie is not None else i for i, tie in enumerate(found)]


files = sorted(rewritten.glob("*.pt"))
assert len(files) >= 60, len(files)
for file in files:
    expected = json.loads((corpus / (file.stem + ".json")).read_text())
    loaded = torch.load(str(file), map_location="cpu", **OPTIONS)
    root = loaded if isinstance(loaded, dict) else {"": loaded}
    found = canonical(root, {})
    assert without(found, "tie") == without(expected, "tie", "device"), file.name
    assert ties_of(found, []) == ties_of(expected, []), file.name
print(f"torch {torch.__version__}: {len(files)} files of ours hold what Python's own held")
