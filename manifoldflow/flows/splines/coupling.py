"""What all coupling layers share: which coordinates move, and which stay and are read."""

import math

import torch
from torch import Tensor

from .layers import Layer

__all__ = ["Coupling", "alternating_masks"]


class Coupling(Layer):
    """A layer that moves some coordinates given the others.

    Args:
        moves: A mask `(d,)` of the coordinates that move.
    """

    moved: Tensor
    kept: Tensor
    order: Tensor

    def __init__(self, moves: Tensor) -> None:
        super().__init__()
        moved, kept = moves.nonzero()[:, 0], (~moves).nonzero()[:, 0]
        self.register_buffer("moved", moved, persistent=False)
        self.register_buffer("kept", kept, persistent=False)
        self.register_buffer("order", torch.cat([moved, kept]).argsort(), persistent=False)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The coordinates that move, and those that stay."""
        return x.index_select(-1, self.moved), x.index_select(-1, self.kept)

    def join(self, moved: Tensor, kept: Tensor) -> Tensor:
        """The points of which `split` gives these."""
        return torch.cat([moved, kept], -1).index_select(-1, self.order)


def alternating_masks(size: int) -> list[Tensor]:
    """Masks `(d,)` that set every coordinate apart from every other: by the binary digits of its place, both ways."""
    place = torch.arange(size)
    digits = range(max(1, math.ceil(math.log2(size)))) if size > 1 else []
    masks = [(place >> digit) % 2 == side for digit in digits for side in (0, 1)]
    return masks or [torch.ones(1, dtype=torch.bool)]
