"""Reading numpy files of unknown origin: nothing is unpickled, and nothing unpacks to far more than it is."""

import os
import struct
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

__all__ = ["check_unpacked", "check_zip", "map_npy", "read_header", "read_npy", "read_npz"]

_ALWAYS_ALLOWED = 1 << 30
_LARGEST_RATIO = 64
_LONGEST_END = 22 + 0xFFFF + 20 + 56
"""Bytes of a zip file's last record with the longest comment, and of its two wide ones."""


def check_unpacked(path: Path, promised: int) -> None:
    """Refuse a file that says it holds more than 1 GiB and more than 64 times its own size: a decompression bomb.

    Images and points pack to a tenth at the best; zeros, to a thousandth.

    Raises:
        ValueError: It does.
    """
    allowed = max(_ALWAYS_ALLOWED, _LARGEST_RATIO * path.stat().st_size)
    if promised > allowed:
        raise ValueError(
            f"the header promises {promised} bytes, more than the {allowed} allowed for a file of its size"
        )


def check_zip(path: Path) -> None:
    """Refuse a zip file that unpacks to far more than it is, see `check_unpacked`, or has an entry twice or not at all.

    Raises:
        Exception: It is not a zip file; ValueError if it is a decompression bomb, has an entry twice or lacks one.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) != (promised := _promised_members(path)):  # zipfile itself reads as far as the directory says
            raise ValueError(f"its directory has {len(members)} entries, its end says {promised}")
        check_unpacked(path, sum(member.file_size for member in members))
        names = [member.filename for member in members]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"{twice!r:.100} appears twice")


def _promised_members(path: Path) -> int:
    """How many entries a zip file says that it has in its last record.

    Reference: APPNOTE.TXT of PKWARE, 4.3.14 to 4.3.16.
    """
    with path.open("rb") as file:
        file.seek(-min(path.stat().st_size, _LONGEST_END), os.SEEK_END)
        end = file.read()
    count = struct.unpack_from("<H", end, end.rindex(b"PK\5\6") + 10)[0]
    wide = end.rfind(b"PK\6\6")
    return int(struct.unpack_from("<Q", end, wide + 32)[0] if count == 0xFFFF and wide >= 0 else count)


def read_header(file: IO[bytes], length: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and dtype of an array in numpy's format; `file` is left where the data begins.

    Raises:
        ValueError: Another format, pickled objects, or a header that does not agree with the `length` of the whole.
    """
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, column_major, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, column_major, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"format version {version}")
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if min(shape, default=0) < 0 or promised != length - file.tell():
        raise ValueError(f"the header promises {promised} bytes of data, got {length - file.tell()}")
    return shape, column_major, dtype


def _read_array(file: IO[bytes], length: int) -> np.ndarray:
    read_header(file, length)
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def read_npy(path: Path) -> np.ndarray:
    """The array of an .npy file.

    Raises:
        Exception: Whatever goes wrong, for the caller to say in which file; ValueError if the content is not as
            the name or the header says.
    """
    with path.open("rb") as file:
        return _read_array(file, path.stat().st_size)


def map_npy(path: Path) -> np.ndarray:
    """The array of an .npy file, read where it is used.

    Raises:
        Exception: As `read_npy`.
    """
    with path.open("rb") as file:
        read_header(file, path.stat().st_size)
    mapped: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return mapped


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an .npz file by name.

    Raises:
        Exception: Whatever goes wrong, for the caller to say in which file; ValueError if the content is not as
            the name or the headers say.
    """
    arrays = {}
    check_zip(path)
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if name == member.filename:
                raise ValueError(f"{member.filename!r:.100} is not an array")
            with archive.open(member) as content:
                arrays[name] = _read_array(content, member.file_size)
    return arrays
