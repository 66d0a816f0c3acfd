"""PointSet: points of a manifold with what is known about their origin, and their split into parts."""

import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from .._geomstats import Manifold
from ..checks import check_integer, check_kind, check_number, describe
from ..errors import DataError
from ..files.typed_json import Record
from ..manifolds import check_points
from .layouts import Layout

__all__ = ["PointSet", "PointSplit", "ReadingSummary", "copies_of", "repeated", "split_hash"]

_PLACES = 26


def split_hash(*parts: Tensor) -> str:
    """Twelve hexadecimal digits that name a split: SHA-256 of the parts' shapes and of their values.

    Of these 26 binary places count, of the mantissa where a value is 1 or more: the last digits of a sine differ from
    machine to machine.
    """
    digest = hashlib.sha256()
    for part in parts:
        values = part.detach().cpu().double()
        exponent = torch.frexp(values).exponent.clamp(min=0)
        places = torch.ldexp(torch.ldexp(values, -exponent), torch.tensor(_PLACES)).round()
        digest.update(repr(tuple(part.shape)).encode())
        for whole in (places.long(), exponent.long()):
            digest.update(whole.contiguous().numpy().astype("<i8").tobytes())
    return digest.hexdigest()[:12]


def copies_of(points: Tensor, train: Tensor) -> Tensor:
    """Which points are, to the last bit, in the training set: booleans `(N,)`."""
    known = {row.tobytes() for row in train.detach().cpu().numpy()}
    rows = points.detach().cpu().to(train.dtype).numpy()
    return torch.tensor([row.tobytes() in known for row in rows], dtype=torch.bool)


def repeated(points: Tensor) -> int:
    """How many points are, to the last bit, copies of an earlier one."""
    return len(points) - len({row.tobytes() for row in points.detach().cpu().numpy()})


@dataclass(frozen=True)
class ReadingSummary(Record):
    """What became of a file's rows; `describe()` says it in a line.

    Args:
        source: The file or the set.
        rows: Rows that were read.
        skipped: Rows left out because a coordinate is missing.
        copies: Rows that are exact copies of an earlier one; they are kept.
        left_aside: Columns that were not used.
        about: What the rows hold, and the space.
        note: What was done to them, if anything.
    """

    source: str
    rows: int
    skipped: int
    copies: int
    about: str
    left_aside: tuple[str, ...] = ()
    note: str = ""

    def describe(self) -> str:
        """One line: rows read, skipped and copied, columns left aside, and what was done."""
        parts = [
            f"{self.source}: {self.rows:,} rows read, {self.skipped:,} skipped, {self.copies:,} copies of earlier rows",
            self.about,
        ]
        if self.left_aside:
            names = ", ".join(self.left_aside)
            parts.append(f"columns left aside: {names if len(names) <= 100 else names[:97] + '...'}")
        return "; ".join([*parts, self.note] if self.note else parts)


@dataclass(frozen=True)
class PointSet:
    """Points of a manifold.

    Args:
        points: `(N, *space.shape)`, float64 or float32.
        space: Where they live.
        layout: How they stand in a file.
        summary: What became of the file's rows.
        labels: `(N,)`, int64 indices into `classes`, or None.
        classes: The labels as the file has them, sorted.
        time: `(N,)`, float64, or None.
        source: Where the data come from: a file's path, or a citation.

    Raises:
        DataError: No points; labels or times of another length.
        OffManifoldError: A point is off the space.
    """

    points: Tensor
    space: Manifold
    layout: Layout
    summary: ReadingSummary
    labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    time: Tensor | None = None
    source: str = ""

    def __post_init__(self) -> None:
        check_kind("points", self.points, Tensor)
        if len(self.points) == 0:
            raise DataError(f"{self.summary.source}: expected at least one point, got none")
        check_points(self.space, points=self.points)
        for name, values in (("labels", self.labels), ("time", self.time)):
            if values is not None and values.shape != self.points.shape[:1]:
                raise DataError(f"{name}: expected one for each of {len(self.points)} points, got {describe(values)}")

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        labels = f", {len(self.classes)} classes" if self.labels is not None else ""
        return f"PointSet({self.summary.source!r}, {len(self)} points of {self.space!r}{labels})"

    def select(self, index: Tensor) -> "PointSet":
        """The points at `index` (int64 or bool), with their labels and times."""
        labels = None if self.labels is None else self.labels[index]
        time = None if self.time is None else self.time[index]
        return replace(self, points=self.points[index], labels=labels, time=time)

    def to(self, dtype: torch.dtype) -> "PointSet":
        """The same points in another floating-point dtype."""
        return replace(self, points=self.points.to(dtype))

    def split(self, seed: int = 0, *, validation: float = 0.1, test: float = 0.1) -> "PointSplit":
        """Training, validation and test points: a function of `seed` and the number of points.

        Args:
            seed: Decides the order.
            validation, test: Fractions held out, at least one and two points.

        Raises:
            ValueError: Fractions that leave nothing to train on.
            DataError: Fewer than five points.

        >>> from manifoldflow.data import load_points
        >>> load_points("volcanoes").split(0)
        PointSplit(663 training, 82 validation, 82 test points, hash 'cad3b390b7ef')
        """
        seed = check_integer("seed", seed, 0, 2**63 - 1)
        for name, part in (("validation", validation), ("test", test)):
            check_number(name, part, 0, 1)
        if min(validation, test) <= 0 or validation + test >= 1:
            raise ValueError(
                "validation, test: expected positive fractions that leave something to train on, "
                f"got {validation} and {test}"
            )
        count = len(self)
        held, tested = max(1, int(validation * count)), max(2, int(test * count))
        if count - held - tested < 2:
            raise DataError(f"{self.summary.source}: {count} points are too few for three parts; five are enough")
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
        parts = order.split([count - held - tested, held, tested])
        train, held_out, tests = (self.select(part) for part in parts)
        return PointSplit(train, held_out, tests, seed)


@dataclass(frozen=True)
class PointSplit:
    """The parts of a point set.

    Args:
        train, validation, test: The parts.
        seed: That gave them.
    """

    train: PointSet
    validation: PointSet
    test: PointSet
    seed: int

    @property
    def hash(self) -> str:
        """Names the split, as certificates print it: of training and test points."""
        return split_hash(self.train.points, self.test.points)

    def __repr__(self) -> str:
        counts = f"{len(self.train)} training, {len(self.validation)} validation, {len(self.test)} test points"
        return f"PointSplit({counts}, hash {self.hash!r})"
