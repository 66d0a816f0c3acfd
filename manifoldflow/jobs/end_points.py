"""End points on disk, read and written block by block: what is in memory does not grow with their number."""

import hashlib
import math
import weakref
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import numpy as np

from ..checks import as_path
from ..errors import DataError
from ..files import MARKER, new_folder, read_json
from ..files.unpacking import check_zip, map_npy, read_header

__all__ = ["EndPoints", "write_ends"]

_NAMES = ("start", "end")
_READ_BYTES = 1 << 22


class _Zipped:
    """An array in an .npz file, compressed or not, best read from front to back."""

    def __init__(self, path: Path, name: str) -> None:
        archive = zipfile.ZipFile(path)
        self._content = archive.open(f"{name}.npy")
        weakref.finalize(self, _close, self._content, archive)
        self.shape, column_major, self.dtype = read_header(self._content, archive.getinfo(f"{name}.npy").file_size)
        if column_major and len(self.shape) > 1:
            raise ValueError(f"{name} is stored column by column; write numpy.ascontiguousarray({name})")
        self._begin = self._content.tell()

    def __getitem__(self, rows: slice) -> np.ndarray:
        size = math.prod(self.shape[1:]) * self.dtype.itemsize
        first, last, _ = rows.indices(self.shape[0])
        self._content.seek(self._begin + first * size)
        content = self._content.read((last - first) * size)
        return np.frombuffer(content, self.dtype).reshape(last - first, *self.shape[1:])


def _close(*files: IO[bytes] | zipfile.ZipFile) -> None:
    for file in files:
        file.close()


class EndPoints:
    """The arrays `start` and `end` that `write_ends` wrote, or `numpy.savez` with these names.

    Either points on the base's manifold, (rows, n), of floating point, or images, (rows, c, h, w), uint8.

    Args:
        path: A folder with start.npy and end.npy, or an .npz file.

    Raises:
        DataError: It is missing, damaged, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = as_path("path", path)
        found = self._found()
        if not set(_NAMES) <= set(found):
            raise DataError(
                f"ends: {self.path}: expected the arrays start and end, found {', '.join(sorted(found)) or 'none':.200}"
            )
        try:
            self._start, self._end = (self._open(name) for name in _NAMES)
        except Exception as error:  # numpy raises whatever the zip and npy parsers meet
            raise self._damaged(error) from error
        if (self._start.shape, self._start.dtype) != (self._end.shape, self._end.dtype):
            raise DataError(
                f"ends: {self.path}: expected start and end of one shape and dtype, got {self._start.shape} "
                f"{self._start.dtype} and {self._end.shape} {self._end.dtype}"
            )
        points = self._start.dtype.kind == "f" and self._start.dtype.itemsize <= 8 and len(self.shape) == 1
        if not (points or (self._start.dtype == np.uint8 and len(self.shape) == 3)) or not self.rows:
            raise DataError(
                f"ends: {self.path}: expected at least one row of points (rows, n) of floating point or of images "
                f"(rows, c, h, w) of uint8, got {self._start.shape} {self._start.dtype}"
            )

    def __repr__(self) -> str:
        return f"EndPoints(rows={self.rows}, shape={self.shape}, dtype={self._start.dtype}, path={str(self.path)!r})"

    def _damaged(self, error: Exception) -> DataError:
        return DataError(
            f"ends: {self.path}: missing or damaged ({error}); write it anew, with 'manifoldflow ends' or numpy.savez"
        )

    def _found(self) -> list[str]:
        """Names of the arrays there."""
        if self.path.is_dir():
            return [entry.stem for entry in self.path.glob("*.npy")]
        try:
            if not self.path.is_file():
                raise FileNotFoundError("no such file or folder")
            check_zip(self.path)
            with zipfile.ZipFile(self.path) as archive:
                return [name.removesuffix(".npy") for name in archive.namelist()]
        except Exception as error:  # zipfile raises many kinds
            raise self._damaged(error) from error

    def _open(self, name: str) -> np.ndarray | _Zipped:
        return map_npy(self.path / f"{name}.npy") if self.path.is_dir() else _Zipped(self.path, name)

    @property
    def rows(self) -> int:
        """How many pairs of end points there are."""
        return self._start.shape[0]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one end point: (n,) of points, (c, h, w) of images."""
        return self._start.shape[1:]

    @property
    def are_images(self) -> bool:
        """Whether the ends are images, which are encoded before they are joined."""
        return self._start.dtype == np.uint8

    def read(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Starts and ends of the rows `first` to `last`, both included, in the machine's byte order.

        Raises:
            DataError: The file is damaged.
        """
        try:
            start, end = (array[first : last + 1] for array in (self._start, self._end))
        except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
            raise self._damaged(error) from error
        native = self._start.dtype.newbyteorder("=")  # copied, since torch takes no read-only arrays
        return np.array(start, native, order="C"), np.array(end, native, order="C")

    def fingerprint(self) -> str:
        """SHA-256 of both arrays; reads all once and checks what was recorded of them when they were written.

        Raises:
            DataError: They are damaged.
        """
        digest = hashlib.sha256()
        try:
            if self.path.is_dir():
                for name in _NAMES:
                    with (self.path / f"{name}.npy").open("rb") as file:
                        _add(digest, file)
            else:
                with zipfile.ZipFile(self.path) as archive:  # it checks its own checksums
                    for name in _NAMES:
                        with archive.open(f"{name}.npy") as entry:
                            _add(digest, entry)
        except (OSError, EOFError, zipfile.BadZipFile) as error:
            raise self._damaged(error) from error
        found, written = digest.hexdigest(), self._recorded()
        if written not in (None, found):
            raise self._damaged(ValueError(f"SHA-256 {found}, {written} when it was written"))
        return found

    def _recorded(self) -> str | None:
        if not (self.path / MARKER).is_file():
            return None
        record = read_json(self.path / MARKER)
        sha256 = record.get("sha256") if isinstance(record, dict) else None
        return sha256 if isinstance(sha256, str) else None


def _add(digest: "hashlib._Hash", file: IO[bytes]) -> None:
    while part := file.read(_READ_BYTES):
        digest.update(part)


def write_ends(
    path: Path,
    shape: tuple[int, ...],
    start: Iterable[np.ndarray],
    end: Iterable[np.ndarray],
    *,
    dtype: str = "float32",
    others: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write `start` and `end`, given in consecutive blocks of rows, as .npy files in a folder; all or nothing.

    Args:
        path: The folder; new, empty, or end points that are to be replaced.
        shape: Of each array, (rows, n).
        start, end: Blocks (any number of rows, n).
        dtype: In which they are stored.
        others: Further arrays, such as where the end points come from.

    Raises:
        DataError: `path` holds something else, or cannot be written.
        ValueError: The blocks have not `shape` together.
    """
    record: dict[str, str] = {}
    with new_folder(Path(path), "ends", record) as folder:
        digest = hashlib.sha256()
        for name, blocks in zip(_NAMES, (start, end)):
            with (folder / f"{name}.npy").open("wb") as file:
                descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
                np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
                rows = 0
                for block in blocks:
                    if block.shape[1:] != shape[1:]:
                        raise ValueError(f"{name}: expected blocks of rows {shape[1:]}, got {block.shape}")
                    file.write(np.ascontiguousarray(block, dtype).tobytes())
                    rows += len(block)
                if rows != shape[0]:
                    raise ValueError(f"{name}: expected {shape[0]} rows, got {rows}")
            with (folder / f"{name}.npy").open("rb") as written:
                _add(digest, written)
        for name, array in (others or {}).items():
            np.save(folder / f"{name}.npy", np.asarray(array), allow_pickle=False)
        record["sha256"] = digest.hexdigest()
