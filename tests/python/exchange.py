"""exchange.py PROGRAM: training goes on in the other language as it would have gone on in its own.

PROGRAM is exchange.cpp. For every optimizer: ten steps here, ten more there and here; then the other way round.
"""

import copy
import os
import subprocess
import sys
import tempfile

import torch

TORCH_1 = torch.__version__.startswith("1.")
# The weights-only loader of 1.13 knows no floats, not even those of its own files.
STRICT = {} if TORCH_1 else {"weights_only": True}


def numbers(seed, shape):
    count = 1
    for d in shape:
        count *= d
    integers = torch.arange(count, dtype=torch.int64) * 37 + seed * 11
    return ((integers % 101).to(torch.float64) / 101 - 0.5).to(torch.float32).reshape(shape)


def make_optimizer(name, net):
    if name == "lbfgs":
        return torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=4, history_size=3)
    groups = [
        {"params": list(net[2].parameters()), "lr": 0.02, "weight_decay": 0.01},
        {"params": list(net[0].parameters())},
    ]
    kinds = {
        "sgd": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
        "adam": (torch.optim.Adam, {"amsgrad": True, "betas": (0.8, 0.95)}),
        "adamw": (torch.optim.AdamW, {}),
        "rmsprop": (torch.optim.RMSprop, {"centered": True, "momentum": 0.5}),
        "adagrad": (torch.optim.Adagrad, {"lr_decay": 0.1}),
    }
    kind, options = kinds[name]
    return kind(groups, lr=0.05, **options)


class Training:
    def __init__(self, name):
        self.net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
        with torch.no_grad():
            for seed, parameter in enumerate(self.net.parameters()):
                parameter.copy_(numbers(seed, parameter.shape))
        self.optimizer = make_optimizer(name, self.net)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 3, 0.5)
        self.step = 0

    def train(self, steps):
        for _ in range(steps):
            x, y = numbers(self.step, (5, 6)), numbers(self.step + 50, (5, 3))

            def closure():
                self.optimizer.zero_grad()
                loss = torch.nn.functional.mse_loss(self.net(x), y)
                loss.backward()
                return loss

            self.optimizer.step(closure)
            self.scheduler.step()
            self.step += 1

    def save(self, path):
        torch.save(self.tree(), path)

    def tree(self):
        return {
            "model": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "step": self.step,
        }

    def load(self, path):
        tree = torch.load(path, **STRICT)
        self.net.load_state_dict(tree["model"])
        self.optimizer.load_state_dict(tree["optimizer"])
        self.scheduler.load_state_dict(tree["scheduler"])
        self.step = tree["step"]
        return tree


def distance(ours, theirs):
    assert list(ours["model"]) == list(theirs["model"]), (list(ours["model"]), list(theirs["model"]))
    assert ours["step"] == theirs["step"]
    rates = [[group["lr"] for group in tree["optimizer"]["param_groups"]] for tree in (ours, theirs)]
    assert rates[0] == rates[1], rates
    return max((ours["model"][key] - theirs["model"][key]).abs().max().item() for key in ours["model"])


def check(what, name, ours, theirs):
    allowed = 0.0 if TORCH_1 or name in ("sgd", "adagrad") else 1e-6
    found = distance(ours, theirs)
    print(f"{name}: {what}: largest difference {found:g}")
    assert found <= allowed, (name, what, found)


def same_layout(name, ours, theirs):
    """Ours has every key that this Python writes; what a newer Python added may stand beside them."""
    for part in ("optimizer", "scheduler"):
        missing = theirs[part].keys() - ours[part].keys() - {"verbose"}
        assert not missing, (name, part, missing)
    for mine, other in zip(ours["optimizer"]["param_groups"], theirs["optimizer"]["param_groups"]):
        assert not other.keys() - mine.keys(), (name, other.keys() - mine.keys())
        assert isinstance(mine.get("betas", ()), tuple)
    for key, state in theirs["optimizer"]["state"].items():
        mine = ours["optimizer"]["state"][key]
        assert state.keys() == mine.keys(), (name, key, state.keys(), mine.keys())


program = sys.argv[1]
with tempfile.TemporaryDirectory() as folder:
    path = lambda file: os.path.join(folder, file)
    for name in ("sgd", "adam", "adamw", "rmsprop", "adagrad", "lbfgs"):
        run = lambda *arguments: subprocess.run([program, name, *arguments], check=True, stdout=subprocess.DEVNULL)

        here = Training(name)
        here.train(10)
        here.save(path("middle.pt"))
        own = copy.deepcopy(here.tree())
        here.train(10)
        run("go", path("middle.pt"), path("there.pt"))
        check("from Python to C++", name, torch.load(path("there.pt"), **STRICT), here.tree())

        run("make", path("middle.pt"), path("end.pt"))
        again = Training(name)
        ours = again.load(path("middle.pt"))
        check("after ten steps in each", name, ours, own)
        same_layout(name, ours, own)
        again.train(10)
        check("from C++ to Python", name, torch.load(path("end.pt"), **STRICT), again.tree())

    # A lone module is a plain state dict, which the weights-only loader of every version takes.
    net = Training("sgd").net
    with torch.no_grad():
        net[0].weight.mul_(3)
    torch.save(net.state_dict(), path("model.pt"))
    subprocess.run([program, "sgd", "model", path("model.pt"), path("ours.pt")], check=True)
    ours = torch.load(path("ours.pt"), weights_only=True)
    again = Training("sgd").net
    again.load_state_dict(ours)
    assert list(ours) == list(net.state_dict())
    assert all(torch.equal(ours[key], value) for key, value in net.state_dict().items())
