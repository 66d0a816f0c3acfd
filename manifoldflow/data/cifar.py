"""CIFAR-10 in its published binary form, packed or not. The python form consists of pickles and is refused."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from ..errors import DataError
from .checksums import CIFAR10_BINARY, check_archive
from .images import ImageSet

__all__ = ["holds_cifar10", "read_cifar10"]

_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_TEST = "test_batch.bin"
_FOLDER = "cifar-10-batches-bin"
_ARCHIVE = "cifar-10-binary.tar.gz"
_PICKLES = {"data_batch_1", "test_batch", "batches.meta", "cifar-10-batches-py", "cifar-10-python.tar.gz"}
_RECORD = 1 + 3 * 32 * 32
_MOST_BYTES = 10_000 * _RECORD
_MOST_UNPACKED = 256 << 20
"""The published archive unpacks to 184 MB."""

_ADVICE = (
    f"it consists of pickles, which can run any code and are never read; give CIFAR-10's binary version instead: "
    f"{_ARCHIVE} as downloaded, or its unpacked folder {_FOLDER} with data_batch_1.bin"
)


def holds_cifar10(path: Path) -> bool:
    """Whether a path looks like CIFAR-10 in any of its published forms, judged by names only."""
    if not path.is_dir():
        return path.name.endswith((".tar.gz", ".tgz", ".tar"))
    names = {entry.name for entry in path.iterdir()}
    return bool(names & {*_TRAIN, _TEST, _FOLDER, _ARCHIVE, *_PICKLES})


def read_cifar10(path: Path) -> ImageSet:
    """CIFAR-10's images and labels from cifar-10-binary.tar.gz or from the folder that it unpacks to.

    The images of test_batch.bin, if it is there, come last and are the published test part. An archive is
    read as a stream; nothing of it is written to disk.

    Args:
        path: The archive, the folder cifar-10-batches-bin, or a folder that holds one of them.

    Raises:
        DataError: The python version; a file that is missing, damaged or of another size; an archive with
            links, with paths that leave their folder, or that unpacks to more than CIFAR-10 could.
    """
    path = Path(path)
    if path.is_dir():
        names = {entry.name for entry in path.iterdir()}
        if _FOLDER in names:
            return read_cifar10(path / _FOLDER)
        if _ARCHIVE in names and not names & {*_TRAIN, _TEST}:
            return read_cifar10(path / _ARCHIVE)
        if not names & {*_TRAIN, _TEST} and names & _PICKLES:
            raise DataError(f"{path}: this is CIFAR-10's python version: {_ADVICE}")
        files, note = _read_folder(path), ""
    elif path.is_file():
        published = check_archive(path, CIFAR10_BINARY)
        files = dict(_read_archive(path))
        note = "CIFAR-10 binary version as published (MD5)" if published else f"{path.name}: of no known checksum"
    else:
        raise DataError(f"{path}: no such file or folder")
    order = [name for name in _TRAIN if name in files]
    if not order:
        found = ", ".join(sorted(files)) or "none of its files"
        raise DataError(f"{path}: expected CIFAR-10's {_TRAIN[0]}, found {found}")
    if missing := [name for name in (*_TRAIN, _TEST) if name not in files]:
        note = f"{note}; without {', '.join(missing)}".removeprefix("; ")
    records = {name: _records(path, name, files[name]) for name in (*order, _TEST) if name in files}
    content = np.concatenate(list(records.values()))
    images = torch.from_numpy(content[:, 1:].reshape(-1, 3, 32, 32))  # a copy, without the labels between
    labels = torch.from_numpy(content[:, 0]).long()
    return ImageSet(images, labels, 256, "cifar10", len(records.get(_TEST, [])), note)


def _records(path: Path, name: str, content: bytes) -> np.ndarray:
    """Rows of a label byte and 3,072 pixels, (N, 3073)."""
    if not content or len(content) % _RECORD:
        raise DataError(
            f"{path}: {name}: truncated: expected a multiple of {_RECORD} bytes (a label and 3 x 32 x 32 pixels each), "
            f"got {len(content)}"
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    if rows[:, 0].max() > 9:
        raise DataError(f"{path}: {name}: expected labels 0 to 9, got {rows[:, 0].max()}; this is no CIFAR-10 batch")
    return rows


def _check_size(path: Path, name: str, size: int) -> None:
    if size > _MOST_BYTES:
        raise DataError(f"{path}: {name}: expected at most {_MOST_BYTES} bytes (10,000 images), got {size}")


def _read_folder(folder: Path) -> dict[str, bytes]:
    files = {}
    for name in (*_TRAIN, _TEST):
        file = folder / name
        if file.is_file():
            _check_size(folder, name, file.stat().st_size)
            files[name] = file.read_bytes()
    return files


class _Bounded(io.RawIOBase):
    """What a compressed file unpacks to, as far as CIFAR-10 can be."""

    def __init__(self, source: io.BufferedIOBase, path: Path) -> None:
        self.source, self.path, self.left = source, path, _MOST_UNPACKED

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes.

        Raises:
            DataError: The archive unpacks to more than it may.
        """
        chunk = self.source.read(size)
        self.left -= len(chunk)
        if self.left < 0:
            raise DataError(f"{self.path}: unpacks to more than {_MOST_UNPACKED} bytes, which CIFAR-10 does not")
        return chunk


def _read_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the batches in an archive."""
    seen: set[str] = set()
    try:
        with (
            path.open("rb") if path.suffix == ".tar" else gzip.open(path, "rb") as source,
            tarfile.open(fileobj=_Bounded(source, path), mode="r|") as archive,
        ):
            for member in archive:
                name = _checked_name(path, member)
                if name in (*_TRAIN, _TEST) and name not in seen:
                    seen.add(name)
                    _check_size(path, name, member.size)
                    content = archive.extractfile(member)
                    assert content is not None
                    yield name, content.read()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"{path}: not a readable archive ({error}); download it again") from error


def _checked_name(path: Path, member: tarfile.TarInfo) -> str:
    """The member's last name, if a well-meant CIFAR-10 archive could hold it."""
    parts = PurePosixPath(member.name).parts
    if member.name.startswith("/") or ".." in parts:
        raise DataError(f"{path}: refused: {member.name!r:.100} leaves the archive's folder")
    if not (member.isfile() or member.isdir()):
        raise DataError(f"{path}: refused: {member.name!r:.100} is neither a file nor a folder")
    if set(parts) & _PICKLES:
        raise DataError(f"{path}: this is CIFAR-10's python version: {_ADVICE}")
    return parts[-1] if parts else ""
