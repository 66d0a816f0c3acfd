"""One test a comparison; `case.py` says how it is measured."""

from typing import Any

from benchmarks.peers.case import FLOOR, Case, Score, Setting, measure
from benchmarks.peers.case import score as record
from benchmarks.peers.memory import fresh


def test_case(case: Case, benchmark: Any, setting: Setting) -> None:
    """Time, then peak memory in processes of their own."""
    row = measure(case, benchmark, setting)
    if case.memory and setting.memory:
        for label in ("ours", *row.peers, *([FLOOR] if case.floor else [])):
            if label in case.times:  # a part of the work says nothing on memory
                continue
            found = fresh(case, label, setting)
            if isinstance(found, float):
                row.memory[label] = found
            elif label == "ours":
                raise AssertionError(found)
            else:
                row.gaps[f"{label}, memory"] = found
        benchmark.extra_info["row"] |= {"memory": row.memory, "gaps": row.gaps}


def test_score(score: Score, benchmark: Any) -> None:
    """Figures that are measured once."""
    record(score, benchmark)
