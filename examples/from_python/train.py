"""train.py DATA FILE [--resume]: trains a small network on handwritten digits, as PyTorch's tutorials do.

Nothing here knows trainstate. With --resume it goes on from FILE, whoever wrote that.
"""

import math
import sys

import torch
from torch import nn


class WarmupCosine:
    """A scheduler of one's own, with a versioned state dict. from_python/main.cpp has the same one."""

    def __init__(self, optimizer, base_lr, warmup_steps, total_steps):
        self.optimizer = optimizer
        self.base_lr, self.warmup_steps, self.total_steps = base_lr, warmup_steps, total_steps
        self.step_num = 0

    def step(self):
        self.step_num += 1
        if self.step_num <= self.warmup_steps:
            lr = self.base_lr * self.step_num / self.warmup_steps
        else:
            done = min(1.0, (self.step_num - self.warmup_steps) / (self.total_steps - self.warmup_steps))
            lr = self.base_lr * 0.5 * (1.0 + math.cos(math.pi * done))
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def state_dict(self):
        return {
            "version": 1,
            "params": {
                "base_lr": self.base_lr,
                "warmup_steps": self.warmup_steps,
                "total_steps": self.total_steps,
            },
            "state": {"step_num": self.step_num},
        }

    def load_state_dict(self, state_dict):
        assert state_dict["version"] == 1
        for key, value in {**state_dict["params"], **state_dict["state"]}.items():
            setattr(self, key, value)


def read_digits(path):
    rows = [[float(x) for x in line.split(",")] for line in open(path) if line[0].isdigit()]
    table = torch.tensor(rows)
    return table[:, :64] / 16, table[:, 64].long()


data, path, resume = sys.argv[1], sys.argv[2], "--resume" in sys.argv
images, labels = read_digits(data)

torch.manual_seed(1)
model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.01)
scheduler = WarmupCosine(optimizer, base_lr=0.02, warmup_steps=10, total_steps=150)
epoch = 0

if resume:
    checkpoint = torch.load(path)
    model.load_state_dict(checkpoint["model_state_dict"])
    optimizer.load_state_dict(checkpoint["optimizer_state_dict"])
    scheduler.load_state_dict(checkpoint["scheduler_state_dict"])
    epoch = checkpoint["epoch"]
    with torch.no_grad():
        loss = nn.functional.cross_entropy(model(images), labels).item()
    print(f"Python goes on from epoch {epoch}, loss {loss:.6f}, saved with {checkpoint['loss']:.6f}")
    assert abs(loss - checkpoint["loss"]) < 1e-5
    assert scheduler.step_num == epoch

for epoch in range(epoch + 1, epoch + 51):
    scheduler.step()
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()

with torch.no_grad():
    scores = model(images)
    loss = nn.functional.cross_entropy(scores, labels).item()
    accuracy = (scores.argmax(1) == labels).float().mean().item()
print(f"Python, epoch {epoch}: loss {loss:.6f}, accuracy {accuracy:.3f}")

torch.save(
    {
        "epoch": epoch,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": scheduler.state_dict(),
        "loss": loss,
    },
    path,
)
