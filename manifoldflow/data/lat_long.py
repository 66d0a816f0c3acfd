"""Points on the Earth: latitude and longitude in degrees from CSV files, as unit vectors of the sphere S^2."""

import csv
import gzip
import math
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor

from ..checks import check_choice
from ..errors import DataError

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
    pole = (x == 0) & (y == 0)  # where hypot has no gradient
    level = torch.where(pole, 0, torch.hypot(torch.where(pole, 1, x), y))
    return torch.rad2deg(torch.stack([torch.atan2(z, level), torch.atan2(y, x)], dim=-1))


def read_lat_long(path: Path) -> Tensor:
    """Unit vectors (N, 3), float64, of the places in a CSV file.

    Lines that begin with # and empty lines are skipped. A header line may name the columns: those whose names begin
    with "lat" and "lon" or "lng" (in any case) are taken, in whichever order, others are ignored. Without one there are
    two columns, latitude and longitude. Degrees; north and east are positive; latitudes -90 to 90,
    longitudes -180 to 180 or 0 to 360.

    Raises:
        DataError: The file is missing, holds no places, or a line of it is not as expected; it names the line.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _places(file, path)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: expected CSV text ({error})") from error


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
    file = files(__package__) / "earth" / f"{check_choice('name', name, EARTH)}.csv.gz"
    return _places(gzip.decompress(file.read_bytes()).decode().splitlines(), name)


def _places(lines: Iterable[str], source: object) -> Tensor:
    """Unit vectors of the places in lines of CSV text; errors name the source and the line."""
    places: list[list[float]] = []
    columns: tuple[int, int] | None = None
    for number, line in enumerate(lines, 1):
        row = [cell.strip() for cell in next(csv.reader([line]), [])]
        if not any(row) or row[0].startswith("#"):
            continue
        where = f"{source}: line {number}"
        if columns is None:
            columns = _columns(row, where)
            if not _is_number(row[columns[0]]):
                continue
        elif max(columns) >= len(row):
            raise DataError(f"{where}: expected at least {max(columns) + 1} columns, got {len(row)}")
        places.append([_degrees(row[i], name, where) for i, name in zip(columns, _LIMITS)])
    if not places:
        raise DataError(f"{source}: expected lines of latitude and longitude, found none")
    return from_lat_long(torch.tensor(places, dtype=torch.float64))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _columns(row: list[str], where: str) -> tuple[int, int]:
    """Which columns hold latitude and longitude, from the first line."""
    if all(map(_is_number, row)):
        if len(row) != 2:
            raise DataError(f"{where}: expected two columns, or a header that names them, got {len(row)} columns")
        return 0, 1
    found = [
        [i for i, cell in enumerate(row) if cell.lower().startswith(names)] for names in (("lat",), ("lon", "lng"))
    ]
    if not all(len(indices) == 1 for indices in found):
        raise DataError(
            f"{where}: expected one column named lat... and one named lon... or lng, got {', '.join(row)!r:.100}"
        )
    return found[0][0], found[1][0]


def _degrees(cell: str, name: str, where: str) -> float:
    low, high = _LIMITS[name]
    if not _is_number(cell):
        raise DataError(f"{where}: {name}: expected degrees, got {cell!r:.40}")
    value = float(cell)
    if not (math.isfinite(value) and low <= value <= high):
        raise DataError(f"{where}: {name}: expected {low:g} to {high:g} degrees, got {value}")
    return value
