"""Peak memory of the evaluation protocol: `python benchmarks/evaluation_memory.py [--interpolants 50000]`.

Random colour images of 3 x 32 x 32 and a small flow, since neither decides the memory; every other size is the
protocol's own: 11 times a path, one method, a classifier's features, Frechet and kernel distances, typicality, speeds.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from manifoldflow.steps import DataChoice, evaluate_step, interpolate_step, train_step
from manifoldflow.training import TrainSettings

TIMES = 11


def peak() -> float:
    """Largest resident memory of this process so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Train, interpolate and evaluate in a temporary folder; print the peak after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--interpolants", type=int, default=50_000)
    pairs = -(-parser.parse_args().interpolants // TIMES)
    images = int(pairs / 0.85 / 0.2)  # a fifth are test images, and nine in ten of them start a pair
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generator = np.random.default_rng(0)
        np.savez(
            folder / "images.npz",
            images=generator.integers(256, size=(images, 3, 32, 32), dtype=np.uint8),
            labels=generator.integers(10, size=images),
        )
        print(
            f"{images} images; {pairs} pairs x {TIMES} times = {pairs * TIMES} interpolants; packages {peak():.2f} GiB"
        )
        began = time.perf_counter()
        settings = TrainSettings(epochs=1, batch_size=256)
        data = DataChoice(str(folder / "images.npz"))
        train_step(data, folder / "model", base="vmf", levels=2, steps=1, hidden=8, settings=settings, progress=False)
        print(f"trained: peak {peak():.2f} GiB, {time.perf_counter() - began:.0f} s")
        interpolate_step(folder / "model", folder / "paths", methods=["matched"], pairs=pairs, steps=TIMES)
        print(f"interpolated: peak {peak():.2f} GiB, {time.perf_counter() - began:.0f} s")
        evaluate_step([folder / "paths"], folder / "evaluation")
        print(f"evaluated: peak {peak():.2f} GiB, {time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
