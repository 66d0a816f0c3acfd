"""The interpolations that `interpolate_step` wrote, read back method by method."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from torch import Tensor

from ..errors import DataError
from ..files import MARKER, damaged, read_npz
from ..interpolation import METHODS
from .record import read_record, recorded_model
from .train import TrainedRun, load_run

__all__ = ["Interpolation", "StoredInterpolation", "read_interpolations"]

_TITLES = {("vmf", "geodesic"): "slerp (geodesic)", ("dirichlet", "geodesic"): "Fisher-Rao geodesic"}


@dataclass(frozen=True)
class Interpolation:
    """The interpolants of one method.

    Args:
        base, method: Which.
        title: The method's name in tables.
        times: (m,).
        points: On the base's manifold, (pairs, m, n), float32.
        images: Decoded, (pairs, m, c, h, w), uint8.
    """

    base: str
    method: str
    title: str
    times: Tensor
    points: Tensor
    images: Tensor


@dataclass(frozen=True)
class StoredInterpolation:
    """The interpolants of one method on disk, read when they are wanted: those of many pairs fill the memory.

    Args:
        base, method, title: As `Interpolation`.
        path: The .npz file.
        pairs, steps: What it should hold.
    """

    base: str
    method: str
    title: str
    path: Path
    pairs: int
    steps: int

    def load(self) -> Interpolation:
        """Read the file.

        Raises:
            DataError: It is missing, damaged or of other pairs.
        """
        with damaged(self.path):
            content = read_npz(self.path)
            arrays = {key: torch.from_numpy(content[key]) for key in ("times", "points", "images")}
        shape = (self.pairs, self.steps)
        if arrays["points"].shape[:2] != shape or arrays["images"].shape[:2] != shape:
            raise DataError(
                f"{self.path}: expected {self.pairs} pairs at {self.steps} times; run 'manifoldflow interpolate' again"
            )
        if arrays["times"].shape != shape[1:]:
            raise DataError(f"{self.path}: expected {self.steps} times, got {tuple(arrays['times'].shape)}")
        return Interpolation(self.base, self.method, self.title, **arrays)


def read_interpolations(folder: Path) -> tuple[TrainedRun, dict[str, Any], list[StoredInterpolation]]:
    """The run, the record and the interpolants that `interpolate_step` wrote.

    Raises:
        DataError: Not such a folder, or a file of it is missing or damaged.
    """
    folder = Path(folder)
    record = read_record(folder, "interpolate")
    with damaged(folder / MARKER):
        settings, base = record["settings"], record["base"]
        run = load_run(recorded_model(folder, record))
        names = list(settings["methods"])
        pairs, steps = len(record["pair_index"]), int(settings["steps"])
        if base != run.description.base or pairs != len(record["pair_labels"]) or not names:
            raise ValueError("base, pairs or methods do not agree with the model")
        if any(type(i) is not int or i < 0 for pair in record["pair_index"] for i in pair):
            raise ValueError("pair_index holds something else than indices")
    stored = []
    for name in names:
        if not METHODS.get(name):
            raise DataError(f"{folder / MARKER}: unknown method {name!r:.100}")
        title = _TITLES.get((base, name), name)
        path = folder / f"{name}.npz"
        if not is_zipfile(path):  # the directory of a zip file stands at its end, so a truncated one has none
            raise DataError(f"{path}: missing or damaged; run 'manifoldflow interpolate' again")
        stored.append(StoredInterpolation(base, name, title, path, pairs, steps))
    return run, record, stored
