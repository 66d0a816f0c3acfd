"""CelebA: the aligned and cropped faces as published, with one attribute as the class and the published parts."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..checks import as_path
from ..errors import DataError
from ..files import check_file
from .folder import stack_images
from .images import ImageSet

if TYPE_CHECKING:
    import PIL.Image

__all__ = ["holds_celeba", "read_celeba"]

_IMAGES, _ATTRIBUTES, _PARTITION = "img_align_celeba", "list_attr_celeba", "list_eval_partition"
_ALIGNED = (178, 218)
_TEST_PART = 2


def holds_celeba(folder: Path) -> bool:
    """Whether a folder looks like CelebA, judged by names only."""
    return folder.name == _IMAGES or (folder / _IMAGES).is_dir() or any(folder.glob(f"{_ATTRIBUTES}.*"))


def read_celeba(folder: Path, *, size: int = 64, crop: int = 140, attribute: str = "Smiling") -> ImageSet:
    """CelebA's aligned faces: the central square, resized, and whether each has an attribute.

    Args:
        folder: Holds img_align_celeba/ or is it; the lists, if they are wanted, lie in either, as published
            (list_attr_celeba.txt, list_eval_partition.txt) or as .csv with a header.
        size: Side in pixels, usually 32 or 64.
        crop: Side of the central square of the 178 x 218 pixels: 140 as for Wasserstein auto-encoders, 148 as
            for many variational ones.
        attribute: Of the 40; where the list lacks, there are no labels.

    Returns:
        Images in the order of their names; with the list of partitions, those of its test part come last, and are
        `published_test`. Its validation part counts as training images.

    Raises:
        DataError: No images, an image that is missing, damaged or of another size, or a list that does not fit.

    Reference: Liu et al. 2015 (arXiv 1411.7766); the crop of 140 is "closecrop" in the published code of
    Tolstikhin et al. 2018 (arXiv 1711.01558).
    """
    from PIL import Image

    if not 2 <= crop <= min(_ALIGNED):
        raise DataError(f"crop: expected 2 to {min(_ALIGNED)} pixels, got {crop}")
    folder = as_path("folder", folder)
    images = folder
    while (images / _IMAGES).is_dir():  # some copies hold the folder in a folder of its name
        images = images / _IMAGES
    paths = sorted(images.glob("*.jpg"))
    if not paths:
        raise DataError(f"{images}: expected CelebA's aligned images (000001.jpg ...), found none; download them")
    places = [folder, images, images.parent]
    attributes, partition = _table(places, _ATTRIBUTES), _table(places, _PARTITION)
    test = 0
    if partition is not None:
        parts = _column(*partition, paths, None)
        test = sum(part == _TEST_PART for part in parts)
        order = sorted(range(len(paths)), key=lambda i: parts[i] == _TEST_PART)
        paths = [paths[i] for i in order]

    left, top = ((side - crop) // 2 for side in _ALIGNED)

    def prepare(image: "PIL.Image.Image") -> "PIL.Image.Image":
        if image.size != _ALIGNED:
            raise ValueError(f"expected {_ALIGNED[0]} x {_ALIGNED[1]} pixels as CelebA's aligned images have")
        square = image.crop((left, top, left + crop, top + crop))
        return square.resize((size, size), Image.Resampling.LANCZOS)

    labels = None
    if attributes is not None:
        labels = torch.tensor([value > 0 for value in _column(*attributes, paths, attribute)]).long()
    return ImageSet(stack_images(paths, size, prepare), labels, 256, "celeba", test if test < len(paths) else 0)


def _table(places: list[Path], stem: str) -> tuple[Path, list[str], dict[str, list[str]]] | None:
    """A list's file, the names of its columns if it says them, and its rows by image."""
    for path in (place / f"{stem}{suffix}" for place in places for suffix in (".txt", ".csv")):
        if not path.is_file():
            continue
        try:
            check_file(path)
            lines = path.read_text(encoding="utf-8").splitlines()
        except ValueError as error:
            raise DataError(f"{path}: expected text ({error}); download it again") from error
        rows = [line.replace(",", " ").split() for line in lines]
        rows = [row for row in rows if row]
        header: list[str] = []
        if path.suffix == ".csv":
            header = rows.pop(0)[1:] if rows else []
        elif stem == _ATTRIBUTES:
            header, rows = (rows[1], rows[2:]) if len(rows) > 1 else ([], [])  # the first line is their number
        return path, header, {row[0]: row[1:] for row in rows}
    return None


def _column(
    path: Path, header: list[str], rows: dict[str, list[str]], images: list[Path], name: str | None
) -> list[int]:
    """A column of a list for each image; the first, if it has no name."""
    if name is not None and name not in header:
        raise DataError(
            f"{path}: attribute: expected one of {', '.join(header) or 'none'}, got {name!r}; name one of them"
        )
    index = 0 if name is None else header.index(name)
    values = []
    for image in images:
        try:
            values.append(int(rows[image.name][index]))
        except (LookupError, ValueError) as error:
            raise DataError(f"{path}: expected a line with integers for {image.name}; download it again") from error
    return values
