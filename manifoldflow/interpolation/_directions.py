"""Norms, directions and angles of pairs of vectors, without cancellation, overflow or NaN gradients."""

from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import CutLocusError
from ..manifolds import is_eager

__all__ = ["Directions", "check_not_opposite", "directions", "opposite"]


class Directions(NamedTuple):
    """Polar coordinates of a pair of vectors `(*batch, n)`.

    `norm`s `(*batch,)`; `unit` vectors `(*batch, n)`, zero for a zero vector; `chord` |u - v|^2 and `opening`
    |u + v|^2 of the unit vectors, `(*batch,)`; `some` says which pairs have two directions at all.
    """

    first_norm: Tensor
    last_norm: Tensor
    first: Tensor
    last: Tensor
    chord: Tensor
    opening: Tensor
    some: Tensor


def _polar(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Norm, unit vector and whether there is one.

    Scaled by the largest entry, so that squares neither overflow nor vanish.
    """
    peak = vectors.detach().abs().amax(-1, keepdim=True)
    some = peak > 0
    scaled = torch.where(some, vectors, 1) / torch.where(some, peak, 1)  # guards the norm's gradient at zero
    norm = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
    unit = torch.where(some, scaled / norm, 0)
    return torch.where(some, peak * norm, 0).squeeze(-1), unit, some.squeeze(-1)


def directions(start: Tensor, end: Tensor) -> Directions:
    """Polar coordinates of the pairs `(*batch, n)`."""
    (first_norm, first, some_first), (last_norm, last, some_last) = _polar(start), _polar(end)
    chord = (first - last).square().sum(-1)
    opening = (first + last).square().sum(-1)
    return Directions(first_norm, last_norm, first, last, chord, opening, some_first & some_last)


def opposite(pair: Directions) -> Tensor:
    """Which pairs are antipodal as far as their dtype can tell, `(*batch,)`.

    Rounding the unit vectors moves their sum by about eps, whatever the dimension, so below 4 eps its
    direction is noise.
    """
    return pair.some & (pair.opening <= (4 * torch.finfo(pair.opening.dtype).eps) ** 2)


def check_not_opposite(pair: Directions, method: str, fix: str) -> None:
    """Raise `CutLocusError` naming the first antipodal row, where values may be read."""
    rows = opposite(pair).detach()
    if is_eager() and bool(rows.any()):
        row = int(rows.flatten().nonzero()[0])
        raise CutLocusError(
            f"end: expected a direction that is not opposite to start's, got antipodal points at row {row}; {method} "
            f"has no unique great circle there; {fix}"
        )
