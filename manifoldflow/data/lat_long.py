"""Points on the Earth: latitude and longitude in degrees from CSV files, as unit vectors of the sphere S^2."""

import gzip
import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from ..checks import check_choice
from ..errors import DataError
from .tables import Table, is_number, parse_table, read_table

__all__ = ["EARTH", "from_lat_long", "load_earth", "read_lat_long", "to_lat_long"]

EARTH = ("earthquake", "volcano")
"""Names of the sets of places that ship with the package."""
_LIMITS = {"latitude": (-90.0, 90.0), "longitude": (-180.0, 360.0)}


def from_lat_long(degrees: Tensor) -> Tensor:
    """Unit vectors (*batch, 3) of latitudes and longitudes (*batch, 2) in degrees.

    (cos lat cos lon, cos lat sin lon, sin lat): the first axis points to 0 N 0 E, the second to 0 N 90 E, the
    third to the north pole. The latitude is taken for that of a sphere, though maps give that of an ellipsoid:
    its direction from the Earth's centre differs by up to 0.19 degrees.
    """
    latitude, longitude = torch.deg2rad(degrees).unbind(-1)
    level = latitude.cos()
    return torch.stack([level * longitude.cos(), level * longitude.sin(), latitude.sin()], dim=-1)


def to_lat_long(points: Tensor) -> Tensor:
    """Latitudes and longitudes (*batch, 2) in degrees, the latter in [-180, 180], of vectors (*batch, 3) of any length.

    At the poles the longitude is 0 or arbitrary. Gradients are finite there too.
    """
    x, y, z = points.unbind(-1)
    pole = (x == 0) & (y == 0)  # where hypot and arctan2 have no gradient
    safe = torch.where(pole, 1, x)
    level = torch.where(pole, 0, torch.hypot(safe, y))
    return torch.rad2deg(torch.stack([torch.atan2(z, level), torch.atan2(y, safe)], dim=-1))


def read_lat_long(path: Path) -> Tensor:
    """Unit vectors (N, 3), float64, of the places in a CSV file.

    Lines that begin with # and empty lines are skipped. A header line may name the columns: those whose names begin
    with "lat" and "lon" or "lng" (in any case) are taken, in whichever order, others are ignored. Without one there are
    two columns, latitude and longitude. Degrees; north and east are positive; latitudes -90 to 90,
    longitudes -180 to 180 or 0 to 360.

    Raises:
        DataError: The file is missing, holds no places, or a line of it is not as expected; it names the line.
    """
    return places_of(read_table(path))


def load_earth(name: str) -> Tensor:
    """Unit vectors (N, 3), float64, of places that ship with the package; no download.

    Args:
        name: "volcano" (827 eruptions) or "earthquake" (6,120 significant ones). Many places stand in them more than
            once: 0.84 and 0.15 of a random tenth are exact copies of points in the rest.

    Raises:
        ValueError: Another name.

    Source: the significant volcanic eruption and significant earthquake databases of NOAA's National Geophysical Data
    Center (a US government agency; public domain), as cleaned for Mathieu and Nickel, arXiv 2006.10605.

    Example:
        >>> load_earth("volcano").shape
        torch.Size([827, 3])
    """
    return places_of(earth_table(check_choice("name", name, EARTH)))


def earth_table(name: str) -> Table:
    """Latitudes and longitudes of a set that ships with the package."""
    file = files(__package__) / "earth" / f"{name}.csv.gz"
    return parse_table(gzip.decompress(file.read_bytes()).decode().splitlines(), name)


def places_of(table: Table) -> Tensor:
    """Unit vectors (N, 3), float64, of the places in a table; `read_lat_long` says which columns and what it raises."""
    columns = lat_long_columns(table)
    if not table.rows:
        raise DataError(f"{table.source}: expected lines of latitude and longitude, found none")
    places = [
        [_degrees(table.cell(row, column), name, table.where(row)) for column, name in zip(columns, _LIMITS)]
        for row in range(len(table.rows))
    ]
    return from_lat_long(torch.tensor(places, dtype=torch.float64))


def lat_long_columns(table: Table) -> tuple[int, int]:
    """Which columns hold latitude and longitude.

    Raises:
        DataError: No or several columns have such names, or there are no names and not two columns.
    """
    if table.names is None:
        if table.width not in (0, 2):
            raise DataError(
                f"{table.where(0)}: expected two columns, or a header that names them, got {table.width} columns"
            )
        return 0, 1
    latitude, longitude = named_lat_long(table.names)
    if len(latitude) != 1 or len(longitude) != 1:
        raise DataError(
            f"{table.source}: line {table.header}: expected one column named lat... and one named lon... or lng, "
            f"got {', '.join(table.names)!r:.100}"
        )
    return latitude[0], longitude[0]


def named_lat_long(names: Sequence[str]) -> tuple[list[int], list[int]]:
    """Indices of the names that begin as those of latitudes and longitudes do."""
    starts: tuple[tuple[str, ...], ...] = ("lat",), ("lon", "lng")
    latitude, longitude = ([i for i, name in enumerate(names) if name.lower().startswith(start)] for start in starts)
    return latitude, longitude


def check_degrees(value: float, name: str, where: str) -> float:
    """The value, if it can be a latitude or a longitude.

    Raises:
        DataError: It is NaN or outside the limits.
    """
    low, high = _LIMITS[name]
    if not (math.isfinite(value) and low <= value <= high):
        raise DataError(f"{where}: {name}: expected {low:g} to {high:g} degrees, got {value}")
    return value


def _degrees(cell: str, name: str, where: str) -> float:
    if not is_number(cell):
        raise DataError(f"{where}: {name}: expected degrees, got {cell!r:.40}")
    return check_degrees(float(cell), name, where)
