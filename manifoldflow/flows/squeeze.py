"""Squeeze: trade space for channels, 2x2 pixels to 4 channels."""

from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

__all__ = ["squeeze", "unsqueeze"]


def squeeze(x: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, 4c, h/2, w/2); volume preserving (arXiv 1605.08803, section 3.6)."""
    return pixel_unshuffle(x, 2)


def unsqueeze(x: Tensor) -> Tensor:
    """The inverse of `squeeze`."""
    return pixel_shuffle(x, 2)
