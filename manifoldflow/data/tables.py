"""Tables in text files: rows that know their line, columns by name or by number."""

import csv
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..checks import as_path, describe
from ..errors import DataError
from ..files import check_file

__all__ = ["Columns", "Table", "is_number", "parse_table", "read_table"]

Columns = str | Sequence[str | int]
"""Columns as users give them: "3-9", "3,5,7", "lat,long", or a list of names and numbers; numbers count from 1."""
MISSING = {"", "na", "n/a", "nan", "null", "none", "-", "?"}
"""What stands for a number that is not known, in any case."""


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, NaN and infinity included."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # which Python allows in numbers


@dataclass(frozen=True)
class Table:
    """Rows of cells.

    Args:
        source: The file, as errors name it.
        names: Of the columns, from a header line; None without one.
        rows: Cells, stripped.
        lines: The line of the file that each row stands in.
        header: The line that the names stand in.
    """

    source: str
    names: tuple[str, ...] | None
    rows: list[list[str]]
    lines: list[int]
    header: int = 0

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.names) if self.names is not None else len(self.rows[0]) if self.rows else 0

    def where(self, row: int) -> str:
        """File and line of a row, for messages."""
        return f"{self.source}: line {self.lines[row]}"

    def title(self, column: int) -> str:
        """A column's name, or its number."""
        return self.names[column] if self.names is not None and self.names[column] else f"column {column + 1}"

    def find(self, option: str, column: str | int) -> int:
        """The index of a column given by name or by number from 1.

        Raises:
            DataError: There is none, or several of that name.
        """
        text = str(column).strip()
        named = [i for i, name in enumerate(self.names or ()) if name.lower() == text.lower()]
        if len(named) == 1:
            return named[0]
        if not named and text.isdecimal() and 1 <= int(text) <= self.width:
            return int(text) - 1
        have = ", ".join(self.names) if self.names else f"columns 1 to {self.width}, without names"
        what = "one column" if named else "a column"
        raise DataError(
            f"{self.source}: {option}: expected the name or number of {what}, got {text!r}; there are: {have:.300}"
        )

    def find_all(self, option: str, columns: Columns) -> list[int]:
        """Indices of several columns, in the order given.

        Raises:
            DataError: As `find`; a column twice, or none.
        """
        if isinstance(columns, str):
            columns = [part for text in columns.split(",") for part in self._range(text.strip())]
        if not isinstance(columns, Sequence) or not columns:
            raise DataError(
                f"{option}: expected names or numbers of columns, such as 'lat,long' or '3-9', got {describe(columns)}"
            )
        found = [self.find(option, column) for column in columns]
        if len(set(found)) < len(found):
            raise DataError(f"{self.source}: {option}: expected each column once, got {', '.join(map(str, columns))}")
        return found

    def _range(self, text: str) -> list[str]:
        """ "3-9" as seven numbers, unless a column has that name."""
        ends = re.fullmatch(r"(\d+)\s*-\s*(\d+)", text)
        if ends is None or (self.names and text in self.names):
            return [text]
        return [str(i) for i in range(int(ends[1]), int(ends[2]) + 1)] or [text]

    def cell(self, row: int, column: int) -> str:
        """One cell.

        Raises:
            DataError: The line is shorter.
        """
        cells = self.rows[row]
        if column >= len(cells):
            raise DataError(f"{self.where(row)}: expected at least {column + 1} columns, got {len(cells)}")
        return cells[column]

    def numbers(self, row: int, columns: Sequence[int]) -> list[float]:
        """The numbers of a row; NaN where one is missing.

        Raises:
            DataError: A cell is no number, or infinite.
        """
        return [self._number(row, column) for column in columns]

    def _number(self, row: int, column: int) -> float:
        cell = self.cell(row, column)
        if cell.lower() in MISSING:
            return math.nan
        if not is_number(cell) or math.isinf(float(cell)):
            raise DataError(
                f"{self.where(row)}: {self.title(column)}: expected a number, got {cell!r:.40}; "
                "name the columns of the coordinates with columns (--columns)"
            )
        return float(cell)

    def has_numbers(self, column: int) -> bool:
        """Whether a cell of the column is a number."""
        return any(column < len(cells) and is_number(cells[column]) for cells in self.rows)


def read_table(path: Path) -> Table:
    """The table in a text file, its cells separated by tabs, commas, semicolons or spaces.

    Lines that begin with # and empty lines are skipped. The first line is a header if none of its cells is a number.

    Raises:
        DataError: The file is missing or not such text.
    """
    path = as_path("path", path)
    if not path.exists():
        raise DataError(f"{path}: no such file")
    try:
        check_file(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            return parse_table(file, str(path))
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: expected CSV text ({error}); save it in UTF-8") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: expected CSV text ({error})") from error
    except DataError as error:
        if path.is_file():
            raise
        raise DataError(f"{path}: expected CSV text ({error})") from error


def parse_table(lines: Iterable[str], source: str) -> Table:
    """The table in lines of text."""
    rows: list[list[str]] = []
    numbers: list[int] = []
    names, header = None, 0
    for number, row in _cells(lines):
        if not any(row):
            continue
        if names is None and not rows and not any(map(is_number, row)):
            names, header = tuple(row), number
        else:
            rows.append(row)
            numbers.append(number)
    return Table(source, names, rows, numbers, header)


def _cells(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Line numbers and stripped cells; comments and what is empty give no cells."""
    blanked = ("\n" if line.lstrip().startswith("#") else line for line in lines)
    kept: list[str] = []
    for line in blanked:
        kept.append(line)
        if line.strip():
            break
    delimiter = _delimiter(kept[-1]) if kept else ","

    def again() -> Iterator[str]:
        yield from kept
        yield from blanked

    if delimiter is None:
        for number, line in enumerate(again(), 1):
            yield number, line.split()
        return
    reader = csv.reader(again(), delimiter=delimiter)
    for row in reader:
        yield reader.line_num, [cell.strip() for cell in row]


def _delimiter(line: str) -> str | None:
    """What separates the cells of a line; None for spaces."""
    if "\t" in line:
        return "\t"
    if line.count(";") > line.count(","):
        return ";"
    return "," if "," in line or len(line.split()) < 2 else None
