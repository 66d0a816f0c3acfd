"""Draw images from a trained flow."""

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..files import new_folder
from ..report.strips import image_grid
from .record import versions
from .train import load_run, seeded_samples

__all__ = ["sample_step"]


def sample_step(model: Path, out: Path, *, count: int = 64, seed: int = 0) -> dict[str, Any]:
    """Write `count` samples as samples.npz (uint8, key `images`) and samples.png; return the record.

    Raises:
        DataError: `model` is not a trained model, or `count` is not positive.
    """
    if count < 1:
        raise DataError(f"count: expected a positive number, got {count}")
    run = load_run(model)
    record = {
        "settings": {"model": str(Path(model).resolve()), "count": count, "seed": seed},
        "versions": versions(),
    }
    with new_folder(out, "sample", record) as folder:
        images = seeded_samples(run, count, seed)
        np.savez(folder / "samples.npz", images=images.numpy())
        image_grid(images, run.levels).save(folder / "samples.png")
    return {"command": "sample", **record}
