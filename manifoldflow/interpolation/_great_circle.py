"""The great circle through two directions, as weights of vectors that are fixed for the whole path."""

import torch
from torch import Tensor

from ._arguments import data_is_visible
from ._directions import check_not_opposite, directions, opposite

__all__ = ["GreatCircle", "check_cut_locus"]

_WIDE = 0.2  # |u + v|^2 below which weights of u and v cancel noticeably: angles above 2.69 rad


def check_cut_locus(cut_locus: str) -> None:
    """Raise unless the policy for antipodes is a known one."""
    if cut_locus not in ("raise", "choose"):
        raise ValueError(f'cut_locus: expected "raise" or "choose", got {cut_locus!r}')


def _even_sine(square: Tensor) -> Tensor:
    """sin(x)/x as a power series in x^2, for x^2 up to 0.01: seven terms leave less than 1e-26."""
    total = torch.ones_like(square)
    for k in (12, 10, 8, 6, 4, 2):
        total = 1 - square / (k * (k + 1)) * total
    return total


def _squared_angle(q: Tensor) -> Tensor:
    """4 asin(sqrt(q)/2)^2 for a squared chord q up to 0.01, by its series 2 sum q^k / (k^2 binom(2k, k))."""
    total = torch.ones_like(q)
    for ratio in (18 / 91, 25 / 132, 8 / 45, 9 / 56, 2 / 15, 1 / 12):
        total = 1 + q * ratio * total
    return q * total


class GreatCircle:
    r"""Weights sin((1-t)w)/sin w and sin(tw)/sin w of two vectors at angle w, right at every angle.

    Args:
        start: Vectors `(*batch, n)`.
        end: Vectors `(*batch, n)`.
        method: Name of the caller, for its error message.
        cut_locus: What to do with antipodes: "raise", or "choose" the circle through the coordinate axis that
            is most nearly orthogonal to the points (the first of equals).

    Attributes:
        vectors: Start, end, and, if some pair is nearly antipodal, two orthonormal vectors of its plane;
            `(*batch, k, n)`.
        pair: Norms and directions.

    Near w = 0 the weights are power series in w^2, itself one in the squared chord, so derivatives of every
    order are finite. Near w = pi the weights of the end points cancel, and the points are built from the
    midpoint direction and the chord.
    """

    def __init__(self, start: Tensor, end: Tensor, *, method: str, cut_locus: str) -> None:
        check_cut_locus(cut_locus)
        self.pair = pair = directions(start, end)
        if cut_locus == "raise":
            check_not_opposite(
                pair,
                method,
                'move a point, or pass cut_locus="choose" for a fixed choice among the shortest paths',
            )
        self.wide = pair.some & (pair.opening < _WIDE)
        vectors = [start, end]
        if not data_is_visible(start, end) or bool(self.wide.any()):
            vectors += self._frame()
        self.vectors = torch.stack(vectors, -2)

    def _frame(self) -> list[Tensor]:
        """Direction of the midpoint and of the chord from end to start: orthonormal for the wide pairs, zero
        for others.
        """
        pair, wide = self.pair, self.wide[..., None]
        chord = torch.where(wide, pair.first - pair.last, 1)
        chord = chord / torch.linalg.vector_norm(chord, dim=-1, keepdim=True)
        axis = torch.nn.functional.one_hot(chord.detach().abs().argmin(-1), chord.shape[-1]).to(chord.dtype)
        middle = torch.where(opposite(pair)[..., None], axis, pair.first + pair.last)
        middle = torch.where(wide, middle, axis)
        for _ in range(2):  # twice is enough: the first pass leaves eps / |u + v| of the chord's direction
            middle = middle - (middle * chord).sum(-1, keepdim=True) * chord
            middle = middle / torch.linalg.vector_norm(middle, dim=-1, keepdim=True)
        return [torch.where(wide, middle, 0), torch.where(wide, chord, 0)]

    @property
    def angle(self) -> Tensor:
        """Angle between the directions in radians, `(*batch,)`; 0 where one of them is a zero vector."""
        pair = self.pair
        apart = pair.some & (pair.chord > 0)
        chord = torch.where(apart, pair.chord, 1).sqrt()
        facing = pair.opening > 0
        opening = torch.where(facing, torch.where(facing, pair.opening, 1).sqrt(), 0)
        return torch.where(apart, 2 * torch.atan2(chord, opening), 0)

    def weights(self, t: Tensor) -> Tensor:
        """Weights `(*batch, m, k)` of the unit vectors at times `t`."""
        pair = self.pair
        near, wide = (pair.chord < 0.01)[..., None], self.wide[..., None]
        square = _squared_angle(torch.where(near[..., 0], pair.chord, 0))[..., None]
        chord = torch.where(near[..., 0] | ~pair.some, 1, pair.chord).sqrt()
        opening = torch.where(near[..., 0] | ~pair.some | self.wide, 1, pair.opening).sqrt()
        angle = 2 * torch.atan2(chord, opening)[..., None]
        weights = []
        for share in (1 - t, t):
            close = share * _even_sine(share.square() * square) / _even_sine(square)
            # The same sine above and below: weight 1 exactly at the point's own end.
            apart = torch.sin(share * angle) / torch.sin(angle)
            weight = torch.where(near, close, apart)
            weights.append(torch.where(pair.some[..., None], torch.where(wide, 0, weight), share))
        if self.vectors.shape[-2] > 2:
            facing = pair.opening > 0
            gap = torch.where(facing, torch.where(facing, pair.opening, 1).sqrt(), 0)
            half = torch.atan2(torch.where(self.wide, pair.chord, 1).sqrt(), gap)[..., None] * (1 - 2 * t)
            weights += [torch.where(wide, half.cos(), 0), torch.where(wide, half.sin(), 0)]
        return torch.stack(torch.broadcast_tensors(*weights), -1)

    def pinned(self, t: Tensor, weights: Tensor) -> Tensor:
        """The weights, but those of the bare end points at t = 0 and 1, which a frame would only reproduce
        to rounding.
        """
        if self.vectors.shape[-2] == 2:
            return weights
        unit = torch.eye(self.vectors.shape[-2], dtype=weights.dtype, device=weights.device)
        weights = torch.where((t == 0)[..., None], unit[0], weights)
        return torch.where((t == 1)[..., None], unit[1], weights)
