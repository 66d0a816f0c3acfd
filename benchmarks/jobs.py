"""Peak memory and speed of a solving job, each size in a process of its own.

    python benchmarks/jobs.py [--rows 2000 8000] [--values] [--devices 1]

Images of 3x32x32, a freshly initialised Glow (L = 2, K = 2, 16 channels) with a von Mises-Fisher base, matched paths at
5 times, chunks of 32 rows; points and images are stored, with --values the figures too. The end points are draws from
the base. The peak is the largest resident memory of the processes of the command, the packages' own included.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from manifoldflow.flows import FlowDescription, build_flow
from manifoldflow.jobs import write_ends
from manifoldflow.training import SavedFlow, save_flow

STEPS, BLOCK = 5, 500


def model(folder: Path) -> SavedFlow:
    """A flow in `folder`."""
    torch.manual_seed(0)
    description = FlowDescription((3, 32, 32), base="vmf", levels=2, steps=2, hidden=16)
    flow = build_flow(description).eval()
    flow.transform.initialise(torch.rand(64, 3, 32, 32))
    saved = SavedFlow(flow, description, 256, {})
    folder.mkdir()
    save_flow(folder, saved)
    return saved


def draws(saved: SavedFlow, rows: int):
    """Draws from the base in blocks."""
    for first in range(0, rows, BLOCK):
        yield saved.flow.base.sample((min(BLOCK, rows - first),)).numpy()


def main() -> None:
    """Print a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[2000, 8000])
    parser.add_argument("--values", action="store_true")
    parser.add_argument("--devices", type=int, default=1)
    options = parser.parse_args()
    stored = ["points", "images", *(["values"] if options.values else [])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        saved = model(folder / "model")
        for rows in options.rows:
            ends, out = folder / f"{rows}.npz", folder / f"{rows}"
            write_ends(ends, (rows, *saved.flow.base.event_shape), draws(saved, rows), draws(saved, rows))
            command = [sys.executable, "-m", "manifoldflow", "solve", folder / "model", ends, "--out", out, "--quiet"]
            command += ["--steps", STEPS, "--devices", options.devices, "--accelerator", "cpu"]
            command += [word for one in stored for word in ("--store", one)]
            began = time.perf_counter()
            subprocess.run(list(map(str, command)), check=True)
            seconds = time.perf_counter() - began
            # Of all commands so far, so rising only if a larger job takes more.
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
            size = sum(path.stat().st_size for path in out.glob("*.npy")) / 2**30
            assert np.load(out / "images.npy", mmap_mode="r").shape == (rows, STEPS, 3, 32, 32)
            print(f"{rows} rows: peak {peak:.2f} GiB, results {size:.2f} GiB, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
