"""Checksums of published data sets, and what files that carry their names turn out to be."""

import hashlib
from pathlib import Path

from ..errors import DataError

__all__ = ["CIFAR10_BINARY", "CIFAR100_BINARY", "check_archive", "file_md5", "identify_idx"]

_IDX_FILES = ("train-images", "train-labels", "t10k-images", "t10k-labels")

# Of the unpacked files, so that a file packed anew is known too. docs/data.md says where each comes from.
_IDX_CONTENT = {
    "MNIST": (
        "6bbc9ace898e44ae57da46a324031adb",
        "a25bea736e30d166cdddb491f175f624",
        "2646ac647ad5339dbf082846283269ea",
        "27ae3e4e09519cfbb04c329615203637",
    ),
    "Fashion-MNIST": (
        "f4a8712d7a061bf5bd6d2ca38dc4d50a",
        "9018921c3c673c538a1fc5bad174d6f9",
        "8181f5470baa50b63fa0f6fddb340f0a",
        "15d484375f8d13e6eb1aabb0c3f46965",
    ),
}

# Of the .gz files as they are downloaded; of these, nobody publishes sums of the unpacked ones.
_IDX_PACKED = {
    "KMNIST": (
        "bdb82020997e1d708af4cf47b453dcf7",
        "e144d726b3acfaa3e44228e80efcd344",
        "5c965bf0a639b31b8f53240b1b52f4d7",
        "7320c461ea6c1c855c0b718fb2a4b134",
    ),
}

_IDX_KNOWN = {
    md5: (name, file)
    for name, sums in {**_IDX_CONTENT, **_IDX_PACKED}.items()
    for file, md5 in zip(_IDX_FILES, sums, strict=True)
}

CIFAR10_BINARY = (170_052_171, "c32a1d4ab5d03f1284b67883e8d87530")
"""Size in bytes and MD5 of cifar-10-binary.tar.gz as its authors publish it."""


CIFAR100_BINARY = (168_513_733, "03b5dce01913d631647c71ecec9e9cb8")
"""The same of cifar-100-binary.tar.gz."""


def file_md5(path: Path) -> str:
    """MD5 of a file: against accidents, as the publishers give it, not against forgery."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def identify_idx(path: Path, content_md5: str) -> tuple[str, str] | None:
    """Data set and file ("MNIST", "train-images") of which this IDX file is a copy; None if it is of none known."""
    known = _IDX_KNOWN.get(content_md5)
    return known or (_IDX_KNOWN.get(file_md5(path)) if _is_packed(path) else None)


def _is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def check_archive(path: Path, published: tuple[int, str]) -> bool:
    """Whether the file is the published one.

    Raises:
        DataError: It has the size of the published one, and another checksum: it is damaged.
    """
    size, md5 = published
    if path.stat().st_size != size:
        return False
    found = file_md5(path)
    if found != md5:
        raise DataError(
            f"{path}: damaged: it has the published size, and MD5 {found} instead of {md5}; download it again"
        )
    return True
