"""The page: measurements of pytest-benchmark as Markdown, each figure beside its peers, floor and goal."""

import json
import math
from pathlib import Path
from typing import Any

from manifoldflow.files import write_json, write_text

from .last import fallen, figures_of, keep, kept

__all__ = ["page", "write_page"]

Record = dict[str, Any]

INTRODUCTION = """# Benchmarks

Written by `{command}`; nothing here is typed by hand. {device}, {cores} cores, Python {python}; {versions}.
{date}; {minutes:.0f} minutes.

Ours, the peers and the floor take turns call by call in one process on one torch thread; times are medians {clock},
and only ratios are worth quoting. A ratio "peer / ours" is that of the fastest peer. Peak memory (MiB) is {memory}.
A gap names its reason.
"""
CLOCKS = {True: "of processor time", False: "of wall time with the device synchronised"}
MEMORY = {
    True: "what one call adds at its highest to the resident memory of a process of its own (VmHWM, counted from "
    "what it held with its inputs in place)",
    False: "torch's peak of allocated device memory during one call, beyond its inputs",
}


def write_page(measurements: Path, out: Path) -> list[tuple[str, float]]:
    """Write the page from pytest-benchmark's JSON, and beside it as JSON what the next run is compared with.

    Returns:
        The rows whose speed fell since the page was last written, as `fallen` has them.
    """
    found, before = json.loads(measurements.read_text(encoding="utf-8")), kept(out)
    now = keep(found)
    slower = None if before is None else fallen(before, now)
    since = "" if before is None else since_then(before["date"], slower or [], len(now["rows"].keys() & before["rows"]))
    write_text(out, page(found, since))
    write_json(figures_of(out), now)
    return slower or []


def since_then(date: str, slower: list[tuple[str, float]], rows: int) -> str:
    """What fell since the run before, in Markdown."""
    start = f"## Since the run of {date}\n\nOf {rows} rows that are in both runs, "
    if not slower:
        return f"{start}none is slower by more than a fifth beside its floor and peers.\n"
    lines = "\n".join(f"- {name}: {change:.0%} of the speed then" for name, change in slower)
    return f"{start}{len(slower)} fell by more than a fifth beside their floor and peers:\n\n{lines}\n"


def page(found: Record, since: str = "") -> str:
    """The page as Markdown; `since` is what changed since the run before."""
    machine, rows = found["machine_info"], [entry["extra_info"]["row"] for entry in found["benchmarks"]]
    cpu = machine["device"] == "cpu"
    parts = [
        INTRODUCTION.format(
            command=found["command"],
            device=machine.get("cpu", {}).get("brand_raw") or machine["machine"] if cpu else machine["device"],
            cores=machine["cores"],
            python=machine["python_version"],
            versions=", ".join(f"{name} {number or 'not installed'}" for name, number in machine["versions"].items()),
            date=found["datetime"][:10],
            minutes=found["seconds"] / 60,
            clock=CLOCKS[cpu],
            memory=MEMORY[cpu],
        )
    ]
    absent = [name for name, number in machine["versions"].items() if number is None]
    if absent:
        parts.append(f"Not installed, so that all that needs them is missing: {', '.join(absent)}.\n")
    parts += [overview(rows), *([since] if since else [])]
    for room in dict.fromkeys(row["room"] for row in rows):
        parts.append(f"## {room}\n")
        here = [row for row in rows if row["room"] == room]
        for title in dict.fromkeys(row["table"] for row in here):
            parts.append(f"### {title}\n\n" + table([row for row in here if row["table"] == title]))
    return "\n".join(parts)


def overview(rows: list[Record]) -> str:
    """How many goals are met, and every one that is not."""
    judged = [(row, goal, *judge(row, goal)) for row in rows for goal in row["goals"]]
    missed = [entry for entry in judged if entry[3] is False]
    open_ones = [entry for entry in judged if entry[3] is None]
    met = len(judged) - len(missed) - len(open_ones)
    lines = [f"## Goals\n\n{met} of {len(judged)} goals are met in this run.", ""]
    for title, entries in (("Missed", missed), ("Without a figure", open_ones)):
        if entries:
            lines += [f"{title}:", ""]
            for row, goal, value, _ in entries:
                came = "no figure" if value is None else number(value)
                lines.append(f"- {row['room']}, {row['name']}: {bound(goal)}, came {came}")
            lines.append("")
    return "\n".join(lines)


def quantities(row: Record) -> dict[str, float]:
    """What a goal may speak of."""
    ours, peers, floor = row["ours"], row["peers"], row["floor"]
    found = {"ours": ours}
    if floor is not None:
        found["ours / floor"] = ours / floor
    if peers and ours:
        found["peer / ours"] = min(peers.values()) / ours
    for name, value in peers.items():
        found |= {f"{name} / ours": value / ours} if ours else {}
        found |= {f"ours / {name}": ours / value} if value else {}
    return found


def judge(row: Record, goal: Record) -> tuple[float | None, bool | None]:
    """The value that a goal speaks of, and whether it is met; None where there is no such figure."""
    value = quantities(row).get(goal["quantity"])
    if value is None:
        return None, None
    low = -math.inf if goal["at_least"] is None else goal["at_least"]
    high = math.inf if goal["at_most"] is None else goal["at_most"]
    return value, low <= value <= high


def bound(goal: Record) -> str:
    """A goal in words."""
    bounds = [f"≥ {number(goal['at_least'])}"] if goal["at_least"] is not None else []
    bounds += [f"≤ {number(goal['at_most'])}"] if goal["at_most"] is not None else []
    return f"{goal['quantity']} {' and '.join(bounds)}"


def table(rows: list[Record]) -> str:
    """Rows of one kind; columns that would be empty are left out."""
    columns = {
        "": [row["name"] for row in rows],
        "ours": [figure(row, row["ours"]) for row in rows],
        "peers": ["; ".join(others(row)) for row in rows],
        "floor": ["" if row["floor"] is None else figure(row, row["floor"]) for row in rows],
        "peer / ours": [ratio(row, "peer / ours") if row["seconds"] else "" for row in rows],
        "ours / floor": [ratio(row, "ours / floor") for row in rows],
        "goal": ["; ".join(verdict(row, goal) for goal in row["goals"]) for row in rows],
        "peak memory, MiB": ["; ".join(f"{name} {value:.0f}" for name, value in row["memory"].items()) for row in rows],
    }
    kept = {title: cells for title, cells in columns.items() if not title or any(cells)}
    lines = ["| " + " | ".join(kept) + " |", "|" + "---|" * len(kept)]
    lines += ["| " + " | ".join(cells) + " |" for cells in zip(*kept.values())]
    floors = dict.fromkeys(row["floor_name"] for row in rows if row["floor"] is not None)
    if floors:
        lines += ["", f"Floor: {'; '.join(floors)}."]
    return "\n".join(lines) + "\n"


def others(row: Record) -> list[str]:
    """The peers' figures, and the reasons for those that are missing."""
    figures = [f"{name} {figure(row, value)}" for name, value in row["peers"].items()]
    return figures + [f"{name}: {why}" for name, why in row["gaps"].items()]


def figure(row: Record, value: float) -> str:
    """A time with its unit, or a plain number."""
    if not row["seconds"]:
        return number(value)
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{number(value / size)} {unit}"
    return f"{number(value / 1e-6)} µs"


def number(value: float) -> str:
    """Three digits; powers of ten only for what is very small or large."""
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{value:.1e}"


def ratio(row: Record, quantity: str) -> str:
    """A ratio, if there is one."""
    value = quantities(row).get(quantity)
    return "" if value is None else number(value)


def verdict(row: Record, goal: Record) -> str:
    """A goal and whether it is met."""
    value, met = judge(row, goal)
    if met is None:
        return f"{bound(goal)}: no figure"
    shown = "" if goal["quantity"] in ("ours", "peer / ours", "ours / floor") else f" ({number(value or 0.0)})"
    return f"{bound(goal)}: {'met' if met else 'missed'}{shown}"
