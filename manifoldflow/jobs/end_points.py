"""Files of end points, read and written block by block: what is in memory does not grow with the file."""

import hashlib
import math
import struct
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import DataError
from ..files import atomic_path

__all__ = ["EndPoints", "write_ends"]

_LOCAL_HEADER = 30
"""Bytes of a zip entry's local header before its name (PKWARE's APPNOTE, section 4.3.7)."""

_READ_BYTES = 1 << 22


@dataclass(frozen=True)
class _Stored:
    """Where an array lies in the file."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype


class EndPoints:
    """The arrays `start` and `end` of an .npz file that `write_ends` or `numpy.savez` wrote.

    Either points on the base's manifold, (rows, n), of floating point, or images, (rows, c, h, w), uint8.

    Args:
        path: The file; it is read in place, so it must not be compressed.

    Raises:
        DataError: It is missing, damaged, compressed, or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            with zipfile.ZipFile(self.path) as archive, self.path.open("rb") as file:
                self._start, self._end = (self._find(archive, file, name) for name in ("start", "end"))
        except (OSError, EOFError, ValueError, struct.error, zipfile.BadZipFile) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"ends: {self.path}: missing or damaged ({error})") from error
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

    def _find(self, archive: zipfile.ZipFile, file: BinaryIO, name: str) -> _Stored:
        try:
            entry = archive.getinfo(f"{name}.npy")
        except KeyError:
            raise DataError(
                f"ends: {self.path}: expected the arrays start and end, found {', '.join(archive.namelist()):.200}"
            ) from None
        if entry.compress_type != zipfile.ZIP_STORED:
            raise DataError(f"ends: {self.path}: {name} is compressed; write the file with numpy.savez")
        file.seek(entry.header_offset)
        name_length, extra_length = struct.unpack("<HH", file.read(_LOCAL_HEADER)[26:])
        begin = entry.header_offset + _LOCAL_HEADER + name_length + extra_length
        file.seek(begin)
        version = np.lib.format.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise DataError(f"ends: {self.path}: {name} is of the unknown npy version {version}")
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, column_major, dtype = read_header(file)
        size = math.prod(shape) * dtype.itemsize
        if (
            dtype.hasobject
            or column_major
            or not shape
            or min(shape) < 0
            or file.tell() - begin + size != entry.file_size
        ):
            raise DataError(
                f"ends: {self.path}: {name} is not an array of numbers in row order; write it with "
                "numpy.savez(..., start=numpy.ascontiguousarray(start), end=numpy.ascontiguousarray(end))"
            )
        return _Stored(file.tell(), shape, dtype)

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
        """Starts and ends of the rows `first` to `last`, both included, in the machine's byte order."""
        return self._read(self._start, first, last), self._read(self._end, first, last)

    def _read(self, stored: _Stored, first: int, last: int) -> np.ndarray:
        size, rows = math.prod(self.shape), last - first + 1
        offset = stored.offset + first * size * stored.dtype.itemsize
        flat = np.fromfile(self.path, stored.dtype, rows * size, offset=offset)
        if len(flat) < rows * size:
            raise DataError(f"ends: {self.path}: has become shorter while it was read")
        return flat.reshape(rows, *self.shape).astype(stored.dtype.newbyteorder("="), copy=False)

    def fingerprint(self) -> str:
        """SHA-256 of both arrays; reads the whole file once and checks its checksums.

        Raises:
            DataError: The file is damaged.
        """
        digest = hashlib.sha256()
        try:
            with zipfile.ZipFile(self.path) as archive:
                for name in ("start.npy", "end.npy"):
                    with archive.open(name) as entry:
                        while part := entry.read(_READ_BYTES):
                            digest.update(part)
        except (OSError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"ends: {self.path}: damaged ({error})") from error
        return digest.hexdigest()


def write_ends(
    path: Path,
    shape: tuple[int, ...],
    start: Iterable[np.ndarray],
    end: Iterable[np.ndarray],
    *,
    dtype: str = "float32",
    others: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write `start` and `end`, given in consecutive blocks of rows, as an .npz file; whole or not at all.

    Args:
        path: The file.
        shape: Of each array, (rows, n).
        start, end: Blocks (any number of rows, n).
        dtype: In which they are stored.
        others: Further arrays, such as where the end points come from.

    Raises:
        ValueError: The blocks have not `shape` together.
    """
    with atomic_path(Path(path)) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, blocks in (("start", start), ("end", end)):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
                header = {"descr": descr, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
                rows = 0
                for block in blocks:
                    if block.shape[1:] != shape[1:]:
                        raise ValueError(f"{name}: expected blocks of rows {shape[1:]}, got {block.shape}")
                    file.write(np.ascontiguousarray(block, dtype).tobytes())
                    rows += len(block)
                if rows != shape[0]:
                    raise ValueError(f"{name}: expected {shape[0]} rows, got {rows}")
        for name, array in (others or {}).items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
