"""How points of each kind of space are laid out on the page: a globe, a square of angles, a triangle, a plane.

A view turns points into columns of coordinates, one for each of its axes; the reader chooses two of them where there
are more. A kind of space joins by registering its view here; any other is shown by its principal components.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from ..._geomstats import Manifold
from ...manifolds import Euclidean, Hypersphere, Simplex, Torus

__all__ = ["Axis", "View", "points_of", "view_of"]

Columns = Callable[[np.ndarray], np.ndarray]
Ticks = tuple[tuple[float, str], ...]

_MOST_AXES = 12
_COMPONENTS = 4
_ROWS = 5000
_LEAST_SHARE = 1e-6
_TURN = tuple(zip((-math.pi, -math.pi / 2, 0.0, math.pi / 2, math.pi), ("−π", "−π/2", "0", "π/2", "π")))
HEIGHT = math.sqrt(3) / 2
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, HEIGHT]])


@dataclass(frozen=True)
class Axis:
    """A column of coordinates.

    Attributes:
        label: What it is.
        low, high: The range that is drawn.
        ticks: Values and their labels; round numbers by default.
        periodic: Whether `high` is the same place as `low`.
    """

    label: str
    low: float
    high: float
    ticks: Ticks = ()
    periodic: bool = False


@dataclass(frozen=True)
class View:
    """A layout.

    Attributes:
        place: What the space is called in a sentence.
        kind: "globe", "ternary" or "plane": what the page's script draws.
        what: A sentence that says what is seen.
        axes: Of the columns: longitude and latitude in degrees of a globe.
        columns: From points `(..., n)` to coordinates `(..., len(axes))`.
        nodes: Points `(rows, columns, n)` on an even grid over the first two axes, from low to high, where a density
            is shaded; not finite off the space. None where a density cannot be shown.
        corners: Names of a triangle's corners.
    """

    place: str
    kind: str
    what: str
    axes: tuple[Axis, ...]
    columns: Columns
    nodes: np.ndarray | None = None
    corners: tuple[str, ...] = ()


def _named(names: Sequence[str], count: int, word: str) -> list[str]:
    return list(names) if names else [f"{word} {i}" for i in range(1, count + 1)]


def _middles(low: float, high: float, count: int) -> np.ndarray:
    return low + (np.arange(count) + 0.5) / count * (high - low)


def _grid(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Pairs (rows, columns, 2) of coordinates."""
    return np.stack(np.meshgrid(across, up), axis=-1)


def _span(train: np.ndarray, paths: np.ndarray) -> tuple[float, float]:
    """The range of a column: of the training points, and of paths that stray no farther from them than its length."""
    low, high = float(train.min()), float(train.max())
    length = high - low
    low = float(paths.min(initial=low, where=paths > low - length))
    high = float(paths.max(initial=high, where=paths < high + length))
    room = 0.12 * (high - low) or 0.5
    return low - room, high + room


def _spans(train: np.ndarray, paths: np.ndarray) -> list[tuple[float, float]]:
    """One for each column."""
    return [_span(*both) for both in zip(train.T, paths.T)]


def points_of(paths: Sequence[np.ndarray], train: np.ndarray) -> np.ndarray:
    """Paths `(..., n)`, if any, as points `(k, n)` like the training points."""
    return np.concatenate([train[:0], *(np.reshape(path, (-1, train.shape[-1])) for path in paths)])


@singledispatch
def view_of(space: Manifold, train: np.ndarray, names: Sequence[str], paths: np.ndarray) -> View:
    """The view of a space.

    Args:
        space: Where the points live.
        train: Training points `(N, n)`, which set a plane's principal components and, with the paths, its range.
        names: Of the coordinates; may be empty.
        paths: Points `(k, n)` of the paths; k may be zero.
    """
    return _principal(repr(space), train, paths)


def _principal(place: str, train: np.ndarray, paths: np.ndarray) -> View:
    """The plane of the principal components."""
    rows = train[:: max(1, len(train) // _ROWS)].astype(np.float64)
    mean = rows.mean(0)
    _, lengths, directions = np.linalg.svd(rows - mean, full_matrices=False)
    kept = directions[:_COMPONENTS]
    kept = kept * np.sign(kept[np.arange(len(kept)), np.abs(kept).argmax(1)])[:, None]  # a sign that is always the same
    shares = lengths**2 / max(float((lengths**2).sum()), 1e-300)

    def columns(points: np.ndarray) -> np.ndarray:
        return (points - mean) @ kept.T

    ranges = _spans(columns(rows), columns(paths))
    axes = tuple(Axis(f"component {i + 1} ({shares[i]:.0%} of the variance)", *ends) for i, ends in enumerate(ranges))
    what = (
        f"Principal components of the training points: of {train.shape[1]} coordinates, the first two directions hold "
        f"{shares[:2].sum():.0%} of the variance. Points that are far apart may lie close together here."
    )
    return View(place, "plane", what, axes, columns)


@view_of.register
def _(space: Euclidean, train: np.ndarray, names: Sequence[str], paths: np.ndarray) -> View:
    if train.shape[1] != 2:
        return _principal(f"the space of {train.shape[1]} real coordinates", train, paths)
    axes = tuple(Axis(name, *ends) for name, ends in zip(_named(names, 2, "coordinate"), _spans(train, paths)))
    nodes = _grid(*(_middles(axis.low, axis.high, 160) for axis in axes))
    return View("the plane", "plane", "Both coordinates.", axes, lambda points: points, nodes)


@view_of.register
def _(space: Hypersphere, train: np.ndarray, names: Sequence[str], paths: np.ndarray) -> View:
    if space.dim == 1:
        return _circle(lambda points: points)
    if space.dim != 2:
        return _principal(f"the unit sphere of {space.dim + 1} coordinates", train, paths)
    axes = (Axis("longitude", -180.0, 180.0, periodic=True), Axis("latitude", -90.0, 90.0))
    angles = np.radians(_grid(_middles(-180, 180, 360), _middles(-90, 90, 180)))
    longitude, latitude = angles[..., 0], angles[..., 1]
    nodes = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=-1
    )
    return View("the sphere", "globe", "The sphere, seen from far away.", axes, _longitude_latitude, nodes)


def _longitude_latitude(points: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(points, -1, 0)
    return np.degrees(np.stack([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))], axis=-1))


def _circle(columns: Columns) -> View:
    return View("the circle", "plane", "The circle.", (Axis("cosine", -1.2, 1.2), Axis("sine", -1.2, 1.2)), columns)


@view_of.register
def _(space: Torus, train: np.ndarray, names: Sequence[str], paths: np.ndarray) -> View:
    if space.dim == 1:
        return _circle(lambda points: np.concatenate([np.cos(points), np.sin(points)], axis=-1))
    shown = min(space.dim, _MOST_AXES)
    axes = tuple(
        Axis(f"{name} (radians)", -math.pi, math.pi, _TURN, periodic=True)
        for name in _named(names, space.dim, "angle")[:shown]
    )

    def columns(points: np.ndarray) -> np.ndarray:
        return (points[..., :shown] + math.pi) % (2 * math.pi) - math.pi

    middles = _middles(-math.pi, math.pi, 160)
    what = "Two angles: opposite sides of the square are the same line."
    if space.dim > shown:
        what += f" The first {shown} of {space.dim} angles can be chosen."
    place = f"the torus of {space.dim} angles"
    return View(place, "plane", what, axes, columns, _grid(middles, middles) if space.dim == 2 else None)


@view_of.register
def _(space: Simplex, train: np.ndarray, names: Sequence[str], paths: np.ndarray) -> View:
    parts = _named(names, space.dim + 1, "part")
    if space.dim != 2:
        return _log_ratios(parts, train, paths)
    axes = (Axis("across", 0.0, 1.0), Axis("up", 0.0, HEIGHT))
    places = _grid(_middles(0, 1, 160), _middles(0, HEIGHT, 160))
    third = places[..., 1] / HEIGHT
    second = places[..., 0] - third / 2
    nodes = np.stack([1 - second - third, second, third], axis=-1)
    nodes[(nodes <= 0).any(-1)] = np.nan
    what = "Each corner is all of one part, the opposite side none of it."
    return View("the simplex of 3 parts", "ternary", what, axes, lambda points: points @ _CORNERS, nodes, tuple(parts))


def _log_ratios(parts: list[str], train: np.ndarray, paths: np.ndarray) -> View:
    """Centred log-ratios: the logarithm of each part over the geometric mean of all."""
    shown = min(len(parts), _MOST_AXES)

    def columns(points: np.ndarray) -> np.ndarray:
        logs = np.log(np.maximum(points, _LEAST_SHARE))
        return (logs - logs.mean(-1, keepdims=True))[..., :shown]

    ranges = _spans(columns(train), columns(paths))
    axes = tuple(Axis(f"log ratio of {name}", *ends) for name, ends in zip(parts, ranges))
    what = "Centred log-ratios: the logarithm of a part over the geometric mean of all parts."
    if min(train.min(), paths.min(initial=1.0)) < _LEAST_SHARE:
        what += f" Shares below {_LEAST_SHARE:g} are drawn at {_LEAST_SHARE:g}."
    return View(f"the simplex of {len(parts)} parts", "plane", what, axes, columns)
