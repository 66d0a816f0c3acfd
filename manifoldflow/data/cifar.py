"""CIFAR-10 and CIFAR-100 in their published binary form, packed or not. The python forms are pickles and refused."""

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch

from ..checks import as_path
from ..errors import DataError
from ..files import check_file
from .checksums import CIFAR10_BINARY, CIFAR100_BINARY, check_archive
from .images import ImageSet

__all__ = ["holds_cifar", "read_cifar", "read_cifar10", "read_cifar100"]

_PIXELS = 3 * 32 * 32
_MOST_UNPACKED = 256 << 20
"""The published archives unpack to 184 MB."""


@dataclass(frozen=True)
class _Form:
    """How one of the two is published; `pickles` are names by which its python form is known."""

    name: str
    title: str
    train: tuple[str, ...]
    test: str
    folder: str
    archive: str
    labels: int
    classes: int
    most: int
    pickles: frozenset[str]

    @property
    def record(self) -> int:
        """Bytes of an image with its labels, of which the last is the class."""
        return self.labels + _PIXELS

    @property
    def files(self) -> tuple[str, ...]:
        return *self.train, self.test

    @property
    def advice(self) -> str:
        return (
            f"it consists of pickles, which can run any code and are never read; give {self.title}'s binary version "
            f"instead: {self.archive} as downloaded, or its unpacked folder {self.folder} with {self.train[0]}"
        )


_TEN = _Form(
    name="cifar10",
    title="CIFAR-10",
    train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    test="test_batch.bin",
    folder="cifar-10-batches-bin",
    archive="cifar-10-binary.tar.gz",
    labels=1,
    classes=10,
    most=10_000,
    pickles=frozenset({"data_batch_1", "test_batch", "batches.meta", "cifar-10-batches-py", "cifar-10-python.tar.gz"}),
)
_HUNDRED = _Form(
    name="cifar100",
    title="CIFAR-100",
    train=("train.bin",),
    test="test.bin",
    folder="cifar-100-binary",
    archive="cifar-100-binary.tar.gz",
    labels=2,
    classes=100,
    most=50_000,
    pickles=frozenset({"cifar-100-python", "cifar-100-python.tar.gz"}),
)
_FORMS = (_TEN, _HUNDRED)


def holds_cifar(path: Path) -> bool:
    """Whether a path looks like CIFAR-10 or CIFAR-100 in any of their published forms, judged by names only."""
    if not path.is_dir():
        return path.name.endswith((".tar.gz", ".tgz", ".tar"))
    names = {path.name, *(entry.name for entry in path.iterdir())}
    return any(names & {*form.files, form.folder, form.archive, *form.pickles} for form in _FORMS)


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
    return _read(as_path("path", path), (_TEN,))


def read_cifar100(path: Path) -> ImageSet:
    """CIFAR-100's images and fine labels from cifar-100-binary.tar.gz or from the folder that it unpacks to.

    Args:
        path: The archive, the folder cifar-100-binary, or a folder that holds one of them. Its test.bin, if it is
            there, is the published test part.

    Raises:
        DataError: As `read_cifar10`.
    """
    return _read(as_path("path", path), (_HUNDRED,))


def read_cifar(path: Path) -> ImageSet:
    """Whichever of the two a path holds; see `read_cifar10`.

    Raises:
        DataError: As `read_cifar10`.
    """
    return _read(as_path("path", path), _FORMS)


def _read(path: Path, forms: tuple[_Form, ...]) -> ImageSet:
    if path.is_dir():
        names = {entry.name for entry in path.iterdir()}
        for form in forms:
            if form.folder in names:
                return _read(path / form.folder, (form,))
            if form.archive in names and not names & set(form.files):
                return _read(path / form.archive, (form,))
            if not names & set(form.files) and (names | {path.name}) & form.pickles:
                raise DataError(f"{path}: this is {form.title}'s python version: {form.advice}")
        form = next((form for form in forms if names & set(form.files)), forms[0])
        files, note = _read_folder(path, form), ""
    elif path.exists():
        check_file(path)
        published = check_archive(path, CIFAR10_BINARY) or check_archive(path, CIFAR100_BINARY)
        files = dict(_read_archive(path, forms))
        form = next((form for form in forms if files.keys() & set(form.files)), forms[0])
        known = f"{form.title} binary version as published (MD5)"
        note = known if published else f"{path.name}: of no known checksum"
    else:
        raise DataError(f"{path}: no such file or folder; check the path")
    order = [name for name in form.train if name in files]
    if not order:
        found = ", ".join(sorted(files)) or "none of its files"
        raise DataError(f"{path}: expected {form.title}'s {form.train[0]}, found {found}; download it again")
    if missing := [name for name in form.files if name not in files]:
        note = f"{note}; without {', '.join(missing)}".removeprefix("; ")
    records = {name: _records(path, form, name, files[name]) for name in (*order, form.test) if name in files}
    content = np.concatenate(list(records.values()))
    images = torch.from_numpy(content[:, form.labels :].reshape(-1, 3, 32, 32))  # a copy, without the labels
    labels = torch.from_numpy(content[:, form.labels - 1]).long()
    return ImageSet(images, labels, 256, form.name, len(records.get(form.test, [])), note)


def _records(path: Path, form: _Form, name: str, content: bytes) -> np.ndarray:
    """Rows of the label bytes and 3,072 pixels."""
    if not content or len(content) % form.record:
        raise DataError(
            f"{path}: {name}: truncated: expected a multiple of {form.record} bytes (labels and 3 x 32 x 32 pixels "
            f"each), got {len(content)}; download it again"
        )
    rows = np.frombuffer(content, np.uint8).reshape(-1, form.record)
    if (most := rows[:, form.labels - 1].max()) >= form.classes:
        raise DataError(
            f"{path}: {name}: expected labels 0 to {form.classes - 1}, got {most}; this is no {form.title} batch: "
            "download it again"
        )
    return rows


def _check_size(path: Path, form: _Form, name: str, size: int) -> None:
    if size > form.most * form.record:
        raise DataError(
            f"{path}: {name}: expected at most {form.most * form.record} bytes ({form.most:,} images), got {size}; "
            "download it again"
        )


def _read_folder(folder: Path, form: _Form) -> dict[str, bytes]:
    files = {}
    for name in form.files:
        file = folder / name
        if file.is_file():
            _check_size(folder, form, name, file.stat().st_size)
            files[name] = file.read_bytes()
    return files


class _Bounded(io.RawIOBase):
    """What a compressed file unpacks to, as far as CIFAR can be."""

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
            raise DataError(
                f"{self.path}: unpacks to more than {_MOST_UNPACKED} bytes, which CIFAR does not; download it again"
            )
        return chunk


def _read_archive(path: Path, forms: tuple[_Form, ...]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the batches in an archive."""
    wanted = {name: form for form in forms for name in form.files}
    seen: set[str] = set()
    try:
        with (
            path.open("rb") if path.suffix == ".tar" else gzip.open(path, "rb") as source,
            tarfile.open(fileobj=_Bounded(source, path), mode="r|") as archive,
        ):
            for member in archive:
                name = _checked_name(path, member)
                if name in wanted and name not in seen:
                    seen.add(name)
                    _check_size(path, wanted[name], name, member.size)
                    content = archive.extractfile(member)
                    assert content is not None
                    yield name, content.read()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(f"{path}: not a readable archive ({error}); download it again") from error


def _checked_name(path: Path, member: tarfile.TarInfo) -> str:
    """The member's last name, if a well-meant archive could hold it."""
    parts = PurePosixPath(member.name).parts
    if member.name.startswith("/") or ".." in parts:
        raise DataError(f"{path}: refused: {member.name!r:.100} leaves the archive's folder; download it again")
    if not (member.isfile() or member.isdir()):
        raise DataError(f"{path}: refused: {member.name!r:.100} is neither a file nor a folder; download it again")
    for form in _FORMS:
        if set(parts) & form.pickles:
            raise DataError(f"{path}: this is {form.title}'s python version: {form.advice}")
    return parts[-1] if parts else ""
