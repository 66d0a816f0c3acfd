"""IDX files, the format in which MNIST, KMNIST and Fashion-MNIST are published."""

import gzip
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from .images import ImageSet

__all__ = ["read_idx", "read_idx_folder"]

_UNSIGNED_BYTE = 8
_STEMS = ("train", "t10k")
_MAX_BYTES = 4 << 30


def read_idx(path: Path) -> Tensor:
    """The array of one IDX file of unsigned bytes, gzipped or not, as uint8.

    Raises:
        DataError: The file is missing, not IDX, not of unsigned bytes, or shorter or longer than
            its header says. No more is decompressed than the header promises.
    """
    path = Path(path)
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
            if count > _MAX_BYTES:
                raise DataError(f"{path}: the header promises {count} bytes, more than the {_MAX_BYTES} allowed")
            body = file.read(count)
            if len(body) < count:
                raise DataError(f"{path}: truncated: the header promises {count} bytes, got {len(body)}")
            if file.read(1):
                raise DataError(f"{path}: longer than the {count} bytes that its header promises")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    return torch.from_numpy(np.frombuffer(body, np.uint8).copy()).reshape(sizes)


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

    Raises:
        DataError: No images there, labels missing, or counts that differ.
    """
    folder = Path(folder)
    images, labels = [], []
    for stem in _STEMS:
        path = _find(folder, stem, "images-idx3-ubyte")
        if path is None:
            continue
        label_path = _find(folder, stem, "labels-idx1-ubyte")
        if label_path is None:
            raise DataError(f"{folder}: found {path.name} but no {stem}-labels-idx1-ubyte (.gz or not) beside it")
        x, y = read_idx(path), read_idx(label_path)
        if x.ndim != 3 or y.ndim != 1 or len(x) != len(y):
            raise DataError(
                f"{folder}: expected {stem} images (N, h, w) and labels (N,), got {tuple(x.shape)} and {tuple(y.shape)}"
            )
        images.append(x[:, None])
        labels.append(y.long())
    if not images:
        raise DataError(f"{folder}: expected IDX files such as train-images-idx3-ubyte.gz, found none")
    return ImageSet(torch.cat(images), torch.cat(labels), 256, folder.name)
