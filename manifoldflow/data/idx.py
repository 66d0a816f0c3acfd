"""IDX files, the format in which MNIST, KMNIST and Fashion-MNIST are published."""

import gzip
import hashlib
import re
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..checks import as_path
from ..errors import DataError
from ..files import check_file
from ..files.unpacking import check_unpacked
from .checksums import identify_idx
from .images import ImageSet

__all__ = ["find_idx", "read_idx", "read_idx_folder"]

_AGAIN = "download it again"
_TYPES = {8: "u1", 12: ">i4"}
"""Of the numbers: unsigned bytes, and the integers of QMNIST's labels."""
_GZIP = b"\x1f\x8b"
_IMAGES = re.compile(r"(?P<data>.*?)(?P<part>train|t10k|test)[-.]images[-.]idx3[-.]ubyte(\.gz)?")
_LABELS = r"{}[-.]labels[-.](idx1[-.]ubyte|idx2[-.]int)(\.gz)?"


def read_idx(path: Path) -> Tensor:
    """The array of one IDX file of unsigned bytes, gzipped or not, as uint8.

    Raises:
        DataError: The file is missing, not IDX, not of unsigned bytes, shorter or longer than its header says,
            or would unpack to far more than it is. No more is decompressed than the header promises.
    """
    path = as_path("path", path)
    array, _ = _read(path)
    if array.dtype != torch.uint8:
        raise DataError(f"{path}: expected IDX data of unsigned bytes (type 08), got type 0c; give another file")
    return array


def _read(path: Path) -> tuple[Tensor, str]:
    """The array, uint8 or int32, and the MD5 of the unpacked file."""
    check_file(path)
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[3] not in (1, 2, 3, 4):
                raise DataError(
                    f"{path}: expected an IDX file (first bytes 00 00), got {head.hex(' ') or 'nothing'}; {_AGAIN}"
                )
            if head[2] not in _TYPES:
                raise DataError(
                    f"{path}: expected IDX data of unsigned bytes (type 08), got type {head[2]:02x}; convert it"
                )
            kind = np.dtype(_TYPES[head[2]])
            sizes_bytes = file.read(4 * head[3])
            if len(sizes_bytes) < 4 * head[3]:
                raise DataError(f"{path}: truncated inside the header; {_AGAIN}")
            sizes = [int(n) for n in np.frombuffer(sizes_bytes, ">u4")]
            count = int(np.prod(sizes, dtype=object)) * kind.itemsize
            check_unpacked(path, count)
            body = file.read(count)
            if len(body) < count:
                raise DataError(f"{path}: truncated: the header promises {count} bytes, got {len(body)}; {_AGAIN}")
            if file.read(1):
                raise DataError(f"{path}: longer than the {count} bytes that its header promises; {_AGAIN}")
    except DataError:
        raise
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); {_AGAIN}") from error
    digest = hashlib.md5(head + sizes_bytes, usedforsecurity=False)
    digest.update(body)
    array = np.frombuffer(body, kind).astype(kind.newbyteorder("="))
    return torch.from_numpy(array).reshape(sizes), digest.hexdigest()


def find_idx(path: Path) -> Path | None:
    """The folder with IDX files: the one given, or where torchvision puts them, raw/ or MNIST/raw/ in it.

    Raises:
        DataError: There are several.
    """
    places = [path, path / "raw", *sorted(path.glob("*/raw"))]
    found = [place for place in places if place.is_dir() and any(place.glob("*-ubyte*"))]
    if len(found) > 1:
        raise DataError(f"{path}: expected the IDX files of one data set, found {', '.join(map(str, found))}; give one")
    return found[0] if found else None


def _pairs(folder: Path) -> dict[str, tuple[Path, Path]]:
    """By part ("train", "t10k"), the files of images and of labels.

    Raises:
        DataError: No images there, labels missing, or several data sets.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    matches = [match for name in names if (match := _IMAGES.fullmatch(name))]
    if not matches:
        listed = ", ".join(name for name in names if "ubyte" in name)
        raise DataError(
            f"{folder}: expected IDX files such as train-images-idx3-ubyte.gz, found {listed or 'none'}; "
            "give them the names under which they were published"
        )
    if len(sets := sorted({match["data"] for match in matches})) > 1:
        listed = ", ".join(f"{data}*" for data in sets)
        raise DataError(f"{folder}: expected the files of one data set, found {listed}; put each into its own folder")
    pairs = {}
    for match in matches:
        wanted = re.compile(_LABELS.format(re.escape(match["data"] + match["part"])))
        labels = next((name for name in names if wanted.fullmatch(name)), None)
        if labels is None:
            raise DataError(
                f"{folder}: found {match[0]} but no {match['data']}{match['part']}-labels-idx1-ubyte (.gz or not) "
                "beside it; put both there"
            )
        pairs["train" if match["part"] == "train" else "t10k"] = folder / match[0], folder / labels
    return pairs


def read_idx_folder(folder: Path) -> ImageSet:
    """All images and labels of a folder of IDX files: the train pair, the t10k or test pair, or both in that order.

    With both, the latter is the published test part. The note says which files have the checksums of
    MNIST, KMNIST or Fashion-MNIST. EMNIST's images, which are published on their side, are turned upright; QMNIST's
    labels are the first of the eight columns that it has for each image.

    Args:
        folder: Holds the files, or torchvision's folder MNIST/raw with them.

    Raises:
        DataError: No images there, labels missing, counts that differ, several data sets, or images and labels that
            the checksums show to be of different data.
    """
    folder = as_path("folder", folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; check the path")
    folder = find_idx(folder) or folder
    images, labels, origins = [], [], []
    pairs = _pairs(folder)
    for part in sorted(pairs, reverse=True):
        path, label_path = pairs[part]
        (x, x_md5), (y, y_md5) = _read(path), _read(label_path)
        if y.ndim == 2 and y.dtype == torch.int32 and y.shape[1]:
            y = y[:, 0]
        if x.ndim != 3 or x.dtype != torch.uint8 or y.ndim != 1 or len(x) != len(y):
            raise DataError(
                f"{folder}: expected {part} images (N, h, w) and labels (N,), got {tuple(x.shape)} and "
                f"{tuple(y.shape)}; put files of one data set together"
            )
        origins.append(_origin(path, x_md5, label_path, y_md5))
        images.append((x.mT if path.name.startswith("emnist-") else x)[:, None])
        labels.append(y.long())
    if len(sizes := {tuple(x.shape[2:]) for x in images}) > 1:
        raise DataError(
            f"{folder}: expected train and t10k images of one size, got {sorted(sizes)}; put files of one data set "
            "together"
        )
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
