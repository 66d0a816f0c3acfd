"""Any folder of images, centre-cropped and resized; its subfolders, if there are any, are the classes."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from .images import ImageSet

if TYPE_CHECKING:
    import PIL.Image

__all__ = ["read_image_folder", "stack_images"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm"}


def stack_images(
    paths: Sequence[Path], size: int, prepare: "Callable[[PIL.Image.Image], PIL.Image.Image]", *, grey: bool = False
) -> Tensor:
    """Images as one tensor (N, c, size, size), uint8, filled one by one.

    Args:
        paths: Of image files, in the order wanted.
        size: Side in pixels that `prepare` gives.
        prepare: From the image as it is stored to a square one; a ValueError refuses it.
        grey: One channel instead of three.

    Raises:
        DataError: An image that is refused, damaged or suspiciously large (a decompression bomb).
    """
    from PIL import Image

    stack = np.empty((len(paths), 1 if grey else 3, size, size), np.uint8)
    for row, path in zip(stack, paths):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path) as image:
                    square = prepare(image).convert("L" if grey else "RGB")
        except Exception as error:  # Pillow's decoders raise many kinds
            raise DataError(f"{path}: not a readable image ({error}); remove or replace it") from error
        row[:] = np.asarray(square).reshape(size, size, -1).transpose(2, 0, 1)
    return torch.from_numpy(stack)


def read_image_folder(folder: Path, *, size: int = 32, grey: bool = False) -> ImageSet:
    """Every image of the folder and its direct subfolders, in the order of their names.

    Args:
        folder: Holds images, or one subfolder of images a class.
        size: Side in pixels after the largest centred square is cut out.
        grey: One channel instead of three.

    Raises:
        DataError: No images, or one that is damaged or suspiciously large (a decompression bomb).
    """
    from PIL import ImageOps

    folder = Path(folder)
    paths = sorted(p for p in (*folder.glob("*"), *folder.glob("*/*")) if p.suffix.lower() in _SUFFIXES)
    if not paths:
        raise DataError(f"{folder}: expected images ({', '.join(sorted(_SUFFIXES))}), found none")
    mode = "L" if grey else "RGB"
    images = stack_images(paths, size, lambda image: ImageOps.fit(image.convert(mode), (size, size)), grey=grey)
    classes = sorted({p.parent.name for p in paths if p.parent != folder})
    labels = None
    if classes and all(p.parent != folder for p in paths):
        labels = torch.tensor([classes.index(p.parent.name) for p in paths])
    return ImageSet(images, labels, 256, folder.name)
