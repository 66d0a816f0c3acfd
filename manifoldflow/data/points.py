"""Points of manifolds from files: places, unit vectors, angles, compositions, plain coordinates."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from torch import Tensor

from .._geomstats import Manifold
from ..checks import as_path, check_choice
from ..errors import DataError
from ..manifolds import Euclidean, Hypersphere, Simplex, Torus
from .lat_long import earth_table
from .layouts import ZEROS, Angles, Coordinates, LatLong, Layout, Shares, UnitVectors
from .point_sets import PointSet, ReadingSummary, repeated
from .rows import Asked, Rows, classes_of, from_table, read_rows, times_of, whole_rows
from .tables import Columns, Table, parse_table, read_table

__all__ = ["POINT_SETS", "SPACES", "load_points", "read_like"]

_UNITS = ("degrees", "radians")
_NOAA = "NOAA's National Geophysical Data Center, as cleaned for Mathieu and Nickel, arXiv 2006.10605"
_HONGITE = "J. Aitchison, The Statistical Analysis of Compositional Data, 1986, data set 1 (hongite)"


def _names(rows: Rows, stem: str) -> tuple[str, ...]:
    return rows.names or tuple(f"{stem}{i + 1}" for i in range(rows.width))


def _of_sphere(rows: Rows, asked: Asked) -> Layout:
    return LatLong() if rows.width == 2 else UnitVectors(_names(rows, "x"), asked.normalise)


def _of_torus(rows: Rows, asked: Asked) -> Layout:
    return Angles(_names(rows, "angle "), asked.unit or "radians", any_turn=asked.unit == "radians")


@dataclass(frozen=True)
class _SpaceKind:
    """A kind of space that files hold points of: its class, its layout, and the options that it alone has."""

    space: type
    layout: Callable[[Rows, Asked], Layout]
    options: tuple[str, ...] = ()
    least: int = 2


SPACES = {
    "sphere": _SpaceKind(Hypersphere, _of_sphere, ("normalise",)),
    "torus": _SpaceKind(Torus, _of_torus, ("unit",), least=1),
    "simplex": _SpaceKind(Simplex, lambda rows, asked: Shares(_names(rows, "part "), asked.zeros), ("zeros",)),
    "euclidean": _SpaceKind(Euclidean, lambda rows, asked: Coordinates(_names(rows, "x")), least=1),
}
"""Kinds of spaces by name."""


def load_points(
    source: str | Path,
    space: str | Manifold | None = None,
    *,
    columns: Columns | None = None,
    label: str | int | None = None,
    time: str | int | None = None,
    unit: str | None = None,
    normalise: bool = False,
    zeros: str = "refuse",
    missing: str = "refuse",
) -> PointSet:
    """Points of a manifold by name, or from a CSV, TSV, .npy or .npz file.

    Args:
        source: "earthquakes", "volcanoes" or "compositions", which ship with the package, or a file. Text files are
            tables, see `columns`; in an .npz file the array is `points`, or the only one of two dimensions.
        space: "sphere", "torus", "simplex", "euclidean", or a space of these kinds; not needed for names.
        columns: Those of the coordinates, by name or number (from 1), in text files: "3-9", "lat,long", or a list.
            Without it: on the sphere those named lat... and lon... or lng, otherwise all that hold numbers.
        label: The column of a class for each point; in an .npz file, an array (`labels` if there is one).
        time: The column of a time for each point: numbers, or ISO dates, which become seconds since 1970; in an .npz
            file, an array (`time` if there is one).
        unit: "degrees" or "radians" of angles on the torus; radians of at most one turn unless given.
        normalise: Scale rows to unit norm on the sphere; otherwise a row that is no unit vector is refused.
        zeros: On the simplex: "refuse" zeros, or replace them as `replace_zeros` does: "multiplicative", "bayesian".
        missing: "refuse" rows with a missing coordinate, or "skip" them, which the summary counts.

    On the sphere, two columns are latitude and longitude in degrees; more are unit vectors. Compositions are divided by
    their sums. Points are float64, or float32 where the array is.

    Raises:
        DataError: A missing file; a line or row that is no point of the space; it is named.
        ValueError: An unknown space, or an option that the space does not have.

    >>> load_points("volcanoes")
    PointSet('volcanoes', 827 points of Hypersphere(2))
    >>> load_points("compositions").summary.describe()[:63]
    'compositions: 25 rows read, 0 skipped, 0 copies of earlier rows'
    """
    asked = Asked(columns, label, time, unit, normalise, zeros, missing)
    if isinstance(source, str) and source in POINT_SETS:
        return _named(source, space, asked)
    path = as_path("source", source)
    if not path.exists():
        raise DataError(f"data: expected {', '.join(POINT_SETS)} or an existing file, got {str(source)!r}")
    name = _space_name(space, asked)
    rows = read_rows(path, name, asked)
    layout = _layout(rows, name, space, asked, str(path))
    given = space if isinstance(space, Manifold) else layout.space
    return _point_set(rows, layout, given, asked, path.name, str(path))


def read_like(path: Path, layout: Layout, *, missing: str = "refuse") -> Tensor:
    """Points `(N, n)` of a file whose rows stand as in another one, such as those to score by a model of it.

    Args:
        path: The file.
        layout: Of the other one.
        missing: "refuse" rows that lack a coordinate, or "skip" them.

    Raises:
        DataError: As `load_points`; another number of columns.
    """
    path = as_path("path", path)
    name = next(name for name, kind in SPACES.items() if isinstance(layout.space, kind.space))
    known = _names_in(path, layout)
    rows = read_rows(path, name, Asked(columns=known))
    wanted = len(layout.names)
    if rows.width != wanted:
        raise DataError(
            f"{path}: expected {wanted} columns of coordinates ({', '.join(layout.names):.100}), got {rows.width}"
        )
    kept = whole_rows(rows, check_choice("missing", missing, ("refuse", "skip"))).nonzero()[:, 0].tolist()
    return layout.to_points(rows.values[kept], lambda row: rows.where(kept[row]))[0]


def _names_in(path: Path, layout: Layout) -> list[str | int] | None:
    """The layout's columns, if the file is a table that has all of them."""
    if path.suffix in (".npy", ".npz") or not path.exists():
        return None
    table = read_table(path)
    have = [name.lower() for name in table.names or ()]
    return list(layout.names) if all(name.lower() in have for name in layout.names) else None


def _space_name(space: Any, asked: Asked) -> str:
    """The name of the kind of space, with the options checked that belong to it."""
    if isinstance(space, Manifold):
        found = [name for name, kind in SPACES.items() if isinstance(space, kind.space)]
        if not found:
            raise ValueError(f"space: expected one of {', '.join(SPACES)}, or a space of these kinds, got {space!r}")
        name = found[0]
    else:
        name = check_choice("space", space, SPACES)
    check_choice("zeros", asked.zeros, ZEROS)
    check_choice("missing", asked.missing, ("refuse", "skip"))
    if asked.unit is not None:
        check_choice("unit", asked.unit, _UNITS)
    given = {"unit": asked.unit is not None, "normalise": asked.normalise, "zeros": asked.zeros != "refuse"}
    for option, value in given.items():
        if value and option not in SPACES[name].options:
            owner = next(name for name, kind in SPACES.items() if option in kind.options)
            raise ValueError(f"{option}: only the {owner} has this option, got it for the {name}; leave it out")
    return name


def _layout(rows: Rows, name: str, space: Any, asked: Asked, source: str) -> Layout:
    kind = SPACES[name]
    if rows.width < kind.least:
        raise DataError(
            f"{source}: expected at least {kind.least} columns of coordinates on the {name}, got {rows.width}"
        )
    layout = kind.layout(rows, asked)
    if isinstance(space, Manifold) and space.dim != layout.space.dim:
        raise DataError(f"{source}: expected points of {space!r}, got {rows.width} columns, which are {layout.space!r}")
    return layout


def _point_set(rows: Rows, layout: Layout, space: Manifold, asked: Asked, name: str, source: str) -> PointSet:
    kept = whole_rows(rows, asked.missing).nonzero()[:, 0].tolist()
    if not kept:
        raise DataError(f"{source}: expected rows without missing coordinates, found none")
    points, note = layout.to_points(rows.values[kept], lambda row: rows.where(kept[row]))
    summary = ReadingSummary(
        name,
        rows=len(rows.values),
        skipped=len(rows.values) - len(kept),
        copies=repeated(points),
        about=f"{layout.about} {_listed(rows)}on {space!r}",
        left_aside=rows.left_aside,
        note=note,
    )
    labels, classes = classes_of(rows, kept)
    return PointSet(points, space, layout, summary, labels, classes, times_of(rows, kept), source)


def _listed(rows: Rows) -> str:
    """The columns in brackets, where they have names."""
    names = ", ".join(rows.names or ())
    return f"({names if len(names) <= 100 else names[:97] + '...'}) " if names else ""


@dataclass(frozen=True)
class _PointSource:
    """A set that ships with the package: its kind of space, where it is from, its table, the columns of coordinates."""

    space: str
    citation: str
    table: Callable[[], Table]
    columns: Columns | None = None


def _hongite() -> Table:
    with files(__package__).joinpath("compositions", "hongite.csv").open(encoding="utf-8") as file:
        return parse_table(file, "compositions")


POINT_SETS = {
    "earthquakes": _PointSource("sphere", f"significant earthquakes: {_NOAA}", lambda: earth_table("earthquake")),
    "volcanoes": _PointSource("sphere", f"significant volcanic eruptions: {_NOAA}", lambda: earth_table("volcano")),
    "compositions": _PointSource("simplex", _HONGITE, _hongite, "A,B,C,D,E"),
}
"""Points that ship with the package."""


def _named(name: str, space: str | Manifold | None, asked: Asked) -> PointSet:
    known = POINT_SETS[name]
    if asked != Asked():
        raise ValueError(f"data: {name} is read as it ships with the package; leave the options of files out")
    if space is not None and (found := _space_name(space, asked)) != known.space:
        raise ValueError(f"space: {name} are points of the {known.space}, got {found}; leave it out")
    asked = Asked(columns=known.columns)
    rows = from_table(known.table(), known.space, asked)
    layout = _layout(rows, known.space, space, asked, name)
    given = space if isinstance(space, Manifold) else layout.space
    return _point_set(rows, layout, given, asked, name, known.citation)
