"""Images side by side as one picture, in whole enlarged pixels."""

import numpy as np
from PIL import Image
from torch import Tensor

__all__ = ["GAP", "image_grid", "strip"]

GAP = 4
"""Pixels between neighbouring images."""

_SIDE = 56
"""Small images are enlarged, by a whole factor, to about this many pixels."""


def _tiles(images: Tensor, levels: int) -> np.ndarray:
    """(N, h, w, 3) bytes, enlarged; the brightest level becomes white."""
    x = (images.float() * (255 / (levels - 1))).round().byte()
    x = x.expand(-1, 3, -1, -1).movedim(1, -1)
    factor = max(1, round(_SIDE / max(x.shape[1:3])))
    return x.repeat_interleave(factor, 1).repeat_interleave(factor, 2).numpy()


def image_grid(images: Tensor, levels: int, columns: int | None = None, gap: int = GAP) -> Image.Image:
    """Images (N, c, h, w), uint8, row by row on mid-grey.

    Args:
        images: N images.
        levels: Values a pixel can take.
        columns: Images a row; None for about as many as rows.
        gap: Pixels between them.
    """
    tiles = _tiles(images, levels)
    count, h, w, _ = tiles.shape
    columns = columns or int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    canvas = np.full((rows * (h + gap) - gap, columns * (w + gap) - gap, 3), 128, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = (i // columns) * (h + gap), (i % columns) * (w + gap)
        canvas[y : y + h, x : x + w] = tile
    return Image.fromarray(canvas)


def strip(images: Tensor, levels: int) -> Image.Image:
    """The images of one path (m, c, h, w) in one row."""
    return image_grid(images, levels, columns=len(images))
