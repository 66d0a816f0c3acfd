"""Rows of numbers from tables and numpy files, with the place of each row and what stands beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..files import check_file
from ..files.unpacking import read_npy, read_npz
from .lat_long import named_lat_long
from .tables import Columns, Table, is_number, read_table

__all__ = ["Asked", "Rows", "classes_of", "from_table", "read_rows", "times_of", "whole_rows"]


@dataclass(frozen=True)
class Rows:
    """Numbers of a file, with the names of their columns and the place of each row."""

    values: Tensor
    names: tuple[str, ...] | None
    where: Callable[[int], str]
    labels: list[str] | None = None
    times: list[str] | None = None
    left_aside: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        return int(self.values.shape[1])


@dataclass(frozen=True)
class Asked:
    """What the caller said about the file."""

    columns: Columns | None = None
    label: str | int | None = None
    time: str | int | None = None
    unit: str | None = None
    normalise: bool = False
    zeros: str = "refuse"
    missing: str = "refuse"


def read_rows(path: Path, space: str, asked: Asked) -> Rows:
    if path.suffix in (".npy", ".npz"):
        return _from_arrays(path, asked)
    return from_table(read_table(path), space, asked)


def from_table(table: Table, space: str, asked: Asked) -> Rows:
    """The columns of the coordinates, of the label and of the time."""
    if not table.rows:
        raise DataError(f"{table.source}: expected lines of numbers, found none")
    label, time = (None if c is None else table.find(n, c) for n, c in (("label", asked.label), ("time", asked.time)))
    columns = _coordinate_columns(table, space, asked, {label, time})
    count = range(len(table.rows))
    values = torch.tensor([table.numbers(row, columns) for row in count], dtype=torch.float64)
    return Rows(
        values.reshape(len(count), len(columns)),
        tuple(table.names[c] or f"column {c + 1}" for c in columns) if table.names else None,
        table.where,
        None if label is None else [table.cell(row, label) for row in count],
        None if time is None else [table.cell(row, time) for row in count],
        tuple(table.title(c) for c in range(table.width) if c not in {*columns, label, time}),
    )


def _coordinate_columns(table: Table, space: str, asked: Asked, others: set[int | None]) -> list[int]:
    if asked.columns is not None:
        return table.find_all("columns", asked.columns)
    if space == "sphere" and table.names:
        latitude, longitude = named_lat_long(table.names)
        if len(latitude) == len(longitude) == 1:
            return [latitude[0], longitude[0]]
    named = [c for c in range(table.width) if not table.names or table.names[c]]  # pandas' index has no name
    found = [c for c in named if c not in others and table.has_numbers(c)]
    if not found:
        raise DataError(f"{table.source}: expected columns of numbers, found none; name them with columns (--columns)")
    return found


def _from_arrays(path: Path, asked: Asked) -> Rows:
    check_file(path)
    try:
        arrays = read_npz(path) if path.suffix == ".npz" else {"points": read_npy(path)}
    except Exception as error:  # numpy raises whatever the zip and npy parsers meet
        raise DataError(f"{path}: not a readable numpy file without pickled objects ({error}); save it anew") from error
    if asked.columns is not None:
        raise DataError(f"columns: only text files have them, got {path}; leave it out, or save the columns you mean")
    name = _main_array(arrays, path)
    values = arrays[name]
    if values.ndim == 1:
        values = values[:, None]
    if values.dtype.kind not in "iuf" or values.ndim != 2 or not values.size:
        raise DataError(f"{path}: {name}: expected numbers of shape (N, k), got {values.dtype} of shape {values.shape}")
    wide = np.float64 if values.dtype.kind in "iu" or values.dtype.itemsize > 4 else np.float32
    tensor = torch.from_numpy(np.array(values, dtype=wide))
    if bool(tensor.isinf().any()):
        raise DataError(
            f"{path}: row {int(tensor.isinf().any(-1).nonzero()[0, 0])}: expected finite numbers, got infinity"
        )
    return Rows(
        tensor,
        None,
        lambda row: f"{path}: row {row}",
        _beside(arrays, path, "label", asked.label, "labels", len(tensor)),
        _beside(arrays, path, "time", asked.time, "time", len(tensor)),
        tuple(key for key in arrays if key not in {name, str(asked.label or "labels"), str(asked.time or "time")}),
    )


def _main_array(arrays: dict[str, np.ndarray], path: Path) -> str:
    if "points" in arrays:
        return "points"
    tables = [name for name, array in arrays.items() if array.ndim == 2]
    if len(tables) != 1:
        raise DataError(f"{path}: expected an array named 'points', got {', '.join(arrays) or 'none'}; rename it")
    return tables[0]


def _beside(
    arrays: dict[str, np.ndarray], path: Path, option: str, given: Any, usual: str, count: int
) -> list[str] | None:
    """An array beside the points, as text, if it was asked for or has the usual name."""
    if given is None and usual not in arrays:
        return None
    name = usual if given is None else str(given)
    if name not in arrays:
        raise DataError(
            f"{path}: {option}: expected the name of an array, got {name!r}; there are: {', '.join(arrays)}"
        )
    if arrays[name].shape != (count,):
        raise DataError(f"{path}: {name}: expected shape ({count},), one for each point, got {arrays[name].shape}")
    return [str(value) for value in arrays[name].tolist()]


def whole_rows(rows: Rows, missing: str) -> Tensor:
    """Which rows are whole: booleans `(N,)`.

    Raises:
        DataError: One is not, and they are to be refused.
    """
    whole = ~rows.values.isnan().any(-1)
    if missing == "refuse" and not bool(whole.all()):
        row = int((~whole).nonzero()[0, 0])
        column = int(rows.values[row].isnan().nonzero()[0, 0])
        title = rows.names[column] if rows.names else f"coordinate {column + 1}"
        raise DataError(
            f"{rows.where(row)}: {title} is missing, and {int((~whole).sum())} of {len(whole)} rows lack a "
            "coordinate; fill them in, or leave such rows out with missing='skip' (--missing skip)"
        )
    return whole


def classes_of(rows: Rows, kept: list[int]) -> tuple[Tensor | None, tuple[str, ...]]:
    if rows.labels is None:
        return None, ()
    found = [rows.labels[row] for row in kept]
    if "" in found:
        raise DataError(f"{rows.where(kept[found.index('')])}: expected a label, got an empty cell")
    classes = sorted(set(found), key=lambda text: (0, float(text), text) if is_number(text) else (1, 0.0, text))
    number = {text: i for i, text in enumerate(classes)}
    return torch.tensor([number[text] for text in found]), tuple(classes)


def times_of(rows: Rows, kept: list[int]) -> Tensor | None:
    if rows.times is None:
        return None
    return torch.tensor([_time(rows.times[row], rows.where(row)) for row in kept], dtype=torch.float64)


def _time(cell: str, where: str) -> float:
    if is_number(cell):
        return float(cell)
    try:
        date = datetime.fromisoformat(cell)
    except ValueError:
        raise DataError(
            f"{where}: time: expected a number or an ISO date such as 2011-03-11, got {cell!r:.40}"
        ) from None
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
