"""Great circles as weights of vectors that are fixed for the whole path, and slerp, which follows one."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...errors import CutLocusError
from ...manifolds import is_eager
from ...manifolds.sphere_kernels import angle, any_direction, slerp_coefficients
from .path import Path
from .points import velocity_of, weighted_sum

__all__ = ["Directions", "GreatCircle", "Slerp", "check_not_opposite", "directions", "opposite"]


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


class Slerp(Path):
    r"""Great circle in direction, straight line in norm, for latents of any shape.

    .. math:: \gamma(t) = \big((1-t)|a| + t|b|\big)
        \frac{\sin((1-t)\omega)\, a/|a| + \sin(t\omega)\, b/|b|}{\sin\omega},
        \qquad \omega = 2\,\mathrm{atan2}(|\hat a - \hat b|, |\hat a + \hat b|)

    Args:
        start: Points a, shape `(*batch, *event)`.
        end: Points b, same shape.
        event_dim: Number of dimensions of one point; norm and angle run over all of them, separately for
            every sample.
        cut_locus: For antipodal directions, "raise", or "choose" a fixed great circle.

    Raises:
        CutLocusError: Antipodal directions under "raise".

    Exact for parallel and for tiny angles, with finite derivatives of every order; a zero vector has no
    direction and is reached on a straight line. End points come back to the last bits. Reference: arXiv
    2010.12059, section 4 (slerp).
    """

    def __init__(self, start: Any, end: Any, *, event_dim: int = 1, cut_locus: str = "raise") -> None:
        super().__init__(start, end, event_dim=event_dim)
        axis = len(self.batch_shape)
        self.circle = GreatCircle(self.start.flatten(axis), self.end.flatten(axis), method="slerp", cut_locus=cut_locus)
        pair = self.circle.pair
        self._norms = pair.first_norm, pair.last_norm

    @property
    def angle(self) -> Tensor:
        """Angle between the end points in radians, shape `(*batch,)`."""
        return self.circle.angle

    def _weights(self, t: Tensor) -> Tensor:
        """Weights of the circle's vectors, whose first two are not unit vectors, `(*batch, m, k)`."""
        return self._scaled(t, self.circle.weights(t))

    def _scaled(self, t: Tensor, weights: Tensor) -> Tensor:
        first, last = (norm[..., None] for norm in self._norms)
        norm = (1 - t) * first + t * last
        some = self.circle.pair.some[..., None]
        scale = [torch.where(some, norm / torch.where(some, own, 1), 1) for own in (first, last)]
        scale += [norm] * (weights.shape[-1] - 2)
        return weights * torch.stack(scale, -1)

    def _sum(self, weights: Tensor) -> Tensor:
        points = weighted_sum(weights, self.circle.vectors, 1)
        return points.unflatten(-1, self.event_shape) if self.event_dim > 1 else points

    def _points(self, t: Tensor) -> Tensor:
        # The scale of an end point is exactly 1 at its own time.
        return self._sum(self._scaled(t, self.circle.pinned(t, self.circle.weights(t))))

    def velocity(self, t: Tensor) -> Tensor:
        """Derivative by time at `t`, shape `(*batch, m, *event)`."""
        times = self._times(t)
        return self._sum(velocity_of(self._weights, times))

    def length(self, *, decode: Callable[[Tensor], Tensor] | None = None, steps: int = 256) -> Tensor:
        """Length `(*batch,)`, exact where the norms are equal; otherwise, or with `decode`, the sum of
        `steps` chords.
        """
        if decode is not None:
            return super().length(decode=decode, steps=steps)
        first, last = self._norms
        return torch.where(first == last, first * self.angle, super().length(steps=steps))
