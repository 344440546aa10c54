"""What the project promises itself, each with what was measured. The figures count at full size, on two quiet cores."""

# (text, benchmark, benchmark that it is divided by, bound)
AT_LEAST = (
    ("save: torch::save's time by ours", "save/large/libtorch", "save/large/trainstate", 6),
    ("save: share of the limit", "save/large/limit", "save/large/trainstate", 0.9),
    ("load, verified: torch::load's time by ours", "load/large/libtorch", "load/large/trainstate", 6),
    ("load, verified: share of the limit", "load/large/limit", "load/large/trainstate", 0.9),
    ("load: share of the limit", "load_unverified/large/limit", "load_unverified/large/trainstate", 0.9),
    ("many tensors, save: torch::save's time by ours", "save/many/libtorch", "save/many/trainstate", 30),
    ("many tensors, load: torch::load's time by ours", "load/many/libtorch", "load/many/trainstate", 30),
    ("many tensors, save: Python's time by ours", "save/many/python", "save/many/trainstate", 3),
    ("many tensors, load: Python's time by ours", "load/many/python", "load/many/trainstate", 3),
    (".pt save: torch::save's time by ours", "pt_save/large/libtorch", "pt_save/large/trainstate", 3),
    (".pt load: torch::load's time by ours", "pt_load/large/libtorch", "pt_load/large/trainstate", 4),
    (".pt save: Python's time by ours", "pt_save/large/python", "pt_save/large/trainstate", 3),
    (".pt load: Python's time by ours", "pt_load/large/python", "pt_load/large/trainstate", 4),
    ("component: LibTorch's time by ours", "component/five_fields/libtorch", "component/five_fields/trainstate", 20),
    ("component: cereal JSON's by ours", "component/five_fields/cereal_json", "component/five_fields/trainstate", 1),
)
AT_MOST = (
    ("save, synced: by the limit", "save_sync/large/trainstate", "save_sync/large/limit", 1.15),
    ("async stall: by memcpy", "async/large/trainstate", "async/large/limit", 1.2),
    ("async stall, 90 % unchanged: by memcpy", "async_frozen/large/trainstate", "async/large/limit", 0.2),
)
# (text, benchmark, milliseconds)
MILLISECONDS = (
    ("read of 1,000 small tensors, ms", "read/thousand_small/trainstate", 2),
    ("read of 1,000 large tensors, ms", "read/thousand_large/trainstate", 2),
)


def target(text, value, bound, least=False):
    holds = value >= bound if least else value <= bound
    return {"target": text, "measured": value, "bound": f"at {'least' if least else 'most'} {bound}", "holds": holds}


def judged(figures, compile_time):
    """Those whose peers were there to be measured."""
    found = []
    for bounds, least in ((AT_LEAST, True), (AT_MOST, False)):
        for text, above, below, bound in bounds:
            ratio = figures.ratio(above, below)
            if ratio:
                found.append(target(text, ratio, bound, least))
    for text, name, bound in MILLISECONDS:
        found.append(target(text, figures.seconds(name) * 1e3, bound))
    seconds = {name: entry["user_seconds"] for name, entry in compile_time.items()}
    found.append(target("component.hpp alone, s", seconds["component.hpp"], 1))
    if "torch.h" in seconds:
        found.append(target("trainstate.hpp: by torch/torch.h", seconds["trainstate.hpp"] / seconds["torch.h"], 1.25))
    return found
