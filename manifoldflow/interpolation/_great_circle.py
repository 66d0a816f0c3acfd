"""The great circle through two directions, as weights of vectors that are fixed for the whole path."""

import math

import torch
from torch import Tensor

from ..manifolds import is_eager
from ..manifolds.sphere_kernels import angle, any_direction, slerp_coefficients
from ._directions import check_not_opposite, directions, opposite

__all__ = ["GreatCircle"]

_WIDE = 0.2  # |u + v|^2 below which weights of u and v cancel noticeably: angles above 2.69 rad


class GreatCircle:
    r"""Weights of two vectors, by which their great circle is run through at constant speed.

    Args:
        start: Vectors `(*batch, n)`.
        end: Vectors `(*batch, n)`.
        method: Name of the caller, for its error message.
        cut_locus: What to do with antipodes: "raise", or "choose" a fixed great circle.

    Attributes:
        vectors: Start, end, and, if some pair is nearly antipodal, sum and difference of the directions; there the
            weights of the end points themselves would cancel. `(*batch, k, n)`.
        pair: Norms and directions.

    The circle is a (v + u) + b (v - u), with a and b as `manifolds.sphere_kernels` derives them.
    """

    def __init__(self, start: Tensor, end: Tensor, *, method: str, cut_locus: str) -> None:
        if cut_locus not in ("raise", "choose"):
            raise ValueError(f'cut_locus: expected "raise" or "choose", got {cut_locus!r}')
        self.pair = pair = directions(start, end)
        if cut_locus == "raise":
            check_not_opposite(pair, method, 'move a point, or pass cut_locus="choose" for a fixed great circle')
        self._wide = pair.some & (pair.opening < _WIDE)
        self._cut = opposite(pair)
        self._difference, self._sum = pair.last - pair.first, pair.first + pair.last
        vectors = [start, end]
        if not is_eager() or bool(self._wide.any()):
            self._sum = _orthogonal(self._sum, self._difference, self._wide & ~self._cut)
            # At antipodes the sum has no direction: any tangent there will do.
            vectors += [torch.where(self._cut[..., None], any_direction(pair.first), self._sum), self._difference]
        self.vectors = torch.stack(vectors, -2)

    @property
    def angle(self) -> Tensor:
        """Angle between the directions in radians, `(*batch,)`; 0 where one of them is a zero vector."""
        return torch.where(self.pair.some, angle(self.pair.first, self.pair.last), 0)

    def weights(self, t: Tensor) -> Tensor:
        """Weights `(*batch, m, k)` of the unit vectors at times `t`."""
        some, wide, cut = (mask[..., None] for mask in (self.pair.some, self._wide, self._cut))
        b, a, _ = slerp_coefficients(self._difference[..., None, :], self._sum[..., None, :], t[..., None])
        b, a = torch.broadcast_tensors(b[..., 0], a[..., 0])
        weights = []
        for share, weight in ((1 - t, a - b), (t, a + b)):
            weight = torch.where(wide, 0, weight)
            weights.append(torch.where(some, weight, share))  # zero vectors have no direction: a straight line
        if self.vectors.shape[-2] > 2:
            half_turn = (math.pi * t).sin(), -(math.pi * t).cos() / 2
            weights += [torch.where(wide, torch.where(cut, w, v), 0) for w, v in zip(half_turn, (a, b))]
        return torch.stack(torch.broadcast_tensors(*weights), -1)

    def pinned(self, t: Tensor, weights: Tensor) -> Tensor:
        """The weights with those of a bare end point at t = 0 and 1, which the formula gives to rounding only."""
        unit = torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device)
        weights = torch.where((t == 0)[..., None], unit[0], weights)
        return torch.where((t == 1)[..., None], unit[1], weights)


def _orthogonal(vector: Tensor, axis: Tensor, rows: Tensor) -> Tensor:
    """`vector` without its part along `axis` in some rows: rounding leaves one of eps, which counts where the sum is
    small.
    """
    square = torch.where(rows, axis.square().sum(-1), 1)
    for _ in range(2):
        share = torch.where(rows, (vector * axis).sum(-1) / square, 0)
        vector = vector - share[..., None] * axis
    return vector
