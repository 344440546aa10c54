"""module_keys.py [PROGRAM]: prints {module: [[key, dtype, shape], ...]} of PyTorch's own modules as JSON. With PROGRAM
(module_keys.cpp), what it prints of LibTorch's must be the same, in the same order."""

import json
import subprocess
import sys

import torch
from torch import nn


class TiedBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight_of_the_embedding = self.embedding.weight
        self.inner = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.BatchNorm1d(3))
        self.again = self.inner
        self.activation = nn.Tanh()
        self.register_buffer("mask", torch.ones(2, 2, dtype=torch.bool))
        self.register_buffer("nothing", None)
        self.register_parameter("no_bias", None)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.scale = nn.Parameter(torch.ones(2, 1, dtype=torch.float64))


def nested():
    return nn.Sequential(
        nn.Linear(2, 3), nn.Dropout(0.1), nn.Sequential(nn.Conv1d(1, 2, 3), nn.Sequential(nn.Linear(3, 2)))
    )


modules = {
    "linear": nn.Linear(3, 4),
    "linear_without_bias": nn.Linear(3, 4, bias=False),
    "bilinear": nn.Bilinear(2, 3, 4),
    "conv2d": nn.Conv2d(4, 8, (3, 5), groups=2),
    "conv_transpose2d": nn.ConvTranspose2d(4, 8, 3, bias=False),
    "batch_norm": nn.BatchNorm2d(4),
    "batch_norm_without_stats": nn.BatchNorm2d(4, track_running_stats=False),
    "batch_norm_stats_only": nn.BatchNorm2d(4, affine=False),
    "instance_norm": nn.InstanceNorm2d(4, affine=True, track_running_stats=True),
    "instance_norm_bare": nn.InstanceNorm2d(4),
    "group_norm": nn.GroupNorm(2, 4),
    "layer_norm": nn.LayerNorm([3, 4]),
    "layer_norm_bare": nn.LayerNorm([3, 4], elementwise_affine=False),
    "prelu": nn.PReLU(),
    "embedding": nn.Embedding(6, 3),
    "embedding_bag": nn.EmbeddingBag(6, 3),
    "rnn": nn.RNN(3, 4),
    "lstm": nn.LSTM(3, 4, num_layers=2, bidirectional=True),
    "lstm_projected": nn.LSTM(3, 4, proj_size=2, bidirectional=True),
    "gru": nn.GRU(3, 4, num_layers=2, bias=False),
    "lstm_cell": nn.LSTMCell(3, 4),
    "attention": nn.MultiheadAttention(8, 2),
    "attention_apart": nn.MultiheadAttention(8, 2, kdim=3, vdim=5, add_bias_kv=True),
    "attention_without_bias": nn.MultiheadAttention(8, 2, bias=False),
    "encoder_layer": nn.TransformerEncoderLayer(8, 2, dim_feedforward=6),
    "decoder_layer": nn.TransformerDecoderLayer(8, 2, dim_feedforward=6),
    "transformer": nn.Transformer(8, 2, 1, 2, dim_feedforward=6),
    "weighted_loss": nn.CrossEntropyLoss(weight=torch.ones(3)),
    "loss": nn.CrossEntropyLoss(),
    "adaptive_softmax": nn.AdaptiveLogSoftmaxWithLoss(16, 10, [4, 7]),
    "relu": nn.ReLU(),
    "sequential": nested(),
    "module_list": nn.ModuleList([nn.Linear(2, 3), nn.ReLU(), nested()]),
    "module_dict": nn.ModuleDict([("b", nn.Linear(2, 3)), ("a", nn.BatchNorm1d(3))]),
    "parameter_list": nn.ParameterList([nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(1, 3))]),
    "tied_block": TiedBlock(),
}
expected = {
    name: [[key, str(t.dtype).replace("torch.", ""), list(t.shape)] for key, t in module.state_dict().items()]
    for name, module in modules.items()
}
if len(sys.argv) < 2:
    print(json.dumps(expected, indent=1))
    sys.exit()

listings = []  # several of one name are the same module in other forms
for line in subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout.splitlines():
    name, *entry = line.split("\t")
    if not entry:
        listings.append((name, []))
    else:
        key, tensor = entry
        dtype, shape = tensor.split("[", 1)
        listings[-1][1].append([key, dtype, json.loads("[" + shape)])

assert {name for name, _ in listings} == set(expected)
failures = [(name, found) for name, found in listings if found != expected[name]]
for name, found in failures:
    print(f"{name}\n  Python   {expected[name]}\n  LibTorch {found}")
print(len(listings), "state dicts,", sum(len(found) for _, found in listings), "tensors")
sys.exit(bool(failures))
