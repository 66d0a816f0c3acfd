"""IDX files, the format in which MNIST, KMNIST and Fashion-MNIST are published."""

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..files.unpacking import check_unpacked
from .checksums import identify_idx
from .images import ImageSet

__all__ = ["read_idx", "read_idx_folder"]

_UNSIGNED_BYTE = 8
_STEMS = ("train", "t10k")


def read_idx(path: Path) -> Tensor:
    """The array of one IDX file of unsigned bytes, gzipped or not, as uint8.

    Raises:
        DataError: The file is missing, not IDX, not of unsigned bytes, shorter or longer than its header says,
            or would unpack to far more than it is. No more is decompressed than the header promises.
    """
    return _read(Path(path))[0]


def _read(path: Path) -> tuple[Tensor, str]:
    """The array and the MD5 of the unpacked file."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[3] not in (1, 2, 3, 4):
                raise DataError(f"{path}: expected an IDX file (first bytes 00 00), got {head.hex(' ') or 'nothing'}")
            if head[2] != _UNSIGNED_BYTE:
                raise DataError(f"{path}: expected IDX data of unsigned bytes (type 08), got type {head[2]:02x}")
            sizes_bytes = file.read(4 * head[3])
            if len(sizes_bytes) < 4 * head[3]:
                raise DataError(f"{path}: truncated inside the header; download it again")
            sizes = [int(n) for n in np.frombuffer(sizes_bytes, ">u4")]
            count = int(np.prod(sizes, dtype=object))
            check_unpacked(path, count)
            body = file.read(count)
            if len(body) < count:
                raise DataError(f"{path}: truncated: the header promises {count} bytes, got {len(body)}")
            if file.read(1):
                raise DataError(f"{path}: longer than the {count} bytes that its header promises")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except DataError:
        raise
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    digest = hashlib.md5(head + sizes_bytes, usedforsecurity=False)
    digest.update(body)
    return torch.from_numpy(np.frombuffer(body, np.uint8).copy()).reshape(sizes), digest.hexdigest()


def _find(folder: Path, stem: str, kind: str) -> Path | None:
    """The file as published (train-images-idx3-ubyte.gz) or as unpacked by some tools (train-images.idx3-ubyte)."""
    for separator in "-.":
        for suffix in (".gz", ""):
            path = folder / f"{stem}-{kind.replace('-idx', separator + 'idx')}{suffix}"
            if path.is_file():
                return path
    return None


def read_idx_folder(folder: Path) -> ImageSet:
    """All images and labels of a folder of IDX files: the train pair, the t10k pair, or both in that order.

    With both, the latter is the published test part. The note says which files have the checksums of
    MNIST, KMNIST or Fashion-MNIST.

    Raises:
        DataError: No images there, labels missing, counts that differ, or images and labels that the
            checksums show to be of different data.
    """
    folder = Path(folder)
    images, labels, origins = [], [], []
    for stem in _STEMS:
        path = _find(folder, stem, "images-idx3-ubyte")
        if path is None:
            continue
        label_path = _find(folder, stem, "labels-idx1-ubyte")
        if label_path is None:
            raise DataError(f"{folder}: found {path.name} but no {stem}-labels-idx1-ubyte (.gz or not) beside it")
        (x, x_md5), (y, y_md5) = _read(path), _read(label_path)
        if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
            raise DataError(
                f"{folder}: expected {stem} images (N, h, w) and labels (N,), got {tuple(x.shape)} and {tuple(y.shape)}"
            )
        origins.append(_origin(path, x_md5, label_path, y_md5))
        images.append(x[:, None])
        labels.append(y.long())
    if not images:
        raise DataError(f"{folder}: expected IDX files such as train-images-idx3-ubyte.gz, found none")
    if len(sizes := {tuple(x.shape[2:]) for x in images}) > 1:
        raise DataError(f"{folder}: expected train and t10k images of one size, got {sorted(sizes)}")
    published_test = len(images[1]) if len(images) == 2 else 0
    return ImageSet(torch.cat(images), torch.cat(labels), 256, folder.name, published_test, "; ".join(origins))


def _origin(images: Path, images_md5: str, labels: Path, labels_md5: str) -> str:
    """What the checksums say of a pair of files."""
    x, y = identify_idx(images, images_md5), identify_idx(labels, labels_md5)
    if x and y and (x[0] != y[0] or y[1] != x[1].replace("images", "labels")):
        raise DataError(
            f"{labels}: by its checksum it is {y[0]}'s {y[1]}, but {images.name} is {x[0]}'s {x[1]}; "
            "put files of one data set together"
        )
    if x and y:
        return f"{x[1].split('-')[0]} part of {x[0]} as published (MD5)"
    unknown = " and ".join(path.name for path, known in ((images, x), (labels, y)) if known is None)
    return f"{unknown}: of no known checksum"
