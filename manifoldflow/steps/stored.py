"""The interpolations that `interpolate_step` wrote, read back method by method."""

from dataclasses import dataclass
from pathlib import Path
from zipfile import is_zipfile

import torch
from torch import Tensor

from ..errors import DataError
from ..files import MARKER, damaged, read_npz
from ..files.typed_json import Record
from ..interpolation import METHODS
from .record import read_record, recorded_model
from .train import TrainedRun, load_run

__all__ = [
    "Interpolation",
    "InterpolationRecord",
    "InterpolationSettings",
    "StoredInterpolation",
    "read_interpolations",
]

_TITLES = {("vmf", "geodesic"): "slerp (geodesic)", ("dirichlet", "geodesic"): "Fisher-Rao geodesic"}


@dataclass(frozen=True)
class InterpolationSettings(Record):
    """What `interpolate_step` was told.

    Args:
        model: The model's folder as seen from the output.
        data: Other data that the pairs were taken from, if any.
        methods, pairs, steps, seed: As `interpolate_step` takes them.
        reuse: Whether images take part in several pairs.
    """

    model: str
    data: str | None
    methods: tuple[str, ...]
    pairs: int
    steps: int
    seed: int
    reuse: bool = False


@dataclass(frozen=True)
class InterpolationRecord(Record):
    """What `interpolate_step` records.

    Args:
        settings: What it was told.
        model_sha256: Of the model's weights.
        base, levels: Of the model.
        pair_index, pair_labels: The images of each pair, and their classes.
        versions: Of the packages.
    """

    settings: InterpolationSettings
    model_sha256: str
    base: str
    levels: int
    pair_index: tuple[tuple[int, int], ...]
    pair_labels: tuple[tuple[int, int], ...]
    versions: dict[str, str]
    command: str = "interpolate"

    def __post_init__(self) -> None:
        if not self.settings.methods or not self.pair_index or len(self.pair_index) != len(self.pair_labels):
            raise ValueError("methods, pair_index, pair_labels: expected one of each, and as many labels as pairs")
        if any(i < 0 for pair in self.pair_index for i in pair):
            raise ValueError("pair_index: expected indices, got a negative number")


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
    """The interpolants of one method on disk, read one method at a time, since many pairs fill the memory.

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


def read_interpolations(folder: Path) -> tuple[TrainedRun, InterpolationRecord, list[StoredInterpolation]]:
    """The run, the record and the interpolants that `interpolate_step` wrote.

    Raises:
        DataError: Not such a folder, or a file of it is missing or damaged.
    """
    folder = Path(folder)
    content = read_record(folder, "interpolate")
    with damaged(folder / MARKER, "interpolate again"):
        record = InterpolationRecord.from_json(content)
    run = load_run(recorded_model(folder, record))
    if record.base != run.description.base:
        raise DataError(f"{folder / MARKER}: damaged: its base is not the model's; interpolate again")
    stored = []
    for name in record.settings.methods:
        if not METHODS.get(name):
            raise DataError(f"{folder / MARKER}: unknown method {name!r:.100}")
        title = _TITLES.get((record.base, name), name)
        path = folder / f"{name}.npz"
        if not is_zipfile(path):  # the directory of a zip file stands at its end, so a truncated one has none
            raise DataError(f"{path}: missing or damaged; run 'manifoldflow interpolate' again")
        pairs, steps = len(record.pair_index), record.settings.steps
        stored.append(StoredInterpolation(record.base, name, title, path, pairs, steps))
    return run, record, stored
