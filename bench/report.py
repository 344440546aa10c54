"""report.py PARTS RESULTS README: of what run.sh measured into PARTS, makes RESULTS/results.json, RESULTS/speed.svg and
what stands between README's markers. Prints which targets hold."""

import datetime
import json
import os
import pathlib
import platform
import re
import statistics
import sys

import chart
import tables
import targets

BEGIN, END = "<!-- bench -->\n", "<!-- /bench -->\n"
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


def json_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def summary(seconds, size):
    entry = {"seconds": statistics.median(seconds), "fastest": min(seconds), "repetitions": len(seconds)}
    return {**entry, "bytes": size} if size else entry


def read_benchmarks(parts):
    """What the program measured, by name, and what it says of the machine."""
    runs, context = {}, {}
    for path in sorted(parts.glob("*.json")):
        report = json.loads(path.read_text() or '{"benchmarks": []}')  # empty where nothing is of that name
        context = report.get("context", context)
        for run in report["benchmarks"]:
            if run["run_type"] == "iteration":
                runs.setdefault("/".join(run["name"].split("/")[:3]), []).append(run)
    measured = {}
    for name, repetitions in runs.items():
        seconds = [run["real_time"] * UNITS[run["time_unit"]] for run in repetitions]
        measured[name] = summary(seconds, round(repetitions[0].get("bytes_per_second", 0) * seconds[0]))
    return measured, context


def read_python(path):
    """What Python measured, by name, and its versions."""
    measured, versions = {}, {}
    for line in json_lines(path):
        if "versions" in line:
            versions = line["versions"]
        else:
            measured[line["name"]] = summary(line["seconds"], line["bytes"])
    return measured, versions


def add_pt_peers(measured):
    """What LibTorch and Python write is a .pt: their figures stand beside both formats of ours."""
    for name, entry in list(measured.items()):
        what, _, who = name.split("/")
        if what in ("save", "load") and who in ("libtorch", "python"):
            measured.setdefault(f"pt_{name}", entry)


def describe_machine(parts, context, python):
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    kernel = re.match(r"[\d.]*\d", platform.release())
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": f"{cpu[1] if cpu else platform.machine()} at {context['mhz_per_cpu'] / 1000:.1f} GHz",
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "kernel": f"{platform.system()} {kernel[0] if kernel else ''}".strip(),
        "filesystem": (parts / "filesystem").read_text().strip(),
        "compiler": context["compiler"],
        "flags": context["flags"],
        "libtorch": context["libtorch"],
        "python": python,
        "statistic": "median",
    }


def replace_section(readme, section):
    text = readme.read_text() if readme.exists() else BEGIN + END
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(f"{before}{BEGIN}{section}\n{END}{after}")


parts, results, readme = (pathlib.Path(argument) for argument in sys.argv[1:])
measured, context = read_benchmarks(parts)
of_python, python = read_python(parts / "python.jsonl")
measured.update(of_python)
add_pt_peers(measured)
compile_time = {line.pop("name"): line for line in json_lines(parts / "compile_time.jsonl")}
machine = describe_machine(parts, context, python)
figures = tables.Figures(measured)
judged = targets.judged(figures, compile_time)

report = {"machine": machine, "measured": measured, "compile_time": compile_time, "targets": judged}
(results / "results.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n")
size = tables.size_text(measured["save/large/trainstate"]["bytes"])
title = f"{size} of float32 in 64 tensors, in GiB a second: more is better"
where = f"{machine['cpu']}, {machine['cores']} cores, {machine['filesystem']}"
drawing = results / "speed.svg"
drawing.write_text(chart.draw(measured, title, f"{where}; files in the page cache; {machine['date']}"))
picture = os.path.relpath(drawing, readme.parent)
replace_section(readme, tables.readme_section(figures, machine, compile_time, picture))
for target in judged:
    verdict = "holds " if target["holds"] else "MISSED"
    print(f"{verdict}  {target['target']}: {target['measured']:.3g}, {target['bound']}")
