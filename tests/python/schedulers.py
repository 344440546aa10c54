"""schedulers.py PROGRAM: PyTorch's schedulers against ours, run by PROGRAM (schedulers.cpp). The rates of 40 steps must
be the same to the last bit, and so must the state dicts; and each language goes on from the other one's states."""

import json
import subprocess
import sys
import warnings

import torch
from torch.optim import lr_scheduler as S

warnings.simplefilter("ignore")
release = tuple(int(part) for part in torch.__version__.split(".")[:2])


def inverse(epoch):
    return 1.0 / (epoch + 1)


def drop(epoch):
    return 1.0 if epoch < 10 else 0.25


# As in schedulers.cpp: a case, and another scheduler of the same class to load its state into.
cases = {
    "step": lambda o, other: S.StepLR(o, 2, 0.5) if other else S.StepLR(o, 3),
    "multi_step": lambda o, other: S.MultiStepLR(o, [1], 0.5) if other else S.MultiStepLR(o, [5, 2, 17, 17, 30], 0.3),
    "constant": lambda o, other: S.ConstantLR(o, 0.5, 3) if other else S.ConstantLR(o, 0.3, 20),
    "constant_default": lambda o, other: S.ConstantLR(o),
    "linear": lambda o, other: S.LinearLR(o) if other else S.LinearLR(o, 0.1, 0.7, 25),
    "linear_default": lambda o, other: S.LinearLR(o),
    "exponential": lambda o, other: S.ExponentialLR(o, 0.5 if other else 0.93),
    "polynomial": lambda o, other: S.PolynomialLR(o) if other else S.PolynomialLR(o, 33, 0.9),
    "cosine": lambda o, other: S.CosineAnnealingLR(o, 100) if other else S.CosineAnnealingLR(o, 7, 0.001),
    "warm_restarts": lambda o, other: (
        S.CosineAnnealingWarmRestarts(o, 50) if other else S.CosineAnnealingWarmRestarts(o, 4, 2, 0.002)
    ),
    "restarts_by_batch": lambda o, other: S.CosineAnnealingWarmRestarts(o, 3, 2),
    "restarts_by_batch_of_one_length": lambda o, other: S.CosineAnnealingWarmRestarts(o, 4),
    "one_cycle": lambda o, other: (
        S.OneCycleLR(o, 0.7, total_steps=90, max_momentum=0.8)
        if other
        else S.OneCycleLR(o, [0.5, 0.25], total_steps=60)
    ),
    "one_cycle_linear": lambda o, other: (
        S.OneCycleLR(o, 0.7, total_steps=90, anneal_strategy="linear")
        if other
        else S.OneCycleLR(
            o,
            0.3,
            epochs=5,
            steps_per_epoch=9,
            pct_start=0.4,
            anneal_strategy="linear",
            base_momentum=[0.8, 0.7],
            max_momentum=0.9,
            div_factor=10,
            final_div_factor=100,
            three_phase=True,
        )
    ),
    "one_cycle_rates_only": lambda o, other: S.OneCycleLR(
        o, 0.1 if other else 0.5, total_steps=41, cycle_momentum=False
    ),
    "plateau": lambda o, other: (
        S.ReduceLROnPlateau(o)
        if other
        else S.ReduceLROnPlateau(o, "max", 0.6, 2, 0.01, "abs", cooldown=1, min_lr=[0.001, 0.01])
    ),
    "plateau_default": lambda o, other: S.ReduceLROnPlateau(o, patience=3),
    "lambda": lambda o, other: S.LambdaLR(o, [inverse, drop]),
    "sequential": lambda o, other: (
        S.SequentialLR(o, [S.LinearLR(o), S.CosineAnnealingLR(o, 9), S.StepLR(o, 8)], [1, 2])
        if other
        else S.SequentialLR(o, [S.LinearLR(o, 0.1, 1.0, 5), S.CosineAnnealingLR(o, 20, 0.001), S.StepLR(o, 4)], [5, 22])
    ),
    "sequential_restarts": lambda o, other: S.SequentialLR(
        o,
        [
            S.ConstantLR(o, 0.1, 4),
            S.CosineAnnealingWarmRestarts(o, 6),
            S.PolynomialLR(o, 9, 2.0),
            S.ExponentialLR(o, 0.9),
            S.LinearLR(o),
        ],
        [4, 15, 24, 31],
    ),
    "chained": lambda o, other: S.ChainedScheduler(
        [S.ConstantLR(o, 0.5 if other else 0.1, 4), S.ExponentialLR(o, 0.95), S.StepLR(o, 3 if other else 6)]
    ),
    "chained_sequential": lambda o, other: S.ChainedScheduler(
        [S.SequentialLR(o, [S.ConstantLR(o, 0.1, 4), S.ExponentialLR(o, 0.9)], [4]), S.ExponentialLR(o, 0.97)]
    ),
}
optimizers = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.1, momentum=0.9),
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.1),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, lr=0.1, momentum=0.9),
}
runs = [(case, "sgd") for case in cases] + [(case, name) for case in cases if "cycle" in case for name in optimizers]
values = [0.3 + 0.1 * (i % 4) if i < 25 else 0.35 for i in range(40)]
epochs = [0.75 * i for i in range(1, 41)]
middle = 15


def encode(x):
    if isinstance(x, dict):
        return {"d": [[key, encode(value)] for key, value in x.items()]}
    if isinstance(x, (list, tuple)):
        return [encode(item) for item in x]
    return {"f": x.hex()} if isinstance(x, float) else x


def decode(x):
    if isinstance(x, list):
        return [decode(item) for item in x]
    if isinstance(x, dict):
        return float.fromhex(x["f"]) if "f" in x else {key: decode(value) for key, value in x["d"]}
    return x


def today(record):
    """A record as 2.14 would have written it."""
    record = {key: value for key, value in record.items() if key != "verbose"}
    if "_step_count" in record:
        record.setdefault("_is_initial", False)
    if "min_lrs" in record:
        record.setdefault("default_min_lr", None)
    if "_schedulers" in record:
        record["_schedulers"] = [today(part) for part in record["_schedulers"]]
    if "_milestones" in record and release < (2, 14):  # there, the step of a part that takes over is counted, too
        begun = [part for part in record["_schedulers"][1:] if part["last_epoch"] >= 0 and part["_step_count"] > 0]
        for part in begun:
            part["_step_count"] -= 1
    return record


def notes(states):
    """What schedulers keep in the optimizer's groups."""
    keys = ("initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum")
    return [{key: group[key] for key in keys if key in group} for group in states["optimizer"]["param_groups"]]


class Python:
    def __init__(self, case, optimizer, other=False):
        groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 0.025)]
        self.optimizer = optimizers[optimizer](groups)
        self.scheduler = cases[case](self.optimizer, other)
        self.by_metric = "plateau" in case or "by_batch" in case

    def settings(self):
        groups = self.optimizer.param_groups
        return [[g["lr"], g["betas"][0] if "betas" in g else g["momentum"]] for g in groups]

    def steps(self, metrics):
        seen = []
        for metric in metrics:
            self.optimizer.step()
            self.scheduler.step(*[metric] if self.by_metric else [])
            seen.append(self.settings())
        return seen

    def states(self):
        return {"optimizer": self.optimizer.state_dict(), "scheduler": dict(self.scheduler.state_dict())}

    def load(self, states):
        self.optimizer.load_state_dict(states["optimizer"])
        self.scheduler.load_state_dict(states["scheduler"])


def call(requests):
    done = subprocess.run([sys.argv[1]], input=json.dumps(requests), check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


failures = []


def check(case, what, ours, theirs):
    if ours != theirs:
        failures.append(f"{' '.join(case)}: {what}\n  ours   {ours}\n  Python {theirs}")


requests, expected = [], []
for case, optimizer in runs:
    metrics = epochs if "by_batch" in case else values
    python = Python(case, optimizer)
    seen = [python.settings()] + python.steps(metrics[:middle])
    states = python.states()
    seen += python.steps(metrics[middle:])
    expected.append((seen, states, metrics))
    own = {"case": case, "optimizer": optimizer}
    requests.append({**own, "before": encode(metrics[:middle]), "after": encode(metrics[middle:])})
    states = {**states, "scheduler": {k: v for k, v in states["scheduler"].items() if not callable(v)}}
    if "anneal_func" in python.scheduler.__dict__:  # before 2.1 a function, with which no file can be read
        states["scheduler"]["_anneal_func_type"] = "linear" if "linear" in case else "cos"
    requests.append({**own, "load": encode(states), "before": [], "after": encode(metrics[middle:])})

results = call(requests)
for i, ((case, optimizer), (seen, states, metrics)) in enumerate(zip(runs, expected)):
    run, resumed = results[2 * i], results[2 * i + 1]
    name = (case, optimizer)
    if "error" in run or "error" in resumed:
        failures.append(f"{' '.join(name)}: {run.get('error')} / {resumed.get('error')}")
        continue
    check(name, "the rates and momenta", decode(run["settings"]), seen)
    check(name, "go on from Python's state", decode(resumed["settings"]), seen[middle:])
    ours, theirs = decode(run["states"]), today(states["scheduler"])
    if any(callable(value) for value in theirs.values()):
        theirs = {k: v for k, v in theirs.items() if not callable(v)}
        theirs["_anneal_func_type"] = ours["scheduler"]["_anneal_func_type"]
    if case == "plateau_default" and release < (2, 0):
        theirs["default_min_lr"] = 0
    check(name, "the state dict", ours["scheduler"], theirs)
    if release >= (2, 14):
        check(name, "the order of the keys", list(ours["scheduler"]), list(theirs))
    check(name, "what the groups keep for schedulers", notes(ours), notes(states))
    check(name, "get_last_lr", decode(run["last_lr"]), [lr for lr, _ in seen[middle]])
    python = Python(case, optimizer, other=True)
    python.load(ours)
    check(name, "Python goes on from ours", seen[middle:], [python.settings()] + python.steps(metrics[middle:]))

for failure in failures:
    print(failure)
print(f"PyTorch {torch.__version__}: {len(runs)} runs, {len(failures)} failures")
sys.exit(bool(failures))
