"""Any folder of images, centre-cropped and resized; its subfolders, if there are any, are the classes."""

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..checks import as_path, check_integer
from ..errors import DataError
from ..files import check_file
from .images import ImageSet

if TYPE_CHECKING:
    import PIL.Image

__all__ = ["read_image_folder", "stack_images"]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
_MOST_SIZES = 3


def stack_images(
    paths: Sequence[Path], size: int, prepare: "Callable[[PIL.Image.Image], PIL.Image.Image]", *, grey: bool = False
) -> Tensor:
    """Images as one tensor (N, c, size, size), uint8, filled one by one.

    Args:
        paths: Of image files, in the order wanted.
        size: Side in pixels that `prepare` gives.
        prepare: From the image, upright, of 8 bits and opaque, to a square one; a ValueError refuses it.
        grey: One channel instead of three.

    Raises:
        DataError: An image that is refused, damaged or suspiciously large (a decompression bomb).
    """
    from PIL import Image

    stack = np.empty((len(paths), 1 if grey else 3, size, size), np.uint8)
    for row, path in zip(stack, paths):
        check_file(path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                with Image.open(path) as image:
                    square = prepare(_as_shown(image)).convert("L" if grey else "RGB")
        except Exception as error:  # Pillow's decoders raise many kinds
            raise DataError(f"{path}: not a readable image ({error}); remove or replace it") from error
        row[:] = np.asarray(square).reshape(size, size, -1).transpose(2, 0, 1)
    return torch.from_numpy(stack)


def _as_shown(image: "PIL.Image.Image") -> "PIL.Image.Image":
    """The image as a viewer shows it on a white page: turned as its EXIF says, without transparency, of 8 bits.

    Raises:
        ValueError: Its values are neither of 8 nor of 16 bits.
    """
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
            raise ValueError(f"expected values of 8 or 16 bits, got mode {image.mode}; convert it to 8 bits")
        return Image.fromarray((values.astype(np.float64) / 257).round().astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        page = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(page, image).convert("RGB")
    return image


@dataclass
class _Found:
    """Images in a folder and its direct subfolders, and why other files are left out."""

    top: list[Path] = field(default_factory=list)
    inside: list[Path] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def add(self, path: Path, images: list[Path]) -> None:
        if path.name.startswith("."):
            self.skipped["hidden"] += 1
        elif path.suffix.lower() not in _SUFFIXES:
            self.skipped["not an image"] += 1
        elif not path.is_file():
            self.skipped["not a file"] += 1
        else:
            images.append(path)


def _find(folder: Path) -> _Found:
    found = _Found()
    for path in sorted(folder.iterdir()):
        if not path.is_dir():
            found.add(path, found.top)
        elif path.name.startswith((".", "__")):
            found.skipped["hidden"] += 1
        else:
            for inner in sorted(path.iterdir()):
                if not inner.is_dir():
                    found.add(inner, found.inside)
                elif any(deep.suffix.lower() in _SUFFIXES for deep in inner.rglob("*")):
                    found.skipped["nested deeper"] += 1
    return found


def read_image_folder(folder: Path, *, size: int = 32, grey: bool | None = None) -> ImageSet:
    """Every image of the folder and its direct subfolders, in the order of their names.

    Images are turned upright as their EXIF data say, laid on white where they are transparent, and scaled to 8 bits
    where they have 16. Hidden files and folders (.ipynb_checkpoints ...) are left out, as are a few images that lie
    beside subfolders with more. The note of the result says what was read, skipped and resized, whether all images
    are grey, and where labels are from.

    Args:
        folder: Holds images, or one subfolder of images a class.
        size: Side in pixels after the largest centred square is cut out.
        grey: One channel instead of three; None for one channel if every image is stored in shades of grey.

    Raises:
        DataError: No images, or one that is damaged or suspiciously large (a decompression bomb).
    """
    from PIL import ImageOps

    folder, size = as_path("folder", folder), check_integer("size", size, 2, 4096)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; check the path")
    found = _find(folder)
    stray = found.top if len(found.top) < len(found.inside) else []
    if stray:
        found.skipped["beside the class folders"] += len(stray)
    paths = found.inside if stray else sorted([*found.top, *found.inside])
    if not paths:
        raise DataError(
            f"{folder}: expected images ({', '.join(sorted(_SUFFIXES))}) in it or in its subfolders, found none"
            f"{_counts(found.skipped, ' but ')}; give the folder that holds them"
        )
    one_channel = all(map(_is_grey, paths)) if grey is None else grey
    sizes: Counter[tuple[int, int]] = Counter()

    def prepare(image: "PIL.Image.Image") -> "PIL.Image.Image":
        sizes[image.size] += 1
        return ImageOps.fit(image.convert("L" if one_channel else "RGB"), (size, size))

    images = stack_images(paths, size, prepare, grey=one_channel)
    classes = sorted({path.parent.name for path in paths if path.parent != folder})
    labels = None
    if classes and all(path.parent != folder for path in paths):
        labels = torch.tensor([classes.index(path.parent.name) for path in paths])
    notes = [
        f"{len(paths)} images read",
        *([f"{found.skipped.total()} skipped{_counts(found.skipped, ': ')}"] if found.skipped else []),
        f"labels from {len(classes)} subfolders" if labels is not None else "no labels",
        *(["one channel, since all are grey"] if one_channel and grey is None else []),
        *_resized(sizes, size),
    ]
    return ImageSet(images, labels, 256, folder.name, note="; ".join(notes))


def _is_grey(path: Path) -> bool:
    """Whether a file's header says shades of grey; False where it cannot be read, which reading the image will say."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.mode in ("1", "L", "LA", "La") or image.mode.startswith(("I", "F"))
    except Exception:
        return False


def _counts(skipped: Counter[str], before: str) -> str:
    return before + ", ".join(f"{count} {why}" for why, count in sorted(skipped.items())) if skipped else ""


def _resized(sizes: Counter[tuple[int, int]], size: int) -> list[str]:
    """What was resized from what, if anything was."""
    others = [pair for pair, _ in sizes.most_common() if pair != (size, size)]
    if not others:
        return []
    listed = ", ".join(f"{width}x{height}" for width, height in others[:_MOST_SIZES])
    more = f" and {len(others) - _MOST_SIZES} other sizes" if len(others) > _MOST_SIZES else ""
    enlarged = " (enlarged)" if all(min(pair) < size for pair in others) else ""
    return [f"resized from {listed}{more} to {size}x{size}{enlarged}"]
