"""Squeeze: trade space for channels, 2x2 pixels to 4 channels."""

from torch import Tensor

__all__ = ["squeeze", "unsqueeze"]


# torch's pixel_unshuffle gives a wrong shape for empty batches. This one copies once, into the
# channels-last layout, in which the convolutions of small images are faster on a CPU.
def squeeze(x: Tensor) -> Tensor:
    """(b, c, h, w) -> (b, 4c, h/2, w/2); volume preserving (arXiv 1605.08803, section 3.6)."""
    b, c, h, w = x.shape
    x = x.reshape(b, c, h // 2, 2, w // 2, 2).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(b, h // 2, w // 2, 4 * c).movedim(-1, 1)


def unsqueeze(x: Tensor) -> Tensor:
    """The inverse of `squeeze`."""
    b, c, h, w = x.shape
    x = x.reshape(b, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3)
    return x.reshape(b, c // 4, 2 * h, 2 * w)
