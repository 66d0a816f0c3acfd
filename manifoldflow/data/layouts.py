"""How the numbers of a row make a point, and back: places, unit vectors, angles, compositions, plain coordinates."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from .._geomstats import Manifold
from ..checks import check_choice
from ..errors import DataError
from ..files.typed_json import Record
from ..manifolds import Euclidean, Hypersphere, Simplex, Torus, replace_zeros
from .lat_long import check_degrees, from_lat_long, to_lat_long

__all__ = [
    "LAYOUTS",
    "ZEROS",
    "Angles",
    "Coordinates",
    "LatLong",
    "Layout",
    "Shares",
    "UnitVectors",
    "layout_from",
]

Where = Callable[[int], str]
"""From a row to the file and line that messages name."""
ZEROS = ("refuse", "multiplicative", "bayesian")
"""What may happen to compositions with zeros."""
_ROUNDING = 1e-4
"""Norms nearer to 1 than this are those of unit vectors that were printed with a few digits."""
_MANY = 20
"""A table of places has fewer columns of numbers than this."""
_TURN = 2 * math.pi * (1 + 1e-9)

LAYOUTS: dict[str, type["Layout"]] = {}
"""Layouts by kind; each enters itself."""


@dataclass(frozen=True)
class Layout(Record, ABC):
    """How rows of a file make points of a space.

    Args:
        names: Of the columns.
    """

    names: tuple[str, ...]

    kind: ClassVar[str]
    about: ClassVar[str]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        LAYOUTS[cls.kind] = cls

    def to_json(self) -> dict[str, Any]:
        """The fields and the kind."""
        return {"kind": self.kind, **super().to_json()}

    @property
    @abstractmethod
    def space(self) -> Manifold:
        """Where the points live."""

    @abstractmethod
    def to_points(self, values: Tensor, where: Where) -> tuple[Tensor, str]:
        """Points `(N, n)` of finite rows `(N, k)`, and what was done to them, in words, if anything.

        Raises:
            DataError: A row is no point; names its place.
        """

    def from_points(self, points: Tensor) -> Tensor:
        """Rows `(*batch, k)` as a file has them."""
        return points


def layout_from(content: Any) -> Layout:
    """The inverse of `Layout.to_json`.

    Raises:
        ValueError: An unknown kind, or a field that is missing or of the wrong kind.
    """
    kind = content.get("kind") if isinstance(content, dict) else None
    return LAYOUTS[check_choice("layout", kind, LAYOUTS)].from_json(content)


def _refuse(bad: Tensor, where: Where, say: Callable[[int], str]) -> None:
    """Raise for the first row of the mask."""
    if bool(bad.any()):
        row = int(bad.nonzero()[0, 0])
        raise DataError(f"{where(row)}: {say(row)}{_others(int(bad.sum()), len(bad))}")


def _others(bad: int, rows: int) -> str:
    """How many rows a message about the first of them holds for."""
    return f" ({bad} of {rows} rows are refused for this)" if bad > 1 else ""


@dataclass(frozen=True)
class LatLong(Layout):
    """Latitudes and longitudes in degrees; the points are unit vectors of `Hypersphere(2)`."""

    names: tuple[str, ...] = ("latitude", "longitude")

    kind: ClassVar[str] = "lat-long"
    about: ClassVar[str] = "latitude and longitude in degrees"

    @property
    def space(self) -> Manifold:
        """The sphere."""
        return Hypersphere(2)

    def to_points(self, values: Tensor, where: Where) -> tuple[Tensor, str]:
        """As `from_lat_long`."""
        wrong: list[DataError] = []
        for row, pair in enumerate(values.tolist()):
            try:
                for name, degrees in zip(("latitude", "longitude"), pair, strict=True):
                    check_degrees(degrees, name, where(row))
            except DataError as error:
                wrong.append(error)
        if wrong:
            raise DataError(f"{wrong[0]}{_others(len(wrong), len(values))}")
        return from_lat_long(values), ""

    def from_points(self, points: Tensor) -> Tensor:
        """As `to_lat_long`."""
        return to_lat_long(points)


@dataclass(frozen=True)
class UnitVectors(Layout):
    """Unit vectors, such as directions or embeddings.

    Args:
        names: Of the columns.
        normalise: Whether rows of any length are scaled to unit norm; otherwise others than unit vectors are refused.
    """

    normalise: bool = False

    kind: ClassVar[str] = "unit-vectors"
    about: ClassVar[str] = "unit vectors"

    @property
    def space(self) -> Manifold:
        """The sphere of the vectors."""
        return Hypersphere(len(self.names) - 1)

    def to_points(self, values: Tensor, where: Where) -> tuple[Tensor, str]:
        """Rows divided by their norm."""
        largest = values.abs().amax(-1, keepdim=True)
        _refuse(largest[:, 0] == 0, where, lambda row: "a row of zeros has no direction; leave it out")
        scaled = values / largest  # norms of huge and tiny rows neither overflow nor vanish
        length = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
        norms = (length * largest)[:, 0]
        far = (norms - 1).abs()
        if not self.normalise:
            few = len(self.names) < _MANY
            places = "; for places, columns (--columns) names the two of latitude and longitude" if few else ""
            _refuse(
                ~(far <= _ROUNDING),
                where,
                lambda row: (
                    f"expected a unit vector, got norm {float(norms[row]):.6g}; "
                    f"pass normalise=True (--normalise) to scale every row to unit norm{places}"
                ),
            )
        exact = far.max() <= 4 * torch.finfo(values.dtype).eps
        note = "" if exact else f"rows scaled to unit norm from {float(norms.min()):.6g} to {float(norms.max()):.6g}"
        return scaled / length, note


@dataclass(frozen=True)
class Angles(Layout):
    """Angles, which wrap around; the points are in [-pi, pi].

    Args:
        names: Of the columns.
        unit: "degrees" or "radians" of the file. In radians angles of more than one turn are taken for degrees, and
            refused, unless `any_turn`.
        any_turn: Whether radians of any size are wrapped.
    """

    unit: str = "radians"
    any_turn: bool = False

    kind: ClassVar[str] = "angles"
    about: ClassVar[str] = "angles"

    def __post_init__(self) -> None:
        check_choice("unit", self.unit, ("degrees", "radians"))

    @property
    def space(self) -> Manifold:
        """The torus of so many angles."""
        return Torus(len(self.names))

    def to_points(self, values: Tensor, where: Where) -> tuple[Tensor, str]:
        """Angles in radians, wrapped."""
        largest = values.abs().amax(-1)
        if self.unit == "degrees":
            points = torch.deg2rad(values - 360 * torch.round(values / 360))
            small = bool(largest.max() <= _TURN)
            note = "no angle exceeds 6.3 degrees; if these are radians, pass unit='radians' (--unit)"
            return self.space.projection(points), note if small else ""
        if not self.any_turn:
            _refuse(
                largest > _TURN,
                where,
                lambda row: (
                    f"expected angles of at most a turn, 6.2832 radians, got {float(largest[row]):.6g}; "
                    "pass unit='degrees', or unit='radians' to wrap angles of several turns (--unit)"
                ),
            )
        return self.space.projection(values), ""

    def from_points(self, points: Tensor) -> Tensor:
        """In the file's unit."""
        return torch.rad2deg(points) if self.unit == "degrees" else points


@dataclass(frozen=True)
class Shares(Layout):
    """Compositions, amounts or counts, closed to sum 1.

    Args:
        names: Of the parts.
        zeros: "refuse", or how `replace_zeros` replaces them: "multiplicative" or "bayesian", which is for counts.
    """

    zeros: str = "refuse"

    kind: ClassVar[str] = "shares"
    about: ClassVar[str] = "compositions"

    def __post_init__(self) -> None:
        check_choice("zeros", self.zeros, ZEROS)

    @property
    def space(self) -> Manifold:
        """The simplex of so many parts."""
        return Simplex(len(self.names) - 1)

    def to_points(self, values: Tensor, where: Where) -> tuple[Tensor, str]:
        """Shares of each row's sum."""
        _refuse(
            (values < 0).any(-1), where, lambda row: f"expected amounts of at least 0, got {float(values[row].min())}"
        )
        total = values.sum(-1, keepdim=True)
        _refuse(total[:, 0] == 0, where, lambda row: "a row of zeros has no shares; leave it out")
        empty = (values == 0).any(-1)
        if self.zeros == "refuse":
            _refuse(
                empty,
                where,
                lambda row: (
                    f"{self.names[int((values[row] == 0).nonzero()[0, 0])]} is 0, and its log-ratios are "
                    f"infinite; {int(empty.sum())} of {len(empty)} rows have zeros. Replace them with "
                    "manifoldflow.manifolds.replace_zeros, or pass zeros='multiplicative', or for counts 'bayesian' "
                    "(--zeros)"
                ),
            )
        low, high = float(total.min()), float(total.max())
        closed = max(abs(low - 1), abs(high - 1)) <= 4 * torch.finfo(values.dtype).eps
        sums = f"{low:.6g}" if f"{low:.6g}" == f"{high:.6g}" else f"{low:.6g} to {high:.6g}"
        notes = [] if closed else [f"closed to sum 1 from {sums}"]
        if bool(empty.any()):
            notes.append(f"zeros of {int(empty.sum())} rows replaced ({self.zeros})")
            return replace_zeros(values, self.zeros), ", ".join(notes)
        return values / total, ", ".join(notes)


@dataclass(frozen=True)
class Coordinates(Layout):
    """Plain coordinates of R^d."""

    kind: ClassVar[str] = "coordinates"
    about: ClassVar[str] = "coordinates"

    @property
    def space(self) -> Manifold:
        """Euclidean space."""
        return Euclidean(len(self.names))

    def to_points(self, values: Tensor, where: Where) -> tuple[Tensor, str]:
        """The numbers themselves."""
        return values, ""
