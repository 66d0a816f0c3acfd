"""Any folder of images, centre-cropped and resized; its subfolders, if there are any, are the classes."""

import warnings
from pathlib import Path

import numpy as np
import torch

from ..errors import DataError
from .images import ImageSet

__all__ = ["read_image_folder"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm"}


def read_image_folder(folder: Path, *, size: int = 32, grey: bool = False) -> ImageSet:
    """Every image of the folder and its direct subfolders, in the order of their names.

    Args:
        folder: Holds images, or one subfolder of images a class.
        size: Side in pixels after the largest centred square is cut out.
        grey: One channel instead of three.

    Raises:
        DataError: No images, or one that is damaged or suspiciously large (a decompression bomb).
    """
    from PIL import Image, ImageOps

    folder = Path(folder)
    paths = sorted(p for p in (*folder.glob("*"), *folder.glob("*/*")) if p.suffix.lower() in _SUFFIXES)
    if not paths:
        raise DataError(f"{folder}: expected images ({', '.join(sorted(_SUFFIXES))}), found none")
    arrays = []
    for path in paths:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path) as image:
                    square = ImageOps.fit(image.convert("L" if grey else "RGB"), (size, size))
        except Exception as error:  # Pillow's decoders raise many kinds
            raise DataError(f"{path}: not a readable image ({error}); remove or replace it") from error
        arrays.append(np.asarray(square).reshape(size, size, -1).transpose(2, 0, 1))
    classes = sorted({p.parent.name for p in paths if p.parent != folder})
    labels = None
    if classes and all(p.parent != folder for p in paths):
        labels = torch.tensor([classes.index(p.parent.name) for p in paths])
    return ImageSet(torch.from_numpy(np.stack(arrays)), labels, 256, folder.name)
