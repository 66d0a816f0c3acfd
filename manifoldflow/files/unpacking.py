"""Reading numpy files of unknown origin: nothing is unpickled, and nothing unpacks to far more than it is."""

import zipfile
from pathlib import Path
from typing import IO

import numpy as np

__all__ = ["check_unpacked", "check_zip", "read_npy", "read_npz"]

_ALWAYS_ALLOWED = 1 << 30
_LARGEST_RATIO = 64


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
    """The same for all that a zip file holds.

    Raises:
        Exception: It is not a zip file; ValueError if it is a decompression bomb.
    """
    with zipfile.ZipFile(path) as archive:
        check_unpacked(path, sum(member.file_size for member in archive.infolist()))


def _read_array(file: IO[bytes], length: int) -> np.ndarray:
    """One array in numpy's format, if its header and the `length` of the whole agree."""
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    elif version == (2, 0):
        shape, _, dtype = np.lib.format.read_array_header_2_0(file)
    else:
        raise ValueError(f"format version {version}")
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    promised = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if min(shape, default=0) < 0 or promised != length - file.tell():
        raise ValueError(f"the header promises {promised} bytes of data, got {length - file.tell()}")
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
            if name == member.filename or name in arrays:
                raise ValueError(f"{member.filename!r:.100} is no array, or stands in it twice")
            with archive.open(member) as content:
                arrays[name] = _read_array(content, member.file_size)
    return arrays
