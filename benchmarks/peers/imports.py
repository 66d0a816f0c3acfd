"""Import time of manifoldflow beside that of torch, geomstats and Pyro alone."""

import os
import resource
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path

from .case import Case, Goal, Score, Setting

__all__ = ["cases"]

ROOT = Path(__file__).parents[2]
ALONE = "torch, geomstats, Pyro alone"


def processor_time(code: str) -> float:
    """Seconds of processor time that a fresh interpreter takes to run a line."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"GEOMSTATS_BACKEND": "pytorch"}
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env=environment, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def medians(codes: dict[str, str], rounds: int) -> dict[str, float]:
    """Interleaved, after one round that warms the file cache and writes the byte code."""
    taken: dict[str, list[float]] = {name: [] for name in codes}
    for counted in range(rounds + 1):
        for name, code in codes.items():
            seconds = processor_time(code)
            if counted:
                taken[name].append(seconds)
    return {name: statistics.median(times) for name, times in taken.items()}


def cases(setting: Setting) -> list[Case | Score]:
    """One row; a quick run imports something light, since it only tries the way."""
    full = {"ours": "import manifoldflow", ALONE: "import torch, geomstats, pyro"}
    return [
        Score(
            "Imports",
            "a fresh interpreter",
            partial(medians, setting.pick(full, {"ours": "import json", ALONE: "import csv"}), setting.pick(7, 1)),
            (ALONE,),
            (Goal(f"ours / {ALONE}", at_most=1.1),),
            "Time",
            seconds=True,
        )
    ]
