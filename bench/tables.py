"""The tables of the README, from figures."""

import textwrap

# Text, the benchmark of this library, its limit, and what peers take for the same.
LARGE = (
    ("save, not synced", "save/large", "save/large/limit", "save/large"),
    ("save, synced (the default)", "save_sync/large", "save_sync/large/limit", None),
    ("load, verified (the default)", "load/large", "load/large/limit", "load/large"),
    ("load, not verified", "load_unverified/large", "load_unverified/large/limit", "load/large"),
    ("load once more, verified", "load_again/large", "load_again/large/limit", "load_again/large"),
    ("load from the disk (cold), verified", "load_cold/large", "load_cold/large/limit", "load_cold/large"),
    ("`.pt`: save, not synced", "pt_save/large", "save/large/limit", "pt_save/large"),
    ("`.pt`: load, verified", "pt_load/large", "load/large/limit", "pt_load/large"),
    ("`.pt` of Python's: load, verified", "pt_load_of_python/large", None, "pt_load/large"),
    ("in the background: training stands still for", "async/large", "async/large/limit", None),
    ("the same, with 57 of the 64 tensors unchanged", "async_frozen/large", "async/large/limit", None),
)
MANY = (
    ("save, not synced", "save/many", None, "save/many"),
    ("load, verified", "load/many", None, "load/many"),
    ("`.pt`: save, not synced", "pt_save/many", None, "pt_save/many"),
    ("`.pt`: load, verified", "pt_load/many", None, "pt_load/many"),
)
PEERS = (("libtorch", "LibTorch"), ("python", "Python"), ("safetensors", "safetensors"))
COMPONENT = (
    ("trainstate", "**trainstate**: names, roles, version, checksums"),
    ("trainstate_pt", "**trainstate**, as `.pt`"),
    ("libtorch", "LibTorch's archives: names"),
    ("cereal_json", "cereal, JSON: names"),
    ("nlohmann_json", "nlohmann-json: names"),
    ("boost_binary", "Boost.Serialization, binary: order"),
    ("cereal_binary", "cereal, binary: order"),
)


class Figures:
    """Medians by name; None for what was not measured, which stays out of the tables."""

    def __init__(self, measured):
        self.measured = measured

    def seconds(self, name):
        return self.measured[name]["seconds"] if name in self.measured else None

    def ratio(self, name, to):
        a, b = self.seconds(name), self.seconds(to)
        return a / b if a and b else None


def number(value):
    """Three digits, two where the first is a fraction."""
    return f"{value:,.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def percent(share, sign=""):
    return f"{share * 100:{sign}.0f} %"


def size_text(size):
    return f"{size >> 30} GiB" if size >= 2**30 else f"{size >> 20} MiB"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def file_table(figures, title, rows):
    """Milliseconds: ours; the machine's limit and the share that we reach; each peer's, and how much faster we are."""
    rows = [row for row in rows if figures.seconds(f"{row[1]}/trainstate")]
    limited = any(limit for _, _, limit, _ in rows)
    peers = [(who, text) for who, text in PEERS if any(figures.seconds(f"{row[3]}/{who}") for row in rows)]
    head = [title, "trainstate"] + ["limit", "reached"] * limited
    for _, text in peers:
        head += [text, "×"]

    def cells(name, ratio, form):
        return [number(figures.seconds(name) * 1e3), form(ratio)] if ratio else ["", ""]

    lines = []
    for text, name, limit, peer in rows:
        own = f"{name}/trainstate"
        line = [text, f"**{number(figures.seconds(own) * 1e3)}**"]
        if limited:
            line += cells(limit, figures.ratio(limit, own), percent)
        for who, _ in peers:
            line += cells(f"{peer}/{who}", figures.ratio(f"{peer}/{who}", own), lambda ratio: f"{ratio:.1f}")
        lines.append(line)
    return table(head, lines)


def component_table(figures):
    rows = []
    for who, text in COMPONENT:
        names = [f"component{part}/five_fields/{who}" for part in ("_to_bytes", "_from_bytes", "")]
        if figures.seconds(names[2]):
            rows.append([text] + [number(figures.seconds(name) * 1e6) for name in names])
    return table(["five numbers, in microseconds", "to bytes", "from bytes", "and back"], rows)


def remarks(figures, compile_time):
    """What fits no table, a sentence each."""

    def ms(name):
        return number(figures.seconds(f"{name}/trainstate") * 1e3) + " ms"

    hooks = figures.seconds("migrate/ten_hooks/trainstate") - figures.seconds("migrate/no_hook/trainstate")
    large = size_text(figures.measured["save/large/trainstate"]["bytes"])
    yield (
        f"`ts::read` of 1,000 tensors, mapped: {ms('read/thousand_small')} for 1 MiB in all, "
        f"{ms('read/thousand_large')} for {large}."
    )
    yield (
        f"A model of 1,000 parameters and its AdamW: `state_dict` {ms('state_dict/thousand')}, `load_state_dict` "
        f"{ms('load_state_dict/thousand')}. Ten migration hooks: {number(hooks * 1e6)} µs."
    )

    def seconds(name):
        return compile_time[name]["user_seconds"]

    text = (
        f"Compiling `component.hpp` takes {seconds('component.hpp'):.2f} s, with a component of 10 fields "
        f"{seconds('declare_10'):.2f} s, of 100 {seconds('declare_100'):.2f} s"
    )
    if "torch.h" in compile_time:
        more = seconds("trainstate.hpp") / seconds("torch.h") - 1
        text += f"; `trainstate.hpp` beside `torch/torch.h` ({seconds('torch.h'):.1f} s) {percent(more, '+')}, "
        text += f"and with both in a precompiled header {seconds('precompiled'):.1f} s"
    yield text + "."


def caption(machine, repetitions):
    python = f", Python's torch {machine['python']['torch']}" if machine["python"] else ""
    if "safetensors" in machine["python"]:
        python += f" and safetensors {machine['python']['safetensors']}"
    return (
        f"Milliseconds; median of {' to '.join(str(n) for n in sorted(repetitions))} runs; files in the page cache and "
        f"memory warm unless cold is said. {machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
        f"{machine['kernel']}, {machine['filesystem']}; {machine['compiler']} `{machine['flags']}`, LibTorch "
        f"{machine['libtorch']}{python}; {machine['date']}, `bench/run.sh`."
    )


LIMITS = (
    "The limit is what the machine did with the same bytes in the same run, on all cores: `pwrite` into a reserved "
    "file that then replaces the old one (and `fsync`, where synced); XXH3 of the whole file, then `pread` into the "
    "live memory (only the latter for a load that is cold or not verified); `memcpy` for what goes on behind. None of "
    "the others verifies anything. × is how many times faster trainstate is. All took turns, in processes of their own: "
    "loads in one for each, as programs that resume load once; `once more` means by a process that has loaded before, "
    "where LibTorch and Python find the memory again that they have freed."
)


def paragraph(*sentences):
    return textwrap.fill(" ".join(sentences), 120, break_long_words=False, break_on_hyphens=False)


def readme_section(figures, machine, compile_time, chart):
    large = size_text(figures.measured["save/large/trainstate"]["bytes"])
    many = figures.measured["save/many/trainstate"]["bytes"] // 1024
    repetitions = [entry["repetitions"] for entry in figures.measured.values() if "bytes" in entry]
    return "\n".join(
        [
            f"![How fast {large} goes to a file and back]({chart})",
            "",
            *file_table(figures, f"{large} of float32 in 64 tensors", LARGE),
            "",
            *file_table(figures, f"{many:,} tensors of 1 KiB", MANY),
            "",
            *component_table(figures),
            "",
            paragraph(LIMITS),
            "",
            paragraph(*remarks(figures, compile_time)),
            "",
            paragraph(caption(machine, {min(repetitions), max(repetitions)})),
        ]
    )
