"""The run before: what a page's figures were when it was last written, and which of them fell since."""

import math
from pathlib import Path
from typing import Any

from manifoldflow.files import read_json

__all__ = ["fallen", "figures_of", "keep", "kept"]

Record = dict[str, Any]
FELL = 0.8
"""A speed below this share of the last one is named."""


def keep(found: Record) -> Record:
    """Of a run's measurements what the next run needs."""
    rows = [entry["extra_info"]["row"] for entry in found["benchmarks"]]
    fields = ("ours", "peers", "floor", "seconds")
    return {
        "date": found["datetime"][:10],
        "machine": found["machine_info"].get("cpu", {}).get("brand_raw") or found["machine_info"]["machine"],
        "rows": {title(row): {field: row[field] for field in fields} for row in rows},
    }


def figures_of(page: Path) -> Path:
    """Where the figures of a page are kept."""
    return page.with_name(f"{page.stem}_figures.json")


def kept(page: Path) -> Record | None:
    """What `keep` gave when this page was written; None if there is no such file."""
    path = figures_of(page)
    return read_json(path) if path.exists() else None


def title(row: Record) -> str:
    """Of a row, wherever its table stands."""
    return f"{row['room']}: {row['table']}: {row['name']}"


def speed_since(before: Record, now: Record, same_machine: bool) -> float | None:
    """Our speed over that of the run before; beside the floor and the peers of both runs where there are any.

    Ratios within a run do not depend on the machine's load; times do, and are compared only where there is nothing else
    and the machine is the same. None where nothing can be said.
    """
    if not (before["seconds"] and now["seconds"] and before["ours"] and now["ours"]):
        return None
    beside = [(before["floor"], now["floor"])] if before["floor"] and now["floor"] else []
    beside += [(before["peers"][name], now["peers"][name]) for name in before["peers"] if name in now["peers"]]
    change = before["ours"] / now["ours"]
    if beside:
        change *= math.exp(sum(math.log(after / then) for then, after in beside) / len(beside))
    return change if beside or same_machine else None


def fallen(before: Record, now: Record) -> list[tuple[str, float]]:
    """Rows whose speed fell by more than a fifth, the slowest first, with their speed over the last one."""
    same = before["machine"] == now["machine"]
    found = []
    for name, row in now["rows"].items():
        change = speed_since(before["rows"][name], row, same) if name in before["rows"] else None
        if change is not None and change < FELL:
            found.append((name, change))
    return sorted(found, key=lambda pair: pair[1])
